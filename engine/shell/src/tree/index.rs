//! The index in memory, over the one on disk: what was changed since the last checkpoint, what the running checkpoint is
//! writing, and a bounded cache of the rest. Applying a record writes nothing to the store.

use std::cell::RefCell;
use std::collections::HashMap;
use std::num::NonZeroUsize;
use std::sync::Arc;

use lru::LruCache;
use rfs_model::InodeId;

use super::Fault;
use super::entry::Entry;
use super::store::{Checkpoint, Notes, Snapshot, Store};
use super::sums::{ChunkSums, SumChanges, SumsMap};

/// Changes since a checkpoint; `None`: the inode is gone.
pub(super) type Changes = HashMap<InodeId, Option<Arc<Entry>>>;

pub(super) struct IndexMap {
    store: Store,
    /// The store as of the last checkpoint.
    base: Snapshot,
    dirty: Changes,
    /// What a running checkpoint writes.
    frozen: Option<Arc<Changes>>,
    clean: RefCell<LruCache<InodeId, Arc<Entry>>>,
    sums: RefCell<SumsMap>,
}

impl IndexMap {
    pub(super) fn new(store: Store, clean_entries: NonZeroUsize) -> Result<Self, Fault> {
        let base = store.snapshot()?;
        let clean = RefCell::new(LruCache::new(clean_entries));
        let at = base.checkpoint()?.index;
        let sums = RefCell::new(SumsMap::new(at));
        Ok(Self { store, base, dirty: Changes::new(), frozen: None, clean, sums })
    }

    pub(super) fn get(&self, id: InodeId) -> Result<Option<Arc<Entry>>, Fault> {
        let newer = self.dirty.get(&id).or_else(|| self.frozen.as_ref()?.get(&id));
        if let Some(change) = newer {
            return Ok(change.clone());
        }
        if let Some(entry) = self.clean.borrow_mut().get(&id) {
            return Ok(Some(entry.clone()));
        }
        let entry = self.base.get(id)?.map(Arc::new);
        if let Some(entry) = &entry {
            self.clean.borrow_mut().put(id, entry.clone());
        }
        Ok(entry)
    }

    pub(super) fn put(&mut self, id: InodeId, entry: Arc<Entry>) {
        self.dirty.insert(id, Some(entry));
        self.clean.get_mut().pop(&id);
    }

    pub(super) fn remove(&mut self, id: InodeId) {
        self.sums.get_mut().remove(id);
        self.dirty.insert(id, None);
        self.clean.get_mut().pop(&id);
    }

    /// Changes one entry in place. False when there is no such inode.
    pub(super) fn update(&mut self, id: InodeId, change: impl FnOnce(&mut Entry)) -> Result<bool, Fault> {
        if let Some(Some(entry)) = self.dirty.get_mut(&id) {
            change(Arc::make_mut(entry));
            return Ok(true);
        }
        let Some(mut entry) = self.get(id)? else { return Ok(false) };
        change(Arc::make_mut(&mut entry));
        self.put(id, entry);
        Ok(true)
    }

    /// Entries that the next checkpoint will write.
    pub(super) fn dirty_entries(&self) -> usize {
        self.dirty.len()
    }

    /// What has changed is frozen, and changes from now on belong to the next checkpoint.
    ///
    /// # Panics
    /// When a checkpoint is running.
    pub(super) fn freeze(&mut self) -> (Store, Arc<Changes>, Arc<SumChanges>) {
        assert!(self.frozen.is_none(), "a checkpoint is running already");
        let frozen = Arc::new(std::mem::take(&mut self.dirty));
        self.frozen = Some(frozen.clone());
        (self.store.clone(), frozen, self.sums.get_mut().freeze())
    }

    /// The frozen changes are in the store.
    pub(super) fn thaw(&mut self) -> Result<(), Fault> {
        let frozen = self.frozen.take();
        assert!(frozen.is_some(), "no checkpoint is running");
        self.base = self.store.snapshot()?;
        self.sums.get_mut().thaw(self.base.checkpoint()?.index);
        Ok(())
    }

    /// What is known of a chunk's blocks.
    pub(super) fn sums_of(&self, id: InodeId, chunk: u64) -> Result<Option<Arc<ChunkSums>>, Fault> {
        self.sums.borrow_mut().get(&self.base, id, chunk)
    }

    /// Changes what is known of a chunk's blocks.
    pub(super) fn change_sums(
        &self,
        id: InodeId,
        chunk: u64,
        change: impl FnOnce(&mut ChunkSums),
    ) -> Result<(), Fault> {
        let mut sums = self.sums_of(id, chunk)?.map_or_else(ChunkSums::default, Arc::unwrap_or_clone);
        change(&mut sums);
        self.sums.borrow_mut().put(id, chunk, sums);
        Ok(())
    }

    /// Blocks of a file have been written: their sums hold no more.
    pub(super) fn drop_sums(&self, id: InodeId, blocks: std::ops::Range<u64>) {
        self.sums.borrow_mut().drop(id, blocks);
    }

    /// Chunks with sums that no checkpoint has written yet.
    pub(super) fn fresh_sums(&self) -> usize {
        self.sums.borrow().fresh()
    }

    pub(super) fn checkpoint(&self) -> Result<Checkpoint, Fault> {
        self.base.checkpoint()
    }

    /// What was noted beside the last checkpoint.
    pub(super) fn notes(&self) -> Result<Notes, Fault> {
        self.base.notes()
    }

    /// Notes something beside the last checkpoint. Durable on return.
    pub(super) fn note(&mut self, notes: &Notes) -> Result<(), Fault> {
        self.store.note(notes)?;
        self.base = self.store.snapshot()?;
        Ok(())
    }

    /// Chunks of a file with rotten blocks, as bits.
    pub(super) fn rotten_chunks(&self, id: InodeId) -> Result<Vec<(u64, u32)>, Fault> {
        self.base.rotten_chunks(id)
    }

    /// Nothing that is known of a file's blocks, or of its attributes, need be so any more.
    pub(super) fn forget_sums(&self, id: InodeId) {
        self.sums.borrow_mut().remove(id);
    }

    /// Up to `max` entries as of the last checkpoint, in the order of identity, from the first one after `after`.
    pub(super) fn page(&self, after: Option<InodeId>, max: usize) -> Result<Vec<(InodeId, Entry)>, Fault> {
        self.base.page(after, max)
    }

    /// The index as of the last checkpoint, for a thread of its own.
    pub(super) fn snapshot(&self) -> Result<Snapshot, Fault> {
        self.store.snapshot()
    }
}
