//! Rotten blocks replaced by what another brick has.

use std::sync::Arc;

use bytes::Bytes;
use rfs_model::{FileKind, Index, InodeId, Timestamp, layout};
use rustix::fs::fdatasync;
use rustix::io::{Errno, pwrite};

use super::blocks::{Blocks, bits};
use super::chunk::{BLOCK, BLOCKS, sum};
use super::verify::forget_cached;
use crate::tree::handle::{Access, Handle};
use crate::tree::read::read_at;
use crate::tree::{Fault, Tree};

/// Blocks of one chunk, as one brick has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Given {
    /// The file's version and size there.
    pub version: Index,
    pub size: u64,
    /// Blocks that it can read, and that have the sum that it knows, if it knows any.
    pub whole: u32,
    /// Those of them in order, each [`BLOCK`] bytes; behind the end of the file zeros.
    pub data: Bytes,
}
layout!(Given { version, size, whole, data });

impl Given {
    fn blocks(&self) -> impl Iterator<Item = (u64, Bytes)> {
        let bits = (0..BLOCKS).filter(|bit| self.whole >> bit & 1 == 1);
        let data = (0..self.data.len() / BLOCK as usize)
            .map(|i| self.data.slice(i * BLOCK as usize..(i + 1) * BLOCK as usize));
        bits.zip(data)
    }
}

/// Blocks that were written in place, to be synced and read back on a thread.
#[must_use]
pub struct Mend {
    id: InodeId,
    handle: Arc<Handle>,
    blocks: Vec<(u64, u32)>,
    path: String,
}

/// What the disk gives back.
#[must_use]
pub struct Mended {
    good: Vec<(u64, u32)>,
}

impl Mend {
    /// # Errors
    /// [`Fault::System`]: the disk does not take the blocks, or does not keep them.
    pub fn run(self) -> Result<Mended, Fault> {
        let wrong = |doing: &'static str, e| Fault::system(doing, self.path.clone(), e);
        fdatasync(self.handle.fd()).map_err(|e| wrong("sync", e))?;
        for (block, want) in &self.blocks {
            forget_cached(&self.handle, *block..block + 1);
            let data =
                read_at(&self.handle, block * BLOCK, BLOCK as usize).map_err(|e| wrong("read back", e))?;
            if sum(&data) != *want {
                return Err(Fault::Rot { id: self.id, path: self.path.clone(), offset: block * BLOCK });
            }
        }
        Ok(Mended { good: self.blocks })
    }
}

impl Tree {
    /// The rotten blocks of a chunk, as bits; none of a file that is gone.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn rotten_in(&self, id: InodeId, chunk: u64) -> Result<u32, Fault> {
        if self.index.get(id)?.is_none() {
            return Ok(0);
        }
        Ok(self.index.sums_of(id, chunk)?.map_or(0, |sums| sums.rotten))
    }

    /// Blocks of a chunk for another brick; `None` when there is no such file.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn give(&self, id: InodeId, chunk: u64, mask: u32) -> Result<Option<Given>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(None) };
        if chunk >= u64::MAX / BLOCK / BLOCKS {
            return Ok(None);
        }
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        let found = handle.stat().map_err(|e| Fault::system("stat", self.path_of(id), e))?.st_size as u64;
        let size = self.whole_size(id, &entry, found)?;
        let (mut whole, mut all) = (0, Vec::new());
        for bit in (0..BLOCKS).filter(|bit| mask >> bit & 1 == 1) {
            match self.read_checked(id, &handle, (chunk * BLOCKS + bit) * BLOCK, BLOCK as usize) {
                Ok(data) => {
                    whole |= 1 << bit;
                    all.extend_from_slice(&data);
                    all.resize(all.len().next_multiple_of(BLOCK as usize), 0);
                    if data.is_empty() {
                        all.resize(all.len() + BLOCK as usize, 0);
                    }
                }
                Err(Fault::Rot { .. }) => {}
                Err(e) => return Err(e),
            }
        }
        Ok(Some(Given { version: entry.version, size, whole, data: all.into() }))
    }

    /// Writes what another brick has in the place of rotten blocks. A block counts when it has the sum that this brick
    /// knows; where that is lost, or is of memory that was wrong, when both bricks have the file in the same version. `None`
    /// when nothing that was given counts. Until [`Tree::mended`] the blocks still count as rotten.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn mend(&self, id: InodeId, chunk: u64, given: &Given) -> Result<Option<Mend>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(None) };
        let Some(sums) = self.index.sums_of(id, chunk)? else { return Ok(None) };
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Write)?;
        let wrong = |e| Fault::system("repair", self.path_of(id), e);
        let stat = handle.stat().map_err(wrong)?;
        let same = given.version == entry.version;
        // The file may have been cut behind the brick: it grows again with its blocks.
        let found = stat.st_size as u64;
        let size = self.made_size(id, &entry).unwrap_or(if same { given.size } else { found });
        let mut blocks = Vec::new();
        for (bit, data) in given.blocks().filter(|(bit, _)| sums.rotten >> bit & 1 == 1) {
            let (block, new) = (chunk * BLOCKS + bit, sum(&data));
            if sums.get(bit as u32) != Some(new) && !same {
                continue;
            }
            let len = size.saturating_sub(block * BLOCK).min(BLOCK) as usize;
            write_all(&handle, block * BLOCK, &data[..len]).map_err(wrong)?;
            self.settling.borrow_mut().forget_block(id, block);
            blocks.push((block, new));
        }
        if blocks.is_empty() {
            return Ok(None);
        }
        // Repairing is no change of the file.
        let mtime = Timestamp { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 };
        handle.set_times(None, Some(mtime)).map_err(wrong)?;
        Ok(Some(Mend { id, handle, blocks, path: self.path_of(id) }))
    }

    /// The blocks are on the disk: they are whole again, but for those that were changed meanwhile. How many are.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn mended(&self, id: InodeId, chunk: u64, mended: &Mended) -> Result<u32, Fault> {
        if self.index.get(id)?.is_none() {
            return Ok(0);
        }
        let mut good = Blocks::default();
        let settling = self.settling.borrow();
        let untouched = mended.good.iter().filter(|(block, _)| !settling.is_wet(id, *block));
        let untouched: Vec<_> = untouched.copied().collect();
        drop(settling);
        self.index.change_sums(id, chunk, |sums| {
            for (block, sum) in &untouched {
                sums.drop(bits(block % BLOCKS..block % BLOCKS + 1));
                sums.set((block % BLOCKS) as u32, *sum);
                good.add(*block..block + 1);
            }
        })?;
        Ok(good.mask(chunk * BLOCKS).count_ones())
    }
}

fn write_all(handle: &Handle, mut at: u64, mut data: &[u8]) -> Result<(), Errno> {
    while !data.is_empty() {
        match pwrite(handle.fd(), data, at) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => (at, data) = (at + n as u64, &data[n..]),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e),
        }
    }
    Ok(())
}
