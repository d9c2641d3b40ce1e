//! Files, as clients use them: each call's own answer is kept, close's too.

use std::os::fd::{AsFd, IntoRawFd, OwnedFd};

use rustix::fs::{Mode, OFlags, openat};
use rustix::io::{Errno, read, write};

const MODE: Mode = Mode::from_raw_mode(0o644);

/// Opens a file below the folder.
pub fn open(ground: &OwnedFd, file: &str, flags: OFlags) -> Result<OwnedFd, Errno> {
    openat(ground, file, flags | OFlags::CLOEXEC, MODE)
}

/// Dropping a descriptor hides what close says.
pub fn close(handle: OwnedFd) -> Result<(), Errno> {
    // SAFETY: the descriptor is owned here and used no more.
    if unsafe { libc::close(handle.into_raw_fd()) } == 0 {
        return Ok(());
    }
    let error = std::io::Error::last_os_error();
    Err(Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// Everything from the beginning of a file that was opened just now to its end.
pub fn read_all(handle: &OwnedFd) -> Result<Vec<u8>, Errno> {
    let mut all = Vec::new();
    let mut part = vec![0; 128 << 10];
    loop {
        match read(handle.as_fd(), &mut part[..])? {
            0 => return Ok(all),
            n => all.extend_from_slice(part.get(..n).unwrap_or_default()),
        }
    }
}

/// Opens, reads and closes a file.
pub fn read_file(ground: &OwnedFd, file: &str) -> Result<Vec<u8>, Errno> {
    read_all(&open(ground, file, OFlags::RDONLY)?)
}

/// The same, past the page cache.
pub fn read_direct(ground: &OwnedFd, file: &str) -> Result<Vec<u8>, Errno> {
    read_all(&open(ground, file, OFlags::RDONLY | OFlags::DIRECT)?)
}

/// One write(2), which takes everything or counts as failed.
pub fn write_once(handle: &OwnedFd, bytes: &[u8]) -> Result<(), Errno> {
    whole(write(handle, bytes)?, bytes)
}

/// The answer of a write that took less than all is an error of its own.
pub fn whole(written: usize, bytes: &[u8]) -> Result<(), Errno> {
    if written == bytes.len() { Ok(()) } else { Err(Errno::MSGSIZE) }
}
