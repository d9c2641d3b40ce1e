//! An open segment: where its records lie, and how far it is written. Shared with reads and syncs in flight.

use std::cell::RefCell;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use glommio::io::BufferedFile;
use rfs_model::record::HEADER_BYTES;
use rfs_model::segment::{DATA_OFFSET, SEGMENT_HEADER_BYTES, SegmentHeader, Side};
use rfs_model::{Index, Meta};
use rustix::fs::{Advice, fadvise};

use super::blank::{Blank, Slot};
use super::copy::HeaderCopy;
use super::disk::{Disk, Result};
use super::error::{Damage, JournalError};
use super::ring::Ring;

/// Distance of places in the sparse index, bytes: at most that much is stepped over to find a record.
const SPARSE_BYTES: u64 = 64 * 1024;
/// The system is told to forget at least so much at once.
const FORGET_BYTES: u64 = 1024 * 1024;

pub(super) struct Segment {
    /// Of its slot.
    pub(super) number: u32,
    pub(super) path: PathBuf,
    pub(super) header: SegmentHeader,
    pub(super) file: File,
    pub(super) state: RefCell<State>,
    pub(super) copy: RefCell<HeaderCopy>,
    ring: RefCell<Ring>,
}

/// What changes while a segment is in use.
pub(super) struct State {
    /// Behind the last record, bytes.
    pub(super) end: u64,
    /// Index of the last record; the one before the first when there is none.
    pub(super) last: Index,
    /// Written since the last fdatasync began.
    pub(super) dirty: bool,
    /// What that fdatasync covers, bytes from the file's beginning.
    pub(super) syncing: u64,
    /// So much the system has been told to keep in memory no longer.
    forgotten: u64,
    /// Bytes behind the last record may look like records that follow it: zero the file before it is used again.
    pub(super) tainted: bool,
    /// Holds a damaged record: remove the file in the end, do not use it again.
    pub(super) rotten: bool,
    /// When the last record came; for a segment found at open, its file's mtime.
    pub(super) touched: SystemTime,
    sparse: Sparse,
}

/// Places of some records, in rising order: index counted from the first, and offset.
#[derive(Default)]
pub(super) struct Sparse(Vec<(u32, u32)>);

impl Sparse {
    /// Notes where a record lies, if it is far enough from the last place noted.
    pub(super) fn note(&mut self, first: Index, index: Index, offset: u64) {
        let last = self.0.last().map_or(0, |(_, at)| u64::from(*at));
        if offset >= last + SPARSE_BYTES {
            self.0.push(((index.0 - first.0) as u32, offset as u32));
        }
    }

    /// Notes where a record lies, whatever the distance.
    pub(super) fn mark(&mut self, first: Index, index: Index, offset: u64) {
        self.0.push(((index.0 - first.0) as u32, offset as u32));
    }

    fn before(&self, first: Index, index: Index) -> (Index, u64) {
        let delta = (index.0 - first.0) as u32;
        let at = self.0.partition_point(|(d, _)| *d <= delta).checked_sub(1).and_then(|i| self.0.get(i));
        at.map_or((first, DATA_OFFSET), |(d, offset)| (Index(first.0 + u64::from(*d)), u64::from(*offset)))
    }

    fn truncate(&mut self, end: u64) {
        self.0.retain(|(_, offset)| u64::from(*offset) < end);
    }
}

impl State {
    pub(super) fn new(header: &SegmentHeader) -> Self {
        let touched = SystemTime::now();
        let (last, sparse) = (header.first.prev(), Sparse::default());
        Self {
            end: DATA_OFFSET,
            last,
            dirty: false,
            syncing: 0,
            forgotten: 0,
            tainted: false,
            rotten: false,
            touched,
            sparse,
        }
    }

    pub(super) fn with_sparse(self, sparse: Sparse) -> Self {
        Self { sparse, ..self }
    }

    pub(super) fn note(&mut self, first: Index, index: Index, offset: u64) {
        self.sparse.note(first, index, offset);
    }
}

impl Segment {
    /// Puts a blank slot to use. With `durable`, both headers are durable on return, the copy's first; otherwise they
    /// become so with the first sync.
    pub(super) fn begin(disk: &Disk, blank: Blank, header: SegmentHeader, durable: bool) -> Result<Self> {
        let Blank { slot: Slot { number, path, copy_path, file, copy, .. }, .. } = blank;
        let put = if durable { Disk::write_durable } else { Disk::write };
        put(disk, &copy, &copy_path, &page_of(&header, Side::Copy), 0)?;
        put(disk, &file, &path, &page_of(&header, Side::Segment), 0)?;
        let copy = HeaderCopy::new(copy, copy_path, header.first, durable);
        let mut state = State::new(&header);
        state.dirty = !durable;
        Ok(Self::assemble(number, path, file, header, state, copy))
    }

