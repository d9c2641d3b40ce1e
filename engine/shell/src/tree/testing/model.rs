//! The fold of the log in memory: what a tree must look like.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rfs_core::acl::Acl;
use rfs_model::op::Fate;
use rfs_model::{FileKind, Index, InodeId, Op, Timestamp};

use super::ORPHANS;
use super::log::time;
use super::picture::{Node, Picture};
use crate::tree::RootAttr;
use crate::tree::layout::{ACL_ACCESS, ACL_DEFAULT};

/// The root of every brick in a test.
pub const ROOT_ATTR: RootAttr =
    RootAttr { mode: 0o755, uid: 0, gid: 0, time: Timestamp { secs: 900, nanos: 9 } };

/// A file's capabilities: the kernel takes them away from one that is written to, resized or given to somebody else.
pub(super) const CAPABILITY: &[u8] = b"security.capability";

/// Orphans are nodes without slots.

#[derive(Clone, Debug)]
pub struct Model {
    pub nodes: BTreeMap<InodeId, Node>,
    pub slots: BTreeMap<(InodeId, Bytes), InodeId>,
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Model {
    /// A new volume.
    #[must_use]
    pub fn new() -> Self {
        let root = Node {
            mode: ROOT_ATTR.mode,
            atime: ROOT_ATTR.time,
            mtime: ROOT_ATTR.time,
            ctime: ROOT_ATTR.time,
            ..Node::new(FileKind::Dir)
        };
        Self { nodes: BTreeMap::from([(InodeId::ROOT, root)]), slots: BTreeMap::new() }
    }

    /// Adds the record at `index`, which a leader has admitted.
    ///
    /// # Panics
    /// When it does not fit what is there.
    pub fn apply(&mut self, index: Index, op: &Op) {
        let now = time(index);
        match op {
            Op::Make { id, parent, name, kind, mode, uid, gid, rdev, target, acl_access, acl_default } => {
                let acls = [(ACL_ACCESS, acl_access), (ACL_DEFAULT, acl_default)];
                let acls = acls.into_iter().filter(|(_, acl)| !acl.is_empty());
                let node = Node {
                    xattrs: acls.map(|(name, acl)| (Bytes::from_static(name), acl.clone())).collect(),
                    mode: *mode,
                    uid: *uid,
                    gid: *gid,
                    rdev: *rdev,
                    target: target.clone(),
                    atime: now,
                    ..Node::new(*kind)
                };
                self.nodes.insert(*id, node);
                self.set(*parent, name, Some(*id));
                self.touch(index, *id, Some(now));
                self.touch(index, *parent, Some(now));
            }
            Op::Link { id, parent, name } => {
                self.set(*parent, name, Some(*id));
                self.touch(index, *id, None);
                self.touch(index, *parent, Some(now));
            }
            Op::Unlink { id, parent, name, fate } => {
                self.set(*parent, name, None);
                self.lose(index, *id, *fate);
                self.touch(index, *parent, Some(now));
            }
            Op::Rename { id, from, from_name, to, to_name, replaced, fate } => {
                self.set(*from, from_name, None);
                self.set(*to, to_name, Some(*id));
                if *replaced != InodeId::NIL && replaced != id {
                    self.lose(index, *replaced, *fate);
                }
                self.touch(index, *id, None);
                self.touch(index, *from, Some(now));
                self.touch(index, *to, Some(now));
            }
            Op::Exchange { id, from, from_name, other, to, to_name } => {
                self.set(*from, from_name, Some(*other));
                self.set(*to, to_name, Some(*id));
                self.touch(index, *id, None);
                self.touch(index, *other, None);
                self.touch(index, *from, Some(now));
                self.touch(index, *to, Some(now));
            }
            Op::Reap { id } => {
                self.nodes.remove(id);
            }
            other => self.apply_inside(index, now, other),
        }
    }

    /// Operations on one inode.
    fn apply_inside(&mut self, index: Index, now: Timestamp, op: &Op) {
        let (id, mtime) = match op {
            Op::Write { id, offset, data } => {
                let (at, end) = (*offset as usize, *offset as usize + data.len());
                let content = &mut self.node(*id).data;
                if content.len() < end && !data.is_empty() {
                    content.resize(end, 0);
                }
                content[at..end].copy_from_slice(data);
                self.disarm(*id);
                (id, Some(now))
            }
            Op::Allocate { id, range } => {
                let (at, end) = (range.offset as usize, (range.offset + range.len) as usize);
                let content = &mut self.node(*id).data;
                if range.mode & 1 == 0 && content.len() < end {
                    content.resize(end, 0);
                }
                if range.mode & 0x12 != 0 {
                    let len = content.len();
                    content[at.min(len)..end.min(len)].fill(0);
                }
                self.disarm(*id);
                (id, Some(now))
            }
            Op::SetAttr { id, set } => {
                if set.uid.is_some() || set.gid.is_some() || set.size.is_some() {
                    self.disarm(*id);
                }
                let node = self.node(*id);
                if let Some(mode) = set.mode {
                    node.mode = mode;
                    if let Some(acl) = node.xattrs.get_mut(ACL_ACCESS) {
                        *acl = list(acl).with_mode(mode).to_bytes();
                    }
                }
                node.uid = set.uid.unwrap_or(node.uid);
                node.gid = set.gid.unwrap_or(node.gid);
                node.atime = set.atime.unwrap_or(node.atime);
                if let Some(size) = set.size {
                    node.data.resize(size as usize, 0);
                }
                (id, set.mtime.or(set.size.map(|_| now)))
            }
            Op::SetXattr { id, name, value } => {
                let node = self.node(*id);
                node.xattrs.insert(name.clone(), value.clone());
                if name == ACL_ACCESS {
                    node.mode = node.mode & !0o777 | list(value).mode();
                }
                (id, None)
            }
            Op::RemoveXattr { id, name } => {
                self.node(*id).xattrs.remove(name);
                (id, None)
            }
            _ => return,
        };
        self.touch(index, *id, mtime);
    }

    fn disarm(&mut self, id: InodeId) {
        self.node(id).xattrs.remove(CAPABILITY);
    }

    fn node(&mut self, id: InodeId) -> &mut Node {
        self.nodes.get_mut(&id).unwrap()
    }

    fn set(&mut self, parent: InodeId, name: &Bytes, value: Option<InodeId>) {
        match value {
            Some(id) => self.slots.insert((parent, name.clone()), id),
            None => self.slots.remove(&(parent, name.clone())),
        };
    }

    fn lose(&mut self, index: Index, id: InodeId, fate: Fate) {
        match fate {
            Fate::Dies => {
                self.nodes.remove(&id);
            }
            Fate::Stays | Fate::Orphan => self.touch(index, id, None),
        }
    }

    fn touch(&mut self, index: Index, id: InodeId, mtime: Option<Timestamp>) {
        let node = self.node(id);
        node.version = index;
        node.ctime = time(index);
        node.mtime = mtime.unwrap_or(node.mtime);
    }

    /// What the brick's disk and index must hold.
    #[must_use]
    pub fn picture(&self) -> Picture {
        Picture { nodes: self.nodes.clone(), slots: self.all_slots() }
    }

    /// Names, those of orphans in [`ORPHANS`] among them.
    #[must_use]
    pub fn all_slots(&self) -> BTreeMap<(InodeId, Bytes), InodeId> {
        let mut slots = self.slots.clone();
        let named: BTreeSet<_> = self.slots.values().copied().collect();
        for id in self.nodes.keys().filter(|id| **id != InodeId::ROOT && !named.contains(id)) {
            slots.insert((ORPHANS, id.to_string().into()), *id);
        }
        slots
    }

    /// Inodes that the record at `index`, the last one, has changed.
    #[must_use]
    pub fn changed_at(&self, index: Index) -> Vec<InodeId> {
        self.nodes.iter().filter(|(_, node)| node.version == index).map(|(id, _)| *id).collect()
    }

    /// The names of an inode; none for an orphan.
    #[must_use]
    pub fn names_of(&self, id: InodeId) -> Vec<(InodeId, Bytes)> {
        self.slots.iter().filter(|(_, v)| **v == id).map(|(k, _)| k.clone()).collect()
    }
}

fn list(value: &[u8]) -> Acl {
    Acl::parse(value).ok().flatten().expect("histories have well-formed lists")
}
