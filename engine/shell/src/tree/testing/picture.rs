//! A tree as plain data.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rfs_model::{FileKind, Index, InodeId, Timestamp};

use super::{LIMBO, ORPHANS};
use crate::tree::Tree;

/// One inode. `version` and `ctime` are the index's: zero in a picture that was read from a disk. `ino` is the disk's: zero
/// elsewhere.
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
    pub ctime: Timestamp,
    pub version: Index,
    pub ino: u64,
}

impl Node {
    #[must_use]
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
            ino: 0,
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
            ino: 0,
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

/// Inodes by identity, and who has which name. What is in limbo or an orphan has a name in [`LIMBO`] or [`ORPHANS`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Picture {
    pub nodes: BTreeMap<InodeId, Node>,
    pub slots: BTreeMap<(InodeId, Bytes), InodeId>,
}

impl Picture {
    /// Whether this, read from a disk, is what `want` says; else what is wrong.
    ///
    /// # Errors
    /// The differences, in words.
    pub fn must_be(&self, want: &Self) -> Result<(), String> {
        self.must_be_but(want, &|_| false)
    }

    /// The same, but for contents and attributes of some inodes.
    ///
    /// # Errors
    /// The differences, in words.
    pub fn must_be_but(&self, want: &Self, except: &dyn Fn(InodeId) -> bool) -> Result<(), String> {
        let mut wrong = Vec::new();
        for (slot, id) in &want.slots {
            match self.slots.get(slot) {
                Some(found) if found == id => {}
                found => wrong.push(format!("name {slot:?}: {found:?}, not {id}")),
            }
        }
        for (slot, id) in &self.slots {
            if !want.slots.contains_key(slot) {
                wrong.push(format!("name {slot:?}: {id}, not nothing"));
            }
        }
        for (id, node) in &want.nodes {
            match self.nodes.get(id) {
                None => wrong.push(format!("inode {id} is missing: {node:?}")),
                Some(found) if found.on_disk() == node.on_disk() => {}
                Some(found) if except(*id) && found.kind == node.kind => {}
                Some(found) => {
                    wrong.push(format!(
                        "inode {id} is\n  {:?}, not\n  {:?}",
                        found.on_disk(),
                        node.on_disk()
                    ));
                }
            }
        }
        wrong.extend(
            self.nodes.keys().filter(|id| !want.nodes.contains_key(id)).map(|id| format!("inode {id} lives")),
        );
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }

    /// # Panics
    /// When [`Picture::must_be`] fails.
    pub fn assert_is(&self, want: &Self) {
        if let Err(wrong) = self.must_be(want) {
            panic!("the tree is wrong: {wrong}");
        }
    }

    /// Whether the index of `tree` holds this, and the tree answers it. An index that was made anew at `since` has lost the
    /// versions and ctimes of before.
    ///
    /// # Errors
    /// The first difference, in words.
    pub fn must_be_known(&self, tree: &Tree, since: Option<Index>) -> Result<(), String> {
        for (id, node) in &self.nodes {
            self.must_be_entry(tree, *id, node, since).map_err(|why| format!("inode {id}: {why}"))?;
        }
        for ((parent, name), id) in &self.slots {
            let child = if is_aside(*parent) { Some(*id) } else { told(tree.child(*parent, name))? };
            if child != Some(*id) {
                return Err(format!("the tree has {child:?} as {name:?} in {parent}, not {id}"));
            }
        }
        Ok(())
    }

    fn must_be_entry(
        &self,
        tree: &Tree,
        id: InodeId,
        node: &Node,
        since: Option<Index>,
    ) -> Result<(), String> {
        let entry = told(tree.entry(id))?.ok_or("the index does not have it")?;
        let kept = since.is_none_or(|since| node.version > since);
        let version = node.version.max(since.unwrap_or(Index::ZERO));
        if entry.kind != node.kind || entry.version != version {
            return Err(format!(
                "the index has {:?} {}, not {:?} {version}",
                entry.kind, entry.version, node.kind
            ));
        }
        let places: BTreeSet<_> = entry.places.iter().map(|p| (p.parent, p.name.to_vec())).collect();
        let mine = self.slots.iter().filter(|((parent, _), v)| **v == id && !is_aside(*parent));
        let want: BTreeSet<_> = mine.map(|((p, n), _)| (*p, n.to_vec())).collect();
        if places != want {
            return Err(format!("the index has it at {places:?}, not {want:?}"));
        }
        let attr = told(tree.attr(id))?.ok_or("it has no attributes")?;
        if attr.mtime != node.mtime || kept && (attr.ctime, entry.ctime) != (node.ctime, node.ctime) {
            return Err(format!("times are {attr:?}, not {node:?}"));
        }
        let links = want.len().max(1) as u32;
        if node.kind == FileKind::File && (attr.size != node.data.len() as u64 || attr.nlink.max(1) != links)
        {
            return Err(format!("{attr:?}, not {} bytes and {links} links", node.data.len()));
        }
        Ok(())
    }

    /// # Panics
    /// When [`Picture::must_be_known`] fails.
    pub fn assert_index(&self, tree: &Tree) {
        if let Err(wrong) = self.must_be_known(tree, None) {
            panic!("the index is wrong: {wrong}");
        }
    }

    /// All names of an inode.
    #[must_use]
    pub fn names_of(&self, id: InodeId) -> Vec<(InodeId, Bytes)> {
        self.slots.iter().filter(|(_, v)| **v == id).map(|(k, _)| k.clone()).collect()
    }
}

/// Whether names in the directory are the brick's own.
pub(super) fn is_aside(parent: InodeId) -> bool {
    parent == LIMBO || parent == ORPHANS
}

fn told<T>(answer: Result<T, crate::tree::Fault>) -> Result<T, String> {
    answer.map_err(|fault| fault.to_string())
}
