//! Files on the executor's ring: the kernel does the waiting, so that no foreign thread has to wake a task.

use std::fs::File;
use std::io::IoSliceMut;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd};
use std::path::Path;
use std::rc::Rc;

use bytes::Bytes;
use glommio::GlommioError;
use glommio::io::BufferedFile;
use rustix::io::{ReadWriteFlags, preadv2};

use super::disk::{Disk, Result};
use super::error::JournalError;

/// An open file as the current executor sees it. Made on first use, since a journal may be opened outside any executor.
#[derive(Default)]
pub(super) struct Ring(Option<Rc<BufferedFile>>);

impl Ring {
    /// The same open file as `file`, so that an error of the disk is reported to either of them, and only once.
    pub(super) fn of(&mut self, file: &File, path: &Path) -> Result<Rc<BufferedFile>> {
        if let Some(ring) = &self.0 {
            return Ok(ring.clone());
        }
        let fd = file.try_clone().map_err(|e| JournalError::io("duplicate the descriptor of", path, &e))?;
        // SAFETY: the descriptor was just made, and nobody else has it.
        let ring = Rc::new(unsafe { BufferedFile::from_raw_fd(fd.into_raw_fd()) });
        self.0 = Some(ring.clone());
        Ok(ring)
    }

    /// Gives the descriptor back, until it is needed again.
    pub(super) fn close(&mut self) {
        self.0 = None;
    }
}

fn error(doing: &'static str, path: &Path, error: &GlommioError<()>) -> JournalError {
    JournalError::Io { doing, path: path.to_owned(), errno: error.raw_os_error().unwrap_or(libc::EIO) }
}

/// fdatasync. Runs to its end even if nobody waits any more, as long as the executor lives.
pub(super) async fn sync(disk: &Disk, file: &BufferedFile, path: &Path) -> Result<()> {
    disk.sync_begins(path)?;
    file.fdatasync().await.map_err(|e| error("sync", path, &e))?;
    disk.sync_ended(path);
    Ok(())
}

/// Up to `len` bytes from `offset` on; fewer only at the file's end. What is in the page cache costs one system call.
pub(super) async fn read(file: &BufferedFile, path: &Path, offset: u64, len: usize) -> Result<Bytes> {
    let mut out = cached(file, offset, len);
    while out.len() < len {
        let at = offset + out.len() as u64;
        let part = file.read_at(at, len - out.len()).await.map_err(|e| error("read", path, &e))?;
        if part.is_empty() {
            break;
        }
        out.extend_from_slice(&part);
    }
    Ok(Bytes::from(out))
}

/// As much as can be had without waiting; errors are for the ring to meet again.
fn cached(file: &BufferedFile, offset: u64, len: usize) -> Vec<u8> {
    // SAFETY: the descriptor is open for as long as `file` is.
    let fd = unsafe { BorrowedFd::borrow_raw(file.as_raw_fd()) };
    let mut out = vec![0; len];
    let got = preadv2(fd, &mut [IoSliceMut::new(&mut out)], offset, ReadWriteFlags::NOWAIT);
    out.truncate(got.unwrap_or(0));
    out
}
