//! Computing sums on a thread.

use std::ops::Range;
use std::sync::Arc;

use rfs_model::{FileKind, InodeId};
use rustix::fs::{SeekFrom, seek};
use rustix::io::Errno;

use super::blocks::Blocks;
#[cfg(test)]
use super::chunk::ChunkSums;
use super::chunk::{BLOCK, BLOCKS, CHUNK, sum};
use super::settle::Walk;
use super::verify::{forget_cached, unreadable};
use crate::tree::handle::{Access, Handle};
use crate::tree::read::read_at;
use crate::tree::{Fault, Tree};

/// Blocks and files of one job at the most: about a millisecond in memory.
const JOB_BLOCKS: u64 = 256;
const JOB_FILES: usize = 64;
/// Chunks and files that one step of the walk looks at.
const WALK_CHUNKS: u64 = 512;
const WALK_FILES: usize = 32;

struct Piece {
    id: InodeId,
    handle: Arc<Handle>,
    path: String,
    blocks: Range<u64>,
    cold: bool,
    /// From the disk, whatever is in memory.
    fresh: bool,
}

/// Blocks to be read and summed; may run on any thread, one at a time.
#[must_use]
pub struct SumJob {
    pieces: Vec<Piece>,
    lost: u64,
}

/// What a [`SumJob`] found.
#[must_use]
pub struct Summed {
    sums: Vec<(InodeId, u64, u32)>,
    unreadable: Vec<(InodeId, Blocks)>,
    lost: u64,
    read: u64,
}

impl Summed {
    /// Bytes of data that were read.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.read
    }
}

impl SumJob {
    /// Bytes that it reads at the most.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.pieces.iter().map(|piece| (piece.blocks.end - piece.blocks.start) * BLOCK).sum()
    }

    /// Reads. Holes get no sums.
    ///
    /// # Errors
    /// [`Fault::System`] for what is not the disk's failure to give a block.
    pub fn run(self) -> Result<Summed, Fault> {
        let mut out = Summed { sums: Vec::new(), unreadable: Vec::new(), lost: self.lost, read: 0 };
        for piece in &self.pieces {
            piece.run(&mut out).map_err(|e| Fault::system("read", piece.path.clone(), e))?;
        }
        Ok(out)
    }
}

impl Piece {
    /// The next block to read, from `block` on.
    fn next_data(&self, block: u64) -> Result<Option<u64>, Errno> {
        if self.fresh {
            return Ok(Some(block).filter(|block| *block < self.blocks.end));
        }
        let data = next_data(&self.handle, block * BLOCK, self.blocks.end * BLOCK)?;
        Ok(data.map(|data| data / BLOCK))
    }

    fn run(&self, out: &mut Summed) -> Result<(), Errno> {
        if self.fresh {
            forget_cached(&self.handle, self.blocks.clone());
        }
        let mut block = self.blocks.start;
        while let Some(data) = self.next_data(block)? {
            block = data;
            let end = self.blocks.end.min((block / BLOCKS + 1) * BLOCKS);
            match read_at(&self.handle, block * BLOCK, ((end - block) * BLOCK) as usize) {
                Ok(bytes) => {
                    out.read += bytes.len() as u64;
                    let sums = bytes.chunks(BLOCK as usize).map(sum);
                    out.sums.extend((block..).zip(sums).map(|(block, sum)| (self.id, block, sum)));
                }
                Err(Errno::IO) => {
                    let bad = unreadable(&self.handle, block..end);
                    out.unreadable.push((self.id, bad));
                }
                Err(e) => return Err(e),
            }
            block = end;
            if block >= self.blocks.end {
                break;
            }
        }
        if self.cold {
            forget_cached(&self.handle, self.blocks.clone());
        }
        Ok(())
    }
}

/// A file that is not where it should be is for a scrub to name, or for who needs it to stumble over: looking for sums is no
/// reason to stop.
fn tolerate<T>(result: Result<T, Fault>) -> Result<Option<T>, Fault> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(e @ Fault::Index { .. }) => Err(e),
        Err(e) => {
            tracing::warn!("no sums for a file: {e}");
            Ok(None)
        }
    }
}

/// Where data begins at or after `from`, before `end`.
fn next_data(handle: &Handle, from: u64, end: u64) -> Result<Option<u64>, Errno> {
    match seek(handle.fd(), SeekFrom::Data(from)) {
        Ok(at) => Ok(Some(at.max(from)).filter(|at| *at < end)),
        Err(Errno::NXIO) => Ok(None),
        Err(Errno::INVAL | Errno::OPNOTSUPP) => Ok(Some(from).filter(|at| *at < end)),
        Err(e) => Err(e),
    }
}

impl Tree {
    /// Tells the time, from which the tree knows what has been quiet; and whether sums are wanted.
    pub fn tell_time(&self, now_us: u64, wanted: bool) {
        let mut settling = self.settling.borrow_mut();
        settling.now_us = now_us;
        settling.set_wanted(wanted);
    }

