//! Files that may not be what the leader has.
//!
//! With `sync=100ms` a record is applied before it is in any synced log. When the kernels of all bricks die, the logs may lose
//! it, while the file system has kept some of its effects: on one brick, and not on the other. Names are put back by recovery
//! ([`converge`](super::converge)), since what the log says of them is all that there is to know. What a file holds, nobody
//! knows but the disks. So each brick notes which files have changed since its last checkpoint, *doubts*; the leader's are
//! taken for right, and every other brick compares its own with those (`shard/doubts.rs`).
//!
//! Blocks are compared by their digests while records go on being applied. That is sound: bytes that two bricks have alike,
//! each at some index, are alike for ever after, because what comes in between is the same record on both. Bytes that differ
//! may do so for being read at different indexes; the leader then sends what it has, as a record.

use std::sync::Arc;

use bytes::Bytes;
use rfs_model::{FileKind, InodeId, Timestamp};
use rustix::io::Errno;

use super::handle::{Access, Handle};
use super::read::read_at;
use super::store::Notes;
use super::sums::{BLOCKS, ChunkSums};
use super::{CHUNK, Fault, Tree};

/// A checkpoint's clock is this much behind: what was changed in the very tick must not seem older.
const MARGIN_SECS: i64 = 2;
/// Bytes of one block.
const BLOCK: usize = (CHUNK / BLOCKS) as usize;

/// No file has more.
const CHUNKS: u64 = i64::MAX as u64 / CHUNK;

/// Of one block: the first half of its BLAKE3 hash.
pub type Digest = [u8; 16];

/// Digests of a chunk's blocks, one after the other; blocks behind the end of the file are zeros.
pub type Digests = Vec<u8>;

/// A chunk to be read and hashed; may run on any thread.
#[must_use]
pub struct ChunkJob {
    handle: Arc<Handle>,
    chunk: u64,
    path: String,
}

impl ChunkJob {
    /// # Errors
    /// [`Fault::System`].
    pub fn run(self) -> Result<Digests, Fault> {
        let data = read_chunk(&self.handle, self.chunk).map_err(|e| Fault::system("read", self.path, e))?;
        Ok(digests(&data))
    }
}

fn read_chunk(handle: &Handle, chunk: u64) -> Result<Vec<u8>, Errno> {
    let mut data = read_at(handle, chunk * CHUNK, CHUNK as usize)?.to_vec();
    data.resize(CHUNK as usize, 0);
    Ok(data)
}

fn digests(chunk: &[u8]) -> Digests {
    chunk.chunks(BLOCK).flat_map(digest).collect()
}

fn digest(block: &[u8]) -> Digest {
    *blake3::hash(block).as_bytes().first_chunk().expect("a hash is longer")
}

impl Tree {
    /// Tells the wall clock, which the next checkpoint notes.
    pub fn tell_wall(&self, now: Timestamp) {
        self.wall.set(now);
    }

