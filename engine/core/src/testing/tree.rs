//! A brick's tree in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use rfs_model::attr::Bare;
use rfs_model::op::{Fate, Stamped};
use rfs_model::{Attr, FileKind, Index, InodeId, Op, SetAttr, Timestamp};

use super::content::Content;
use crate::acl::{self, Acl};
use crate::admit::{Fault, TreeView};
use crate::converge::{Made, Touch, touched};

/// What an inode holds.
#[derive(Clone, Debug, PartialEq)]
pub enum Body {
    File(Content),
    Dir { entries: BTreeMap<Bytes, InodeId>, parent: Option<InodeId> },
    Symlink(Bytes),
    Special,
}

/// An inode. `ctime` and `version` are those of the record that changed it last.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    /// Names in the tree; not counted for directories.
    pub names: u32,
    pub mtime: Timestamp,
    pub ctime: Timestamp,
    pub version: Index,
    pub xattrs: BTreeMap<Bytes, Bytes>,
    pub body: Body,
}

impl Node {
    pub(super) fn born(made: &Made) -> Self {
        let body = match made.kind {
            FileKind::File => Body::File(Content::default()),
            FileKind::Dir => Body::Dir { entries: BTreeMap::new(), parent: None },
            FileKind::Symlink => Body::Symlink(made.target.clone()),
            _ => Body::Special,
        };
        let mut node = Self {
            kind: made.kind,
            mode: 0,
            uid: 0,
            gid: 0,
            rdev: made.rdev,
            names: 0,
            mtime: Timestamp::default(),
            ctime: Timestamp::default(),
            version: Index::ZERO,
            xattrs: BTreeMap::new(),
            body,
        };
        node.set_birth(made);
        node
    }

    /// Owner, mode and ACLs as at birth, whatever they are now.
    pub(super) fn set_birth(&mut self, made: &Made) {
        (self.mode, self.uid, self.gid) = (made.mode, made.uid, made.gid);
        self.xattrs.clear();
        for (name, value) in [(acl::ACCESS, &made.acl_access), (acl::DEFAULT, &made.acl_default)] {
            if !value.is_empty() {
                self.xattrs.insert(Bytes::from_static(name), value.clone());
            }
        }
    }

    pub(super) fn touch(&mut self, touch: Touch) {
        (self.version, self.ctime) = (touch.version, touch.ctime);
        self.mtime = touch.mtime.unwrap_or(self.mtime);
    }

    /// Data, size, attributes, extended attributes; times and version apart.
    pub(super) fn change(&mut self, op: &Op) -> Result<(), Fault> {
        match op {
            Op::Write { offset, data, .. } => self.content()?.write(*offset, data),
            Op::Allocate { range, .. } => self.content()?.allocate(range.mode, range.offset, range.len),
            Op::SetAttr { set, .. } => self.set_attr(set)?,
            Op::SetXattr { name, value, .. } => self.set_xattr(name, value)?,
            Op::RemoveXattr { name, .. } => {
                self.xattrs.remove(name);
            }
            _ => {}
        }
        Ok(())
    }

    fn content(&mut self) -> Result<&mut Content, Fault> {
        match &mut self.body {
            Body::File(content) => Ok(content),
            _ => Err(fault("data for what is no file")),
        }
    }

    fn set_attr(&mut self, set: &SetAttr) -> Result<(), Fault> {
        self.uid = set.uid.unwrap_or(self.uid);
        self.gid = set.gid.unwrap_or(self.gid);
        if let Some(mode) = set.mode {
            if self.kind == FileKind::Symlink {
                return Err(fault("mode of a symlink"));
            }
            self.mode = mode;
            if let Some(list) = self.xattrs.get_mut(acl::ACCESS) {
                *list = parse(list)?.ok_or_else(|| fault("empty ACL"))?.with_mode(mode).to_bytes();
            }
        }
        if let Some(size) = set.size {
            self.content()?.set_size(size);
        }
        Ok(())
    }

    fn set_xattr(&mut self, name: &Bytes, value: &Bytes) -> Result<(), Fault> {
        if name == acl::ACCESS {
            let list = parse(value)?.ok_or_else(|| fault("empty ACL"))?;
            self.mode = self.mode & !0o777 | list.mode();
            if list.as_mode().is_some() {
                self.xattrs.remove(name);
                return Ok(());
            }
        }
        self.xattrs.insert(name.clone(), value.clone());
        Ok(())
    }
}

fn fault(what: &str) -> Fault {
    Fault(what.to_owned())
}

