//! Deaths that may have to be undone. A record that is in no synced log yet is lost when all bricks lose power at once; then
//! what it removed must be there again. So what such a record removes waits in limbo until the log here is synced up to it.

use std::collections::VecDeque;

use rfs_model::Index;

use super::Tree;
use super::apply::Leftover;
use super::entry::Place;
use super::planted::Planted;

/// What waits, in the order of the records.
pub(super) struct Dying {
    /// Records up to here are synced in this brick's log.
    synced: Index,
    queue: VecDeque<(Index, Leftover)>,
}

/// A tree that nobody tells of a log has nothing to lose with it.
impl Default for Dying {
    fn default() -> Self {
        Self { synced: Index(u64::MAX), queue: VecDeque::new() }
    }
}

impl Tree {
    /// Says how far this brick's log is synced, and returns up to `max` of what need not wait any longer: to be run on any
    /// thread, at any time.
    pub fn tell_synced(&self, upto: Index, max: usize) -> Vec<Leftover> {
        let mut dying = self.dying.borrow_mut();
        dying.synced = upto;
        let due = dying.queue.partition_point(|(index, _)| *index <= upto).min(max);
        dying.queue.drain(..due).map(|(_, leftover)| leftover).collect()
    }

    /// What waits for the log to be synced.
    #[must_use]
    pub fn dying(&self) -> usize {
        self.dying.borrow().queue.len()
    }

    /// Whether the record that is being applied may be lost from every log.
    pub(super) fn may_come_back(&self) -> bool {
        self.applied > self.dying.borrow().synced && !self.has_fault(Planted::DiesAtOnce)
    }

    /// The inode is in limbo now: returned, where it may be deleted at once.
    pub(super) fn dies_later(&self, limbo: &Place, big: bool) -> Option<Leftover> {
        let leftover = self.leftover(limbo, big);
        if !self.may_come_back() {
            return Some(leftover);
        }
        self.dying.borrow_mut().queue.push_back((self.applied, leftover));
        None
    }
}
