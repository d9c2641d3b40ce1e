//! What a brick has that its volume has abandoned: set aside before it is replaced, compared with what the volume has, listed,
//! and forgotten when the operator says so.
//!
//! An operator may begin a new lineage on one brick (`volume promote`). Another brick that comes back with records which that
//! lineage lacks gets a full copy, and its records and files would be gone. So before anything of it is touched, its *tail*
//! (all records behind the common point, committed there or not) goes to `.rfs/divergent/<lineage>.<term>-<index>/`, named
//! by its last record:
//!
//! | there | what |
//! |---|---|
//! | `records` | the records of the tail that the log still held, one after the other, as they stand in the log |
//! | `files/` | the files that the tail touched, as they were at its end, under their paths: plain files |
//! | `list.json` | what the tail did to which path, and whether it was compared with the volume ([`List`]) |
//!
//! The files are hard links: nothing is copied, and the tree is not touched. A crash before all is on the disk leaves the brick
//! as it was; it begins again. After the copy has arrived, [`settle`] drops what does not differ from it.

mod collect;
mod list;
mod settle;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use rfs_model::Index;
use rfs_model::config::Position;

pub use collect::{Records, set_aside};
pub use list::{forget, rows};
pub use settle::settle;

/// The directory in `.rfs` that holds it all.
const DIR: &str = "divergent";
const FILES: &str = "files";
const RECORDS: &str = "records";
const LIST: &str = "list.json";

/// Records that the volume has abandoned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The last record that brick and volume have in common.
    pub common: Index,
    /// The log begins behind this one: what of the tail is before is no longer held.
    pub base: Index,
    pub last: Position,
}

impl Tail {
    /// The first record of the tail that the log holds.
    #[must_use]
    pub fn first(&self) -> Index {
        self.common.max(self.base).next()
    }

    fn home(&self, brick: &Path) -> PathBuf {
        let Position { term, index } = self.last;
        home(brick).join(format!("{}.{}-{index}", term.lineage().0, term.number()))
    }
}

fn home(brick: &Path) -> PathBuf {
    brick.join(".rfs").join(DIR)
}
