//! Byte-range locks: one table per inode, with the rules of fcntl(2). Part of the replicated state: it changes only by
//! committed records.

use std::collections::{BTreeMap, BTreeSet};

use rfs_model::op::{LEASE, LockKind, LockOwner, LockRange};
use rfs_model::{InodeId, SessionId, layout};

/// Ranges that one inode's table holds at the most; beyond, requests are refused.
pub const RANGES_PER_INODE: usize = 4096;

/// A held range: `start ..= end`; the kind is never `Unlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Held {
    pub owner: LockOwner,
    pub range: LockRange,
}
layout!(Held { owner, range });

/// All locks of one replica set.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Locks {
    /// Per inode, sorted by (start, owner). Two ranges of one owner neither overlap nor, if alike, touch.
    inodes: BTreeMap<InodeId, Vec<Held>>,
    sessions: BTreeMap<SessionId, BTreeSet<InodeId>>,
}

impl Locks {
    /// A lock of somebody else that stands in the way of `range`, if any: the first by position.
    #[must_use]
    pub fn conflict(&self, id: InodeId, owner: LockOwner, range: LockRange) -> Option<Held> {
        let clash = |h: &&Held| {
            h.owner != owner
                && overlap(h.range, range)
                && (h.range.kind == LockKind::Exclusive || range.kind == LockKind::Exclusive)
        };
        match range.kind {
            LockKind::Unlock => None,
            _ => self.held(id).iter().find(clash).copied(),
        }
    }

    /// All held ranges of an inode, by position.
    #[must_use]
    pub fn held(&self, id: InodeId) -> &[Held] {
        self.inodes.get(&id).map_or(&[], Vec::as_slice)
    }

    /// The session that has the lease on a directory.
    #[must_use]
    pub fn leased_to(&self, dir: InodeId) -> Option<SessionId> {
        self.held(dir).iter().find(|held| held.owner.owner == LEASE).map(|held| held.owner.session)
    }

    /// Whether the owner holds any byte of the range.
    #[must_use]
    pub fn holds(&self, id: InodeId, owner: LockOwner, range: LockRange) -> bool {
        self.held(id).iter().any(|h| h.owner == owner && overlap(h.range, range))
    }

    /// Whether a range can be set so that the table stays one that [`Locks::from_all`] takes.
    #[must_use]
    pub fn may_set(&self, id: InodeId, owner: LockOwner, range: LockRange) -> bool {
        // It may cut another in two.
        self.conflict(id, owner, range).is_none() && self.held(id).len() + 2 <= 2 * RANGES_PER_INODE
    }

    /// Takes, changes or frees a range. Conflicts were ruled out when the record was made. True when something that was
    /// held became weaker or free, so that waiters may try again.
    pub fn set(&mut self, id: InodeId, owner: LockOwner, range: LockRange) -> bool {
        let mut table = self.inodes.remove(&id).unwrap_or_default();
        let weaker =
            |old: LockKind| old == LockKind::Exclusive && range.kind != old || range.kind == LockKind::Unlock;
        let freed = table.iter().any(|h| h.owner == owner && overlap(h.range, range) && weaker(h.range.kind));
        let mut kept: Vec<Held> = Vec::with_capacity(table.len() + 2);
        for held in table.drain(..) {
            if held.owner == owner && overlap(held.range, range) {
                cut(held, range, &mut kept);
            } else {
                kept.push(held);
            }
        }
        if range.kind != LockKind::Unlock {
            let merged = absorb(&mut kept, owner, range);
            kept.push(Held { owner, range: merged });
        }
        kept.sort_by_key(|h| (h.range.start, h.owner));
        self.put(id, owner.session, kept);
        freed
    }

    fn put(&mut self, id: InodeId, session: SessionId, table: Vec<Held>) {
        let any = table.iter().any(|h| h.owner.session == session);
        if any {
            self.sessions.entry(session).or_default().insert(id);
        } else if let Some(inodes) = self.sessions.get_mut(&session) {
            inodes.remove(&id);
            if inodes.is_empty() {
                self.sessions.remove(&session);
            }
        }
        if !table.is_empty() {
            self.inodes.insert(id, table);
        }
    }

    /// Frees all that an owner holds on an inode. True when there was anything.
    pub fn drop_owner(&mut self, id: InodeId, owner: LockOwner) -> bool {
        self.retain(id, owner.session, |h| h.owner != owner)
    }

