//! What is no longer needed, what is still needed all the same, and how much there is.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use rfs_model::Index;
use rfs_model::segment::DATA_OFFSET;

use super::Journal;
use super::error::JournalError;
use super::log::Log;
use super::position::Position;

type Held = Rc<RefCell<BTreeMap<Index, usize>>>;

/// Indexes that somebody needs, with the number of those who do.
#[derive(Default)]
pub(super) struct Pins(Held);

/// Keeps all records from an index on, until it is dropped.
#[must_use = "the records are kept only as long as this lives"]
pub struct Pin {
    index: Index,
    held: Held,
}

impl Pins {
    fn take(&self, index: Index) -> Pin {
        *self.0.borrow_mut().entry(index).or_default() += 1;
        Pin { index, held: self.0.clone() }
    }

    fn lowest(&self) -> Option<Index> {
        self.0.borrow().keys().next().copied()
    }
}

impl Drop for Pin {
    fn drop(&mut self) {
        let mut held = self.held.borrow_mut();
        if let Some(count) = held.get_mut(&self.index) {
            *count -= 1;
            if *count == 0 {
                held.remove(&self.index);
            }
        }
    }
}

/// What can still be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// For records, in the segment in use and in those that are ready, bytes.
    pub bytes: u64,
    /// Why the next segment could not be prepared. It is tried again, but what `bytes` says may be all there is.
    pub problem: Option<JournalError>,
}

/// Figures for status and metrics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Of all segment files, spares included, those kept because of damage not.
    pub bytes: u64,
    pub segments: usize,
    pub spares: usize,
    /// Of payloads and headers in memory.
    pub cached_bytes: usize,
    pub records: u64,
    /// Written, but not known to be on the disk.
    pub unsynced_records: u64,
}

impl Journal {
    /// Says that records up to `upto` are in a checkpoint. Whole segments of them are put to use again once the log is
    /// larger than `retain_bytes`, they are older than `retain_age`, or the disk is full.
    pub fn release(&mut self, upto: Index) {
        let mut log = self.log.borrow_mut();
        log.released = log.released.max(upto.min(log.last.index));
        log.collect_spares();
        log.recycle_released(SystemTime::now());
        log.put_away();
    }

    /// Lets go of the log up to the segment that holds `index`, in which bytes are not what was written, as if it were too
    /// old: a follower that needs it gets a copy of the tree. What no checkpoint has, and what is pinned, stays.
    pub fn give_up(&mut self, index: Index) {
        let mut log = self.log.borrow_mut();
        if let Some(segment) = log.holder(index) {
            segment.state.borrow_mut().rotten = true;
        }
        while log.base.index < index && log.oldest_is_free() {
            log.drop_oldest();
        }
    }

    /// How much of the released log stays, in bytes and by age, from now on.
    pub fn retain(&mut self, bytes: u64, age: Duration) {
        let mut log = self.log.borrow_mut();
        (log.options.retain_bytes, log.options.retain_age) = (bytes, age);
    }

    /// Keeps all records from `index` on, released or not.
    pub fn pin(&self, index: Index) -> Pin {
        self.log.borrow().pins.take(index)
    }

    /// What can be written before a new segment is needed.
    #[must_use]
    pub fn room(&self) -> Room {
        let mut log = self.log.borrow_mut();
        log.collect_spares();
        let active = if log.tail_void { 0 } else { log.active().room() };
        let spares: u64 = log.spares.iter().map(|s| s.slot.bytes - DATA_OFFSET).sum();
        Room { bytes: active + spares, problem: log.spare_problem.as_ref().map(|(e, _)| e.clone()) }
    }

    #[must_use]
    pub fn stats(&self) -> Stats {
        let log = self.log.borrow();
        let spares: u64 = log.spares.iter().map(|s| s.slot.bytes).sum();
        let retired = log.retired.iter().map(|(s, _)| s);
        let held: u64 = log.segments.iter().chain(retired).map(|s| s.header.bytes).sum();
        Stats {
            bytes: held + spares,
            segments: log.segments.len(),
            spares: log.spares.len(),
            cached_bytes: log.cache.bytes(),
            records: log.last.index.0 - log.base.index.0,
            unsynced_records: log.last.index.0 - log.synced.min(log.last.index).0,
        }
    }

    /// Bytes of the records behind `index` that the log holds, headers and padding counted: to show, since where a record
    /// lies is known only to within a few.
    #[must_use]
    pub fn bytes_after(&self, index: Index) -> u64 {
        let log = self.log.borrow();
        let behind = log.segments.iter().filter(|segment| segment.last() > index);
        let bytes = behind.map(|segment| {
            let end = segment.state.borrow().end;
            let next = index.next().max(segment.header.first);
            end.saturating_sub(segment.place_before(next).1)
        });
        bytes.sum()
    }

    /// Waits until the keeper's thread has done all that it was asked to. Blocks; for tests and tools.
    pub fn settle(&mut self) {
        let mut log = self.log.borrow_mut();
        log.put_away();
        while let Some(done) = log.keeper.wait() {
            log.spare_done(done);
        }
    }
}

impl Log {
    fn recycle_released(&mut self, now: SystemTime) {
        while self.oldest_may_go(now) {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let Some(segment) = self.segments.pop_front() else { return };
        if let Some(oldest) = self.segments.front() {
            self.base = Position::before(&oldest.header);
            self.runs.advance_base(self.base.index);
        }
        self.retire(segment, false);
    }

    /// Whether nobody needs the oldest segment, and a younger one is there.
    fn oldest_is_free(&self) -> bool {
        let Some(oldest) = self.segments.front().filter(|_| self.segments.len() > 1) else { return false };
        let last = oldest.last();
        let needed = self.pins.lowest().is_some_and(|pin| pin <= last);
        !needed && last <= self.released && last <= self.synced
    }

    fn oldest_may_go(&self, now: SystemTime) -> bool {
        let Some(oldest) = self.segments.front().filter(|_| self.oldest_is_free()) else { return false };
        let state = oldest.state.borrow();
        let bytes: u64 = self.segments.iter().map(|s| s.header.bytes).sum();
        let age = now.duration_since(state.touched).unwrap_or_default();
        let full = self.spare_problem.as_ref().is_some_and(|(e, _)| e.is_full());
        bytes > self.options.retain_bytes || age > self.options.retain_age || full
    }
}
