//! The journal: the append-only log of one replica set on one brick.
//!
//! It is a directory of *segments*, files of one size that are zeroed before use and used again and again, each with a
//! *header copy* beside it (docs/formats.md). A journal lives on one executor. Its words:
//!
//! - *written*: in the page cache, so it survives the death of the process. True when [`Journal::append`] returns.
//! - *synced*: on the disk. True for all up to the index that [`Journal::sync_start`]'s future returns.
//! - *released*: the tree's checkpoint has it. Such segments may be used again once they are large or old enough.
//!
//! Every way of shortening the log (a tail cut off, a reset for a full resync, a torn tail found at open) begins a new
//! segment whose header says so, durably; nothing is overwritten in place. At open the segments are put in the order of
//! their generations, and a later one that begins at or below an index makes everything from there on void.
//!
//! A failed write or fdatasync poisons the journal for ever: the kernel may have dropped what it could not write, and a
//! second fdatasync would not say so.

mod append;
mod blank;
mod cache;
mod copy;
mod cut;
mod disk;
mod error;
mod gather;
mod keeper;
mod log;
mod names;
mod options;
mod position;
mod read;
mod recover;
mod release;
mod ring;
mod roll;
mod runs;
mod segment;
mod sync;
#[cfg(test)]
mod tests;
mod zero;

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;

use rfs_model::{Index, Meta, Term};

pub use disk::{Call, Watch};
pub use error::{Damage, JournalError};
pub use options::Options;
pub use position::Position;
pub use recover::{Recovered, Rot, Torn};
pub use release::{Pin, Room, Stats};
pub use runs::Runs;

use log::Log;

/// The log of one replica set on one brick. See the [module](self).
///
/// Dropping it syncs nothing. The directory belongs to one journal at a time: the caller holds the brick's lock.
pub struct Journal {
    log: Rc<RefCell<Log>>,
}

impl Journal {
    /// Opens the log in `dir`, or begins one there. Reads what must be verified, and blocks meanwhile; it needs no
    /// executor. An empty directory takes about as long as four fdatasyncs.
    ///
    /// # Errors
    /// [`JournalError::Io`], [`JournalError::SegmentBytes`]. Damage is no error: see [`Recovered::rot`].
    pub fn open(dir: &Path, options: Options) -> Result<(Self, Recovered), JournalError> {
        let (log, recovered) = recover::open(dir, options)?;
        Ok((Self { log: Rc::new(RefCell::new(log)) }, recovered))
    }

    /// The last record; the base when there is none.
    #[must_use]
    pub fn last(&self) -> Position {
        self.log.borrow().last
    }

    /// The place before the first record.
    #[must_use]
    pub fn base(&self) -> Position {
        self.log.borrow().base
    }

    /// Every record up to here is on the disk.
    #[must_use]
    pub fn synced(&self) -> Index {
        self.log.borrow().synced
    }

    /// The term of a record of the log, or of the base.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        let log = self.log.borrow();
        let held = (log.base.index..=log.last.index).contains(&index);
        held.then(|| log.runs.term_at(index)).flatten()
    }

    /// First index and term of each run of records of one term, the base's first.
    #[must_use]
    pub fn runs(&self) -> Vec<(Index, Term)> {
        self.log.borrow().runs.as_slice().to_vec()
    }

    /// The header of a recent record; nothing when it is not in memory any more.
    #[must_use]
    pub fn meta_at(&self, index: Index) -> Option<Meta> {
        self.log.borrow().cache.get(index).map(|r| r.meta)
    }

    /// The checksum of a record's header, its identity. Reads the segment when the record is not in memory: a few pages.
    ///
    /// # Errors
    /// [`JournalError::NotHeld`], [`JournalError::Damaged`], [`JournalError::Io`].
    pub fn chain_at(&self, index: Index) -> Result<u32, JournalError> {
        self.log.borrow().chain_at(index)
    }

    /// The failure that stopped this journal, if one did.
    #[must_use]
    pub fn poison(&self) -> Option<JournalError> {
        self.log.borrow().poison.clone()
    }
}
