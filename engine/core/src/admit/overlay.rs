//! What proposed records that are not applied yet touch. Validation reads the applied tree and this; a request that meets a
//! pending name or a pending change of an inode's standing waits for it, all others go on.

use std::collections::{BTreeMap, VecDeque};
use std::ops::{Bound, Range};

use bytes::Bytes;
use rfs_model::op::Fate;
use rfs_model::{FileKind, Index, InodeId, Op, SessionId};

use super::in_place::InPlace;
use crate::acl;
use crate::converge::{slots, touched};
use rfs_model::Timestamp;

/// What is pending on one inode. An index of 0 means nothing is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pending {
    /// The newest record that touches it.
    pub last: Index,
    /// The newest record that changes its standing: birth, names, owner, mode, ACLs, death.
    pub standing: Index,
    /// The record that ends it.
    pub dies: Index,
    /// The newest record about its locks.
    pub locks: Index,
    /// Whose that is.
    pub locker: SessionId,
    /// The newest record about its extended attributes.
    pub xattrs: Index,
    /// Its kind, once a pending record has looked at it.
    pub kind: Option<FileKind>,
    /// Its size after the newest record, once one has changed it; `kind` is known then.
    pub size: Option<u64>,
    /// Its mode after the newest record, once one has set it.
    pub mode: Option<u32>,
    by_session: Vec<(SessionId, Newest)>,
    in_place: InPlace,
}

/// A session's newest pending records on one inode.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Newest {
    any: Index,
    /// Of those that are not in [`Pending::in_place`].
    apart: Index,
}

impl Pending {
    fn newest(&self, session: SessionId) -> Newest {
        self.by_session.iter().find(|(s, _)| *s == session).map(|(_, newest)| *newest).unwrap_or_default()
    }

    fn newest_mut(&mut self, session: SessionId) -> &mut Newest {
        let at = self.by_session.iter().position(|(s, _)| *s == session).unwrap_or_else(|| {
            self.by_session.push((session, Newest::default()));
            self.by_session.len() - 1
        });
        &mut self.by_session[at].1
    }
}

#[derive(Clone, Debug, Default)]
pub struct Overlay {
    slots: BTreeMap<(InodeId, Bytes), Index>,
    inodes: BTreeMap<InodeId, Pending>,
    /// The newest record that moves a directory.
    moves: Index,
    applied: Index,
    order: VecDeque<(Index, Traces)>,
}

#[derive(Clone, Debug, Default)]
struct Traces {
    slots: Vec<(InodeId, Bytes)>,
    inodes: Vec<InodeId>,
}

impl Overlay {
    #[must_use]
    pub fn slot(&self, parent: InodeId, name: &Bytes) -> Index {
        self.slots.get(&(parent, name.clone())).copied().unwrap_or_default()
    }

    /// The newest pending record that sets a name in the directory.
    #[must_use]
    pub fn slots_in(&self, dir: InodeId) -> Index {
        let from = Bound::Included((dir, Bytes::new()));
        let names = self.slots.range((from, Bound::Unbounded)).take_while(|((parent, _), _)| *parent == dir);
        names.map(|(_, index)| *index).max().unwrap_or_default()
    }

    #[must_use]
    pub fn inode(&self, id: InodeId) -> Option<&Pending> {
        self.inodes.get(&id)
    }

    /// One of an inode's pending indexes; 0 when that record is applied already.
    #[must_use]
    pub fn still(&self, id: InodeId, which: impl Fn(&Pending) -> Index) -> Index {
        let index = self.inodes.get(&id).map(which).unwrap_or_default();
        if index > self.applied { index } else { Index::ZERO }
    }

    #[must_use]
    pub fn last(&self, id: InodeId) -> Index {
        self.inodes.get(&id).map_or(Index::ZERO, |p| p.last)
    }

    #[must_use]
    pub fn last_of(&self, session: SessionId, id: InodeId) -> Index {
        self.inodes.get(&id).map_or(Index::ZERO, |p| p.newest(session).any)
    }

    /// The session's newest record that changes what a file holds in this range, or may.
    #[must_use]
    pub fn last_in(&self, session: SessionId, id: InodeId, bytes: &Range<u64>) -> Index {
        let of = |p: &Pending| p.newest(session).apart.max(p.in_place.newest(session, bytes));
        self.inodes.get(&id).map_or(Index::ZERO, of)
    }