    /// Frees all locks of a session; returns the inodes that were freed.
    pub fn drop_session(&mut self, session: SessionId) -> Vec<InodeId> {
        let inodes: Vec<InodeId> = self.sessions.get(&session).into_iter().flatten().copied().collect();
        for id in &inodes {
            self.retain(*id, session, |h| h.owner.session != session);
        }
        inodes
    }

    /// The inode is gone, and its locks with it.
    pub fn drop_inode(&mut self, id: InodeId) {
        for held in self.inodes.remove(&id).unwrap_or_default() {
            self.put(id, held.owner.session, Vec::new());
        }
    }

    fn retain(&mut self, id: InodeId, session: SessionId, keep: impl FnMut(&Held) -> bool) -> bool {
        let Some(mut table) = self.inodes.remove(&id) else {
            return false;
        };
        let before = table.len();
        table.retain(keep);
        let freed = table.len() < before;
        self.put(id, session, table);
        freed
    }

    /// Everything that is held, for the snapshot.
    #[must_use]
    pub fn all(&self) -> Vec<(InodeId, Held)> {
        self.inodes.iter().flat_map(|(id, table)| table.iter().map(|h| (*id, *h))).collect()
    }

    /// The table that [`Locks::all`] describes. `None` when the ranges are not those of a table.
    #[must_use]
    pub fn from_all(all: Vec<(InodeId, Held)>) -> Option<Self> {
        let mut locks = Self::default();
        for (id, held) in all {
            let sound = held.range.kind != LockKind::Unlock && held.range.start <= held.range.end;
            let full = locks.held(id).len() >= 2 * RANGES_PER_INODE;
            if !sound || full || locks.conflict(id, held.owner, held.range).is_some() {
                return None;
            }
            locks.set(id, held.owner, held.range);
        }
        Some(locks)
    }
}

fn overlap(a: LockRange, b: LockRange) -> bool {
    a.start <= b.end && b.start <= a.end
}

/// Pushes what is left of `held` outside of `hole`.
fn cut(held: Held, hole: LockRange, out: &mut Vec<Held>) {
    let old = held.range;
    if old.start < hole.start {
        out.push(Held { range: LockRange { end: hole.start - 1, ..old }, ..held });
    }
    if old.end > hole.end {
        out.push(Held { range: LockRange { start: hole.end + 1, ..old }, ..held });
    }
}

/// Takes the ranges of the same owner and kind that touch `range` out of the table and returns them joined with it.
fn absorb(table: &mut Vec<Held>, owner: LockOwner, range: LockRange) -> LockRange {
    let mut joined = range;
    table.retain(|h| {
        let alike = h.owner == owner && h.range.kind == range.kind;
        let touches = h.range.end.checked_add(1) == Some(range.start)
            || range.end.checked_add(1) == Some(h.range.start);
        if alike && touches {
            joined.start = joined.start.min(h.range.start);
            joined.end = joined.end.max(h.range.end);
        }
        !(alike && touches)
    });
    joined
}

#[cfg(test)]
mod tests {
    use rfs_model::{Index, Term};

    use super::*;
    use LockKind::{Exclusive, Shared, Unlock};

    const FILE: InodeId = InodeId { term: Term(1), index: Index(5) };

    fn who(n: u8) -> LockOwner {
        LockOwner { session: SessionId([n; 16]), owner: u64::from(n) }
    }

    fn range(kind: LockKind, start: u64, end: u64) -> LockRange {
        LockRange { kind, start, end, pid: 1 }
    }

