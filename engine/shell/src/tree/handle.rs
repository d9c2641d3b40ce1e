//! An open inode: one set of verbs for files, directories and what cannot be opened for reading (symlinks, devices).

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use rfs_model::{FileKind, InodeId, Timestamp};
use rustix::fs::{self, AtFlags, CWD, FileType, Gid, Mode, OFlags, Stat, Timestamps, Uid, XattrFlags};
use rustix::io::Errno;

use super::layout::{ID_XATTR, ID_XATTR_C};
use super::times::spec;
use super::xattrat::{getxattrat, listxattrat};

/// How an inode is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    Read,
    Write,
}

#[derive(Debug)]
pub(super) struct Handle {
    fd: OwnedFd,
    /// Opened with `O_PATH`: reached by way of /proc/self/fd for what the kernel refuses on such a descriptor.
    by_path: bool,
    pub(super) access: Access,
}

/// `/proc/self/fd/N`, which stands for the inode itself, symlinks included.
fn magic(fd: BorrowedFd<'_>) -> String {
    format!("/proc/self/fd/{}", fd.as_raw_fd())
}

/// The same for a name in an open directory.
fn magic_at(dir: BorrowedFd<'_>, name: &[u8]) -> Vec<u8> {
    let mut path = format!("/proc/self/fd/{}/", dir.as_raw_fd()).into_bytes();
    path.extend_from_slice(name);
    path
}

impl Handle {
    /// Opens a directory that is not a symlink.
    pub(super) fn open_dir(at: BorrowedFd<'_>, name: &[u8]) -> Result<Self, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NOATIME | OFlags::CLOEXEC;
        let fd = fs::openat(at, name, flags, Mode::empty())?;
        Ok(Self { fd, by_path: false, access: Access::Write })
    }

    /// Opens what `name` is, knowing its kind: a symlink that stands in for a file is not followed.
    pub(super) fn open(
        at: BorrowedFd<'_>,
        name: &[u8],
        kind: FileKind,
        access: Access,
    ) -> Result<Self, Errno> {
        match kind {
            FileKind::Dir => Self::open_dir(at, name),
            FileKind::File => {
                let mode = if access == Access::Write { OFlags::RDWR } else { OFlags::RDONLY };
                // O_NONBLOCK: a fifo that stands in for a file must not hang the brick.
                let flags = mode | OFlags::NOFOLLOW | OFlags::NOATIME | OFlags::CLOEXEC | OFlags::NONBLOCK;
                let fd = fs::openat(at, name, flags, Mode::empty())?;
                Ok(Self { fd, by_path: false, access })
            }
            _ => {
                let fd =
                    fs::openat(at, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty())?;
                Ok(Self { fd, by_path: true, access: Access::Write })
            }
        }
    }

    /// Creates an empty file, open for writing. `EEXIST` when the name is taken.
    pub(super) fn create_file(at: BorrowedFd<'_>, name: &[u8], mode: u32) -> Result<Self, Errno> {
        let flags = OFlags::RDWR
            | OFlags::CREATE
            | OFlags::EXCL
            | OFlags::NOFOLLOW
            | OFlags::NOATIME
            | OFlags::CLOEXEC;
        let fd = fs::openat(at, name, flags, Mode::from_raw_mode(mode & 0o777))?;
        Ok(Self { fd, by_path: false, access: Access::Write })
    }

    pub(super) fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    pub(super) fn stat(&self) -> Result<Stat, Errno> {
        fs::fstat(&self.fd)
    }

    pub(super) fn chown(&self, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
        let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
        if self.by_path {
            return fs::chownat(&self.fd, "", uid, gid, AtFlags::EMPTY_PATH);
        }
        fs::fchown(&self.fd, uid, gid)
    }

    pub(super) fn chmod(&self, mode: u32) -> Result<(), Errno> {
        let mode = Mode::from_raw_mode(mode & 0o7777);
        if self.by_path {
            return fs::chmodat(CWD, magic(self.fd()), mode, AtFlags::empty());
        }
        fs::fchmod(&self.fd, mode)
    }

    /// Sets the times that are given and leaves the others.
    pub(super) fn set_times(&self, atime: Option<Timestamp>, mtime: Option<Timestamp>) -> Result<(), Errno> {
        let times = Timestamps { last_access: spec(atime), last_modification: spec(mtime) };
        if self.by_path {
            return fs::utimensat(CWD, magic(self.fd()), &times, AtFlags::empty());
        }
        fs::futimens(&self.fd, &times)
    }

    /// `None` when there is no such attribute.
    pub(super) fn xattr(&self, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        let path = self.by_path.then(|| magic(self.fd()));
        grow(|buffer| match &path {
            Some(path) => fs::getxattr(path, name, buffer),
            None => fs::fgetxattr(&self.fd, name, buffer),
        })
    }

