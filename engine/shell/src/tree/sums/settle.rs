//! What has changed and has no sums yet: summed when it has not changed for a while.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::ops::Range;

use rfs_model::InodeId;

use super::blocks::Blocks;
use super::verify::Rotten;
use crate::tree::Fault;

/// A file that has not changed for so long is summed.
pub(super) const QUIET_US: u64 = 10_000_000;
/// Files that are remembered; the walk finds the others.
const FILES: usize = 256 * 1024;

/// Blocks of one file that have no sums.
#[derive(Default)]
struct Wet {
    blocks: Blocks,
    due_us: u64,
    /// Nobody has just written it: reading it for its sums must not push out what others read.
    cold: bool,
}

#[derive(Default)]
pub(in crate::tree) struct Settling {
    /// Nothing is checked or summed.
    pub(in crate::tree) off: bool,
    /// Recovery is at work: blocks may hold anything.
    pub(in crate::tree) recovering: bool,
    pub(super) now_us: u64,
    wet: HashMap<InodeId, Wet>,
    /// Each wet file once, by when it was due as it got here.
    queue: VecDeque<(u64, InodeId)>,
    /// Counts how often something was forgotten.
    pub(super) lost: u64,
    /// Sizes that records have given since the index was told.
    pub(super) sizes: BTreeMap<InodeId, u64>,
    /// Files that were cut: blocks behind their end that were marked for it.
    pub(super) cut: BTreeMap<InodeId, Range<u64>>,
    /// Files that have, or had, rotten blocks.
    pub(super) wounded: HashSet<InodeId>,
    pub(super) found: BTreeSet<Rotten>,
    pub(super) walk: Walk,
    /// A thread computes sums.
    pub(super) busy: bool,
}

/// A walk over all files, for blocks without sums: after a start, and after something was forgotten.
#[derive(Clone, Copy, Default)]
pub(super) struct Walk {
    pub(super) done: bool,
    pub(super) after: Option<InodeId>,
    /// In the file behind `after`: chunks that were looked at.
    pub(super) chunk: u64,
}

impl Settling {
    /// Blocks have changed.
    pub(super) fn note(&mut self, id: InodeId, blocks: Range<u64>) {
        self.note_due(id, blocks, self.now_us + QUIET_US, false);
    }

    /// Blocks have no sums, and have not changed for long.
    pub(super) fn note_missing(&mut self, id: InodeId, blocks: Range<u64>) {
        self.note_due(id, blocks, self.now_us, true);
    }

    fn note_due(&mut self, id: InodeId, blocks: Range<u64>, due_us: u64, cold: bool) {
        if self.off {
            // A thread that began before must not put its sums in.
            self.lost += 1;
            return;
        }
        if self.wet.len() >= FILES && !self.wet.contains_key(&id) {
            self.lost += 1;
            self.walk = Walk::default();
            return;
        }
        let queue = &mut self.queue;
        let wet = self.wet.entry(id).or_insert_with(|| {
            queue.push_back((due_us, id));
            Wet { cold: true, ..Wet::default() }
        });
        wet.blocks.add(blocks);
        wet.due_us = wet.due_us.max(due_us);
        wet.cold &= cold;
    }

    /// Whether a block that is changed in part has surely no sum, and is not rotten.
    pub(super) fn needs_no_look(&self, id: InodeId, block: u64) -> bool {
        self.off || !self.recovering && !self.wounded.contains(&id) && self.is_wet(id, block)
    }

    pub(super) fn unsummed(&self) -> u64 {
        self.wet.len() as u64
    }

    pub(super) fn is_wet(&self, id: InodeId, block: u64) -> bool {
        self.wet.get(&id).is_some_and(|wet| wet.blocks.has(block))
    }

    /// A block gets its sum another way.
    pub(super) fn forget_block(&mut self, id: InodeId, block: u64) {
        if let Some(wet) = self.wet.get_mut(&id) {
            wet.blocks.remove(block..block + 1);
        }
    }

    /// Whether sums are wanted, from now on.
    pub(super) fn set_wanted(&mut self, wanted: bool) {
        if wanted && self.off {
            self.walk = Walk::default();
        }
        self.off = !wanted;
    }

    /// Forgets a file that is gone.
    pub(in crate::tree) fn forget(&mut self, id: InodeId) {
        self.wet.remove(&id);
        self.wounded.remove(&id);
        self.sizes.remove(&id);
        self.cut.remove(&id);
    }

    /// The next file that has been quiet long enough: its blocks below `end`, which the caller finds out, up to `max` in one
    /// range, and whether it is cold. `None` when none is due.
    pub(super) fn take(
        &mut self,
        max: u64,
        end: impl Fn(InodeId) -> Result<Option<u64>, Fault>,
    ) -> Result<Option<(InodeId, Range<u64>, bool)>, Fault> {
        while self.queue.front().is_some_and(|(due_us, _)| *due_us <= self.now_us) {
            let Some((_, id)) = self.queue.pop_front() else { break };
            let Some(wet) = self.wet.get_mut(&id) else { continue };
            if wet.due_us > self.now_us {
                self.queue.push_back((wet.due_us, id));
                continue;
            }
            let blocks = match end(id)? {
                Some(end) => wet.blocks.take_below(end, max),
                None => None,
            };
            let cold = wet.cold;
            if blocks.is_some() && !wet.blocks.is_empty() {
                self.queue.push_front((wet.due_us, id));
            } else {
                self.wet.remove(&id);
            }
            if let Some(blocks) = blocks {
                return Ok(Some((id, blocks, cold)));
            }
        }
        Ok(None)
    }
}
