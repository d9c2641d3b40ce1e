//! Our nouns to fuser's, and back.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use fuser::{FileAttr, FileType, FopenFlags, INodeNo, TimeOrNow};
use rfs_model::Timestamp;
use rfs_model::attr::{Attr, FileKind};
use rfs_model::client::SetTime;
use rfs_model::op::{LockKind, LockRange};

use crate::fs::{Opened, OpenedDir};

/// What stat(2) shows as the preferred size of a read or write: buffered programs use it, and fewer requests are better.
const BLOCK_BYTES: u32 = 128 * 1024;

pub fn name(name: &OsStr) -> Bytes {
    Bytes::copy_from_slice(name.as_bytes())
}

pub fn file_type(kind: FileKind) -> FileType {
    match kind {
        FileKind::File => FileType::RegularFile,
        FileKind::Dir => FileType::Directory,
        FileKind::Symlink => FileType::Symlink,
        FileKind::Fifo => FileType::NamedPipe,
        FileKind::Socket => FileType::Socket,
        FileKind::CharDevice => FileType::CharDevice,
        FileKind::BlockDevice => FileType::BlockDevice,
    }
}

/// What mknod(2) asks for; `None` for something that it cannot make.
pub fn file_kind(mode: u32) -> Option<FileKind> {
    match mode & libc::S_IFMT {
        0 | libc::S_IFREG => Some(FileKind::File),
        libc::S_IFIFO => Some(FileKind::Fifo),
        libc::S_IFSOCK => Some(FileKind::Socket),
        libc::S_IFCHR => Some(FileKind::CharDevice),
        libc::S_IFBLK => Some(FileKind::BlockDevice),
        _ => None,
    }
}

pub fn attr(attr: &Attr) -> FileAttr {
    FileAttr {
        ino: INodeNo(attr.id.number()),
        size: attr.size,
        blocks: attr.blocks,
        atime: system_time(attr.atime),
        mtime: system_time(attr.mtime),
        ctime: system_time(attr.ctime),
        crtime: UNIX_EPOCH,
        kind: file_type(attr.kind),
        perm: (attr.mode & 0o7777) as u16,
        nlink: attr.nlink,
        uid: attr.uid,
        gid: attr.gid,
        rdev: attr.rdev as u32,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

fn system_time(time: Timestamp) -> SystemTime {
    let whole = Duration::from_secs(time.secs.unsigned_abs());
    let base = if time.secs < 0 { UNIX_EPOCH.checked_sub(whole) } else { UNIX_EPOCH.checked_add(whole) };
    let nanos = Duration::from_nanos(time.nanos.into());
    base.and_then(|base| base.checked_add(nanos)).unwrap_or(UNIX_EPOCH)
}

/// fuser makes of a second before 1970 and its nanoseconds a time that lies as many nanoseconds *before* that second; this
/// takes it back.
fn timestamp(time: SystemTime) -> Timestamp {
    match time.duration_since(UNIX_EPOCH) {
        Ok(after) => Timestamp { secs: after.as_secs() as i64, nanos: after.subsec_nanos() },
        Err(before) => {
            let before = before.duration();
            Timestamp { secs: -(before.as_secs() as i64), nanos: before.subsec_nanos() }
        }
    }
}

pub fn set_time(time: TimeOrNow) -> SetTime {
    match time {
        TimeOrNow::Now => SetTime::Now,
        TimeOrNow::SpecificTime(time) => SetTime::At { time: timestamp(time) },
    }
}

/// The kernel's end of a lock that goes to the end of the file.
const END_OF_FILE: u64 = i64::MAX as u64;

/// `None`: not a kind of lock.
pub fn lock_range(start: u64, end: u64, kind: i32, pid: u32) -> Option<LockRange> {
    let kind = match kind {
        libc::F_RDLCK => LockKind::Shared,
        libc::F_WRLCK => LockKind::Exclusive,
        libc::F_UNLCK => LockKind::Unlock,
        _ => return None,
    };
    let end = if end >= END_OF_FILE { u64::MAX } else { end };
    Some(LockRange { kind, start, end, pid })
}

/// Start, end and kind as the kernel wants them.
pub fn kernel_lock(range: &LockRange) -> (u64, u64, i32) {
    let kind = match range.kind {
        LockKind::Shared => libc::F_RDLCK,
        LockKind::Exclusive => libc::F_WRLCK,
        LockKind::Unlock => libc::F_UNLCK,
    };
    (range.start, range.end.min(END_OF_FILE), kind)
}

pub fn open_dir_flags(opened: OpenedDir) -> FopenFlags {
    let table = [(opened.cache, FopenFlags::FOPEN_CACHE_DIR), (opened.keep, FopenFlags::FOPEN_KEEP_CACHE)];
    table.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect()
}

/// A directory of which nothing but its number means anything.
pub fn directory(number: u64) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: 0,
        blocks: 0,
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: FileType::Directory,
        perm: 0,
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: BLOCK_BYTES,
        flags: 0,
    }
}

pub fn open_flags(opened: &Opened) -> FopenFlags {
    let table = [
        (opened.keep_pages, FopenFlags::FOPEN_KEEP_CACHE),
        (opened.bypass_pages, FopenFlags::FOPEN_DIRECT_IO),
        (opened.parallel_writes, FopenFlags::FOPEN_PARALLEL_DIRECT_WRITES),
    ];
    table.into_iter().filter(|(on, _)| *on).map(|(_, flag)| flag).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_before_1970_survive_fuser() {
        // What fuser hands over for (secs, nanos), see its time.rs.
        let from_fuser = |secs: i64, nanos: u32| {
            if secs >= 0 {
                UNIX_EPOCH + Duration::new(secs as u64, nanos)
            } else {
                UNIX_EPOCH - Duration::new(secs.unsigned_abs(), nanos)
            }
        };
        for (secs, nanos) in [(0, 0), (1, 5), (-1, 0), (-1, 999_999_999), (-86_400, 1)] {
            assert_eq!(timestamp(from_fuser(secs, nanos)), Timestamp { secs, nanos });
        }
    }

    #[test]
    fn times_go_to_fuser_as_posix_counts_them() {
        let time = system_time(Timestamp { secs: -2, nanos: 800_000_000 });
        assert_eq!(UNIX_EPOCH.duration_since(time).unwrap(), Duration::new(1, 200_000_000));
    }

    #[test]
    fn a_lock_to_the_end_is_one_on_both_sides() {
        let range = lock_range(5, END_OF_FILE, libc::F_WRLCK, 7).unwrap();
        assert_eq!(range.end, u64::MAX);
        assert_eq!(kernel_lock(&range), (5, END_OF_FILE, libc::F_WRLCK));
        assert_eq!(lock_range(0, 1, 99, 0), None);
    }
}
