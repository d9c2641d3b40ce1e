//! The system calls of the journal, in one place: each goes past a watcher, with which tests fail calls, and keep what a
//! power cut would leave.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::fs::FallocateFlags;
use rustix::io::ReadWriteFlags;

use super::error::JournalError;
use super::gather::Gather;

/// A system call on the journal's directory that changes it or makes a change durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    Create,
    Allocate,
    Write {
        offset: u64,
        len: usize,
    },
    /// Durable on return, these bytes only.
    WriteDurable {
        offset: u64,
        len: usize,
    },
    /// fdatasync or fsync: makes durable what was written before it began.
    Sync,
    SyncDir,
    Remove,
    Rename,
}

/// Sees each call before and after it. A refusal is what the call then returns. Called from several threads.
pub trait Watch: Send + Sync {
    /// # Errors
    /// The error that the call shall fail with.
    fn before(&self, _call: Call, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    /// Only after a success.
    fn after(&self, _call: Call, _path: &Path) {}
}

pub(super) type Result<T> = std::result::Result<T, JournalError>;

#[derive(Clone, Default)]
pub(super) struct Disk {
    watch: Option<Arc<dyn Watch>>,
    stop: Arc<AtomicBool>,
}

impl Disk {
    pub(super) fn new(watch: Option<Arc<dyn Watch>>) -> Self {
        Self { watch, stop: Arc::default() }
    }

    /// The journal is being closed: long work in the background is not worth finishing.
    pub(super) fn stop(&self) {
        self.stop.store(true, Ordering::Relaxed);
    }

    /// An error once the journal is being closed.
    pub(super) fn go_on(&self, path: &Path) -> Result<()> {
        let cancelled = JournalError::Io { doing: "prepare", path: path.to_owned(), errno: libc::ECANCELED };
        if self.stop.load(Ordering::Relaxed) { Err(cancelled) } else { Ok(()) }
    }

    fn watched<T>(&self, call: Call, path: &Path, run: impl FnOnce() -> io::Result<T>) -> io::Result<T> {
        let Some(watch) = &self.watch else { return run() };
        watch.before(call, path)?;
        let value = run()?;
        watch.after(call, path);
        Ok(value)
    }

    /// Brackets an fdatasync that the executor's ring does.
    pub(super) fn sync_begins(&self, path: &Path) -> Result<()> {
        let begins = self.watch.as_ref().map_or(Ok(()), |w| w.before(Call::Sync, path));
        begins.map_err(|e| JournalError::io("sync", path, &e))
    }

    pub(super) fn sync_ended(&self, path: &Path) {
        if let Some(watch) = &self.watch {
            watch.after(Call::Sync, path);
        }
    }

    pub(super) fn create(&self, path: &Path) -> Result<File> {
        let open = || File::options().read(true).write(true).create_new(true).mode(0o600).open(path);
        self.watched(Call::Create, path, open).map_err(|e| JournalError::io("create", path, &e))
    }

    pub(super) fn open(path: &Path) -> Result<File> {
        let file = File::options().read(true).write(true).open(path);
        file.map_err(|e| JournalError::io("open", path, &e))
    }

    /// Reserves space. A file system that cannot do so gets a file of that size with holes.
    pub(super) fn allocate(&self, file: &File, path: &Path, bytes: u64) -> Result<()> {
        let run = || match rustix::fs::fallocate(file.as_fd(), FallocateFlags::empty(), 0, bytes) {
            Err(rustix::io::Errno::OPNOTSUPP) => file.set_len(bytes),
            other => other.map_err(io::Error::from),
        };
        self.watched(Call::Allocate, path, run).map_err(|e| JournalError::io("reserve space for", path, &e))
    }

    /// Into the page cache: survives the death of the process, not that of the machine.
    pub(super) fn write(&self, file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<()> {
        let run = || file.write_all_at(bytes, offset);
        self.watched(Call::Write { offset, len: bytes.len() }, path, run)
            .map_err(|e| JournalError::io("write", path, &e))
    }

    /// As [`Disk::write`], in as few calls as the system allows.
    pub(super) fn write_gathered(&self, file: &File, path: &Path, bytes: &Gather, offset: u64) -> Result<()> {
        let run = || write_all_vectored_at(file, &mut bytes.slices(), offset);
        self.watched(Call::Write { offset, len: bytes.len() }, path, run)
            .map_err(|e| JournalError::io("write", path, &e))
    }

    /// Durable on return, without flushing the rest of the file.
    pub(super) fn write_durable(&self, file: &File, path: &Path, bytes: &[u8], offset: u64) -> Result<()> {
        let run = || {
            let slices = [io::IoSlice::new(bytes)];
            match rustix::io::pwritev2(file.as_fd(), &slices, offset, ReadWriteFlags::DSYNC) {
                Ok(n) if n == bytes.len() => Ok(()),
                Err(rustix::io::Errno::OPNOTSUPP) | Ok(_) => {
                    file.write_all_at(bytes, offset)?;
                    file.sync_data()
                }
                Err(errno) => Err(errno.into()),
            }
        };
        let call = Call::WriteDurable { offset, len: bytes.len() };
        self.watched(call, path, run).map_err(|e| JournalError::io("write", path, &e))
    }

    /// Waits for the disk: not for the executor's thread, but for a start and for the keeper's.
    pub(super) fn sync(&self, file: &File, path: &Path) -> Result<()> {
        self.watched(Call::Sync, path, || file.sync_data()).map_err(|e| JournalError::io("sync", path, &e))
    }

    pub(super) fn sync_dir(&self, dir: &Path) -> Result<()> {
        let run = || File::open(dir)?.sync_all();
        self.watched(Call::SyncDir, dir, run).map_err(|e| JournalError::io("sync", dir, &e))
    }

    /// Success also when the file is not there.
    pub(super) fn remove(&self, path: &Path) -> Result<()> {
        let run = || match fs::remove_file(path) {
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        };
        self.watched(Call::Remove, path, run).map_err(|e| JournalError::io("remove", path, &e))
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        let run = || fs::rename(from, to);
        self.watched(Call::Rename, from, run).map_err(|e| JournalError::io("rename", from, &e))
    }
}

/// Slices that one call takes (`IOV_MAX`).
const SLICES: usize = 1024;

fn write_all_vectored_at(file: &File, mut slices: &mut [io::IoSlice<'_>], mut offset: u64) -> io::Result<()> {
    while !slices.is_empty() {
        let now = slices.len().min(SLICES);
        match rustix::io::pwritev(file.as_fd(), &slices[..now], offset) {
            Ok(0) if slices[..now].iter().any(|slice| !slice.is_empty()) => {
                return Err(io::ErrorKind::WriteZero.into());
            }
            Ok(written) => {
                offset += written as u64;
                io::IoSlice::advance_slices(&mut slices, written);
            }
            Err(rustix::io::Errno::INTR) => {}
            Err(errno) => return Err(errno.into()),
        }
    }
    Ok(())
}
