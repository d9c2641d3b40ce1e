//! A checkpoint: the tree as of an index on disk, and then the index that says so. In that order.

use std::sync::Arc;

use bytes::Bytes;
use rfs_model::Index;
use rustix::fs::syncfs;

use super::handle::Handle;
use super::index::Changes;
use super::store::{Checkpoint, Notes, Store};
use super::sums::SumChanges;
use super::{Fault, Tree};

/// The slow part of a checkpoint; may run on any thread, one at a time.
pub struct CheckpointJob {
    root: Arc<Handle>,
    store: Store,
    changes: Arc<Changes>,
    sums: Arc<SumChanges>,
    notes: Notes,
    checkpoint: Checkpoint,
}

/// A checkpoint that is durable.
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct CheckpointDone {
    index: Index,
}

impl CheckpointJob {
    #[must_use]
    pub fn index(&self) -> Index {
        self.checkpoint.index
    }

    /// syncfs, then one durable transaction. The log up to the index must be durable before.
    ///
    /// # Errors
    /// [`Fault::System`], [`Fault::Index`]: the brick's checkpoint is still the one before.
    pub fn run(self) -> Result<CheckpointDone, Fault> {
        syncfs(self.root.fd()).map_err(|e| Fault::system("sync", "/", e))?;
        let changes = self.changes.iter().map(|(id, entry)| (*id, entry.as_deref()));
        self.store.commit(&self.checkpoint, changes, &self.sums, &self.notes)?;
        Ok(CheckpointDone { index: self.checkpoint.index })
    }
}

impl Tree {
    /// Begins a checkpoint at the applied index, with the replicated state that is not in the tree as of that index. The
    /// caller syncs the log up to it, runs the job and gives its result to [`Tree::checkpoint_done`]; records may be
    /// applied meanwhile.
    ///
    /// # Errors
    /// [`Fault`].
    ///
    /// # Panics
    /// When another checkpoint has been begun and is not done, and before a copied tree has been converged.
    pub fn checkpoint_begin(&mut self, state: Bytes) -> Result<CheckpointJob, Fault> {
        let floor = self.index.checkpoint()?.floor;
        assert!(self.applied >= floor, "a copied tree at {} has seen records up to {floor}", self.applied);
        self.end_batch()?;
        let (store, changes, sums) = self.index.freeze();
        let checkpoint = Checkpoint { index: self.applied, term: self.term, floor: Index::ZERO, state };
        let notes = self.notes();
        Ok(CheckpointJob { root: self.root.clone(), store, changes, sums, notes, checkpoint })
    }

    /// # Errors
    /// [`Fault::Index`].
    pub fn checkpoint_done(&mut self, done: CheckpointDone) -> Result<Index, Fault> {
        self.index.thaw()?;
        Ok(done.index)
    }

    /// The last checkpoint that is done.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn checkpoint(&self) -> Result<Checkpoint, Fault> {
        self.index.checkpoint()
    }
}
