//! A brick's directory, read without any code of the tree.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use rfs_model::{FileKind, Index, InodeId, Term, Timestamp};
use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use super::picture::{Node, Picture};
use super::{LIMBO, ORPHANS};

/// The term of made-up identities, which entries without one get in a picture.
const TORN: Term = Term(u64::MAX - 1);

/// The made-up identity of an entry without one.
#[must_use]
pub fn torn(number: u64) -> InodeId {
    InodeId { term: TORN, index: Index(number) }
}

/// Whether a picture's inode has no identity on the disk.
#[must_use]
pub fn is_torn(id: InodeId) -> bool {
    id.term == TORN
}

impl Picture {
    /// Reads a brick that nobody changes meanwhile. `.rfs` is left out but for limbo and the orphans.
    ///
    /// # Errors
    /// When the disk cannot be read, or two files have one identity.
    pub fn read(brick: &Path) -> Result<Self, String> {
        let mut picture = Self { nodes: Default::default(), slots: Default::default() };
        picture.note(brick, InodeId::ROOT)?;
        picture.below(brick, InodeId::ROOT)?;
        picture.below(&brick.join(".rfs/limbo"), LIMBO)?;
        picture.below(&brick.join(".rfs/orphans"), ORPHANS)?;
        Ok(picture)
    }

    /// The picture of a brick in a test.
    ///
    /// # Panics
    /// When it cannot be read, or anything is in limbo or has no identity.
    #[must_use]
    pub fn of_brick(brick: &Path) -> Self {
        let picture = Self::read(brick).unwrap_or_else(|why| panic!("{why}"));
        for ((parent, name), id) in &picture.slots {
            assert!(*parent != LIMBO, "limbo holds {name:?}");
            assert!(!is_torn(*id), "{name:?} has no identity");
            assert!(*parent != ORPHANS || id.to_string().as_bytes() == name, "orphan {name:?} is {id}");
        }
        picture
    }

    fn below(&mut self, dir: &Path, parent: InodeId) -> Result<(), String> {
        for name in list(dir).map_err(|e| format!("{}: {e}", dir.display()))? {
            if parent == InodeId::ROOT && name == b".rfs" {
                continue;
            }
            let path = dir.join(std::ffi::OsStr::from_bytes(&name));
            let id = identity(&path).map_err(|e| format!("{}: {e}", path.display()))?;
            let id = match id {
                Some(id) => id,
                None => {
                    torn(fs::symlink_metadata(&path).map_err(|e| format!("{}: {e}", path.display()))?.ino())
                }
            };
            self.slots.insert((parent, Bytes::from(name)), id);
            if self.note(&path, id)? == FileKind::Dir {
                self.below(&path, id)?;
            }
        }
        Ok(())
    }

    fn note(&mut self, path: &Path, id: InodeId) -> Result<FileKind, String> {
        let node = node(path).map_err(|e| format!("{}: {e}", path.display()))?;
        let kind = node.kind;
        match self.nodes.insert(id, node) {
            Some(old) if old != self.nodes[&id] => Err(format!(
                "two files of one identity: {} is {:?} and {old:?}",
                path.display(),
                self.nodes[&id]
            )),
            _ => Ok(kind),
        }
    }
}

/// `None`: it has none.
fn identity(path: &Path) -> io::Result<Option<InodeId>> {
    let mut bytes = [0; 17];
    match rustix::fs::lgetxattr(path, "trusted.rfs.id", &mut bytes[..]) {
        Ok(16) => Ok(bytes.first_chunk().map(|id| InodeId::from_bytes(*id))),
        Ok(_) => Ok(None),
        Err(rustix::io::Errno::NODATA) => Ok(None),
        Err(e) => Err(e.into()),
    }
}

/// Names in a directory, without touching its atime.
fn list(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let before = fs::metadata(path)?;
    let names =
        fs::read_dir(path)?.map(|entry| Ok(entry?.file_name().into_vec())).collect::<io::Result<_>>()?;
    let time = |secs, nanos| Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = Timestamps {
        last_access: time(before.atime(), before.atime_nsec()),
        last_modification: time(before.mtime(), before.mtime_nsec()),
    };
    rustix::fs::utimensat(CWD, path, &times, AtFlags::empty())?;
    Ok(names)
}

fn node(path: &Path) -> io::Result<Node> {
    let meta = fs::symlink_metadata(path)?;
    let kind = meta.file_type();
    let time = |secs: i64, nanos: i64| Timestamp { secs, nanos: nanos as u32 };
    let kind = match () {
        () if kind.is_file() => FileKind::File,
        () if kind.is_dir() => FileKind::Dir,
        () if kind.is_symlink() => FileKind::Symlink,
        () if kind.is_fifo() => FileKind::Fifo,
        () if kind.is_socket() => FileKind::Socket,
        () if kind.is_char_device() => FileKind::CharDevice,
        () => FileKind::BlockDevice,
    };
    let link = kind == FileKind::Symlink;
    let target = if link { fs::read_link(path)?.into_os_string().into_vec() } else { Vec::new() };
    Ok(Node {
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        rdev: meta.rdev(),
        target: target.into(),
        data: if kind == FileKind::File { content(path)? } else { Vec::new() },
        xattrs: xattrs(path)?.into_iter().collect(),
        atime: if link { Timestamp::default() } else { time(meta.atime(), meta.atime_nsec()) },
        mtime: time(meta.mtime(), meta.mtime_nsec()),
        ino: meta.ino(),
        ..Node::new(kind)
    })
}

fn content(path: &Path) -> io::Result<Vec<u8>> {
    let noatime = rustix::fs::OFlags::NOATIME.bits() as i32;
    let mut file = fs::OpenOptions::new().read(true).custom_flags(noatime).open(path)?;
    let mut data = Vec::new();
    io::Read::read_to_end(&mut file, &mut data)?;
    Ok(data)
}

/// All extended attributes but the brick's own. Values are of 64 KiB at the most.
fn xattrs(path: &Path) -> io::Result<Vec<(Bytes, Bytes)>> {
    let mut names = vec![0; 4096];
    let len = rustix::fs::llistxattr(path, &mut names)?;
    names.truncate(len);
    // xfs shows each ACL under a second name.
    let hidden = |n: &[u8]| n.starts_with(b"trusted.rfs.") || n.starts_with(b"trusted.SGI_ACL_");
    let names = names.split(|b| *b == 0).filter(|n| !n.is_empty() && !hidden(n));
    let mut value = vec![0; if len > 16 { 65536 } else { 0 }];
    names
        .map(|name| {
            let len = rustix::fs::lgetxattr(path, name, &mut value[..])?;
            Ok((Bytes::copy_from_slice(name), Bytes::copy_from_slice(&value[..len])))
        })
        .collect()
}
