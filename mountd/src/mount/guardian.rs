//! A process that outlives the mount's by a moment, and tells the kernel that nobody answers any more.
//!
//! The kernel learns of the end of a FUSE server from the last close of its descriptor. A thread that the kernel makes wait for
//! a program (to drop a name from a directory which that program has locked, or to look at the mount) cannot be killed, and
//! while it exists neither the process nor its descriptors are gone; but that program waits for an answer of the process. Such
//! a mount would hang for ever, with all who touch it. The guardian is told by the kernel when the process's first thread has
//! ended, however that came about, and has the connection aborted: every request fails with `ECONNABORTED`.
//!
//! It keeps no descriptor but the one for that. After a mount that ended in good order there is no connection left, and the
//! abort does nothing: the descriptor is of that one connection, not of its number.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::os::fd::{AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::mount::{FsMountFlags, FsOpenFlags, MountAttrFlags};

/// Under which it is listed; the program's own name is for what serves.
const NAME: &std::ffi::CStr = c"rfs-guardian";

/// The mount's end of the line to its guardian.
#[derive(Debug)]
pub struct Guardian(UnixStream);

impl Guardian {
    /// Forks it. The calling thread is the one whose end it waits for.
    ///
    /// # Errors
    /// Those of socketpair(2) and fork(2).
    ///
    /// # Safety
    /// The process has one thread.
    pub unsafe fn start() -> io::Result<Self> {
        let (ours, its) = UnixStream::pair()?;
        let parent = rustix::process::getpid();
        // SAFETY: this process has one thread, so the child is a whole copy of it.
        match unsafe { libc::fork() } {
            -1 => Err(io::Error::last_os_error()),
            0 => {
                let outcome = guard(its, parent);
                std::process::exit(i32::from(outcome.is_err()))
            }
            _ => Ok(Self(ours)),
        }
    }

    /// Names the connection: the one mounted on `point`.
    ///
    /// # Errors
    /// When it is not in the kernel's table, or the guardian cannot reach it.
    pub fn watch(&self, point: &Path) -> io::Result<()> {
        let number = connection(&std::fs::read_to_string("/proc/self/mountinfo")?, point)
            .ok_or_else(|| io::Error::new(io::ErrorKind::NotFound, "no such mount"))?;
        (&self.0).write_all(format!("{number}\n").as_bytes())?;
        let mut answer = String::new();
        BufReader::new(&self.0).read_line(&mut answer)?;
        if answer.trim_end() == "watching" {
            Ok(())
        } else {
            Err(io::Error::other(answer.trim_end().to_owned()))
        }
    }
}

/// The number of the connection mounted last on `point`, from the text of a mountinfo.
fn connection(mountinfo: &str, point: &Path) -> Option<u32> {
    let escaped = point.to_str()?.replace('\\', "\\134").replace(' ', "\\040").replace('\t', "\\011");
    let escaped = escaped.replace('\n', "\\012");
    let of = |line: &str| {
        let mut words = line.split(' ');
        let (device, place) = (words.nth(2)?, words.nth(1)?);
        if place == escaped { device.strip_prefix("0:")?.parse().ok() } else { None }
    };
    mountinfo.lines().rev().find_map(of)
}

/// The guardian's life.
fn guard(line: UnixStream, parent: rustix::process::Pid) -> io::Result<()> {
    let line = alone_with(line)?;
    // SAFETY: sets words of this process alone.
    unsafe {
        libc::prctl(libc::PR_SET_NAME, NAME.as_ptr());
        libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGUSR1);
    }
    let orphaned = rustix::process::getppid() != Some(parent);
    let mut asked = String::new();
    // An end of the line without a word: the mount never stood.
    if BufReader::new(&line).read_line(&mut asked)? == 0 {
        return Ok(());
    }
    let abort = match abort_file(asked.trim_end()) {
        Ok(file) => file,
        Err(error) => return (&line).write_all(format!("{error}\n").as_bytes()),
    };
    (&line).write_all(b"watching\n")?;
    if !orphaned {
        end_of_parent()?;
    }
    (&abort).write_all(b"1")
}

/// Closes everything but the line; who holds the other ends is not to wait for this process. What ends the mount in good order
/// does not end its guardian.
fn alone_with(line: UnixStream) -> io::Result<UnixStream> {
    // SAFETY: descriptor 0 is replaced, and owned by what is returned; all others are closed, and used by nobody: there is one
    // thread, and it leaves this module only by the end of the process. Signals: ignored or blocked for this process.
    unsafe {
        if libc::dup2(line.as_raw_fd(), 0) != 0 {
            return Err(io::Error::last_os_error());
        }
        let _ = line.into_raw_fd();
        if libc::syscall(libc::SYS_close_range, 1u32, u32::MAX, 0u32) != 0 {
            return Err(io::Error::last_os_error());
        }
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP, libc::SIGPIPE] {
            libc::signal(signal, libc::SIG_IGN);
        }
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        libc::sigprocmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut());
        Ok(UnixStream::from_raw_fd(0))
    }
}

/// What the connection is aborted by, in a file system of connections that is mounted nowhere.
fn abort_file(number: &str) -> io::Result<File> {
    let said = |error: rustix::io::Errno| io::Error::other(format!("fusectl: {error}"));
    let context = rustix::mount::fsopen("fusectl", FsOpenFlags::FSOPEN_CLOEXEC).map_err(said)?;
    rustix::mount::fsconfig_create(&context).map_err(said)?;
    let flags = FsMountFlags::FSMOUNT_CLOEXEC;
    let root = rustix::mount::fsmount(&context, flags, MountAttrFlags::empty()).map_err(said)?;
    let path = format!("{number}/abort");
    let file: OwnedFd =
        rustix::fs::openat(&root, path, OFlags::WRONLY | OFlags::CLOEXEC, Mode::empty()).map_err(said)?;
    Ok(file.into())
}

/// Returns when the thread that forked this process is no more.
fn end_of_parent() -> io::Result<()> {
    // SAFETY: the set is initialised, the signal is blocked.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, libc::SIGUSR1);
        let mut signal = 0;
        match libc::sigwait(&raw const set, &raw mut signal) {
            0 => Ok(()),
            error => Err(io::Error::from_raw_os_error(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFO: &str = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw\n\
        40 22 0:51 / /mnt/data rw - fuse.rfs server1:/datavol rw,user_id=0\n\
        41 22 0:52 / /mnt/with\\040space rw - fuse.rfs server1:/datavol rw\n\
        42 40 0:53 / /mnt/data rw - fuse.rfs server1:/datavol rw\n";

    #[test]
    fn the_connection_is_that_of_the_uppermost_mount() {
        assert_eq!(connection(INFO, Path::new("/mnt/data")), Some(53));
        assert_eq!(connection(INFO, Path::new("/mnt/with space")), Some(52));
        assert_eq!(connection(INFO, Path::new("/mnt")), None);
        assert_eq!(connection(INFO, Path::new("/")), None, "a disk is no connection");
    }
}
