//! Appending: one write into the page cache for all records of a turn.

use rfs_model::Record;
use rfs_model::segment::{DATA_OFFSET, Start};

use super::Journal;
use super::blank::FIRST_BYTES;
use super::disk::Result;
use super::error::JournalError;
use super::gather::Gather;
use super::log::Log;
use super::position::Position;
use super::segment::Segment;

impl Journal {
    /// Writes records behind the last one. On return they survive the death of the process, but not yet a power cut: see
    /// [`Journal::sync_start`]. Takes 3 to 10 µs for a few KiB; the executor waits for it.
    ///
    /// # Errors
    /// [`JournalError::NotNext`], [`JournalError::ChainBroken`], [`JournalError::TermSank`],
    /// [`JournalError::TooLarge`]: nothing was written. [`JournalError::Io`] with [`JournalError::is_full`]: no new
    /// segment could be made; the records that [`Journal::last`] shows were written, and the others can be tried again.
    /// Any other [`JournalError::Io`]: the journal is poisoned.
    pub fn append(&mut self, batch: &[Record]) -> Result<()> {
        let mut log = self.log.borrow_mut();
        log.usable()?;
        log.check(batch)?;
        let mut rest = batch;
        while !rest.is_empty() {
            let fit = log.fitting(rest);
            if fit == 0 {
                let start = if log.tail_void { Start::Cut } else { Start::Continue };
                log.roll(start)?;
                continue;
            }
            let (now, later) = rest.split_at(fit);
            log.write(now)?;
            rest = later;
        }
        log.top_up();
        Ok(())
    }
}

impl Log {
    fn check(&self, batch: &[Record]) -> Result<()> {
        let limit = self.options.segment_bytes.min(FIRST_BYTES) - DATA_OFFSET;
        let mut before = self.last;
        for record in batch {
            let meta = &record.meta;
            let (index, wanted) = (meta.index, before.index.next());
            if index != wanted {
                return Err(JournalError::NotNext { got: index, wanted });
            }
            if meta.chain != before.chain {
                return Err(JournalError::ChainBroken { index, got: meta.chain, wanted: before.chain });
            }
            if meta.term < before.term {
                return Err(JournalError::TermSank { index, got: meta.term, before: before.term });
            }
            let bytes = meta.stored_bytes() as u64;
            if bytes > limit {
                return Err(JournalError::TooLarge { index, bytes, limit });
            }
            assert_eq!(record.payload.len(), meta.len as usize, "record {index} is not as long as it says");
            before = Position::of(meta);
        }
        Ok(())
    }

    /// How many of the records go into the active segment.
    fn fitting(&self, batch: &[Record]) -> usize {
        if self.tail_void {
            return 0;
        }
        let mut room = self.active().room();
        let mut count = 0;
        for record in batch {
            let bytes = record.meta.stored_bytes() as u64;
            if bytes > room {
                break;
            }
            room -= bytes;
            count += 1;
        }
        count
    }

    fn write(&mut self, batch: &[Record]) -> Result<()> {
        let segment = self.active().clone();
        let start = segment.state.borrow().end;
        let mut bytes = std::mem::take(&mut self.gather);
        let last = lay_out(&segment, batch, start, &mut bytes).unwrap_or(self.last);
        let end = start + bytes.len() as u64;
        // Up to the end of the page, so that the kernel need not read a page from the disk to change a part of it.
        bytes.zeros((end.next_multiple_of(DATA_OFFSET) - end) as usize);
        let written = self.disk.write_gathered(&segment.file, &segment.path, &bytes, start);
        bytes.clear();
        self.gather = bytes;
        self.or_poison(written)?;
        segment.advance(end, last.index);
        self.enter(batch, last);
        Ok(())
    }

    fn enter(&mut self, batch: &[Record], last: Position) {
        for record in batch {
            self.runs.push(record.meta.index, record.meta.term);
            self.cache.push(record);
        }
        self.last = last;
    }
}

/// The bytes of a batch that is to stand at `start`, and where its last record is in the log.
fn lay_out(segment: &Segment, batch: &[Record], start: u64, out: &mut Gather) -> Option<Position> {
    let (mut state, mut copy) = (segment.state.borrow_mut(), segment.copy.borrow_mut());
    let mut last = None;
    for record in batch {
        let header = record.meta.header();
        state.note(segment.header.first, record.meta.index, start + out.len() as u64);
        copy.push(&header);
        out.copy(&header);
        out.share(&record.payload);
        out.zeros(record.payload.len().next_multiple_of(8) - record.payload.len());
        last = Some(Position::of_header(&record.meta, &header));
    }
    last
}
