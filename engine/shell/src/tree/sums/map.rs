//! The sums in memory, over those on disk: as the index, with what has changed since the last checkpoint, and what the
//! running one writes.

use std::collections::{BTreeMap, HashMap};
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::Arc;

use lru::LruCache;
use rfs_model::{Index, InodeId};

use super::blocks::Blocks;
use super::chunk::{BLOCKS, ChunkSums};
use crate::tree::Fault;
use crate::tree::store::Snapshot;

/// Chunks of the store that are kept in memory.
const CACHED: NonZeroUsize = NonZeroUsize::new(16 * 1024).expect("not zero");

/// What one checkpoint changes of one file's sums.
#[derive(Clone, Debug, Default)]
pub(in crate::tree) struct FileSums {
    /// Nothing of what was before holds any more.
    pub(in crate::tree) gone: bool,
    /// Blocks whose sums on disk do not hold any more.
    pub(in crate::tree) dropped: Blocks,
    /// Chunks as they are now, whatever is on disk and in `dropped`.
    pub(in crate::tree) chunks: BTreeMap<u64, ChunkSums>,
}

impl FileSums {
    /// What becomes of a chunk as it was before.
    pub(in crate::tree) fn over(&self, chunk: u64, before: Option<&ChunkSums>) -> Option<ChunkSums> {
        if let Some(now) = self.chunks.get(&chunk) {
            return (!now.is_empty()).then(|| now.clone());
        }
        let mut now = before.filter(|_| !self.gone)?.clone();
        now.drop(self.dropped.mask(chunk.saturating_mul(BLOCKS)));
        (!now.is_empty()).then_some(now)
    }
}

pub(in crate::tree) type SumChanges = HashMap<InodeId, FileSums>;

pub(in crate::tree) struct SumsMap {
    dirty: SumChanges,
    frozen: Option<Arc<SumChanges>>,
    cache: LruCache<(InodeId, u64), Option<Arc<ChunkSums>>>,
    /// Inodes that were made later have no sums on disk.
    base: Index,
    /// Chunks in `dirty` that a checkpoint is worth.
    fresh: usize,
}

impl SumsMap {
    pub(in crate::tree) fn new(base: Index) -> Self {
        Self { dirty: SumChanges::new(), frozen: None, cache: LruCache::new(CACHED), base, fresh: 0 }
    }

    /// Whether the file can have any sum.
    fn may_have(&self, id: InodeId) -> bool {
        id.index <= self.base
            || self.dirty.contains_key(&id)
            || self.frozen.as_ref().is_some_and(|frozen| frozen.contains_key(&id))
    }

    /// What is known of a chunk; `disk` is the index as of the last checkpoint that is done.
    pub(in crate::tree) fn get(
        &mut self,
        disk: &Snapshot,
        id: InodeId,
        chunk: u64,
    ) -> Result<Option<Arc<ChunkSums>>, Fault> {
        if !self.may_have(id) {
            return Ok(None);
        }
        let mut known = self.on_disk(disk, id, chunk)?;
        for layer in self.frozen.as_deref().into_iter().chain([&self.dirty]) {
            if let Some(changes) = layer.get(&id) {
                known = changes.over(chunk, known.as_deref()).map(Arc::new);
            }
        }
        Ok(known)
    }

    fn on_disk(&mut self, disk: &Snapshot, id: InodeId, chunk: u64) -> Result<Option<Arc<ChunkSums>>, Fault> {
        if id.index > self.base {
            return Ok(None);
        }
        if let Some(known) = self.cache.get(&(id, chunk)) {
            return Ok(known.clone());
        }
        let known = disk.sums(id, chunk)?.map(Arc::new);
        self.cache.put((id, chunk), known.clone());
        Ok(known)
    }

    /// Sets what is known of a chunk from here on.
    pub(in crate::tree) fn put(&mut self, id: InodeId, chunk: u64, sums: ChunkSums) {
        let file = self.dirty.entry(id).or_default();
        self.fresh += usize::from(file.chunks.insert(chunk, sums).is_none());
    }

    /// Blocks have been written, wholly or in part.
    pub(in crate::tree) fn drop(&mut self, id: InodeId, blocks: Range<u64>) {
        if !self.may_have(id) {
            return;
        }
        let file = self.dirty.entry(id).or_default();
        let (first, last) = (blocks.start / BLOCKS, blocks.end.saturating_sub(1) / BLOCKS);
        for (chunk, sums) in file.chunks.range_mut(first..=last) {
            let from = chunk * BLOCKS;
            let upto = blocks.end.min(from + BLOCKS);
            sums.drop(super::blocks::bits(blocks.start.max(from) - from..upto - from));
        }
        file.dropped.add(blocks);
    }

    /// The file is gone.
    pub(in crate::tree) fn remove(&mut self, id: InodeId) {
        if self.may_have(id) {
            self.dirty.insert(id, FileSums { gone: true, ..FileSums::default() });
        }
    }

    /// Chunks with sums that no checkpoint has written yet.
    pub(in crate::tree) fn fresh(&self) -> usize {
        self.fresh
    }

    /// See [`IndexMap::freeze`](super::super::index::IndexMap::freeze).
    pub(in crate::tree) fn freeze(&mut self) -> Arc<SumChanges> {
        assert!(self.frozen.is_none(), "a checkpoint is running already");
        self.fresh = 0;
        let frozen = Arc::new(std::mem::take(&mut self.dirty));
        self.frozen = Some(frozen.clone());
        frozen
    }

    /// The frozen changes are on disk, at the checkpoint `base`.
    pub(in crate::tree) fn thaw(&mut self, base: Index) {
        if self.frozen.take().is_some_and(|frozen| !frozen.is_empty()) {
            self.cache.clear();
        }
        self.base = base;
    }
}
