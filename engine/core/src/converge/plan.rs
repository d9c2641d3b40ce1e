//! What a run of committed records amounts to.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use rfs_model::op::{Fate, Stamped};
use rfs_model::{FileKind, Index, InodeId, Op, Timestamp};

use super::touch::{slots, touched};

/// One name in one directory.
pub type Slot = (InodeId, Bytes);

/// What a new inode was born with. ACLs are values of `system.posix_acl_*`, or empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub target: Bytes,
    pub acl_access: Bytes,
    pub acl_default: Bytes,
}

/// The last that the records say of an inode's version and times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Touch {
    pub version: Index,
    pub ctime: Timestamp,
    /// `None`: no record set it.
    pub mtime: Option<Timestamp>,
}

/// The fold of a run of records. Its size follows the number of names and inodes touched, never the data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Plan {
    through: Index,
    slots: BTreeMap<Slot, Option<InodeId>>,
    made: BTreeMap<InodeId, Made>,
    dead: BTreeSet<InodeId>,
    orphans: BTreeSet<InodeId>,
    touched: BTreeMap<InodeId, Touch>,
}

impl Plan {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the record that follows. Records without an outcome (configuration, volume state) need not be shown.
    ///
    /// # Panics
    /// When `index` is not above the one before.
    pub fn fold(&mut self, index: Index, stamped: &Stamped) {
        assert!(index > self.through, "record {index} after {}", self.through);
        self.through = index;
        for (parent, name, value) in slots(&stamped.op) {
            // Copied: a slice would hold the whole buffer that the record was read into.
            self.slots.insert((parent, Bytes::copy_from_slice(name)), value);
        }
        for t in touched(&stamped.op, stamped.time) {
            self.touch(t.id, Touch { version: index, ctime: stamped.time, mtime: t.mtime });
        }
        self.lives_and_deaths(&stamped.op);
    }

    fn touch(&mut self, id: InodeId, new: Touch) {
        let entry = self.touched.entry(id).or_insert(new);
        *entry = Touch { mtime: new.mtime.or(entry.mtime), ..new };
    }

    fn lives_and_deaths(&mut self, op: &Op) {
        match op {
            Op::Make { id, kind, mode, uid, gid, rdev, target, acl_access, acl_default, .. } => {
                let made = Made {
                    kind: *kind,
                    mode: *mode,
                    uid: *uid,
                    gid: *gid,
                    rdev: *rdev,
                    target: Bytes::copy_from_slice(target),
                    acl_access: Bytes::copy_from_slice(acl_access),
                    acl_default: Bytes::copy_from_slice(acl_default),
                };
                self.made.insert(*id, made);
            }
            Op::Unlink { id, fate, .. } => self.meet(*id, *fate),
            Op::Rename { replaced, fate, .. } if *replaced != InodeId::NIL => self.meet(*replaced, *fate),
            Op::Reap { id } => self.meet(*id, Fate::Dies),
            _ => {}
        }
    }

    fn meet(&mut self, id: InodeId, fate: Fate) {
        match fate {
            Fate::Stays => {}
            Fate::Orphan => {
                self.orphans.insert(id);
            }
            Fate::Dies => {
                self.orphans.remove(&id);
                self.dead.insert(id);
            }
        }
    }

    /// Says what a slot holds that no record set: after a loss of power the disk may show what no log tells of any more.
    pub fn claim(&mut self, parent: InodeId, name: &[u8], value: Option<InodeId>) {
        self.slots.entry((parent, Bytes::copy_from_slice(name))).or_insert(value);
    }

    /// Whether a record set the slot, or a claim.
    #[must_use]
    pub fn sets(&self, parent: InodeId, name: &[u8]) -> bool {
        self.slots.contains_key(&(parent, Bytes::copy_from_slice(name)))
    }

    /// Says that an inode ends which no record speaks of.
    pub fn bury(&mut self, id: InodeId) {
        self.dead.insert(id);
    }

    /// Index of the last record shown; 0 when there was none.
    #[must_use]
    pub fn through(&self) -> Index {
        self.through
    }

    /// Final value of each slot that a record set.
    #[must_use]
    pub fn slots(&self) -> &BTreeMap<Slot, Option<InodeId>> {
        &self.slots
    }

    /// Inodes that lost their last name in these records and are kept.
    #[must_use]
    pub fn orphans(&self) -> &BTreeSet<InodeId> {
        &self.orphans
    }

    /// Inodes that ended in these records.
    #[must_use]
    pub fn dead(&self) -> &BTreeSet<InodeId> {
        &self.dead
    }

    /// How an inode that these records made was born, if they did, dead or alive.
    #[must_use]
    pub fn made(&self, id: InodeId) -> Option<&Made> {
        self.made.get(&id)
    }

    /// All inodes that these records made, dead or alive.
    pub fn makes(&self) -> impl Iterator<Item = (InodeId, &Made)> {
        self.made.iter().map(|(id, made)| (*id, made))
    }

    /// Inodes that these records made and that still exist after them, named or orphaned.
    pub fn surviving_makes(&self) -> impl Iterator<Item = (InodeId, &Made)> {
        self.made.iter().filter(|(id, _)| !self.dead.contains(id)).map(|(id, made)| (*id, made))
    }

    /// Inodes that must exist after these records because a slot or an orphan needs them.
    #[must_use]
    pub fn wanted(&self) -> BTreeSet<InodeId> {
        self.slots.values().flatten().chain(&self.orphans).copied().collect()
    }

    /// Last version and times of the inodes that these records touched and that still exist.
    pub fn touched(&self) -> impl Iterator<Item = (InodeId, Touch)> {
        self.touched.iter().filter(|(id, _)| !self.dead.contains(id)).map(|(id, touch)| (*id, *touch))
    }

    /// Whether the record has data, a size, attributes or an extended attribute to be set again on an inode that still
    /// exists.
    #[must_use]
    pub fn redoes(&self, stamped: &Stamped) -> bool {
        match &stamped.op {
            Op::Write { id, .. }
            | Op::SetAttr { id, .. }
            | Op::SetXattr { id, .. }
            | Op::RemoveXattr { id, .. }
            | Op::Allocate { id, .. } => !self.dead.contains(id),
            _ => false,
        }
    }
}
