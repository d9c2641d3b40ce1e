//! Results to the kernel.

use std::time::Duration;

use fuser::{
    FileHandle, Generation, ReplyAttr, ReplyCreate, ReplyData, ReplyEmpty, ReplyEntry, ReplyLock, ReplyOpen,
    ReplyStatfs, ReplyWrite, ReplyXattr,
};
use rfs_model::client::Statfs;
use rfs_model::op::LockRange;
use rfs_model::{Attr, Refusal};

use super::convert;
use crate::errno::errno;
use crate::fs::{Entry, Opened};
use crate::session::Failure;

/// An inode number is never used again, so one generation is enough.
pub const GENERATION: Generation = Generation(0);

pub fn empty(to: ReplyEmpty, result: Result<(), Failure>) {
    match result {
        Ok(()) => to.ok(),
        Err(failure) => to.error(errno(failure)),
    }
}

pub fn entry(to: ReplyEntry, result: Result<Entry, Failure>) {
    match result {
        Ok(entry) => {
            let attr = convert::attr(&entry.attr);
            to.entry_with_ttls(&entry.attr_ttl, &entry.entry_ttl, &attr, GENERATION);
        }
        Err(failure) => to.error(errno(failure)),
    }
}

/// Nothing is there, and the kernel may believe that for a while: inode number 0 says so.
pub fn absent(to: ReplyEntry, ttl: Duration) {
    to.entry(&ttl, &convert::directory(0), GENERATION);
}

pub fn attr(to: ReplyAttr, result: Result<(Attr, Duration), Failure>) {
    match result {
        Ok((attr, ttl)) => to.attr(&ttl, &convert::attr(&attr)),
        Err(failure) => to.error(errno(failure)),
    }
}

pub fn data(to: ReplyData, result: Result<impl AsRef<[u8]>, Failure>) {
    match result {
        Ok(data) => to.data(data.as_ref()),
        Err(failure) => to.error(errno(failure)),
    }
}

pub fn written(to: ReplyWrite, len: u32, result: Result<(), Failure>) {
    match result {
        Ok(()) => to.written(len),
        Err(failure) => to.error(errno(failure)),
    }
}

pub fn opened(to: ReplyOpen, result: Result<Opened, Failure>) {
    match result {
        Ok(opened) => to.opened(FileHandle(opened.handle), convert::open_flags(&opened)),
        Err(failure) => to.error(errno(failure)),
    }
}

/// fuser has one time for the name and the attributes here: the shorter one.
pub fn created(to: ReplyCreate, result: Result<(Entry, Opened), Failure>) {
    match result {
        Ok((entry, opened)) => {
            let ttl = entry.attr_ttl.min(entry.entry_ttl);
            let (attr, flags) = (convert::attr(&entry.attr), convert::open_flags(&opened));
            to.created(&ttl, &attr, GENERATION, FileHandle(opened.handle), flags);
        }
        Err(failure) => to.error(errno(failure)),
    }
}

/// With `size` 0 the program asks how large a buffer it needs.
pub fn xattr(to: ReplyXattr, size: u32, result: Result<impl AsRef<[u8]>, Failure>) {
    match result {
        Ok(value) => match (size as usize, value.as_ref()) {
            (0, value) => to.size(value.len() as u32),
            (size, value) if value.len() <= size => to.data(value),
            _ => to.error(errno(Refusal::Range.into())),
        },
        Err(failure) => to.error(errno(failure)),
    }
}

pub fn lock(to: ReplyLock, result: Result<LockRange, Failure>) {
    match result {
        Ok(range) => {
            let (start, end, kind) = convert::kernel_lock(&range);
            to.locked(start, end, kind, range.pid);
        }
        Err(failure) => to.error(errno(failure)),
    }
}

pub fn statfs(to: ReplyStatfs, result: Result<Statfs, Failure>) {
    match result {
        Ok(s) => {
            to.statfs(s.blocks, s.free, s.available, s.files, s.files_free, s.block, s.name_bytes, s.block)
        }
        Err(failure) => to.error(errno(failure)),
    }
}
