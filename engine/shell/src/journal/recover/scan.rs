//! Reading a segment's records from the first to where they end, and checking every byte on the way.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use bytes::Bytes;
use rfs_model::record::HEADER_BYTES;
use rfs_model::segment::{DATA_OFFSET, SegmentHeader};
use rfs_model::{Index, Meta, Record, RecordKind};

use super::super::error::Damage;
use super::super::position::Position;
use super::super::runs::Runs;
use super::super::segment::Sparse;
use super::survey::Vouched;

/// Read at a time, bytes.
const BUFFER: usize = 4 * 1024 * 1024;

/// What a scan collects over all segments.
pub(super) struct Gathered {
    pub(super) at: Position,
    pub(super) runs: Runs,
    pub(super) configs: Vec<Record>,
}

/// What one segment turned out to hold.
pub(super) struct Scanned {
    /// Behind the last good record.
    pub(super) end: u64,
    /// Why the scan ended; nothing when it ended where the next segment begins.
    pub(super) stopped: Option<Damage>,
    pub(super) sparse: Sparse,
    /// Headers of records that the header copy lacks, with their indexes in rising order.
    pub(super) uncopied: Vec<Meta>,
}

/// Which segment, and how far to go.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) file: &'a File,
    pub(super) header: &'a SegmentHeader,
    /// Where the next segment begins.
    pub(super) limit: Option<Index>,
    pub(super) vouched: &'a Vouched,
}

impl Scope<'_> {
    fn ends_at(&self, index: Index) -> bool {
        self.limit.is_some_and(|limit| index >= limit)
    }

    /// What the header copy says of the record behind `at`, if it is in a checkpoint: then nothing but a peer that is
    /// behind needs its payload, and the log need not end at a damage.
    fn stand_in(&self, at: &Position, trusted_upto: Index) -> Option<Meta> {
        let meta = self.vouched.get(at.index.next())?;
        let needed = meta.index > trusted_upto || meta.kind == RecordKind::Config;
        (!needed && meta.chain == at.chain && meta.term >= at.term).then_some(meta)
    }

    /// Reads and checks all records. Up to `trusted_upto` the header copy's word stands for damaged ones.
    pub(super) fn scan(self, gathered: &mut Gathered, trusted_upto: Index) -> Scanned {
        let mut window = Window::new(self.file, self.header.bytes);
        let (mut end, mut sparse, mut uncopied) = (DATA_OFFSET, Sparse::default(), Vec::new());
        let stopped = loop {
            if self.ends_at(gathered.at.index.next()) {
                break None;
            }
            let meta = match window.record(end, &gathered.at) {
                Ok(meta) => meta,
                Err(problem) => match self.stand_in(&gathered.at, trusted_upto) {
                    Some(meta) => {
                        let behind = end + meta.stored_bytes() as u64;
                        sparse.mark(self.header.first, meta.index.next(), behind);
                        meta
                    }
                    None => break Some(problem),
                },
            };
            if meta.kind == RecordKind::Config {
                gathered.configs.extend(window.payload(end, &meta));
            }
            if self.vouched.get(meta.index) != Some(meta) {
                uncopied.push(meta);
            }
            sparse.note(self.header.first, meta.index, end);
            gathered.runs.push(meta.index, meta.term);
            gathered.at = Position::of(&meta);
            end += meta.stored_bytes() as u64;
        };
        Scanned { end, stopped, sparse, uncopied }
    }

    /// Takes the header copy's word for all records but those of configurations, if it has them all. Changes nothing
    /// otherwise.
    pub(super) fn trust(self, gathered: &mut Gathered) -> Option<Scanned> {
        let limit = self.limit?;
        let (mut at, mut end) = (gathered.at, DATA_OFFSET);
        let (mut sparse, mut runs, mut configs) = (Sparse::default(), gathered.runs.clone(), Vec::new());
        let mut window = Window::new(self.file, self.header.bytes);
        while at.index.next() < limit {
            let meta = self.vouched.get(at.index.next()).filter(|meta| meta.chain == at.chain)?;
            if meta.kind == RecordKind::Config {
                window.record(end, &at).ok()?;
                configs.extend(window.payload(end, &meta));
            }
            sparse.note(self.header.first, meta.index, end);
            runs.push(meta.index, meta.term);
            at = Position::of(&meta);
            end += meta.stored_bytes() as u64;
        }
        let whole = self.file.metadata().is_ok_and(|m| m.len() >= end) && end <= self.header.bytes;
        whole.then(|| {
            gathered.configs.append(&mut configs);
            (gathered.at, gathered.runs) = (at, runs);
            Scanned { end, stopped: None, sparse, uncopied: Vec::new() }
        })
    }

    /// Whether anything behind `end` looks like a record that could come after `last`: what is left of writes that a
    /// power cut has torn. Bytes that cannot be read count as such.
    pub(super) fn void_behind(self, end: u64, last: Index) -> bool {
        let mut window = Window::new(self.file, self.header.bytes);
        let mut offset = end;
        while offset + HEADER_BYTES as u64 <= self.header.bytes {
            let len = (self.header.bytes - offset).min(BUFFER as u64) as usize;
            let bytes = match window.bytes(offset, len) {
                Ok(bytes) => bytes,
                Err(Damage::End) => return false,
                Err(_) => return true,
            };
            let starts = (0..=len - HEADER_BYTES).step_by(8);
            let mut headers = starts.filter_map(|at| bytes.get(at..)?.first_chunk());
            if headers.any(|h| Meta::from_header(h).is_ok_and(|meta| meta.index > last)) {
                return true;
            }
            // Overlapping, so that a header across the border is seen.
            offset += (len - HEADER_BYTES + 8) as u64;
        }
        false
    }
}