    pub(super) fn set_xattr(&self, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        if self.by_path {
            return fs::setxattr(magic(self.fd()), name, value, XattrFlags::empty());
        }
        fs::fsetxattr(&self.fd, name, value, XattrFlags::empty())
    }

    /// Whether it was there.
    pub(super) fn remove_xattr(&self, name: &[u8]) -> Result<bool, Errno> {
        let gone = if self.by_path {
            fs::removexattr(magic(self.fd()), name)
        } else {
            fs::fremovexattr(&self.fd, name)
        };
        match gone {
            Ok(()) => Ok(true),
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(false),
            Err(errno) => Err(errno),
        }
    }

    /// Names of all attributes that the file system lists, ACLs and our own among them.
    pub(super) fn xattr_names(&self) -> Result<Vec<Vec<u8>>, Errno> {
        let path = self.by_path.then(|| magic(self.fd()));
        let all = grow(|buffer| match &path {
            Some(path) => fs::listxattr(path, buffer),
            None => fs::flistxattr(&self.fd, buffer),
        })?;
        let all = all.unwrap_or_default();
        Ok(all.split(|b| *b == 0).filter(|name| !name.is_empty()).map(<[u8]>::to_vec).collect())
    }

    pub(super) fn identity(&self) -> Result<Option<InodeId>, Errno> {
        identity(|buffer| {
            if self.by_path {
                fs::getxattr(magic(self.fd()), ID_XATTR, buffer)
            } else {
                fs::fgetxattr(&self.fd, ID_XATTR, buffer)
            }
        })
    }

    pub(super) fn set_identity(&self, id: InodeId) -> Result<(), Errno> {
        self.set_xattr(ID_XATTR, &id.to_bytes())
    }

    /// The target of a symlink.
    pub(super) fn read_link(&self) -> Result<Vec<u8>, Errno> {
        Ok(fs::readlinkat(&self.fd, "", Vec::new())?.into_bytes())
    }

    /// The directory opened again: a position of its own to list from.
    pub(super) fn scan(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOATIME | OFlags::CLOEXEC;
        fs::openat(&self.fd, ".", flags, Mode::empty())
    }
}

/// Who stands at `name`: `Ok(None)` when nobody does, `Ok(Some(None))` for somebody without identity.
pub(super) fn identity_at(dir: BorrowedFd<'_>, name: &[u8]) -> Result<Option<Option<InodeId>>, Errno> {
    let read = |buffer: &mut [u8]| match getxattrat(dir, name, ID_XATTR_C, buffer) {
        Some(done) => done,
        None => fs::lgetxattr(magic_at(dir, name), ID_XATTR, buffer),
    };
    match identity(read) {
        Ok(found) => Ok(Some(found)),
        Err(Errno::NOENT) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// The names of all attributes of what stands at `name`, each with a zero behind it; how many bytes that are.
pub(super) fn xattr_names_at(dir: BorrowedFd<'_>, name: &[u8], names: &mut [u8]) -> Result<usize, Errno> {
    match listxattrat(dir, name, names) {
        Some(done) => done,
        None => fs::llistxattr(magic_at(dir, name), names),
    }
}

/// An identity of the wrong size is one that nobody has: `Some(NIL)`.
fn identity(read: impl FnOnce(&mut [u8]) -> Result<usize, Errno>) -> Result<Option<InodeId>, Errno> {
    let mut bytes = [0; InodeId::BYTES];
    match read(&mut bytes[..]) {
        Ok(InodeId::BYTES) => Ok(Some(InodeId::from_bytes(bytes))),
        Ok(_) | Err(Errno::RANGE) => Ok(Some(InodeId::NIL)),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Reads a value whose size is not known: `None` when there is none.
fn grow(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Option<Vec<u8>>, Errno> {
    let mut buffer = vec![0; 256];
    loop {
        match read(&mut buffer) {
            Ok(len) => {
                buffer.truncate(len);
                return Ok(Some(buffer));
            }
            Err(Errno::RANGE) => {
                let len = read(&mut [])?.max(buffer.len() * 2);
                buffer.resize(len, 0);
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => return Ok(None),
            Err(errno) => return Err(errno),
        }
    }
}

/// What `stat` says a file is.
pub(super) fn kind_of(stat: &Stat) -> Option<FileKind> {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Some(FileKind::File),
        FileType::Directory => Some(FileKind::Dir),
        FileType::Symlink => Some(FileKind::Symlink),
        FileType::Fifo => Some(FileKind::Fifo),
        FileType::Socket => Some(FileKind::Socket),
        FileType::CharacterDevice => Some(FileKind::CharDevice),
        FileType::BlockDevice => Some(FileKind::BlockDevice),
        FileType::Unknown => None,
    }
}
