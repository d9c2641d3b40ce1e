//! The files of a slot, before and after their use as a segment.

use std::fs::File;
use std::path::{Path, PathBuf};

use rfs_model::limits::RECORD_BYTES;
use rfs_model::record::HEADER_BYTES;
use rfs_model::segment::DATA_OFFSET;

use super::disk::{Disk, Result};
use super::names::Kind;
use super::zero::{first_hole, zero};

/// The first segment of a log, bytes: made while somebody waits. Later ones are four times as large each, up to what the
/// options say.
pub(super) const FIRST_BYTES: u64 = 2 * 1024 * 1024;
/// What a header copy is made with, bytes. It grows as it needs to: nobody waits for its fdatasync.
const COPY_BYTES: u64 = 64 * 1024;

const _: () = assert!(RECORD_BYTES as u64 + HEADER_BYTES as u64 + 8 + DATA_OFFSET <= FIRST_BYTES);

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
    /// Old records may lie in it, with indexes below those of the log when it was put away.
    pub(super) stale: bool,
    /// How many resets the log had seen when it was put away.
    pub(super) resets: u64,
}

impl Blank {
    /// Makes the files of a new slot, their space reserved. Durable on return; what a failure leaves behind is removed.
    /// Without `zeroed` it is quick, and its first syncs will be slow.
    pub(super) fn create(disk: &Disk, dir: &Path, number: u32, bytes: u64, zeroed: bool) -> Result<Self> {
        Self::make(disk, dir, number, bytes, zeroed).inspect_err(|_| {
            let _ = disk.remove(&Kind::Segment.path(dir, number));
            let _ = disk.remove(&Kind::Copy.path(dir, number));
        })
    }

    fn make(disk: &Disk, dir: &Path, number: u32, bytes: u64, zeroed: bool) -> Result<Self> {
        let (path, copy_path) = (Kind::Segment.path(dir, number), Kind::Copy.path(dir, number));
        let file = disk.create(&path)?;
        disk.allocate(&file, &path, bytes)?;
        zero(disk, &path, 0, if zeroed { bytes } else { DATA_OFFSET })?;
        let copy = disk.create(&copy_path)?;
        zero(disk, &copy_path, 0, COPY_BYTES)?;
        disk.sync_dir(dir)?;
        let slot = Slot { number, path, copy_path, file, copy, bytes };
        Ok(Self { slot, stale: false, resets: 0 })
    }
}

impl Slot {
    /// Takes a slot out of use: its headers become zero, the copy's first, each durable before the next step. Otherwise
    /// a crash in between would show a header copy that vouches for records that are not there. With `all`, the
    /// rest becomes zero as well; otherwise only what was never written.
    pub(super) fn recycle(self, disk: &Disk, all: bool, resets: u64) -> Result<Blank> {
        let page = [0; DATA_OFFSET as usize];
        disk.write_durable(&self.copy, &self.copy_path, &page, 0)?;
        disk.write_durable(&self.file, &self.path, &page, 0)?;
        if all {
            let copy_bytes =
                self.copy.metadata().map_or(COPY_BYTES, |m| m.len().next_multiple_of(DATA_OFFSET));
            zero(disk, &self.copy_path, DATA_OFFSET, copy_bytes)?;
        }
        let from = if all { DATA_OFFSET } else { first_hole(&self.file, self.bytes) };
        zero(disk, &self.path, from, self.bytes)?;
        Ok(Blank { slot: self, stale: !all, resets })
    }
}

/// Removes a slot's files, the copy durably before the segment, for the same reason. Durable on return: a segment must
/// not come back after the one that followed it, or that made it void, has been put to use again.
pub(super) fn remove(disk: &Disk, dir: &Path, path: &Path, copy_path: &Path) -> Result<()> {
    for path in [copy_path, path] {
        disk.remove(path)?;
        disk.sync_dir(dir)?;
    }
    Ok(())
}