    /// The wall clock that the last checkpoint noted.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn noted_clock(&self) -> Result<Timestamp, Fault> {
        Ok(self.index.notes()?.clock)
    }

    /// The kernel died with what it had not written: the next recovery looks at all that has changed since the checkpoint.
    /// Durable on return.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn power_was_lost(&mut self) -> Result<(), Fault> {
        let notes = self.index.notes()?;
        let from = notes.sweep.map_or(notes.clock, |sweep| sweep.min(notes.clock));
        self.index.note(&Notes { sweep: Some(from), ..notes })
    }

    pub(super) fn notes(&self) -> Notes {
        let now = self.wall.get();
        let clock = Timestamp { secs: now.secs.saturating_sub(MARGIN_SECS).max(0), ..now };
        Notes { clock, sweep: None, doubts: self.doubts.iter().copied().collect() }
    }

    /// Inodes to be compared with the leader's.
    #[must_use]
    pub fn doubts(&self) -> usize {
        self.doubts.len()
    }

    /// Whether what this brick has of an inode may not be what the leader has.
    #[must_use]
    pub fn is_doubtful(&self, id: InodeId) -> bool {
        self.doubts.contains(&id)
    }

    /// Up to `max` of them, from the first one after `after`.
    pub fn doubts_after(&self, after: Option<InodeId>, max: usize) -> Vec<InodeId> {
        use std::ops::Bound::{Excluded, Unbounded};
        self.doubts.range((after.map_or(Unbounded, Excluded), Unbounded)).take(max).copied().collect()
    }

    /// The leader's may be others.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn doubt(&mut self, ids: &[InodeId]) -> Result<(), Fault> {
        for id in ids {
            if self.index.get(*id)?.is_some() {
                self.doubts.insert(*id);
            }
        }
        Ok(())
    }

    /// They have been compared, or are gone, or are the ones that the others compare with.
    pub fn trust(&mut self, ids: &[InodeId]) {
        ids.iter().for_each(|id| {
            self.doubts.remove(id);
        });
    }

    /// A chunk of a file, to be hashed; `None` where there is no such file.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn chunk_job(&self, id: InodeId, chunk: u64) -> Result<Option<ChunkJob>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(None) };
        if chunk >= CHUNKS {
            return Ok(None);
        }
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        Ok(Some(ChunkJob { handle, chunk, path: self.path_of(id) }))
    }

    /// The parts of a chunk whose digests are others than `theirs`, with their places in the file; nothing of what is rotten
    /// here. Read now.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn differing_from(&self, id: InodeId, chunk: u64, theirs: &[u8]) -> Result<Vec<(u64, Bytes)>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else {
            return Ok(Vec::new());
        };
        if chunk >= CHUNKS {
            return Ok(Vec::new());
        }
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        let wrong = |e| Fault::system("read", self.path_of(id), e);
        let size = handle.stat().map_err(wrong)?.st_size as u64;
        let data = read_chunk(&handle, chunk).map_err(wrong)?;
        let mut out: Vec<(u64, Vec<u8>)> = Vec::new();
        for (number, block) in data.chunks(BLOCK).enumerate() {
            let at = chunk * CHUNK + (number * BLOCK) as u64;
            let len = size.saturating_sub(at).min(BLOCK as u64) as usize;
            if len == 0 || theirs.get(number * 16..number * 16 + 16) == Some(&digest(block)[..]) {
                continue;
            }
            match self.read_checked(id, &handle, at, len) {
                Ok(_) => {}
                Err(Fault::Rot { .. }) => continue,
                Err(e) => return Err(e),
            }
            match out.last_mut() {
                Some((start, run)) if *start + run.len() as u64 == at => run.extend_from_slice(&block[..len]),
                _ => out.push((at, block[..len].to_vec())),
            }
        }
        Ok(out.into_iter().map(|(at, run)| (at, run.into())).collect())
    }

    /// How long a file is on disk that records made longer, and when it was changed last.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn cut_short(&self, id: InodeId) -> Result<Option<(u64, Timestamp)>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(None) };
        let Ok(stat) = self.stat(id, &entry) else { return Ok(None) };
        let mtime = Timestamp { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 };
        let size = stat.st_size as u64;
        Ok(entry.size.is_some_and(|made| size < made).then_some((size, mtime)))
    }

    /// How long a file is on disk; 0 for what is no file.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn size_now(&self, id: InodeId) -> Result<u64, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(0) };
        self.flush_of(id)?;
        Ok(self.stat(id, &entry)?.st_size as u64)
    }

    /// The first chunk from `chunk` on that has data; `None`: there is none, or no such file.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn next_chunk(&self, id: InodeId, chunk: u64) -> Result<Option<u64>, Fault> {
        if chunk >= CHUNKS {
            return Ok(None);
        }
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::File) else { return Ok(None) };
        self.flush_of(id)?;
        let handle = self.handle(id, &entry, Access::Read)?;
        match rustix::fs::seek(handle.fd(), rustix::fs::SeekFrom::Data(chunk * CHUNK)) {
            Ok(at) => Ok(Some((at / CHUNK).max(chunk))),
            Err(Errno::NXIO) => Ok(None),
            // A file system that does not tell: all of it may be data.
            Err(_) => Ok(Some(chunk)),
        }
    }

    /// What is known of a file's blocks and attributes need not be so any more; blocks that are rotten stay so.
    pub(super) fn forget_what_is_known(&self, id: InodeId) -> Result<(), Fault> {
        let rotten = self.index.rotten_chunks(id)?;
        self.index.forget_sums(id);
        for (chunk, rotten) in rotten {
            self.index.change_sums(id, chunk, |sums| {
                *sums = ChunkSums::default();
                sums.rotten = rotten;
            })?;
        }
        Ok(())
    }
}
