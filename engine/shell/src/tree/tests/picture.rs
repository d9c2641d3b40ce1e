//! A tree as plain data: read from a brick's directory without any code of the tree, to be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use bytes::Bytes;
use rfs_model::{FileKind, Index, InodeId, Timestamp};

use crate::tree::Tree;

#[derive(Clone, PartialEq, Eq)]
pub struct Node {
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub target: Bytes,
    pub data: Vec<u8>,
    pub xattrs: BTreeMap<Bytes, Bytes>,
    pub atime: Timestamp,
    pub mtime: Timestamp,
    /// Not on disk: zero in a picture of a brick.
    pub ctime: Timestamp,
    pub version: Index,
}

impl Node {
    pub fn new(kind: FileKind) -> Self {
        Self {
            kind,
            mode: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: Bytes::new(),
            data: Vec::new(),
            xattrs: BTreeMap::new(),
            atime: Timestamp::default(),
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            version: Index::ZERO,
        }
    }

    /// Without what a disk does not keep, and without what reading a symlink disturbs.
    fn on_disk(&self) -> Self {
        let link = self.kind == FileKind::Symlink;
        Self {
            ctime: Timestamp::default(),
            version: Index::ZERO,
            mode: if link { 0o777 } else { self.mode },
            atime: if link { Timestamp::default() } else { self.atime },
            ..self.clone()
        }
    }
}

impl std::fmt::Debug for Node {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let time = |t: Timestamp| format!("{}.{:09}", t.secs, t.nanos);
        write!(f, "{:?} {:o} {}:{} rdev {:x}", self.kind, self.mode, self.uid, self.gid, self.rdev)?;
        write!(f, " a {} m {} c {}", time(self.atime), time(self.mtime), time(self.ctime))?;
        let crc = crc32fast::hash(&self.data);
        write!(f, " v {} {} bytes crc {crc:08x} -> {:?}", self.version, self.data.len(), self.target)?;
        write!(f, " {:?}", self.xattrs)
    }
}

/// Inodes by identity, orphans included, and who has which name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub nodes: BTreeMap<InodeId, Node>,
    pub slots: BTreeMap<(InodeId, Bytes), InodeId>,
}

impl Picture {
    /// # Panics
    /// When limbo is not empty, or anything has no identity.
    pub fn of_brick(brick: &Path) -> Self {
        let mut picture = Self { nodes: BTreeMap::new(), slots: BTreeMap::new() };
        picture.walk(brick, InodeId::ROOT);
        let private = brick.join(".rfs");
        let limbo: Vec<_> = list(&private.join("limbo"));
        assert!(limbo.is_empty(), "limbo holds {limbo:?}");
        for name in list(&private.join("orphans")) {
            let path = private.join("orphans").join(std::ffi::OsStr::from_bytes(&name));
            let id = identity(&path);
            assert_eq!(id.to_string().as_bytes(), name);
            picture.walk(&path, id);
        }
        picture
    }

    fn walk(&mut self, path: &Path, id: InodeId) {
        assert_eq!(identity(path), id, "{}", path.display());
        let node = node(path);
        let dir = node.kind == FileKind::Dir;
        if let Some(old) = self.nodes.insert(id, node.clone()) {
            assert_eq!(old, node, "two files of one identity: {}", path.display());
        }
        if !dir {
            return;
        }
        for name in list(path) {
            if id == InodeId::ROOT && name == b".rfs" {
                continue;
            }
            let child = path.join(std::ffi::OsStr::from_bytes(&name));
            let child_id = identity(&child);
            self.slots.insert((id, Bytes::from(name)), child_id);
            self.walk(&child, child_id);
        }
    }

    /// Compares what is on disk.
    pub fn assert_is(&self, want: &Self) {
        assert_eq!(self.slots, want.slots);
        let ids: BTreeSet<_> = self.nodes.keys().collect();
        assert_eq!(ids, want.nodes.keys().collect::<BTreeSet<_>>());
        for (id, node) in &want.nodes {
            assert_eq!(self.nodes[id].on_disk(), node.on_disk(), "inode {id}");
        }
    }