fn parse(value: &Bytes) -> Result<Option<Acl>, Fault> {
    Acl::parse(value).map_err(|e| Fault(e.to_string()))
}

/// A tree that takes committed outcomes and is strict: whatever a real brick might fail at is a [`Fault`].
#[derive(Clone, Debug, PartialEq)]
pub struct MemTree {
    pub(super) nodes: BTreeMap<InodeId, Node>,
}

impl Default for MemTree {
    fn default() -> Self {
        let made = Made {
            kind: FileKind::Dir,
            mode: 0o755,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: Bytes::new(),
            acl_access: Bytes::new(),
            acl_default: Bytes::new(),
        };
        Self { nodes: BTreeMap::from([(InodeId::ROOT, Node::born(&made))]) }
    }
}

impl MemTree {
    #[must_use]
    pub fn nodes(&self) -> &BTreeMap<InodeId, Node> {
        &self.nodes
    }

    #[must_use]
    pub fn node(&self, id: InodeId) -> Option<&Node> {
        self.nodes.get(&id)
    }

    fn node_mut(&mut self, id: InodeId) -> Result<&mut Node, Fault> {
        self.nodes.get_mut(&id).ok_or_else(|| Fault(format!("inode {id} does not exist")))
    }

    pub(super) fn entries(&mut self, dir: InodeId) -> Result<&mut BTreeMap<Bytes, InodeId>, Fault> {
        match &mut self.node_mut(dir)?.body {
            Body::Dir { entries, .. } => Ok(entries),
            _ => Err(Fault(format!("inode {dir} is no directory"))),
        }
    }

    /// Carries out a committed outcome.
    ///
    /// # Errors
    /// [`Fault`] when the outcome does not fit the tree.
    pub fn apply(&mut self, index: Index, stamped: &Stamped) -> Result<(), Fault> {
        self.names(&stamped.op).map_err(|e| Fault(format!("record {index}: {e}: {:?}", stamped.op)))?;
        if let Op::Write { id, .. }
        | Op::Allocate { id, .. }
        | Op::SetAttr { id, .. }
        | Op::SetXattr { id, .. }
        | Op::RemoveXattr { id, .. } = &stamped.op
        {
            self.node_mut(*id)?.change(&stamped.op)?;
        }
        for t in touched(&stamped.op, stamped.time) {
            if let Some(node) = self.nodes.get_mut(&t.id) {
                node.touch(Touch { version: index, ctime: stamped.time, mtime: t.mtime });
            }
        }
        Ok(())
    }

