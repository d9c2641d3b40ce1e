//! The thread that makes the kernel drop what it has cached. The kernel may make it wait for the answer to a request, so no
//! request's answer ever waits for it, but for those of a lock and of an open, for which the kernel lets nothing wait.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use fuser::{INodeNo, Notifier};

use crate::fs::{Invalidation, Shared};

/// Runs until the mount's state is gone.
#[allow(clippy::needless_pass_by_value, reason = "a thread owns what it works with")]
pub fn notify(invalidations: Receiver<Invalidation>, shared: Arc<Shared>, kernel: Notifier) {
    while let Ok(invalidation) = invalidations.recv() {
        if shared.take_flooded() {
            drop_all(&shared, &kernel);
        }
        match invalidation {
            Invalidation::Inode { number, offset, len } => drop_inode(&kernel, number, offset, len),
            Invalidation::Entry { parent, name } => drop_entry(&kernel, parent, &name),
            Invalidation::All => drop_all(&shared, &kernel),
            Invalidation::Barrier(done) => drop(done.send(())),
        }
    }
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

fn drop_entry(kernel: &Notifier, parent: u64, name: &[u8]) {
    let _ = kernel.inval_entry(INodeNo(parent), OsStr::from_bytes(name));
}

fn drop_all(shared: &Shared, kernel: &Notifier) {
    let (inodes, names) = shared.inodes().cached();
    inodes.into_iter().for_each(|number| drop_inode(kernel, number, 0, u64::MAX));
    names.into_iter().for_each(|(parent, name)| drop_entry(kernel, parent, &name));
}
