//! What a brick finds wrong with its own disk.

use std::io;
use std::path::PathBuf;

use rfs_model::label::LabelProblem;
use rfs_model::{Index, InodeId};
use rustix::io::Errno;

/// The brick cannot do, or cannot believe, what its log says. Never the result of an operation: the brick stops serving,
/// says so and leaves the set of bricks in sync; but for [`Fault::Rot`], which is of one block of a file. Paths are relative to the brick directory.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    #[error("cannot {doing} {path}: {source}")]
    System { doing: &'static str, path: String, source: io::Error },
    #[error("{path} carries no identity (xattr trusted.rfs.id), so this brick did not make it")]
    NoIdentity { path: String },
    #[error("{path} carries the identity {found}, the index says {wanted}")]
    Identity { path: String, found: InodeId, wanted: InodeId },
    #[error("{path}: the block at {offset} is not what was written")]
    Rot { id: InodeId, path: String, offset: u64 },
    #[error("inode {id} is found twice: at {first} and at {second}")]
    Twice { id: InodeId, first: String, second: String },
    #[error("{path} is not of the kind that the index says")]
    Kind { path: String },
    #[error("cannot {doing} inode {id}: the index does not know it")]
    Unknown { doing: &'static str, id: InodeId },
    #[error("cannot {doing}: the index does not have inode {id} at {path}")]
    Place { doing: &'static str, id: InodeId, path: String },
    #[error("inode {id} must be somewhere in the tree and is not")]
    Lost { id: InodeId },
    #[error("{path} is in the way of recovery, and it is not where the index says")]
    InTheWay { path: String },
    #[error("the index cannot {doing}: {why}")]
    Index { doing: &'static str, why: String },
    #[error("the brick's label {path}: {problem}")]
    Label { path: String, problem: LabelProblem },
    #[error("{} is a brick already", .0.display())]
    AlreadyBrick(PathBuf),
    #[error("{} is no brick: it has no .rfs", .0.display())]
    NoBrick(PathBuf),
    #[error("{} is not empty: it holds {first}", .dir.display())]
    NotEmpty { dir: PathBuf, first: String },
    #[error("record {index} ({op}) could not be applied: {fault}")]
    Record { index: Index, op: &'static str, fault: Box<Fault> },
    #[error("the log does not cover index {floor}, which the copied tree has seen; it ends at {end}")]
    Short { floor: Index, end: Index },
    #[error("the log cannot be read: {0}")]
    Log(String),
    #[error("the copy from the other brick is not well formed: {0}")]
    Copy(String),
    #[error("no record of ours says that: {0}")]
    Nonsense(&'static str),
    #[error("this volume cannot do {0} here")]
    Unsupported(&'static str),
    /// Recovery's crash tests stop a brick between two system calls.
    #[cfg(any(test, feature = "testing"))]
    #[error("stopped by the test")]
    Tripped,
}

impl Fault {
    pub(super) fn system(doing: &'static str, path: impl Into<String>, errno: Errno) -> Self {
        Self::System { doing, path: path.into(), source: errno.into() }
    }

    pub(super) fn index(doing: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Index { doing, why: why.to_string() }
    }
}

impl From<Fault> for rfs_core::admit::Fault {
    fn from(fault: Fault) -> Self {
        Self(fault.to_string())
    }
}
