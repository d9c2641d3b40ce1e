//! Reading back, for followers that are behind: from memory, or a stretch of a segment at a time.

use std::cell::RefCell;
use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use rfs_model::record::HEADER_BYTES;
use rfs_model::{Index, Meta, Record};
use rustix::fs::{Advice, fadvise};

use super::Journal;
use super::disk::Result;
use super::error::{Damage, JournalError};
use super::log::Log;
use super::ring;
use super::segment::Segment;

/// Read at a time, bytes: at least and at most.
const STRETCH: std::ops::RangeInclusive<u64> = 128 * 1024..=4 * 1024 * 1024;

impl Journal {
    /// Records from `from` to `upto`, both included: the first always, then as many as fit into `max_bytes`, header and
    /// padding counted; perhaps fewer, never none, unless `from` is the one behind the last. Payloads share one buffer.
    /// Both checksums of each record are verified, and the chain. The future holds no borrow.
    ///
    /// # Errors
    /// [`JournalError::NotHeld`], [`JournalError::Damaged`], [`JournalError::Io`].
    pub fn read(
        &self,
        from: Index,
        upto: Index,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<Record>>> + use<> {
        read(self.log.clone(), from, upto, max_bytes)
    }

    /// Records from `from` on as [`Journal::read`] gives them, but from the disk: what is in memory, or in the system's cache,
    /// says nothing of it.
    ///
    /// # Errors
    /// Those of [`Journal::read`].
    pub fn read_disk(
        &self,
        from: Index,
        max_bytes: usize,
    ) -> impl Future<Output = Result<Vec<Record>>> + use<> {
        let log = self.log.clone();
        async move {
            let (segment, cuts) = {
                let log = log.borrow();
                (log.holder(from).ok_or_else(|| log.not_held(from))?.clone(), log.cuts)
            };
            // What is not synced yet stays in the cache.
            let _ = fadvise(&segment.file, 0, None, Advice::DontNeed);
            let records = read_segment(&segment, from, segment.last(), max_bytes as u64).await;
            if log.borrow().cuts == cuts { records } else { Err(log.borrow().not_held(from)) }
        }
    }
}

async fn read(log: Rc<RefCell<Log>>, from: Index, upto: Index, max_bytes: usize) -> Result<Vec<Record>> {
    loop {
        let (segment, cuts) = match plan(&log.borrow(), from, upto, max_bytes)? {
            Plan::Now(records) => return Ok(records),
            Plan::From(segment, cuts) => (segment, cuts),
        };
        let last = segment.last().min(upto);
        let records = read_segment(&segment, from, last, max_bytes as u64).await;
        // The log may have been cut under our hands: then what was read, or failed to be, says nothing.
        if log.borrow().cuts == cuts {
            return records;
        }
    }
}

enum Plan {
    Now(Vec<Record>),
    From(Rc<Segment>, u64),
}

fn plan(log: &Log, from: Index, upto: Index, max_bytes: usize) -> Result<Plan> {
    if from == log.last.index.next() {
        return Ok(Plan::Now(Vec::new()));
    }
    if from > upto || from <= log.base.index || from > log.last.index {
        return Err(log.not_held(from));
    }
    if let Some(records) = log.cache.range(from, upto, max_bytes) {
        return Ok(Plan::Now(records));
    }
    let holder = log.holder(from).ok_or_else(|| log.not_held(from))?;
    Ok(Plan::From(holder.clone(), log.cuts))
}

async fn read_segment(segment: &Segment, from: Index, last: Index, max_bytes: u64) -> Result<Vec<Record>> {
    let (mut at, mut offset) = segment.place_before(from);
    let end = segment.state.borrow().end;
    let file = segment.ring()?;
    let mut len = max_bytes.saturating_add(2 * STRETCH.start()).clamp(*STRETCH.start(), *STRETCH.end());
    loop {
        let bytes = ring::read(&file, &segment.path, offset, len.min(end - offset) as usize).await?;
        let mut stretch = Stretch { segment, bytes, start: offset, offset, at };
        let records = stretch.records(from, last, max_bytes)?;
        if !records.is_empty() {
            return Ok(records);
        }
        // Not one whole record of those wanted: go on where this stretch broke off, with room for the largest.
        let stuck = stretch.offset == offset;
        if stuck && offset + len >= end {
            return Err(segment.damaged(offset, at, Damage::End));
        }
        (at, offset) = (stretch.at, stretch.offset);
        len = if stuck { *STRETCH.end() } else { len };
    }
}

/// Some bytes of a segment, and how far they have been understood.
struct Stretch<'a> {
    segment: &'a Segment,
    bytes: Bytes,
    /// Where the bytes begin in the segment.
    start: u64,
    /// Where the next record lies, and its index.
    offset: u64,
    at: Index,
}

impl Stretch<'_> {
    /// Whole records from `from` to `last`, at most `max_bytes` of them but at least one, if it is there.
    fn records(&mut self, from: Index, last: Index, max_bytes: u64) -> Result<Vec<Record>> {
        let (mut out, mut taken) = (Vec::<Record>::new(), 0);
        while self.at <= last {
            let (offset, at) = (self.offset, self.at);
            let Some(record) = self.next().map_err(|p| self.segment.damaged(offset, at, p))? else { break };
            if record.meta.index < from {
                continue;
            }
            let bytes = record.meta.stored_bytes() as u64;
            if !out.is_empty() && taken + bytes > max_bytes {
                break;
            }
            let follows = out.last().is_none_or(|before| before.meta.crc() == record.meta.chain);
            let good = if follows { record.verify().map_err(Damage::from) } else { Err(Damage::Chain) };
            good.map_err(|p| self.segment.damaged(offset, at, p))?;
            taken += bytes;
            out.push(record);
        }
        Ok(out)
    }

    /// The next record, its payload not verified; nothing when it is not whole in these bytes.
    fn next(&mut self) -> std::result::Result<Option<Record>, Damage> {
        let rest = self.bytes.slice((self.offset - self.start) as usize..);
        let Some(header) = rest.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
        let meta = Meta::from_header(header)?;
        if meta.index != self.at {
            return Err(Damage::Index(meta.index));
        }
        if rest.len() < meta.stored_bytes() {
            return Ok(None);
        }
        let payload = rest.slice(HEADER_BYTES..HEADER_BYTES + meta.len as usize);
        (self.at, self.offset) = (self.at.next(), self.offset + meta.stored_bytes() as u64);
        Ok(Some(Record { meta, payload }))
    }
}

impl JournalError {
    /// Whether the log was found damaged: the brick needs these records from a peer.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Damaged { .. })
    }
}