/// A stretch of a file in memory.
struct Window<'a> {
    file: &'a File,
    /// Nothing is read from here on.
    end: u64,
    buffer: Vec<u8>,
    start: u64,
}

impl<'a> Window<'a> {
    fn new(file: &'a File, bytes: u64) -> Self {
        let end = file.metadata().map_or(0, |m| m.len()).min(bytes);
        Self { file, end, buffer: Vec::new(), start: 0 }
    }

    fn bytes(&mut self, offset: u64, len: usize) -> Result<&[u8], Damage> {
        if offset + len as u64 > self.end {
            return Err(Damage::End);
        }
        let inside = offset >= self.start && offset + len as u64 <= self.start + self.buffer.len() as u64;
        if !inside {
            let most = (self.end - offset).min(BUFFER.max(len) as u64) as usize;
            // A stretch that cannot be read as a whole may hold readable records before the bad sector.
            self.fill(offset, most).or_else(|_| self.fill(offset, len)).map_err(|e| unreadable(&e))?;
        }
        let at = (offset - self.start) as usize;
        self.buffer.get(at..at + len).ok_or(Damage::End)
    }

    fn fill(&mut self, offset: u64, len: usize) -> io::Result<()> {
        self.buffer.resize(len, 0);
        let read = self.file.read_exact_at(&mut self.buffer, offset);
        if read.is_err() {
            self.buffer.clear();
        }
        self.start = offset;
        read
    }

    /// The record at `offset`, if it is the one that follows `before`, whole and unharmed.
    fn record(&mut self, offset: u64, before: &Position) -> Result<Meta, Damage> {
        let header = self.bytes(offset, HEADER_BYTES)?;
        let meta = Meta::from_header(header.first_chunk().ok_or(Damage::End)?)?;
        if meta.index != before.index.next() {
            return Err(Damage::Index(meta.index));
        }
        if meta.chain != before.chain || meta.term < before.term {
            return Err(Damage::Chain);
        }
        let bytes = self.bytes(offset, meta.stored_bytes())?;
        let payload = bytes.get(HEADER_BYTES..HEADER_BYTES + meta.len as usize).ok_or(Damage::End)?;
        if crc32fast::hash(payload) != meta.payload_crc {
            return Err(rfs_model::record::RecordProblem::PayloadCrc.into());
        }
        Ok(meta)
    }

    /// A record that [`Window::record`] has just found good.
    fn payload(&mut self, offset: u64, meta: &Meta) -> Option<Record> {
        let bytes = self.bytes(offset + HEADER_BYTES as u64, meta.len as usize).ok()?;
        Some(Record { meta: *meta, payload: Bytes::copy_from_slice(bytes) })
    }
}

fn unreadable(error: &io::Error) -> Damage {
    Damage::Unreadable(error.raw_os_error().unwrap_or(libc::EIO))
}
