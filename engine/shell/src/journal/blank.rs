//! The files of a slot, before and after their use as a segment.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rfs_model::segment::DATA_OFFSET;

use super::disk::{Disk, Result};
use super::names::Kind;
use super::zeroing::Zeroing;

/// Zeroed at once, when a segment is wanted and none is ready, bytes.
pub(super) const FIRST_ZEROS: u64 = 1024 * 1024;
/// What a header copy is made with, bytes. It grows as it needs to: nobody waits for its fdatasync.
const COPY_BYTES: u64 = 64 * 1024;

/// The two open files of one slot.
pub(super) struct Slot {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    pub(super) copy_path: PathBuf,
    pub(super) file: File,
    pub(super) copy: File,
    /// Size of the segment file.
    pub(super) bytes: u64,
}

/// A slot that is ready to become a segment: both its headers are zero, durably.
pub(super) struct Blank {
    pub(super) slot: Slot,
    pub(super) zeroing: Arc<Zeroing>,
    /// Old records may lie in it, with indexes below those of the log when it was put away.
    pub(super) stale: bool,
    /// How many resets the log had seen when it was put away.
    pub(super) resets: u64,
}

impl Blank {
    /// Makes the files of a new slot, zeroed up to `zeros`, the rest reserved. Durable on return; what a failure leaves
    /// behind is removed.
    pub(super) fn create(disk: &Disk, dir: &Path, number: u32, bytes: u64, zeros: u64) -> Result<Self> {
        Self::make(disk, dir, number, bytes, zeros).inspect_err(|_| {
            let _ = disk.remove(&Kind::Segment.path(dir, number));
            let _ = disk.remove(&Kind::Copy.path(dir, number));
        })
    }

    fn make(disk: &Disk, dir: &Path, number: u32, bytes: u64, zeros: u64) -> Result<Self> {
        let (path, copy_path) = (Kind::Segment.path(dir, number), Kind::Copy.path(dir, number));
        let file = disk.create(&path)?;
        disk.allocate(&file, &path, bytes)?;
        let zeroing = Zeroing::new(Disk::open(&path)?, path.clone(), bytes, 0);
        zeroing.advance(disk, zeros.clamp(DATA_OFFSET, bytes))?;
        let copy = disk.create(&copy_path)?;
        disk.write(&copy, &copy_path, &[0; COPY_BYTES as usize], 0)?;
        disk.sync(&copy, &copy_path)?;
        disk.sync_dir(dir)?;
        let slot = Slot { number, path, copy_path, file, copy, bytes };
        Ok(Self { slot, zeroing: Arc::new(zeroing), stale: false, resets: 0 })
    }
}

impl Slot {
    /// Takes a slot out of use: its headers become zero, the copy's first, each durable before the next step. Otherwise
    /// a crash in between would show a header copy that vouches for records that are not there. With `zero`, all the
    /// rest becomes zero as well.
    pub(super) fn recycle(self, disk: &Disk, zero: bool, resets: u64) -> Result<Blank> {
        let page = [0; DATA_OFFSET as usize];
        disk.write_durable(&self.copy, &self.copy_path, &page, 0)?;
        disk.write_durable(&self.file, &self.path, &page, 0)?;
        if zero {
            let copy_bytes = self.copy.metadata().map_or(COPY_BYTES, |m| m.len().max(COPY_BYTES));
            for (path, bytes) in [(&self.copy_path, copy_bytes), (&self.path, self.bytes)] {
                Zeroing::new(Disk::open(path)?, path.clone(), bytes, DATA_OFFSET).advance(disk, bytes)?;
            }
        }
        let zeroing = Zeroing::new(Disk::open(&self.path)?, self.path.clone(), self.bytes, self.bytes);
        Ok(Blank { slot: self, zeroing: Arc::new(zeroing), stale: !zero, resets })
    }
}

/// Removes a slot's files, the copy durably before the segment, for the same reason.
pub(super) fn remove(disk: &Disk, dir: &Path, path: &Path, copy_path: &Path) -> Result<()> {
    disk.remove(copy_path)?;
    disk.sync_dir(dir)?;
    disk.remove(path)
}
