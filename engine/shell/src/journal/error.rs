//! What can go wrong with a journal, named by what must follow.

use std::io;
use std::path::{Path, PathBuf};

use rfs_model::record::RecordProblem;
use rfs_model::{Index, Term};

/// Why the journal did not do what it was asked to.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The system refused. After a failed write or fdatasync the journal is poisoned as well; a segment that could not
    /// be made (disk full) leaves it usable, and the append may be tried again.
    #[error("cannot {doing} {}: {}", path.display(), io::Error::from_raw_os_error(*errno))]
    Io { doing: &'static str, path: PathBuf, errno: i32 },
    /// An earlier write or fdatasync failed. What the disk holds is unknown from then on: the brick must stop, and find
    /// out at its next start.
    #[error("the journal has stopped: an earlier attempt to {doing} {} failed: {}", path.display(),
        io::Error::from_raw_os_error(*errno))]
    Poisoned { doing: &'static str, path: PathBuf, errno: i32 },
    #[error("record {got} cannot be appended, the next is {wanted}")]
    NotNext { got: Index, wanted: Index },
    #[error("record {index} does not follow the record before it: chain {got:08x}, expected {wanted:08x}")]
    ChainBroken { index: Index, got: u32, wanted: u32 },
    #[error("record {index} has term {got}, lower than the term {before} before it")]
    TermSank { index: Index, got: Term, before: Term },
    #[error("record {index} takes {bytes} bytes, a segment holds {limit}")]
    TooLarge { index: Index, bytes: u64, limit: u64 },
    /// The index lies before the log's base, behind its end, or below what was released.
    #[error("index {index} is not in the log, which holds {from} to {last}")]
    NotHeld { index: Index, from: Index, last: Index },
    /// Before the first record of all there is none: no term, no chain.
    #[error("no log begins behind record {index} of term {term}, chain {chain:08x}")]
    NoSuchBase { index: Index, term: Term, chain: u32 },
    /// Bytes that were written before are no longer what they were.
    #[error("{} is damaged at offset {offset}, record {index}: {problem}", segment.display())]
    Damaged { segment: PathBuf, offset: u64, index: Index, problem: Damage },
    #[error("segments of {0} bytes are not possible")]
    SegmentBytes(u64),
    #[error("{} does not belong to this journal: {what}", path.display())]
    Foreign { path: PathBuf, what: String },
}

/// What is wrong with a place in a segment where a record should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    #[error(transparent)]
    Record(#[from] RecordProblem),
    #[error("the record found has index {0}")]
    Index(Index),
    #[error("the record does not chain to the one before it")]
    Chain,
    #[error("the segment is missing")]
    Missing,
    #[error("the segment's header is unreadable")]
    Header,
    #[error("the segment ends")]
    End,
    #[error("it cannot be read: {}", io::Error::from_raw_os_error(*.0))]
    Unreadable(i32),
}

impl JournalError {
    pub(super) fn io(doing: &'static str, path: &Path, error: &io::Error) -> Self {
        Self::Io { doing, path: path.to_owned(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
    }

    /// The same failure, as everyone sees it who comes later.
    pub(super) fn poisoned(&self) -> Self {
        match self.clone() {
            Self::Io { doing, path, errno } => Self::Poisoned { doing, path, errno },
            other => other,
        }
    }

    /// Whether there was no room: what was released may make some.
    #[must_use]
    pub fn is_full(&self) -> bool {
        matches!(self, Self::Io { errno: libc::ENOSPC | libc::EDQUOT, .. })
    }
}
