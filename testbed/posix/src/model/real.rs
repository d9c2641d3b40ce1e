//! The same operations on a real directory, each through a path or a file that is held open.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{
    self, AtFlags, CWD, FallocateFlags, FileType, Mode, OFlags, RenameFlags, Stat, Timespec, Timestamps,
    XattrFlags,
};
use rustix::io::Errno;

use super::Subject;
use super::op::{Kind, Look, Op, Outcome, Seen, Target, When, Whole};

/// More than any value or list of names that is set.
const XATTR_BYTES: usize = 64 * 1024;
const PERMISSIONS: u32 = 0o7777;

/// A directory under test.
#[derive(Debug)]
pub struct Real {
    base: PathBuf,
    held: BTreeMap<usize, File>,
}

impl Real {
    /// `base` exists, is empty and belongs to root.
    #[must_use]
    pub fn new(base: PathBuf) -> Self {
        Self { base, held: BTreeMap::new() }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    /// Neither follows a symlink nor waits for the other end of a pipe.
    fn open(&self, path: &str, flags: OFlags) -> Result<File, Errno> {
        let flags = flags | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        fs::open(self.at(path), flags, Mode::from_raw_mode(0o644)).map(File::from)
    }

    fn held(&self, slot: usize) -> Result<&File, Errno> {
        self.held.get(&slot).ok_or(Errno::BADF)
    }

    fn hold(&mut self, slot: usize, path: &str) -> Result<Seen, Errno> {
        let file = self.open(path, OFlags::RDWR)?;
        if kind(&fs::fstat(&file)?) != Kind::File {
            return Err(Errno::INVAL);
        }
        self.held.insert(slot, file);
        Ok(Seen::Done)
    }

    fn names(&self, op: &Op) -> Option<Result<(), Errno>> {
        let mode = |mode: &u32| Mode::from_raw_mode(*mode);
        Some(match op {
            Op::Create { path, mode: bits } => {
                let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
                fs::open(self.at(path), flags, mode(bits)).map(drop)
            }
            Op::Mkdir { path, mode: bits } => fs::mkdir(self.at(path), mode(bits)),
            Op::Fifo { path, mode: bits } => fs::mknodat(CWD, self.at(path), FileType::Fifo, mode(bits), 0),
            Op::Symlink { to, path } => fs::symlink(to.as_str(), self.at(path)),
            Op::Link { from, to } => fs::linkat(CWD, self.at(from), CWD, self.at(to), AtFlags::empty()),
            Op::Unlink { path } => fs::unlink(self.at(path)),
            Op::Rmdir { path } => fs::rmdir(self.at(path)),
            Op::Rename { from, to, target } => {
                let flags = match target {
                    Target::Replaced => RenameFlags::empty(),
                    Target::Refused => RenameFlags::NOREPLACE,
                    Target::Exchanged => RenameFlags::EXCHANGE,
                };
                fs::renameat_with(CWD, self.at(from), CWD, self.at(to), flags)
            }
            _ => return None,
        })
    }

    fn data(&mut self, op: &Op) -> Option<Result<Seen, Errno>> {
        let write = OFlags::WRONLY;
        Some(match op {
            Op::Write { path, offset, data } => {
                self.open(path, write).and_then(|file| put(&file, *offset, data))
            }
            Op::Append { path, data } => {
                self.open(path, write | OFlags::APPEND).and_then(|file| put(&file, 0, data))
            }
            Op::Replace { path, data } => {
                self.open(path, write | OFlags::CREATE | OFlags::TRUNC).and_then(|file| put(&file, 0, data))
            }
            Op::Truncate { path, size } => {
                self.open(path, write).and_then(|file| fs::ftruncate(file, *size)).map(|()| Seen::Done)
            }
            Op::Punch { path, offset, len } => {
                let how = FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE;
                self.allocate(path, how, *offset, *len)
            }
            Op::Allocate { path, offset, len } => self.allocate(path, FallocateFlags::empty(), *offset, *len),
            Op::Read { path, offset, len } => {
                self.open(path, OFlags::RDONLY).and_then(|file| get(&file, *offset, *len))
            }
            Op::Hold { slot, path } => self.hold(*slot, path),
            Op::Release { slot } => self.held.remove(slot).map(|_| Seen::Done).ok_or(Errno::BADF),
            Op::WriteHeld { slot, offset, data } => self.held(*slot).and_then(|f| put(f, *offset, data)),
            Op::ReadHeld { slot, offset, len } => self.held(*slot).and_then(|f| get(f, *offset, *len)),
            Op::TruncateHeld { slot, size } => {
                self.held(*slot).and_then(|f| fs::ftruncate(f, *size)).map(|()| Seen::Done)
            }
            Op::LookHeld { slot } => self.held(*slot).and_then(fs::fstat).map(|stat| Seen::Look(look(&stat))),
            _ => return None,
        })
    }

    fn allocate(&self, path: &str, how: FallocateFlags, offset: u64, len: u64) -> Result<Seen, Errno> {
        let file = self.open(path, OFlags::WRONLY)?;
        fs::fallocate(file, how, offset, len).map(|()| Seen::Done)
    }

    fn attrs(&self, op: &Op) -> Result<Seen, Errno> {
        match op {
            Op::Chmod { path, mode } => {
                fs::chmod(self.at(path), Mode::from_raw_mode(*mode)).map(|()| Seen::Done)
            }
            Op::Chown { path, uid, gid } => {
                let (uid, gid) = (fs::Uid::from_raw(*uid), fs::Gid::from_raw(*gid));
                fs::chownat(CWD, self.at(path), Some(uid), Some(gid), AtFlags::SYMLINK_NOFOLLOW)
                    .map(|()| Seen::Done)
            }
            Op::SetTimes { path, atime, mtime } => {
                let times = Timestamps { last_access: time(*atime), last_modification: time(*mtime) };
                fs::utimensat(CWD, self.at(path), &times, AtFlags::SYMLINK_NOFOLLOW).map(|()| Seen::Done)
            }
            Op::SetXattr { path, name, value, create, replace } => {
                let mut flags = XattrFlags::empty();
                flags.set(XattrFlags::CREATE, *create);
                flags.set(XattrFlags::REPLACE, *replace);
                fs::lsetxattr(self.at(path), *name, value, flags).map(|()| Seen::Done)
            }
            Op::GetXattr { path, name } => xattr(&self.at(path), name).map(Seen::Bytes),
            Op::RemoveXattr { path, name } => fs::lremovexattr(self.at(path), *name).map(|()| Seen::Done),
            Op::Look { path } => fs::lstat(self.at(path)).map(|stat| Seen::Look(look(&stat))),
            Op::ReadLink { path } => {
                fs::readlink(self.at(path), Vec::new()).map(|to| Seen::Bytes(to.into_bytes()))
            }
            Op::List { path } => list(&self.at(path)).map(Seen::Names),
            op => unreachable!("{op:?}"),
        }
    }

    fn tree(&self) -> Result<Seen, Errno> {
        let mut found = BTreeMap::new();
        let mut dirs = vec![String::new()];
        while let Some(dir) = dirs.pop() {
            for name in list(&self.at(&dir))?.into_keys() {
                let path = if dir.is_empty() { name } else { format!("{dir}/{name}") };
                let whole = self.whole(&path)?;
                if whole.look.kind == Kind::Dir {
                    dirs.push(path.clone());
                }
                found.insert(path, whole);
            }
        }
        Ok(Seen::Tree(found))
    }

    fn whole(&self, path: &str) -> Result<Whole, Errno> {
        let at = self.at(path);
        let look = look(&fs::lstat(&at)?);
        let data = match look.kind {
            Kind::File => match get(&self.open(path, OFlags::RDONLY)?, 0, look.size as usize + 1)? {
                Seen::Bytes(data) => data,
                _ => Vec::new(),
            },
            Kind::Symlink => fs::readlink(&at, Vec::new())?.into_bytes(),
            _ => Vec::new(),
        };
        Ok(Whole { look, data, xattrs: xattrs(&at)? })
    }
}

impl Subject for Real {
    fn apply(&mut self, op: &Op) -> Outcome {
        if *op == Op::Tree {
            return self.tree().map_err(Errno::raw_os_error);
        }
        let done = self.names(op).map(|done| done.map(|()| Seen::Done));
        let done = done.or_else(|| self.data(op)).unwrap_or_else(|| self.attrs(op));
        done.map_err(Errno::raw_os_error)
    }
}

fn put(file: &File, offset: u64, data: &[u8]) -> Result<Seen, Errno> {
    file.write_all_at(data, offset).map(|()| Seen::Done).map_err(number)
}

fn get(file: &File, offset: u64, len: usize) -> Result<Seen, Errno> {
    let (mut data, mut got) = (vec![0; len], 0);
    while got < len {
        match file.read_at(&mut data[got..], offset + got as u64).map_err(number)? {
            0 => break,
            n => got += n,
        }
    }
    data.truncate(got);
    Ok(Seen::Bytes(data))
}

fn number(error: std::io::Error) -> Errno {
    Errno::from_io_error(&error).unwrap_or(Errno::IO)
}

fn time(at: Option<(i64, u32)>) -> Timespec {
    match at {
        Some((tv_sec, tv_nsec)) => Timespec { tv_sec, tv_nsec: tv_nsec.into() },
        None => Timespec { tv_sec: 0, tv_nsec: fs::UTIME_OMIT },
    }
}

fn kind(stat: &Stat) -> Kind {
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Dir,
        FileType::Symlink => Kind::Symlink,
        FileType::Fifo => Kind::Fifo,
        _ => Kind::Other,
    }
}

