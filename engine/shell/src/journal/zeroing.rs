//! Zeros ahead of the writer. A block that was written before is overwritten without a file system transaction, so its
//! fdatasync costs a tenth. The keeper's thread writes the zeros; the writer never waits for it.

use std::fs::File;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rfs_model::segment::DATA_OFFSET;

use super::disk::{Disk, Result};

/// Written at a time, bytes: also the longest that the writer can be held up.
const CHUNK: usize = 512 * 1024;
/// Made durable at a time, bytes.
const BATCH: u64 = 4 * 1024 * 1024;
/// Left to a writer that has outrun the keeper, bytes.
const LEAD: u64 = 1024 * 1024;
static ZEROS: [u8; CHUNK] = [0; CHUNK];

/// How far a segment file is zeroed. Shared by the writer and the keeper.
pub(super) struct Zeroing {
    file: File,
    path: PathBuf,
    bytes: u64,
    /// Below it the writer may write. Raised by the keeper with the lock held, after the zeros are written.
    frontier: AtomicU64,
    asked: AtomicU64,
    lock: Mutex<()>,
}

impl Zeroing {
    pub(super) fn new(file: File, path: PathBuf, bytes: u64, frontier: u64) -> Self {
        let (frontier, asked) = (AtomicU64::new(frontier), AtomicU64::new(frontier));
        Self { file, path, bytes, frontier, asked, lock: Mutex::new(()) }
    }

    /// The writer is about to write up to `end`. If it has outrun the keeper, the keeper starts again some way ahead of
    /// it, and what lies between stays as it was made: reserved, and zero when read.
    pub(super) fn claim(&self, end: u64) {
        if self.frontier.load(Ordering::Acquire) < end {
            let _guard = self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
            let ahead = (end.next_multiple_of(DATA_OFFSET) + LEAD).min(self.bytes);
            self.frontier.fetch_max(ahead, Ordering::AcqRel);
        }
    }

    /// The next goal for the keeper when the writer stands at `position`, if one should be set.
    pub(super) fn wanted(&self, position: u64) -> Option<u64> {
        let asked = self.asked.load(Ordering::Relaxed).max(self.frontier.load(Ordering::Relaxed));
        let goal = (position + 4 * BATCH).min(self.bytes);
        let due = asked < self.bytes && position + 2 * BATCH > asked;
        due.then(|| {
            self.asked.store(goal, Ordering::Relaxed);
            goal
        })
    }

    /// Zeroes up to `goal` and makes it durable.
    pub(super) fn advance(&self, disk: &Disk, goal: u64) -> Result<()> {
        let mut unsynced = 0;
        while let Some(written) = self.step(disk, goal)? {
            unsynced += written;
            if unsynced >= BATCH {
                disk.sync(&self.file, &self.path)?;
                unsynced = 0;
            }
        }
        if unsynced > 0 { disk.sync(&self.file, &self.path) } else { Ok(()) }
    }

    fn step(&self, disk: &Disk, goal: u64) -> Result<Option<u64>> {
        let _guard = self.lock.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let from = self.frontier.load(Ordering::Acquire);
        let goal = goal.min(self.bytes);
        if from >= goal {
            return Ok(None);
        }
        let len = (goal - from).min(CHUNK as u64);
        disk.write(&self.file, &self.path, &ZEROS[..len as usize], from)?;
        self.frontier.store(from + len, Ordering::Release);
        Ok(Some(len))
    }
}
