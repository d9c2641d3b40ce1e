//! Whether blocks are what was written.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use rfs_model::InodeId;
use rustix::fs::{Advice, fadvise};
use rustix::io::Errno;

use super::blocks::{Blocks, bits};
use super::chunk::{BLOCK, BLOCKS, ChunkSums, sum};
use crate::tree::handle::{Access, Handle};
use crate::tree::read::read_at;
use crate::tree::{Fault, Tree};

/// A block that is not what was written, twice read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rotten {
    pub id: InodeId,
    /// Of 4 KiB, counted from the beginning of the file.
    pub block: u64,
}

impl Rotten {
    /// The chunk that the block is in.
    #[must_use]
    pub fn chunk(&self) -> u64 {
        self.block / BLOCKS
    }
}

/// A piece of a copy, see [`Tree::check_copied`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checked {
    /// As long as what was read.
    pub data: Bytes,
    /// Blocks of 4 KiB, counted from the beginning of the file.
    pub rotten: Vec<u64>,
}

/// What blocks of one file must be.
#[derive(Clone, Debug, Default)]
pub(in crate::tree) struct Expected {
    chunks: Vec<(u64, Arc<ChunkSums>)>,
    /// The size that records gave the file, if it is held to one.
    size: Option<u64>,
}

/// Why a checked read gave nothing.
pub(in crate::tree) enum Unread {
    /// These blocks are not as expected.
    Bad(Blocks),
    Errno(Errno),
}

impl Expected {
    /// Reads up to `len` bytes, less at the end of the file only, and checks all blocks that they are in.
    pub(in crate::tree) fn read(&self, handle: &Handle, offset: u64, len: usize) -> Result<Bytes, Unread> {
        if self.chunks.is_empty() {
            let data = read_at(handle, offset, len).map_err(Unread::Errno)?;
            let missing = self.missing(offset, len as u64, data.len() as u64);
            return if missing.is_empty() { Ok(data) } else { Err(Unread::Bad(missing)) };
        }
        let blocks = blocks_of(offset, len as u64);
        let start = blocks.start * BLOCK;
        let all = usize::try_from((blocks.end - blocks.start) * BLOCK).unwrap_or(usize::MAX);
        let data = read_at(handle, start, all).map_err(Unread::Errno)?;
        let mut bad = self.bad(blocks, &data);
        let missing = self.missing(start, all as u64, data.len() as u64);
        missing.ranges().iter().for_each(|range| bad.add(range.clone()));
        if !bad.is_empty() {
            return Err(Unread::Bad(bad));
        }
        let skip = usize::try_from(offset - start).unwrap_or(usize::MAX).min(data.len());
        Ok(data.slice(skip..data.len().min(skip.saturating_add(len))))
    }

    /// The blocks that the file must have and has not, of those that were asked for: `got` is as far as it went.
    fn missing(&self, offset: u64, asked: u64, got: u64) -> Blocks {
        let mut missing = Blocks::default();
        let end = self.size.unwrap_or(0).min(offset.saturating_add(asked));
        if got < asked && offset + got < end {
            missing.add((offset + got) / BLOCK..end.div_ceil(BLOCK));
        }
        missing
    }

    /// The blocks that are not as expected; `data` begins with the first.
    fn bad(&self, blocks: Range<u64>, data: &[u8]) -> Blocks {
        let mut bad = Blocks::default();
        for (chunk, sums) in &self.chunks {
            let first = chunk * BLOCKS;
            for block in first.max(blocks.start)..(first + BLOCKS).min(blocks.end) {
                let bit = (block - first) as u32;
                let from = ((block - blocks.start) * BLOCK) as usize;
                let data = data.get(from..data.len().min(from + BLOCK as usize)).unwrap_or_default();
                let right = sums.get(bit).is_none_or(|want| sum(data) == want);
                if !right || sums.rotten >> bit & 1 == 1 {
                    bad.add(block..block + 1);
                }
            }
        }
        bad
    }
}

/// The blocks that a range of bytes is in.
pub(in crate::tree) fn blocks_of(offset: u64, len: u64) -> Range<u64> {
    offset / BLOCK..offset.saturating_add(len).div_ceil(BLOCK)
}

