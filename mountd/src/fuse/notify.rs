//! The thread that makes the kernel drop what it has cached. The kernel may make it wait for the answer to a request, so no
//! request's answer ever waits for it, but for those of a lock and of an open, for which the kernel lets nothing wait, and
//! that of a lookup, which waits for moments only (`fs/settle.rs`). To forget an inode the kernel
//! may wait here for pages of it that it reads or writes back: no read and no write waits for this thread.
//!
//! The thread speaks to the kernel through a descriptor of its own, in a table of descriptors of its own. When the process
//! is killed while the kernel makes this thread wait for a directory, that a program has locked which waits for us, then
//! this thread cannot die; and while it holds the descriptor by which we are asked, the kernel does not know that nobody
//! answers any more, and that program waits for ever, and with it whoever looks at the mount. So it has no log, either.

use std::ffi::OsStr;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use bytes::Bytes;
use fuser::{INodeNo, Notifier};

use super::notices::Notices;
use crate::fs::{Invalidation, Shared};

/// `FUSE_DEV_IOC_CLONE`: makes a fresh descriptor of /dev/fuse one of the connection of another one.
const CLONE: libc::Ioctl = 0x8004_e500u32 as libc::Ioctl;

/// Runs until the mount's state is gone. `device`: the descriptor by which the kernel asks us, which `kernel` writes to.
#[allow(clippy::needless_pass_by_value, reason = "a thread owns what it works with")]
pub fn notify(invalidations: Receiver<Invalidation>, shared: Arc<Shared>, kernel: Notifier, device: RawFd) {
    if let Err(error) = stand_alone(device) {
        tracing::warn!("a mount that is killed may have to be ended by umount -f: {error}");
    }
    let mut notices = Notices::new(device);
    while let Ok(invalidation) = invalidations.recv() {
        if shared.take_flooded() {
            doubt_all(&shared, &kernel, &notices);
        }
        match invalidation {
            Invalidation::Inode { number, offset, len } => drop_inode(&kernel, number, offset, len),
            Invalidation::Entry { parent, name } => drop_entry(&shared, &kernel, (parent, name)),
            Invalidation::Grow { number, size, last } => grow(&kernel, number, size, last),
            Invalidation::All => doubt_all(&shared, &kernel, &notices),
            Invalidation::Forget { numbers } => {
                let understood = notices.prune(&numbers);
                if !understood {
                    numbers.into_iter().for_each(|number| drop_names(&shared, &kernel, number));
                }
                shared.was_asked(understood);
            }
            Invalidation::Barrier(done) => drop(done.send(())),
        }
    }
}

/// Gives the calling thread its own table of descriptors, with a second descriptor of the connection in the place of
/// `device`. Of the rest only what this thread wakes others by is kept: whoever is at the other end of a socket or a pipe
/// is to learn when the process closes it.
fn stand_alone(device: RawFd) -> io::Result<()> {
    // SAFETY: the thread shares memory as before; what it opens and closes from here on is its own affair.
    unsafe { rustix::thread::unshare_unsafe(rustix::thread::UnshareFlags::FILES)? };
    let door = OpenOptions::new().read(true).write(true).open("/dev/fuse")?;
    // SAFETY: the kernel reads the number of a descriptor, which lives through the call.
    if unsafe { libc::ioctl(door.as_raw_fd(), CLONE, &raw const device) } != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: `device` is open, and stands for the same connection afterwards.
    if unsafe { libc::dup2(door.as_raw_fd(), device) } != device {
        return Err(io::Error::last_os_error());
    }
    drop(door);
    for number in needless(device)? {
        // SAFETY: an entry of this thread's own table, of which nothing in this thread makes use.
        unsafe { libc::close(number) };
    }
    Ok(())
}

/// What the calling thread's table of descriptors holds besides `device` and what threads wake each other by.
fn needless(device: RawFd) -> io::Result<Vec<RawFd>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc/thread-self/fd")? {
        let entry = entry?;
        let number: Option<RawFd> = entry.file_name().to_str().and_then(|name| name.parse().ok());
        let wakes = std::fs::read_link(entry.path()).is_ok_and(|to| to.as_os_str() == "anon_inode:[eventfd]");
        found.extend(number.filter(|number| *number != device && !wakes));
    }
    Ok(found)
}

/// An error means that the kernel does not know the inode any more, or that the mount is gone.
fn drop_inode(kernel: &Notifier, number: u64, offset: u64, len: u64) {
    let (offset, len) = match (offset, len) {
        (_, 0) => (-1, 0),
        (offset, u64::MAX) => (i64::try_from(offset).unwrap_or(i64::MAX), 0),
        (offset, len) => (i64::try_from(offset).unwrap_or(i64::MAX), i64::try_from(len).unwrap_or(0)),
    };
    let _ = kernel.inval_inode(INodeNo(number), offset, len);
}

/// There is no other way to make the kernel take a larger size than to give it what ends there. Where that is not a page from
/// its beginning on, the kernel reads the page all the same.
fn grow(kernel: &Notifier, number: u64, size: u64, last: u8) {
    if let Some(offset) = size.checked_sub(1) {
        let _ = kernel.store(INodeNo(number), offset, &[last]);
    }
}

fn drop_entry(shared: &Shared, kernel: &Notifier, place: (u64, Bytes)) {
    let telling = shared.inodes().telling(&place);
    let _ = kernel.inval_entry(INodeNo(place.0), OsStr::from_bytes(&place.1));
    shared.inodes().dropped(&place, telling);
}

/// Without its names the kernel forgets an inode that is not in use. It drops those of an inode in use as well, and takes away
/// what is mounted on them.
fn drop_names(shared: &Shared, kernel: &Notifier, number: u64) {
    let places = shared.inodes().idle_places(number);
    places.into_iter().for_each(|place| drop_entry(shared, kernel, place));
}

/// Nothing was seen to change, so nothing that is in use loses its place.
fn doubt_all(shared: &Shared, kernel: &Notifier, notices: &Notices) {
    let (inodes, names) = shared.inodes().cached();
    inodes.into_iter().for_each(|number| drop_inode(kernel, number, 0, u64::MAX));
    names.into_iter().for_each(|(parent, name)| notices.expire(parent, &name));
}