    /// Compares with what the tree answers and its index holds.
    pub fn assert_index(&self, tree: &Tree) {
        for (id, node) in &self.nodes {
            let entry = tree.entry(*id).unwrap().unwrap_or_else(|| panic!("inode {id} is not in the index"));
            assert_eq!(
                (entry.kind, entry.version, entry.ctime),
                (node.kind, node.version, node.ctime),
                "{id}"
            );
            let places: BTreeSet<_> = entry.places.iter().map(|p| (p.parent, p.name.to_vec())).collect();
            let want = self.slots.iter().filter(|(_, v)| *v == id).map(|((p, n), _)| (*p, n.to_vec()));
            assert_eq!(places, want.collect::<BTreeSet<_>>(), "inode {id}");
            let attr = tree.attr(*id).unwrap().unwrap();
            assert_eq!((attr.mtime, attr.ctime), (node.mtime, node.ctime), "inode {id}");
            if node.kind == FileKind::File {
                assert_eq!(attr.size, node.data.len() as u64);
                assert_eq!(attr.nlink as usize, entry.places.len());
            }
        }
        for ((parent, name), id) in &self.slots {
            assert_eq!(tree.child(*parent, name).unwrap(), Some(*id));
        }
    }
}

fn identity(path: &Path) -> InodeId {
    let mut bytes = [0; 16];
    let len = rustix::fs::lgetxattr(path, "trusted.rfs.id", &mut bytes[..])
        .unwrap_or_else(|e| panic!("{} has no identity: {e}", path.display()));
    assert_eq!(len, 16);
    InodeId::from_bytes(bytes)
}

/// Names in a directory, without touching its atime.
fn list(path: &Path) -> Vec<Vec<u8>> {
    let before = fs::metadata(path).unwrap();
    let names = fs::read_dir(path).unwrap().map(|e| e.unwrap().file_name().into_vec()).collect();
    let time = |secs, nanos| rustix::fs::Timespec { tv_sec: secs, tv_nsec: nanos };
    let times = rustix::fs::Timestamps {
        last_access: time(before.atime(), before.atime_nsec()),
        last_modification: time(before.mtime(), before.mtime_nsec()),
    };
    rustix::fs::utimensat(rustix::fs::CWD, path, &times, rustix::fs::AtFlags::empty()).unwrap();
    names
}

fn node(path: &Path) -> Node {
    let meta = fs::symlink_metadata(path).unwrap();
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
    Node {
        mode: meta.mode() & 0o7777,
        uid: meta.uid(),
        gid: meta.gid(),
        rdev: meta.rdev(),
        target: if link {
            fs::read_link(path).unwrap().into_os_string().into_vec().into()
        } else {
            Bytes::new()
        },
        data: if kind == FileKind::File { content(path) } else { Vec::new() },
        xattrs: xattrs(path),
        atime: if link { Timestamp::default() } else { time(meta.atime(), meta.atime_nsec()) },
        mtime: time(meta.mtime(), meta.mtime_nsec()),
        ..Node::new(kind)
    }
}

fn content(path: &Path) -> Vec<u8> {
    let noatime = rustix::fs::OFlags::NOATIME.bits() as i32;
    let mut file = fs::OpenOptions::new().read(true).custom_flags(noatime).open(path).unwrap();
    let mut data = Vec::new();
    std::io::Read::read_to_end(&mut file, &mut data).unwrap();
    data
}

fn xattrs(path: &Path) -> BTreeMap<Bytes, Bytes> {
    let mut names = vec![0; 4096];
    let len = rustix::fs::llistxattr(path, &mut names).unwrap();
    names.truncate(len);
    let names = names.split(|b| *b == 0).filter(|n| !n.is_empty() && !n.starts_with(b"trusted.rfs."));
    names
        .map(|name| {
            let mut value = vec![0; 65536];
            let len = rustix::fs::lgetxattr(path, name, &mut value).unwrap();
            value.truncate(len);
            (Bytes::copy_from_slice(name), Bytes::from(value))
        })
        .collect()
}
