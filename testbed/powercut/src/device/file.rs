//! The FUSE file system below the loop device: one file, of which every change is noted.

use std::ffi::OsStr;
use std::io;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner, OpenFlags,
    ReplyAttr, ReplyData, ReplyEmpty, ReplyEntry, ReplyOpen, ReplyWrite, Request, WriteFlags,
};

use crate::image::{Image, is_zero};
use crate::record::Writer;

/// The file's name begins so: each server's loop device is to show another one.
pub const NAME: &str = "disk-";

const FILE: INodeNo = INodeNo(2);
const TTL: Duration = Duration::from_secs(3600);

/// The kernel is told to keep nothing of the file: each write of the loop device arrives here, in order, and each flush
/// as an fsync. One thread serves it, and answers a request before it takes the next.
#[derive(Debug)]
pub struct Disk {
    image: Image,
    record: Mutex<Writer>,
}

impl Disk {
    #[must_use]
    pub fn new(image: Image, record: Writer) -> Disk {
        Disk { image, record: Mutex::new(record) }
    }

    fn note(&self, what: impl FnOnce(&mut Writer) -> io::Result<()>) -> io::Result<()> {
        what(&mut self.record.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn change(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        if is_zero(data) {
            return self.clear(offset, data.len() as u64);
        }
        self.note(|r| r.write(offset, data))?;
        self.image.write(offset, data)
    }

    fn clear(&self, offset: u64, length: u64) -> io::Result<()> {
        self.note(|r| r.zero(offset, length))?;
        self.image.zero(offset, length)
    }

    fn attr(&self, ino: INodeNo) -> FileAttr {
        let (kind, perm, size) = match ino {
            FILE => (FileType::RegularFile, 0o600, self.image.bytes()),
            _ => (FileType::Directory, 0o700, 0),
        };
        let (atime, mtime, ctime, crtime) = (UNIX_EPOCH, UNIX_EPOCH, UNIX_EPOCH, UNIX_EPOCH);
        let (uid, gid, rdev, flags, nlink, blksize) = (0, 0, 0, 0, 1, 4096);
        let blocks = size / 512;
        FileAttr {
            ino,
            size,
            blocks,
            atime,
            mtime,
            ctime,
            crtime,
            kind,
            perm,
            nlink,
            uid,
            gid,
            rdev,
            blksize,
            flags,
        }
    }
}

fn done(result: io::Result<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(_) => reply.error(Errno::EIO),
    }
}

impl Filesystem for Disk {
    fn lookup(&self, _: &Request, _: INodeNo, name: &OsStr, reply: ReplyEntry) {
        if name.to_string_lossy().starts_with(NAME) {
            reply.entry(&TTL, &self.attr(FILE), Generation(0));
        } else {
            reply.error(Errno::ENOENT);
        }
    }

    fn getattr(&self, _: &Request, ino: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        reply.attr(&TTL, &self.attr(ino));
    }

    fn open(&self, _: &Request, _: INodeNo, _: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::FOPEN_DIRECT_IO);
    }

    fn read(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let most = self.image.bytes().saturating_sub(offset).min(u64::from(size));
        let mut data = vec![0; usize::try_from(most).unwrap_or(0)];
        match self.image.read(offset, &mut data) {
            Ok(()) => reply.data(&data),
            Err(_) => reply.error(Errno::EIO),
        }
    }

    fn write(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        data: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match (self.change(offset, data), u32::try_from(data.len())) {
            (Ok(()), Ok(length)) => reply.written(length),
            _ => reply.error(Errno::EIO),
        }
    }

    fn fsync(&self, _: &Request, _: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        done(self.note(Writer::flush), reply);
    }

    /// Discards and zeroed ranges; a loop device asks for nothing else.
    fn fallocate(
        &self,
        _: &Request,
        _: INodeNo,
        _: FileHandle,
        offset: u64,
        length: u64,
        _: i32,
        reply: ReplyEmpty,
    ) {
        done(self.clear(offset, length), reply);
    }

    fn flush(&self, _: &Request, _: INodeNo, _: FileHandle, _: LockOwner, reply: ReplyEmpty) {
        reply.ok();
    }
}
