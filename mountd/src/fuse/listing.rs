//! Directory listings to the kernel.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::rc::Rc;

use fuser::{FileType, INodeNo, ReplyDirectory, ReplyDirectoryPlus};

use super::convert;
use super::reply::GENERATION;
use crate::errno::errno;
use crate::fs::Fs;

/// `.` and `..` with the positions behind them. The kernel does not use their inode numbers.
const DOTS: [(u64, &str); 2] = [(1, "."), (2, "..")];

pub async fn plain(fs: Rc<Fs>, dir: u64, handle: u64, offset: u64, mut to: ReplyDirectory) {
    for (position, name) in DOTS.into_iter().filter(|(position, _)| *position > offset) {
        let _ = to.add(INodeNo(dir), position, FileType::Directory, name);
    }
    let give = |listed: &crate::fs::Listed| {
        let entry = &listed.entry;
        let (number, name) = (INodeNo(entry.id.number()), OsStr::from_bytes(&entry.name));
        to.add(number, listed.position, convert::file_type(entry.kind), name)
    };
    match fs.list(handle, offset, false, give).await {
        Ok(()) => to.ok(),
        Err(failure) => to.error(errno(failure)),
    }
}

pub async fn plus(fs: Rc<Fs>, dir: u64, handle: u64, offset: u64, mut to: ReplyDirectoryPlus) {
    let ttl = fs.shared().attr_ttl().min(fs.shared().entry_ttl());
    // The kernel takes no attributes of these.
    let own = convert::directory(dir);
    for (position, name) in DOTS.into_iter().filter(|(position, _)| *position > offset) {
        let _ = to.add(INodeNo(dir), position, name, &ttl, &own, GENERATION);
    }
    let give = |listed: &crate::fs::Listed| {
        let Some(attr) = &listed.entry.attr else { return true };
        let (attr, name) = (convert::attr(attr), OsStr::from_bytes(&listed.entry.name));
        let full = to.add(attr.ino, listed.position, name, &ttl, &attr, GENERATION);
        full || fs.listed_entry(dir, listed).is_err()
    };
    match fs.clone().list(handle, offset, true, give).await {
        Ok(()) => to.ok(),
        Err(failure) => to.error(errno(failure)),
    }
}