    #[must_use]
    pub fn moves(&self) -> Index {
        if self.moves > self.applied { self.moves } else { Index::ZERO }
    }

    /// Takes in a proposed record. `kind` and `size` are those of the inode that it is about, as far as they are known.
    pub fn add(
        &mut self,
        index: Index,
        session: SessionId,
        op: &Op,
        kind: Option<FileKind>,
        size: Option<u64>,
    ) {
        let mut traces = Traces::default();
        for (parent, name, _) in slots(op) {
            self.slots.insert((parent, name.clone()), index);
            traces.slots.push((parent, name.clone()));
        }
        for t in touched(op, Timestamp::default()) {
            traces.inodes.push(t.id);
        }
        match op {
            Op::Reap { id } | Op::Lock { id, .. } | Op::Unlock { id, .. } => traces.inodes.push(*id),
            Op::Rename { .. } | Op::Exchange { .. } if kind == Some(FileKind::Dir) => self.moves = index,
            _ => {}
        }
        for id in &traces.inodes {
            self.mark(*id, index, session, op, size);
        }
        if let Some(pending) = subject(op).and_then(|id| self.inodes.get_mut(&id)) {
            pending.kind = kind.or(pending.kind);
            pending.size = size.or(pending.size);
        }
        self.order.push_back((index, traces));
    }

    fn mark(&mut self, id: InodeId, index: Index, session: SessionId, op: &Op, size: Option<u64>) {
        let pending = self.inodes.entry(id).or_default();
        pending.last = index;
        let in_place = pending.in_place.add(index, session, op, pending.size, size);
        let newest = pending.newest_mut(session);
        newest.any = index;
        if !in_place {
            newest.apart = index;
        }
        if changes_standing(op, id) {
            pending.standing = index;
        }
        if ends(op, id) {
            pending.dies = index;
        }
        match op {
            Op::Make { id: made, mode, .. } if *made == id => pending.mode = Some(*mode),
            Op::SetAttr { set, .. } => pending.mode = set.mode.or(pending.mode),
            Op::Lock { .. } | Op::Unlock { .. } => (pending.locks, pending.locker) = (index, session),
            Op::SetXattr { name, .. } | Op::RemoveXattr { name, .. } => {
                pending.xattrs = index;
                // The access list sets the mode as well.
                pending.mode = pending.mode.filter(|_| *name != acl::ACCESS);
            }
            _ => {}
        }
    }

    /// Everything up to `index` is applied: the tree shows it now.
    pub fn applied(&mut self, index: Index) {
        while self.order.front().is_some_and(|(i, _)| *i <= index) {
            let Some((at, traces)) = self.order.pop_front() else { break };
            for slot in traces.slots {
                if self.slots.get(&slot) == Some(&at) {
                    self.slots.remove(&slot);
                }
            }
            for id in traces.inodes {
                let Some(pending) = self.inodes.get_mut(&id) else { continue };
                pending.in_place.applied(at);
                if pending.last <= at {
                    self.inodes.remove(&id);
                }
            }
        }
        self.applied = index;
    }
}

/// The inode whose kind and size an operation's admission has looked at.
fn subject(op: &Op) -> Option<InodeId> {
    match op {
        Op::Make { id, .. } | Op::Write { id, .. } | Op::SetAttr { id, .. } | Op::Allocate { id, .. } => {
            Some(*id)
        }
        _ => None,
    }
}

fn changes_standing(op: &Op, of: InodeId) -> bool {
    match op {
        Op::Make { id, .. } | Op::Link { id, .. } | Op::Unlink { id, .. } | Op::Reap { id } => *id == of,
        Op::Rename { id, replaced, .. } => *id == of || *replaced == of,
        Op::Exchange { id, other, .. } => *id == of || *other == of,
        Op::SetAttr { set, .. } => set.mode.is_some() || set.uid.is_some() || set.gid.is_some(),
        // The access list sets the mode as well.
        Op::SetXattr { name, .. } | Op::RemoveXattr { name, .. } => {
            *name == acl::ACCESS || *name == acl::DEFAULT
        }
        _ => false,
    }
}

fn ends(op: &Op, of: InodeId) -> bool {
    match op {
        Op::Unlink { id, fate: Fate::Dies, .. } | Op::Reap { id } => *id == of,
        Op::Rename { replaced, fate: Fate::Dies, .. } => *replaced == of,
        _ => false,
    }
}