    pub(super) fn assemble(
        number: u32,
        path: PathBuf,
        file: File,
        header: SegmentHeader,
        state: State,
        copy: HeaderCopy,
    ) -> Self {
        let (state, copy) = (RefCell::new(state), RefCell::new(copy));
        Self { number, path, header, file, state, copy, ring: RefCell::default() }
    }

    pub(super) fn last(&self) -> Index {
        self.state.borrow().last
    }

    /// Bytes that are left for records.
    pub(super) fn room(&self) -> u64 {
        self.header.bytes - self.state.borrow().end
    }

    /// The executor's descriptor of the same open file.
    pub(super) fn ring(&self) -> Result<Rc<BufferedFile>> {
        self.ring.borrow_mut().of(&self.file, &self.path)
    }

    /// A full segment is synced once and then seldom used: gives its second descriptor back.
    pub(super) fn close_ring(&self) {
        self.ring.borrow_mut().close();
    }

    /// What a round of syncs has made durable need not stay in the system's memory, but for the last `keep` bytes: whoever
    /// reads it again is far behind. The pages are used for the next records then, and not those of the bricks' files.
    pub(super) fn forget_synced(&self, keep: u64) {
        let mut state = self.state.borrow_mut();
        let upto = state.syncing.min(state.end).saturating_sub(keep) / DATA_OFFSET * DATA_OFFSET;
        let from = state.forgotten;
        if upto >= from + FORGET_BYTES {
            let len = std::num::NonZeroU64::new(upto - from);
            // A hint: what the system makes of it changes nothing.
            let _ = fadvise(&self.file, from, len, Advice::DontNeed);
            state.forgotten = upto;
        }
    }

    /// The nearest known place at or before a record of this segment.
    pub(super) fn place_before(&self, index: Index) -> (Index, u64) {
        self.state.borrow().sparse.before(self.header.first, index)
    }

    /// A record's header and offset, stepping from the nearest known place. Reads a few pages, mostly from memory.
    pub(super) fn find(&self, index: Index) -> Result<(Meta, u64)> {
        let (mut at, mut offset) = self.place_before(index);
        loop {
            let mut header = [0; HEADER_BYTES];
            let read = self.file.read_exact_at(&mut header, offset);
            read.map_err(|e| JournalError::io("read", &self.path, &e))?;
            let meta = Meta::from_header(&header).map_err(|p| self.damaged(offset, at, p.into()))?;
            if meta.index != at {
                return Err(self.damaged(offset, at, Damage::Index(meta.index)));
            }
            if at == index {
                return Ok((meta, offset));
            }
            (at, offset) = (at.next(), offset + meta.stored_bytes() as u64);
        }
    }

    /// Records up to `last`, which end at `end`, have been written.
    pub(super) fn advance(&self, end: u64, last: Index) {
        let mut state = self.state.borrow_mut();
        (state.end, state.last, state.dirty, state.touched) = (end, last, true, SystemTime::now());
    }

    /// Makes `last` the last record, which ends at `end`. What lies behind is void from now on.
    pub(super) fn cut(&self, last: Index, end: u64) {
        let mut state = self.state.borrow_mut();
        (state.last, state.end, state.tainted) = (last, end, true);
        state.sparse.truncate(end);
        self.copy.borrow_mut().cut(last);
    }

    pub(super) fn damaged(&self, offset: u64, index: Index, problem: Damage) -> JournalError {
        JournalError::Damaged { segment: self.path.clone(), offset, index, problem }
    }

    /// The files, for another use.
    pub(super) fn into_slot(self) -> Slot {
        let Self { number, path, header, file, copy, .. } = self;
        let (copy, copy_path) = copy.into_inner().into_file();
        Slot { number, path, copy_path, file, copy, bytes: header.bytes }
    }
}

/// A header and the rest of its page: the kernel need not read a page that is written as a whole.
pub(super) fn page_of(header: &SegmentHeader, side: Side) -> [u8; DATA_OFFSET as usize] {
    let mut page = [0; DATA_OFFSET as usize];
    page[..SEGMENT_HEADER_BYTES].copy_from_slice(&header.to_bytes(side));
    page
}