impl Tree {
    /// What the blocks of a range must be.
    pub(in crate::tree) fn expected(&self, id: InodeId, offset: u64, len: usize) -> Result<Expected, Fault> {
        let mut out = Expected::default();
        // An offset behind what a file may have: there is nothing.
        if self.settling.borrow().off || len == 0 || i64::try_from(offset).is_err() {
            return Ok(out);
        }
        out.size = self.index.get(id)?.and_then(|entry| self.wanted_size(id, &entry));
        let blocks = blocks_of(offset, len as u64);
        for chunk in blocks.start / BLOCKS..=(blocks.end - 1) / BLOCKS {
            if let Some(sums) = self.index.sums_of(id, chunk)? {
                out.chunks.push((chunk, sums));
            }
        }
        Ok(out)
    }

    /// Reads and checks; what is wrong in memory only is read again from the disk.
    pub(in crate::tree) fn read_checked(
        &self,
        id: InodeId,
        handle: &Handle,
        offset: u64,
        len: usize,
    ) -> Result<Bytes, Fault> {
        let expected = self.expected(id, offset, len)?;
        match expected.read(handle, offset, len) {
            Ok(data) => Ok(data),
            Err(Unread::Errno(e)) if e != Errno::IO => Err(Fault::system("read", self.path_of(id), e)),
            Err(_) => self.read_from_disk(id, handle, offset, len, &expected),
        }
    }

    fn read_from_disk(
        &self,
        id: InodeId,
        handle: &Handle,
        offset: u64,
        len: usize,
        expected: &Expected,
    ) -> Result<Bytes, Fault> {
        forget_cached(handle, blocks_of(offset, len as u64));
        match expected.read(handle, offset, len) {
            Ok(data) => {
                let brick = self.path.display();
                tracing::warn!(
                    "{brick}{}: memory held other bytes than the disk at {offset}, and was read again",
                    self.path_of(id)
                );
                Ok(data)
            }
            Err(Unread::Bad(bad)) => Err(self.rot(id, bad, "not what was written")?),
            Err(Unread::Errno(Errno::IO)) => {
                let bad = unreadable(handle, blocks_of(offset, len as u64));
                if bad.is_empty() {
                    return Err(Fault::system("read", self.path_of(id), Errno::IO));
                }
                Err(self.rot(id, bad, "the disk does not give them")?)
            }
            Err(Unread::Errno(e)) => Err(Fault::system("read", self.path_of(id), e)),
        }
    }

    /// Marks blocks as rotten, says so, and gives the fault for who asked for them.
    pub(in crate::tree) fn rot(&self, id: InodeId, bad: Blocks, why: &str) -> Result<Fault, Fault> {
        let (brick, path) = (self.path.display(), self.path_of(id));
        let offset = bad.ranges().first().map_or(0, |range| range.start * BLOCK);
        let mut new = 0u64;
        for block in bad.ranges().iter().flat_map(Clone::clone) {
            new += u64::from(self.mark_rotten(id, block)?);
        }
        if new > 0 {
            tracing::error!("rot: {brick}{path}: {new} blocks of {BLOCK} bytes from {offset} on: {why}");
        }
        Ok(Fault::Rot { id, path, offset })
    }

    /// Whether that is news.
    fn mark_rotten(&self, id: InodeId, block: u64) -> Result<bool, Fault> {
        let bit = 1 << (block % BLOCKS);
        let mut new = false;
        self.index.change_sums(id, block / BLOCKS, |sums| {
            new = sums.rotten & bit == 0;
            sums.rotten |= bit;
        })?;
        let mut settling = self.settling.borrow_mut();
        settling.wounded.insert(id);
        settling.found.insert(Rotten { id, block });
        Ok(new)
    }

    /// Nothing has a sum right behind the end of a file.
    pub(in crate::tree) fn check_end(&self, id: InodeId, size: u64) -> Result<(), Fault> {
        let behind = size.div_ceil(BLOCK);
        if self.settling.borrow().off {
            return Ok(());
        }
        let Some(sums) = self.index.sums_of(id, behind / BLOCKS)? else { return Ok(()) };
        let first = behind - behind % BLOCKS;
        let here = (sums.known | sums.rotten) & bits(behind % BLOCKS..BLOCKS);
        if here == 0 {
            return Ok(());
        }
        let mut bad = Blocks::default();
        (0..BLOCKS).filter(|bit| here >> bit & 1 == 1).for_each(|bit| bad.add(first + bit..first + bit + 1));
        Err(self.rot(id, bad, "behind the end of the file, which was cut")?)
    }