    pub(super) fn names(&mut self, op: &Op) -> Result<(), Fault> {
        match op {
            Op::Make { id, parent, name, kind, mode, uid, gid, rdev, target, acl_access, acl_default } => {
                let made = Made {
                    kind: *kind,
                    mode: *mode,
                    uid: *uid,
                    gid: *gid,
                    rdev: *rdev,
                    target: target.clone(),
                    acl_access: acl_access.clone(),
                    acl_default: acl_default.clone(),
                };
                if self.nodes.insert(*id, Node::born(&made)).is_some() {
                    return Err(fault("the identity is taken"));
                }
                self.give(*parent, name, *id)
            }
            Op::Link { id, parent, name } => self.give(*parent, name, *id),
            Op::Unlink { id, parent, name, fate } => {
                self.take(*parent, name, *id)?;
                self.meet(*id, *fate)
            }
            Op::Rename { id, from, from_name, to, to_name, replaced, fate } => {
                self.take(*from, from_name, *id)?;
                if *replaced != InodeId::NIL {
                    self.take(*to, to_name, *replaced)?;
                    self.meet(*replaced, *fate)?;
                }
                self.give(*to, to_name, *id)
            }
            Op::Exchange { id, from, from_name, other, to, to_name } => {
                self.take(*from, from_name, *id)?;
                self.take(*to, to_name, *other)?;
                self.give(*from, from_name, *other)?;
                self.give(*to, to_name, *id)
            }
            Op::Reap { id } => {
                if self.node_mut(*id)?.names > 0 {
                    return Err(fault("an orphan with a name"));
                }
                self.nodes.remove(id);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Gives a free slot to an inode.
    pub(super) fn give(&mut self, dir: InodeId, name: &Bytes, id: InodeId) -> Result<(), Fault> {
        if self.entries(dir)?.contains_key(name) {
            return Err(fault("the name is taken"));
        }
        let node = self.node_mut(id)?;
        node.names += 1;
        if let Body::Dir { parent, .. } = &mut node.body {
            *parent = Some(dir);
            if self.is_below(dir, id) {
                return Err(fault("a directory in itself"));
            }
        }
        self.entries(dir)?.insert(name.clone(), id);
        Ok(())
    }

    /// Takes a slot from an inode that has it.
    pub(super) fn take(&mut self, dir: InodeId, name: &Bytes, id: InodeId) -> Result<(), Fault> {
        if self.entries(dir)?.remove(name) != Some(id) {
            return Err(fault("the name is somebody else's"));
        }
        let node = self.node_mut(id)?;
        node.names -= 1;
        if let Body::Dir { parent, .. } = &mut node.body {
            *parent = None;
        }
        Ok(())
    }

    fn meet(&mut self, id: InodeId, fate: Fate) -> Result<(), Fault> {
        let node = self.node_mut(id)?;
        let empty = !matches!(&node.body, Body::Dir { entries, .. } if !entries.is_empty());
        match (fate, node.names) {
            (Fate::Stays, 1..) | (Fate::Orphan, 0) => Ok(()),
            (Fate::Dies, 0) if empty => {
                self.nodes.remove(&id);
                Ok(())
            }
            _ => Err(fault("a fate that does not fit")),
        }
    }

    fn is_below(&self, mut dir: InodeId, top: InodeId) -> bool {
        for _ in 0..=self.nodes.len() {
            if dir == top {
                return true;
            }
            match self.nodes.get(&dir).map(|n| &n.body) {
                Some(Body::Dir { parent: Some(parent), .. }) => dir = *parent,
                _ => return false,
            }
        }
        true
    }

    /// Bytes that a file has; 0 when it is none.
    #[must_use]
    pub fn size_of(&self, id: InodeId) -> u64 {
        match self.nodes.get(&id).map(|node| &node.body) {
            Some(Body::File(content)) => content.size(),
            _ => 0,
        }
    }

    /// Bytes of a regular file; `None` when it is none.
    #[must_use]
    pub fn read(&self, id: InodeId, offset: u64, len: usize) -> Option<Vec<u8>> {
        match &self.nodes.get(&id)?.body {
            Body::File(content) => Some(content.read(offset, len)),
            _ => None,
        }
    }
}

impl TreeView for MemTree {
    fn attr(&self, id: InodeId) -> Result<Option<Attr>, Fault> {
        Ok(self.nodes.get(&id).map(|node| {
            let (size, blocks) = match &node.body {
                Body::File(content) => (content.size(), content.blocks()),
                Body::Symlink(target) => (target.len() as u64, 0),
                _ => (0, 0),
            };
            Attr {
                id,
                kind: node.kind,
                mode: node.mode,
                nlink: if node.kind == FileKind::Dir { 2 } else { node.names },
                uid: node.uid,
                gid: node.gid,
                rdev: node.rdev,
                size,
                blocks,
                atime: node.mtime,
                mtime: node.mtime,
                ctime: node.ctime,
                version: node.version,
                bare: Bare::Unknown,
            }
        }))
    }

    fn child(&self, parent: InodeId, name: &[u8]) -> Result<Option<InodeId>, Fault> {
        Ok(match self.nodes.get(&parent).map(|n| &n.body) {
            Some(Body::Dir { entries, .. }) => entries.get(name).copied(),
            _ => None,
        })
    }

    fn parent_of(&self, dir: InodeId) -> Result<Option<InodeId>, Fault> {
        Ok(match self.nodes.get(&dir).map(|n| &n.body) {
            Some(Body::Dir { parent, .. }) => *parent,
            _ => None,
        })
    }

    fn is_empty(&self, dir: InodeId) -> Result<bool, Fault> {
        Ok(
            matches!(self.nodes.get(&dir).map(|n| &n.body), Some(Body::Dir { entries, .. }) if entries.is_empty()),
        )
    }

    fn xattr(&self, id: InodeId, name: &[u8]) -> Result<Option<Bytes>, Fault> {
        Ok(self.nodes.get(&id).and_then(|n| n.xattrs.get(name).cloned()))
    }

    fn xattr_bytes(&self, id: InodeId) -> Result<u64, Fault> {
        let one = |name: &Bytes, value: &Bytes| (16 + name.len() + value.len()).next_multiple_of(4) as u64;
        let sum = |n: &Node| n.xattrs.iter().map(|(name, value)| one(name, value)).sum();
        Ok(self.nodes.get(&id).map_or(0, sum))
    }
}
