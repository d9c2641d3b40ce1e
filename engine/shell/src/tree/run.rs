//! Adjacent writes to one file, gathered so that a stream of small records costs one system call.

use std::io::IoSlice;

use bytes::{Buf, Bytes};
use rfs_model::InodeId;
use rustix::io::{Errno, pwritev};

use super::handle::{Access, Handle};
use super::{Fault, Tree};

/// Bytes that a run gathers at the most.
const RUN_BYTES: u64 = 1024 * 1024;
/// Pieces that a run gathers at the most: far below IOV_MAX.
const RUN_PIECES: usize = 256;

/// Nothing is gathered while `pieces` is empty.
#[derive(Debug, Default)]
pub(super) struct Run {
    id: InodeId,
    start: u64,
    len: u64,
    pieces: Vec<Bytes>,
}

impl Run {
    fn takes(&self, id: InodeId, offset: u64, len: u64) -> bool {
        self.pieces.is_empty()
            || self.id == id
                && self.start + self.len == offset
                && self.len + len <= RUN_BYTES
                && self.pieces.len() < RUN_PIECES
    }

    fn add(&mut self, id: InodeId, offset: u64, data: Bytes) {
        if self.pieces.is_empty() {
            (self.id, self.start, self.len) = (id, offset, 0);
        }
        self.len += data.len() as u64;
        self.pieces.push(data);
    }
}

impl Tree {
    /// Writes data, at once or with what follows it.
    pub(super) fn write_later(&self, id: InodeId, offset: u64, data: &Bytes) -> Result<(), Fault> {
        if !self.run.borrow().takes(id, offset, data.len() as u64) {
            self.flush()?;
        }
        if !data.is_empty() {
            self.run.borrow_mut().add(id, offset, data.clone());
        }
        Ok(())
    }

    /// Puts gathered writes into their file.
    pub(super) fn flush(&self) -> Result<(), Fault> {
        let run = std::mem::take(&mut *self.run.borrow_mut());
        if run.pieces.is_empty() {
            return Ok(());
        }
        self.step()?;
        let entry = self.known("write to", run.id)?;
        let handle = self.handle(run.id, &entry, Access::Write)?;
        write_all(&handle, run.start, &run.pieces)
            .map_err(|e| Fault::system("write to", self.path_of(run.id), e))
    }

    /// Puts gathered writes to this inode into it, before somebody looks at it.
    pub(super) fn flush_of(&self, id: InodeId) -> Result<(), Fault> {
        let mine = {
            let run = self.run.borrow();
            run.id == id && !run.pieces.is_empty()
        };
        if mine { self.flush() } else { Ok(()) }
    }
}

fn write_all(handle: &Handle, mut offset: u64, pieces: &[Bytes]) -> Result<(), Errno> {
    let mut left: Vec<Bytes> = pieces.to_vec();
    let mut from = 0;
    while from < left.len() {
        let slices: Vec<IoSlice<'_>> = left[from..].iter().map(|b| IoSlice::new(b)).collect();
        let mut written = match pwritev(handle.fd(), &slices, offset) {
            Ok(0) => return Err(Errno::IO),
            Ok(n) => n,
            Err(Errno::INTR) => continue,
            Err(errno) => return Err(errno),
        };
        offset += written as u64;
        while written > 0 {
            let n = written.min(left[from].len());
            left[from].advance(n);
            written -= n;
            if left[from].is_empty() {
                from += 1;
            }
        }
    }
    Ok(())
}