    /// Data that was read without looking at sums, for a copy: as it was read where it is right, read again where it is not,
    /// and zeros in the place of blocks that are rotten.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn check_copied(&self, id: InodeId, offset: u64, data: Bytes) -> Result<Checked, Fault> {
        let expected = self.expected(id, offset, data.len())?;
        let blocks = blocks_of(offset, data.len() as u64);
        let aligned = offset.is_multiple_of(BLOCK);
        if expected.chunks.is_empty() || aligned && expected.bad(blocks.clone(), &data).is_empty() {
            return Ok(Checked { data, rotten: Vec::new() });
        }
        let (mut out, mut rotten) = (bytes::BytesMut::zeroed(data.len()), Vec::new());
        for block in blocks {
            let from = offset.max(block * BLOCK);
            let upto = (offset + data.len() as u64).min((block + 1) * BLOCK);
            match self.read(id, from, (upto - from) as usize) {
                Ok(now) => {
                    let (now, at) = (now.unwrap_or_default(), (from - offset) as usize);
                    out[at..at + now.len()].copy_from_slice(&now);
                }
                Err(Fault::Rot { .. }) => rotten.push(block),
                Err(e) => return Err(e),
            }
        }
        Ok(Checked { data: out.freeze(), rotten })
    }

    /// Notes a block that the source of a copy could not give.
    pub(in crate::tree) fn take_as_rotten(&self, id: InodeId, block: u64) -> Result<(), Fault> {
        let mut bad = Blocks::default();
        bad.add(block..block + 1);
        self.rot(id, bad, "rotten where it was copied from").map(drop)
    }

    /// Rotten blocks that were met since the last call.
    pub fn take_rotten(&self) -> Vec<Rotten> {
        std::mem::take(&mut self.settling.borrow_mut().found).into_iter().collect()
    }

    /// Data of a file is about to be written, cut or zeroed, from `start` to `end`; `u64::MAX` cuts the file at `start`.
    /// The sums of the blocks hold no more. A block that is changed in part is checked first, since what is left of it would
    /// get a new sum otherwise: one that is rotten stays so.
    pub(in crate::tree) fn touch(&self, id: InodeId, start: u64, end: u64) -> Result<(), Fault> {
        if start >= end {
            return Ok(());
        }
        let (first, last) = (start / BLOCK, end.div_ceil(BLOCK));
        let mut rotten = Blocks::default();
        if !start.is_multiple_of(BLOCK) && self.is_rotten_edge(id, first)? {
            rotten.add(first..first + 1);
        }
        let other_edge = end != u64::MAX && !end.is_multiple_of(BLOCK);
        let looked_at = last - 1 == first && !start.is_multiple_of(BLOCK);
        if other_edge && !looked_at && self.is_rotten_edge(id, last - 1)? {
            rotten.add(last - 1..last);
        }
        self.index.drop_sums(id, first..last);
        self.settling.borrow_mut().note(id, first..last);
        if !rotten.is_empty() {
            self.rot(id, rotten, "not what was written, and now changed in part")?;
        }
        Ok(())
    }

    fn is_rotten_edge(&self, id: InodeId, block: u64) -> Result<bool, Fault> {
        if self.settling.borrow().needs_no_look(id, block) {
            return Ok(false);
        }
        let Some(sums) = self.index.sums_of(id, block / BLOCKS)? else { return Ok(false) };
        let bit = (block % BLOCKS) as u32;
        if sums.rotten >> bit & 1 == 1 {
            return Ok(true);
        }
        // What a crash left of a block, and what recovery has done to it so far, has no sum.
        if self.settling.borrow().recovering {
            return Ok(false);
        }
        let (Some(_), Some(entry)) = (sums.get(bit), self.index.get(id)?) else { return Ok(false) };
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Write)?;
        match self.read_checked(id, &handle, block * BLOCK, BLOCK as usize) {
            Ok(_) => Ok(false),
            Err(Fault::Rot { .. }) => Ok(true),
            Err(e) => Err(e),
        }
    }
}

/// Makes the next read of the blocks one of the disk; what is not on the disk yet stays in memory.
pub(in crate::tree) fn forget_cached(handle: &Handle, blocks: Range<u64>) {
    let len = std::num::NonZeroU64::new((blocks.end - blocks.start).saturating_mul(BLOCK));
    // Advice: where it is not taken the read is of memory.
    let _ = fadvise(handle.fd(), blocks.start * BLOCK, len, Advice::DontNeed);
}

/// Those of the blocks that the disk does not give.
pub(in crate::tree) fn unreadable(handle: &Handle, blocks: Range<u64>) -> Blocks {
    let mut bad = Blocks::default();
    for block in blocks {
        if read_at(handle, block * BLOCK, BLOCK as usize) == Err(Errno::IO) {
            bad.add(block..block + 1);
        }
    }
    bad
}