    #[test]
    fn ranges_split_merge_and_change_as_fcntl_says() {
        const END: u64 = u64::MAX;
        type Steps<'a> = &'a [(LockKind, u64, u64)];
        let table: &[(Steps<'_>, Steps<'_>)] = &[
            (&[(Shared, 0, 9), (Shared, 10, 19)], &[(Shared, 0, 19)]),
            (&[(Shared, 10, 19), (Shared, 0, 9)], &[(Shared, 0, 19)]),
            (&[(Shared, 0, 9), (Shared, 20, 29), (Shared, 10, 19)], &[(Shared, 0, 29)]),
            (&[(Shared, 0, 9), (Exclusive, 10, 19)], &[(Shared, 0, 9), (Exclusive, 10, 19)]),
            (&[(Exclusive, 0, 99), (Unlock, 10, 19)], &[(Exclusive, 0, 9), (Exclusive, 20, 99)]),
            (
                &[(Exclusive, 0, 99), (Shared, 10, 19)],
                &[(Exclusive, 0, 9), (Shared, 10, 19), (Exclusive, 20, 99)],
            ),
            (&[(Shared, 5, 15), (Exclusive, 0, 20)], &[(Exclusive, 0, 20)]),
            (&[(Shared, 0, END), (Unlock, 0, 9)], &[(Shared, 10, END)]),
            (&[(Shared, 0, END), (Unlock, 10, END)], &[(Shared, 0, 9)]),
            (&[(Shared, 3, END), (Shared, 0, 2)], &[(Shared, 0, END)]),
            (&[(Shared, 0, 9), (Unlock, 0, END)], &[]),
        ];
        for (steps, left) in table {
            let mut locks = Locks::default();
            for (kind, start, end) in *steps {
                locks.set(FILE, who(1), range(*kind, *start, *end));
            }
            let got: Vec<_> =
                locks.held(FILE).iter().map(|h| (h.range.kind, h.range.start, h.range.end)).collect();
            assert_eq!(&got, left, "{steps:?}");
            assert_eq!(Locks::from_all(locks.all()), Some(locks));
        }
    }

    #[test]
    fn owners_conflict_only_where_one_is_exclusive() {
        let mut locks = Locks::default();
        locks.set(FILE, who(1), range(Shared, 0, 9));
        locks.set(FILE, who(1), range(Exclusive, 20, 29));
        let table = [
            (Shared, 0, 9, false),
            (Exclusive, 9, 9, true),
            (Exclusive, 10, 19, false),
            (Shared, 29, 40, true),
            (Unlock, 0, 99, false),
        ];
        for (kind, start, end, conflicts) in table {
            assert_eq!(locks.conflict(FILE, who(2), range(kind, start, end)).is_some(), conflicts);
            assert_eq!(locks.conflict(FILE, who(1), range(kind, start, end)), None);
        }
        assert_eq!(locks.conflict(FILE, who(2), range(Shared, 25, 25)).map(|h| h.range.start), Some(20));
    }

    #[test]
    fn freeing_tells_who_may_try_again() {
        let mut locks = Locks::default();
        assert!(!locks.set(FILE, who(1), range(Exclusive, 0, 9)), "taking frees nobody");
        assert!(locks.set(FILE, who(1), range(Shared, 0, 9)), "readers may come in");
        assert!(!locks.set(FILE, who(1), range(Exclusive, 0, 9)));
        assert!(!locks.set(FILE, who(1), range(Unlock, 20, 29)), "nothing was held there");
        assert!(locks.set(FILE, who(1), range(Unlock, 0, 4)));
        locks.set(FILE, who(2), range(Exclusive, 50, 59));
        assert_eq!(locks.drop_session(who(1).session), vec![FILE]);
        assert_eq!(locks.drop_session(who(1).session), vec![]);
        assert!(locks.drop_owner(FILE, who(2)));
        assert!(!locks.drop_owner(FILE, who(2)));
        assert_eq!(locks, Locks::default());
    }

    #[test]
    fn an_inode_takes_its_locks_along() {
        let mut locks = Locks::default();
        locks.set(FILE, who(1), range(Shared, 0, 9));
        locks.set(FILE, who(2), range(Shared, 0, 9));
        locks.drop_inode(FILE);
        assert_eq!(locks, Locks::default());
    }

    #[test]
    fn a_snapshot_with_a_conflict_is_no_table() {
        let held = |n| (FILE, Held { owner: who(n), range: range(Exclusive, 0, 9) });
        assert_eq!(Locks::from_all(vec![held(1), held(2)]), None);
    }

    #[test]
    fn what_may_be_set_can_be_read_back() {
        let mut locks = Locks::default();
        locks.set(FILE, who(1), range(Exclusive, 0, 9));
        assert!(!locks.may_set(FILE, who(2), range(Shared, 5, 5)));
        assert!(locks.may_set(FILE, who(2), range(Unlock, 5, 5)));
        assert!(locks.may_set(FILE, who(1), range(Shared, 5, 5)));
        let mut locks = Locks::default();
        let mut at = 0;
        while locks.may_set(FILE, who(1), range(Shared, at, at)) {
            locks.set(FILE, who(1), range(Shared, at, at));
            at += 2;
        }
        assert_eq!(locks.held(FILE).len(), 2 * RANGES_PER_INODE - 1);
        assert_eq!(Locks::from_all(locks.all()), Some(locks));
    }
}
