//! Beginning a segment, and having the next one ready.

use std::rc::Rc;
use std::time::{Duration, Instant};

use rfs_model::Index;
use rfs_model::segment::{SegmentHeader, Start};

use super::blank::{Blank, FIRST_BYTES, Slot};
use super::disk::Result;
use super::keeper::{Done, Job};
use super::log::Log;
use super::position::Position;
use super::segment::Segment;

/// After a failure, the next attempt to prepare a segment is made so much later.
const RETRY: Duration = Duration::from_secs(1);

impl Log {
    /// Begins a segment behind the last record.
    pub(super) fn roll(&mut self, start: Start) -> Result<()> {
        let blank = self.take_blank()?;
        self.begin(start, self.last, blank)
    }

    /// Begins a segment behind `at`. One that makes others void is durable on return, and they are out of the log.
    pub(super) fn begin(&mut self, start: Start, at: Position, blank: Blank) -> Result<()> {
        let floor = if self.floor > self.synced { self.floor } else { Index::ZERO };
        let header = SegmentHeader {
            generation: self.next_generation,
            first: at.index.next(),
            before_term: at.term,
            before_chain: at.chain,
            start,
            floor,
            bytes: blank.slot.bytes,
        };
        let end = if start == Start::Cut { self.end_of(at.index)? } else { 0 };
        let begun = Segment::begin(&self.disk, blank, header, start != Start::Continue);
        let segment = self.or_poison(begun)?;
        self.next_generation += 1;
        match start {
            Start::Continue => {}
            Start::Cut => self.void_after(at, end),
            Start::Reset => self.void_all(),
        }
        self.tail_void = false;
        self.segments.push_back(Rc::new(segment));
        Ok(())
    }

    pub(super) fn take_blank(&mut self) -> Result<Blank> {
        self.collect_spares();
        match self.spares.pop() {
            Some(blank) => Ok(blank),
            None => self.new_blank(self.next_bytes(), false),
        }
    }

    /// Size of the next segment to make: small logs have small segments.
    fn next_bytes(&self) -> u64 {
        let grown = self.segments.back().map_or(FIRST_BYTES, |active| active.header.bytes * 4);
        grown.min(self.options.segment_bytes)
    }

    /// Makes the first segment of a log, ready for quick syncs. Blocks for some fdatasyncs.
    pub(super) fn first_blank(&mut self) -> Result<Blank> {
        self.new_blank(FIRST_BYTES.min(self.options.segment_bytes), true)
    }

    fn new_blank(&mut self, bytes: u64, zeroed: bool) -> Result<Blank> {
        let number = self.take_slot();
        let made = Blank::create(&self.disk, &self.dir, number, bytes, zeroed);
        if let Err(error) = &made {
            self.spare_problem = Some((error.clone(), Instant::now()));
        }
        made
    }

    /// Takes what the keeper has finished.
    pub(super) fn collect_spares(&mut self) {
        while let Some(done) = self.keeper.poll() {
            self.spare_done(done);
        }
    }

    pub(super) fn spare_done(&mut self, done: Done) {
        match done {
            Ok(Some(blank)) if blank.stale && blank.resets != self.resets => {
                self.keeper.send(Job::Recycle {
                    slot: Box::new(blank.slot),
                    zero: true,
                    resets: self.resets,
                });
            }
            Ok(Some(blank)) => {
                self.spare_problem = None;
                self.spares.push(blank);
            }
            Ok(None) => {}
            Err(error) => {
                tracing::warn!(%error, "preparing a journal segment failed");
                self.spare_problem = Some((error, Instant::now()));
            }
        }
    }

    /// Gives the keeper what it should do ahead of the writer, and takes what it has done.
    pub(super) fn top_up(&mut self) {
        let active = self.active();
        let young = self.segments.len() == 1 && active.room() > active.header.bytes / 2;
        let bytes = self.next_bytes();
        let enough = if bytes < self.options.segment_bytes { 1 } else { self.options.spares };
        if young || self.spares.len() + self.keeper.making() >= enough {
            return;
        }
        self.collect_spares();
        self.put_away();
        let refused = self.spare_problem.as_ref().is_some_and(|(_, when)| when.elapsed() < RETRY);
        if !refused && self.spares.len() + self.keeper.making() < enough {
            let number = self.take_slot();
            self.keeper.send(Job::Make { number, bytes });
        }
    }

    /// Takes a segment out of use. With `zero`, records in it could be mistaken for live ones later.
    pub(super) fn retire(&mut self, segment: Rc<Segment>, zero: bool) {
        let zero = zero || segment.state.borrow().tainted;
        self.retired.push_back((segment, zero));
        self.put_away();
    }

    /// Hands retired segments that nobody reads or syncs any more to the keeper, the oldest first.
    pub(super) fn put_away(&mut self) {
        while self.retired.front().is_some_and(|(segment, _)| Rc::strong_count(segment) == 1) {
            let Some((segment, zero)) = self.retired.pop_front() else { return };
            let Some(segment) = Rc::into_inner(segment) else { return };
            let rotten = segment.state.borrow().rotten;
            self.recycle_or_remove(segment.into_slot(), zero, rotten);
        }
    }

    pub(super) fn recycle_or_remove(&mut self, slot: Slot, zero: bool, rotten: bool) {
        let enough = self.spares.len() + self.keeper.making() >= self.options.spares;
        if rotten || enough || slot.bytes != self.options.segment_bytes {
            let Slot { path, copy_path, .. } = slot;
            self.keeper.send(Job::Remove { path, copy_path });
        } else {
            self.keeper.send(Job::Recycle { slot: Box::new(slot), zero, resets: self.resets });
        }
    }
}