fn look(stat: &Stat) -> Look {
    let kind = kind(stat);
    let of_dirs = |n: u64| if kind == Kind::Dir { 0 } else { n };
    Look {
        kind,
        mode: stat.st_mode & PERMISSIONS,
        uid: stat.st_uid,
        gid: stat.st_gid,
        size: of_dirs(u64::try_from(stat.st_size).unwrap_or(u64::MAX)),
        links: of_dirs(stat.st_nlink),
        atime: When::Exactly(stat.st_atime, stat.st_atime_nsec as u32),
        mtime: When::Exactly(stat.st_mtime, stat.st_mtime_nsec as u32),
    }
}

fn list(at: &Path) -> Result<BTreeMap<String, Kind>, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let dir = fs::Dir::new(fs::open(at, flags, Mode::empty())?)?;
    let mut found = BTreeMap::new();
    for entry in dir {
        let entry = entry?;
        let name = text(entry.file_name());
        let kind = match entry.file_type() {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Dir,
            FileType::Symlink => Kind::Symlink,
            FileType::Fifo => Kind::Fifo,
            _ => Kind::Other,
        };
        if name == "." || name == ".." {
            continue;
        }
        // Twice the same name: a file system that lists so has lost.
        if found.insert(name, kind).is_some() {
            return Err(Errno::NOTUNIQ);
        }
    }
    Ok(found)
}

fn text(name: &CStr) -> String {
    String::from_utf8_lossy(name.to_bytes()).into_owned()
}

fn xattr(at: &Path, name: &str) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; XATTR_BYTES];
    let len = fs::lgetxattr(at, name, &mut value[..])?;
    value.truncate(len);
    Ok(value)
}

/// Those of users and of root; others are the system's.
fn xattrs(at: &Path) -> Result<BTreeMap<String, Vec<u8>>, Errno> {
    let mut names = vec![0_u8; XATTR_BYTES];
    let len = fs::llistxattr(at, &mut names[..])?;
    let names = names[..len].split(|byte| *byte == 0).map(|name| String::from_utf8_lossy(name).into_owned());
    let ours = names.filter(|name| name.starts_with("user.") || name.starts_with("trusted."));
    ours.map(|name| xattr(at, &name).map(|value| (name, value))).collect()
}
