//! Data: written, allocated, punched.

use bytes::Bytes;
use rfs_model::op::Allocate;
use rfs_model::{FileKind, InodeId};
use rustix::fs::{FallocateFlags, fallocate, ftruncate};
use rustix::io::Errno;

use crate::tree::handle::{Access, Handle};
use crate::tree::{Fault, Tree};

/// Modes that give the same result when they are done twice. Collapsing and inserting ranges do not: they are refused at
/// admission.
const KNOWN_MODES: FallocateFlags = FallocateFlags::KEEP_SIZE
    .union(FallocateFlags::PUNCH_HOLE)
    .union(FallocateFlags::ZERO_RANGE)
    .union(FallocateFlags::UNSHARE_RANGE);

impl Tree {
    pub(in crate::tree) fn write(&self, id: InodeId, offset: u64, data: &Bytes) -> Result<(), Fault> {
        if self.known("write to", id)?.kind != FileKind::File {
            return Err(Fault::Kind { path: self.path_of(id) });
        }
        let end = offset.saturating_add(data.len() as u64);
        self.touch(id, offset, end)?;
        if !data.is_empty() {
            self.note_end(id, end)?;
        }
        self.write_later(id, offset, data)
    }

    pub(in crate::tree) fn allocate(&self, id: InodeId, range: Allocate) -> Result<(), Fault> {
        let handle = self.file_for("allocate in", id)?;
        self.touch_allocated(id, range)?;
        self.step()?;
        allocate_in(&handle, range).map_err(|e| Fault::system("allocate in", self.path_of(id), e))?;
        if FallocateFlags::from_bits_retain(range.mode).contains(FallocateFlags::KEEP_SIZE) {
            return Ok(());
        }
        self.note_end(id, range.offset.saturating_add(range.len))
    }

    /// A range is about to be zeroed, if that is what is asked for: other allocations leave the data as it is.
    pub(super) fn touch_allocated(&self, id: InodeId, range: Allocate) -> Result<(), Fault> {
        let zeroes = FallocateFlags::PUNCH_HOLE.union(FallocateFlags::ZERO_RANGE);
        if !FallocateFlags::from_bits_retain(range.mode).intersects(zeroes) {
            return Ok(());
        }
        // An end behind what a file may have is refused by the file system; it must not look like a cut.
        self.touch(id, range.offset, range.offset.saturating_add(range.len).min(u64::MAX - 1))
    }

    pub(super) fn file_for(&self, doing: &'static str, id: InodeId) -> Result<std::sync::Arc<Handle>, Fault> {
        let entry = self.known(doing, id)?;
        if entry.kind != FileKind::File {
            return Err(Fault::Kind { path: self.path_of(id) });
        }
        self.handle(id, &entry, Access::Write)
    }
}

/// fallocate, and what comes to the same where the file system cannot.
pub(super) fn allocate_in(handle: &Handle, range: Allocate) -> Result<(), Errno> {
    let mode = FallocateFlags::from_bits_retain(range.mode);
    if !KNOWN_MODES.contains(mode) {
        return Err(Errno::OPNOTSUPP);
    }
    let end = range.offset.checked_add(range.len).ok_or(Errno::FBIG)?;
    match fallocate(handle.fd(), mode, range.offset, range.len) {
        Err(Errno::OPNOTSUPP) => {}
        done => return done,
    }
    let zero = mode.contains(FallocateFlags::ZERO_RANGE);
    if mode.contains(FallocateFlags::PUNCH_HOLE) {
        return Err(Errno::OPNOTSUPP);
    }
    if zero {
        let punch = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
        fallocate(handle.fd(), punch, range.offset, range.len)?;
    }
    if !mode.contains(FallocateFlags::KEEP_SIZE) && (handle.stat()?.st_size as u64) < end {
        ftruncate(handle.fd(), end)?;
    }
    Ok(())
}
