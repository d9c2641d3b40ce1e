//! The state of an open journal. One owner; futures in flight share it and borrow it only between awaits.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Instant;

use rfs_model::Index;

use super::blank::Blank;
use super::cache::Cache;
use super::disk::{Disk, Result};
use super::error::JournalError;
use super::gather::Gather;
use super::keeper::Keeper;
use super::options::Options;
use super::position::Position;
use super::release::Pins;
use super::runs::Runs;
use super::segment::Segment;
use super::sync::Syncs;

pub(super) struct Log {
    pub(super) dir: PathBuf,
    pub(super) disk: Disk,
    pub(super) options: Options,
    pub(super) base: Position,
    pub(super) last: Position,
    /// All up to here is on the disk.
    pub(super) synced: Index,
    pub(super) runs: Runs,
    /// Oldest first; the last one is written to. Never empty.
    pub(super) segments: VecDeque<Rc<Segment>>,
    /// Behind the last record lie bytes that may look like records: the next append begins a new segment.
    pub(super) tail_void: bool,
    /// Not zero: the log was once synced up to here, lost what lies behind its end, and waits to be given it again.
    pub(super) floor: Index,
    /// What lay behind damage, segment and header copy, kept until the log has reached the floor again.
    pub(super) aside: Vec<(PathBuf, PathBuf)>,
    /// Out of use, but perhaps still being read or synced. The flag: zero it before it is used again.
    pub(super) retired: VecDeque<(Rc<Segment>, bool)>,
    pub(super) next_generation: u64,
    pub(super) next_slot: u32,
    pub(super) spares: Vec<Blank>,
    pub(super) keeper: Keeper,
    /// Why the last attempt to make a spare failed, and when.
    pub(super) spare_problem: Option<(JournalError, Instant)>,
    pub(super) cache: Cache,
    /// Room for an append.
    pub(super) gather: Gather,
    pub(super) syncs: Syncs,
    pub(super) released: Index,
    pub(super) pins: Pins,
    /// Counts resets, after which a spare with stale records must be zeroed.
    pub(super) resets: u64,
    /// Counts cuts and resets, so that a read can tell that the log was cut meanwhile.
    pub(super) cuts: u64,
    pub(super) poison: Option<JournalError>,
}

impl Log {
    pub(super) fn active(&self) -> &Rc<Segment> {
        self.segments.back().expect("a journal has a segment")
    }

    pub(super) fn usable(&self) -> Result<()> {
        self.poison.as_ref().map_or(Ok(()), |e| Err(e.poisoned()))
    }

    /// Passes a result on; a failure stops the journal for ever and wakes everyone who waits for it.
    pub(super) fn or_poison<T>(&mut self, result: Result<T>) -> Result<T> {
        if let Err(error) = &result {
            tracing::error!(%error, "the journal stops");
            self.poison.get_or_insert_with(|| error.clone());
            self.syncs.wake_all();
        }
        result
    }

    pub(super) fn not_held(&self, index: Index) -> JournalError {
        JournalError::NotHeld { index, from: self.base.index.next(), last: self.last.index }
    }

    /// The segment that holds a record.
    pub(super) fn holder(&self, index: Index) -> Option<&Rc<Segment>> {
        let at = self.segments.partition_point(|s| s.header.first <= index).checked_sub(1)?;
        self.segments.get(at).filter(|s| s.last() >= index)
    }

    pub(super) fn chain_at(&self, index: Index) -> Result<u32> {
        if index == self.last.index {
            return Ok(self.last.chain);
        }
        if index == self.base.index {
            return Ok(self.base.chain);
        }
        if let Some(record) = self.cache.get(index.next()) {
            return Ok(record.meta.chain);
        }
        let holder = self.holder(index).ok_or_else(|| self.not_held(index))?;
        holder.find(index).map(|(meta, _)| meta.crc())
    }

    /// Hands out a slot number that was never used in this journal's life.
    pub(super) fn take_slot(&mut self) -> u32 {
        let slot = self.next_slot;
        self.next_slot += 1;
        slot
    }
}