    /// Files that have not changed for a while, to be summed; `None` when there is nothing to do, or a job is not done.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn sum_job(&self) -> Result<Option<SumJob>, Fault> {
        if self.settling.borrow().off || self.settling.borrow().busy {
            return Ok(None);
        }
        let (mut pieces, mut left) = (Vec::new(), JOB_BLOCKS);
        while left > 0 && pieces.len() < JOB_FILES {
            let size = |id| Ok(tolerate(self.blocks_found(id))?.flatten());
            let taken = self.settling.borrow_mut().take(left, size)?;
            let Some((id, blocks, cold)) = taken else { break };
            let Some(entry) = self.index.get(id)? else { continue };
            left -= (blocks.end - blocks.start).min(left);
            let Some(handle) = tolerate(self.handle_apart(id, &entry))? else { continue };
            pieces.push(Piece { id, handle, path: self.path_of(id), blocks, cold, fresh: false });
        }
        if pieces.is_empty() {
            self.walk_on()?;
            return Ok(None);
        }
        let mut settling = self.settling.borrow_mut();
        settling.busy = true;
        Ok(Some(SumJob { pieces, lost: settling.lost }))
    }

    /// Blocks that a file has on disk; `None` when there is no such file. The settling may be borrowed.
    fn blocks_found(&self, id: InodeId) -> Result<Option<u64>, Fault> {
        let entry = self.index.get(id)?.filter(|e| e.kind == FileKind::File);
        let Some(entry) = entry else { return Ok(None) };
        self.flush_of(id)?;
        let size = self.stat(id, &entry)?.st_size as u64;
        Ok(Some(size.div_ceil(BLOCK)))
    }

    /// An open file that does not push others out of the cache of open ones.
    fn handle_apart(&self, id: InodeId, entry: &crate::tree::Entry) -> Result<Arc<Handle>, Fault> {
        if let Some(handle) = self.open_file_of(id, Access::Read) {
            return Ok(handle);
        }
        let place = self.place_of(id, entry);
        let handle = Handle::open(self.dir(place.parent)?.fd(), &place.name, entry.kind, Access::Read)
            .map_err(|e| Fault::system("open", self.display(&place), e))?;
        self.check_identity(&handle, id)?;
        Ok(Arc::new(handle))
    }

    /// Takes what a job has found, but for what was touched since it began.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn sums_done(&self, done: Option<Summed>) -> Result<(), Fault> {
        self.settling.borrow_mut().busy = false;
        let Some(done) = done.filter(|done| done.lost == self.settling.borrow().lost) else { return Ok(()) };
        let mut last = None;
        for (id, block, sum) in done.sums {
            if self.settling.borrow().is_wet(id, block) || self.index.get(id)?.is_none() {
                continue;
            }
            self.take_sum(id, block, sum)?;
            if last.replace(id) != Some(id)
                && let Ok(Some(meta)) = self.meta(id)
            {
                self.believe_size(id, meta.body.size)?;
                self.set_seal(&meta.look)?;
            }
        }
        for (id, bad) in done.unreadable {
            if self.index.get(id)?.is_some() {
                self.rot(id, bad, "the disk does not give them")?;
            }
        }
        Ok(())
    }

    /// Takes the sum of a block that has none; one that has another one is read again.
    fn take_sum(&self, id: InodeId, block: u64, sum: u32) -> Result<(), Fault> {
        let bit = (block % BLOCKS) as u32;
        let sums = self.index.sums_of(id, block / BLOCKS)?;
        match sums.as_ref().and_then(|sums| sums.get(bit)) {
            Some(known) if known == sum => Ok(()),
            Some(_) => match self.read(id, block * BLOCK, BLOCK as usize) {
                Ok(_) | Err(Fault::Rot { .. }) => Ok(()),
                Err(e) => Err(e),
            },
            None if sums.is_some_and(|sums| sums.rotten >> bit & 1 == 1) => Ok(()),
            None => self.index.change_sums(id, block / BLOCKS, |sums| sums.set(bit, sum)),
        }
    }

    /// The inodes of the last checkpoint in the order of identity, from the first one after `after`.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn inodes_after(&self, after: Option<InodeId>, max: usize) -> Result<Vec<InodeId>, Fault> {
        Ok(self.index.page(after, max)?.into_iter().map(|(id, _)| id).collect())
    }

    /// How many inodes the last checkpoint has.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn inodes(&self) -> Result<u64, Fault> {
        self.index.snapshot()?.len()
    }

    /// The data of a file from `block` on, to be read from the disk and compared; and the block after it. `None` at its end;
    /// the job is `None` while another one is not done.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn scrub_job(&self, id: InodeId, block: u64) -> Result<Option<(Option<SumJob>, u64)>, Fault> {
        if self.settling.borrow().busy {
            return Ok(Some((None, block)));
        }
        let (Some(blocks), Some(entry)) = (self.blocks_found(id)?, self.index.get(id)?) else {
            return Ok(None);
        };
        let handle = self.handle_apart(id, &entry)?;
        let data = next_data(&handle, block * BLOCK, blocks * BLOCK);
        let data = data.map_err(|e| Fault::system("seek in", self.path_of(id), e))?;
        let Some(from) = self.next_to_scrub(id, block, data.map_or(blocks, |data| data / BLOCK))? else {
            return Ok(Some((None, block + WALK_CHUNKS * BLOCKS)));
        };
        if from >= blocks {
            return Ok(None);
        }
        let upto = blocks.min(from + JOB_BLOCKS);
        let path = self.path_of(id);
        let piece = Piece { id, handle, path, blocks: from..upto, cold: true, fresh: true };
        let mut settling = self.settling.borrow_mut();
        settling.busy = true;
        Ok(Some((Some(SumJob { pieces: vec![piece], lost: settling.lost }), upto)))
    }

    /// The first block from `block` on that has a sum, or `data`, where there is data whatever is known of it: a hole that has
    /// sums was none. `None` when more has to be looked at than is good in one turn.
    fn next_to_scrub(&self, id: InodeId, block: u64, data: u64) -> Result<Option<u64>, Fault> {
        for chunk in block / BLOCKS..(block / BLOCKS).saturating_add(WALK_CHUNKS) {
            if chunk * BLOCKS >= data {
                return Ok(Some(data));
            }
            if self.index.sums_of(id, chunk)?.is_some() {
                return Ok(Some(block.max(chunk * BLOCKS)));
            }
        }
        Ok(None)
    }

    /// Files that changed a short while ago, and have no sums yet.
    #[must_use]
    pub fn unsummed_files(&self) -> u64 {
        self.settling.borrow().unsummed()
    }

    /// Looks at some more files for blocks without sums.
    fn walk_on(&self) -> Result<(), Fault> {
        let Walk { done, after, chunk } = self.settling.borrow().walk;
        if done {
            return Ok(());
        }
        let (mut walk, mut left) = (Walk { done, after, chunk }, WALK_CHUNKS);
        let page = self.index.page(walk.after, WALK_FILES)?;
        walk.done = page.is_empty();
        for (id, _) in page {
            // As it is by now, not as it was at the checkpoint.
            let Some(entry) = self.index.get(id)? else {
                (walk.after, walk.chunk) = (Some(id), 0);
                continue;
            };
            let blocks = tolerate(self.blocks_found(id))?.flatten().unwrap_or_default();
            let handle = if blocks > 0 { tolerate(self.handle_apart(id, &entry))? } else { None };
            while let (true, Some(handle)) = (left > 0, &handle) {
                let data = next_data(handle, walk.chunk * CHUNK, blocks * BLOCK);
                let data = data.map_err(|e| Fault::system("seek in", self.path_of(id), e))?;
                let Some(data) = data else { break };
                self.note_missing(id, data / CHUNK, blocks)?;
                walk.chunk = data / CHUNK + 1;
                left -= 1;
            }
            if left == 0 {
                break;
            }
            (walk.after, walk.chunk) = (Some(id), 0);
        }
        self.settling.borrow_mut().walk = walk;
        Ok(())
    }

    fn note_missing(&self, id: InodeId, chunk: u64, blocks: u64) -> Result<(), Fault> {
        let sums = self.index.sums_of(id, chunk)?;
        let has = sums.map_or(0, |sums| sums.known | sums.rotten);
        let first = chunk * BLOCKS;
        for block in first..blocks.min(first + BLOCKS) {
            let mut settling = self.settling.borrow_mut();
            if has >> (block - first) & 1 == 0 && !settling.is_wet(id, block) {
                settling.note_missing(id, block..block + 1);
            }
        }
        Ok(())
    }

    /// Chunks with sums that the next checkpoint will write.
    #[must_use]
    pub fn fresh_sums(&self) -> usize {
        self.index.fresh_sums()
    }

    /// Chunks of a file that have a value on disk.
    #[cfg(test)]
    pub(in crate::tree) fn sums_in_store(&self, id: InodeId) -> usize {
        let snapshot = self.index.snapshot().unwrap();
        (0..1 << 16).filter(|chunk| snapshot.sums(id, *chunk).unwrap().is_some()).count()
    }

    #[cfg(test)]
    pub(in crate::tree) fn walks(&self) -> bool {
        !self.settling.borrow().walk.done
    }

    /// The sum of a block as it is now, right or not.
    #[cfg(test)]
    pub(in crate::tree) fn mended_as_it_is(&self, id: InodeId, block: u64) {
        let entry = self.index.get(id).unwrap().unwrap();
        let data = read_at(&self.handle_apart(id, &entry).unwrap(), block * BLOCK, BLOCK as usize).unwrap();
        let change = |sums: &mut ChunkSums| {
            sums.rotten = 0;
            sums.set((block % BLOCKS) as u32, sum(&data));
        };
        self.index.change_sums(id, block / BLOCKS, change).unwrap();
    }
}
