//! A brick's tree: the plain directory that the log's records are applied to, and the index beside it.
//!
//! The file system keeps names, data, attributes and identities (xattr `trusted.rfs.id`); the index keeps what it cannot:
//! where an inode is, its version (index of its last change) and its ctime. Applying a record is plain system calls in
//! log order and a change in memory; nothing is synced. A [checkpoint](Tree::checkpoint_begin) syncs the file system and
//! moves the index on disk to the applied index in one transaction. After a crash the index is exactly at its checkpoint,
//! and [`converge`] makes the tree the fold of the log, whatever the crash left.
//!
//! Everything here is called on one thread; short cached system calls are made in place. What can take long is handed out
//! as a job of its own, which owns what it needs and may run on any thread.

mod abandoned;
mod apply;
mod brick;
mod checkpoint;
mod converge;
mod doubts;
mod dying;
mod entry;
mod fault;
mod foreign;
mod handle;
mod index;
mod label;
mod layout;
mod listing;
mod moves;
mod planted;
mod read;
mod rebuild;
mod resolve;
mod resync;
mod run;
mod store;
mod sums;
mod times;
mod verify;
mod view;
mod xattr;
mod xattrat;

#[cfg(any(test, feature = "testing"))]
pub mod testing;
#[cfg(test)]
pub(crate) mod tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lru::LruCache;
use rfs_model::{Index, InodeId, Term, Timestamp};

pub use apply::{Applied, Leftover, Prelude};
pub use brick::RootAttr;
pub use checkpoint::{CheckpointDone, CheckpointJob};
pub use converge::{Converged, Each, Replay};
pub use doubts::{ChunkJob, Digest, Digests};
pub use entry::{Entry, Place};
pub use fault::Fault;
pub use label::{read_label, write_label};
pub use layout::{is_private, is_private_xattr};
pub use listing::{ListJob, Listed, Page};
pub use read::Reader;
pub use rebuild::rebuild;
pub use resync::{Copy, Lender, Lent, Progress, Sink, Source, Wipe};
pub use store::Checkpoint;
pub use sums::{CHUNK, Checked, Given, InodeMeta, Inspected, Look, Mend, Mended, Rotten, SumJob, Summed};
pub use verify::verify_index;

use handle::Handle;
use index::IndexMap;
use listing::Listings;
use run::Run;
use sums::Settling;
use times::Times;

/// How much a tree keeps in memory and open.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Open directories.
    pub dir_handles: NonZeroUsize,
    /// Other open inodes.
    pub file_handles: NonZeroUsize,
    /// Index entries that have not changed since the last checkpoint.
    pub clean_entries: NonZeroUsize,
    /// Names in cached directory listings, over all directories; one directory may exceed it alone.
    pub listed_names: usize,
}

impl Default for Limits {
    fn default() -> Self {
        let n = |n| NonZeroUsize::new(n).expect("not zero");
        Self {
            dir_handles: n(256),
            file_handles: n(256),
            clean_entries: n(64 * 1024),
            listed_names: 512 * 1024,
        }
    }
}

/// One brick's tree at the applied index.
pub struct Tree {
    path: PathBuf,
    root: Arc<Handle>,
    limbo: Arc<Handle>,
    orphans: Arc<Handle>,
    index: IndexMap,
    applied: Index,
    term: Term,
    dirs: RefCell<LruCache<InodeId, Arc<Handle>>>,
    files: RefCell<LruCache<InodeId, Arc<Handle>>>,
    listings: RefCell<Listings>,
    /// Times that are to be set when the batch ends.
    times: RefCell<BTreeMap<InodeId, Times>>,
    /// Adjacent writes that are not in the file yet.
    run: RefCell<Run>,
    /// Where recovery has found what is not where the index says.
    found: HashMap<InodeId, Place>,
    told: foreign::Told,
    /// Inodes that may not be what the leader has.
    doubts: BTreeSet<InodeId>,
    /// The wall clock, as the caller told it last.
    wall: std::cell::Cell<Timestamp>,
    /// What has died and may have to come back.
    dying: RefCell<dying::Dying>,
    /// What has changed and has no sums yet.
    settling: RefCell<Settling>,
    #[cfg(any(test, feature = "testing"))]
    trip: std::cell::Cell<Option<u64>>,
    #[cfg(any(test, feature = "testing"))]
    planted: Option<planted::Planted>,
}

impl Tree {
    /// The last record that is in the tree.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The term of that record.
    #[must_use]
    pub fn applied_term(&self) -> Term {
        self.term
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Inodes that the next checkpoint will write to the index: they are held in memory until then, so that a checkpoint is
    /// due when there are many.
    #[must_use]
    pub fn dirty_entries(&self) -> usize {
        self.index.dirty_entries()
    }

    /// What the index knows of an inode.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn entry(&self, id: InodeId) -> Result<Option<Arc<Entry>>, Fault> {
        self.index.get(id)
    }

    /// Counts a system call that changes the disk: a test may stop the brick before any of them.
    #[cfg(any(test, feature = "testing"))]
    fn step(&self) -> Result<(), Fault> {
        match self.trip.get() {
            Some(0) => Err(Fault::Tripped),
            Some(left) => {
                self.trip.set(Some(left - 1));
                Ok(())
            }
            None => Ok(()),
        }
    }

    #[cfg(not(any(test, feature = "testing")))]
    #[allow(clippy::unused_self, clippy::unnecessary_wraps)]
    fn step(&self) -> Result<(), Fault> {
        Ok(())
    }
}
