//! Which inodes mounts hold open: known to the leader only, and told anew to each leader. Until every session has told,
//! nobody can say that an inode is *not* open.

use std::collections::{BTreeMap, BTreeSet};

use rfs_model::hello::OpenInode;
use rfs_model::{InodeId, SessionId};

#[derive(Clone, Debug, Default)]
pub struct Opens {
    /// Sessions that have told, and what they hold, how often.
    told: BTreeMap<SessionId, BTreeMap<InodeId, u64>>,
    /// Sessions that have not.
    silent: BTreeSet<SessionId>,
    /// How many sessions hold an inode.
    holders: BTreeMap<InodeId, u32>,
    /// What was let go by its last holder since [`Opens::take_freed`] was last called.
    freed: BTreeSet<InodeId>,
}

impl Opens {
    /// A session is known to exist, and has not told yet.
    pub fn expect(&mut self, session: SessionId) {
        self.forget(session);
        self.silent.insert(session);
    }

    /// A session tells all that it holds.
    pub fn tell(&mut self, session: SessionId, opens: &[OpenInode]) {
        self.forget(session);
        self.told.insert(session, BTreeMap::new());
        for open in opens.iter().filter(|o| o.count > 0) {
            self.add(session, open.id, u64::from(open.count));
        }
    }

    /// A session has ended.
    pub fn forget(&mut self, session: SessionId) {
        self.silent.remove(&session);
        for id in self.told.remove(&session).unwrap_or_default().into_keys() {
            self.let_go(id);
        }
    }

    pub fn open(&mut self, session: SessionId, id: InodeId) {
        self.add(session, id, 1);
    }

    fn add(&mut self, session: SessionId, id: InodeId, count: u64) {
        let Some(held) = self.told.get_mut(&session) else {
            return;
        };
        let times = held.entry(id).or_default();
        if *times == 0 {
            *self.holders.entry(id).or_default() += 1;
        }
        *times += count;
    }

    pub fn release(&mut self, session: SessionId, id: InodeId) {
        let Some(held) = self.told.get_mut(&session) else {
            return;
        };
        match held.get_mut(&id) {
            Some(times) if *times > 1 => *times -= 1,
            Some(_) => {
                held.remove(&id);
                self.let_go(id);
            }
            None => {}
        }
    }

    fn let_go(&mut self, id: InodeId) {
        if let Some(count) = self.holders.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.holders.remove(&id);
                self.freed.insert(id);
            }
        }
    }

    /// Whether somebody has it open, as far as can be known.
    #[must_use]
    pub fn may_be_open(&self, id: InodeId) -> bool {
        !self.silent.is_empty() || self.holders.contains_key(&id)
    }

    /// Whether every session has told.
    #[must_use]
    pub fn complete(&self) -> bool {
        self.silent.is_empty()
    }

    /// Inodes that were let go by their last holder since the last call.
    pub fn take_freed(&mut self) -> BTreeSet<InodeId> {
        std::mem::take(&mut self.freed)
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::Index;

    use super::*;

    const A: SessionId = SessionId([1; 16]);
    const B: SessionId = SessionId([2; 16]);
    const FILE: InodeId = InodeId { index: Index(9), ..InodeId::ROOT };

    #[test]
    fn an_inode_is_open_until_all_have_told_and_none_holds_it() {
        let mut opens = Opens::default();
        opens.expect(A);
        opens.expect(B);
        assert!(opens.may_be_open(FILE), "nobody has told");
        opens.tell(A, &[OpenInode { id: FILE, count: 2 }]);
        opens.tell(B, &[]);
        assert!(opens.may_be_open(FILE));
        opens.open(B, FILE);
        opens.release(A, FILE);
        opens.release(A, FILE);
        assert!(opens.may_be_open(FILE), "B holds it");
        opens.forget(B);
        assert!(!opens.may_be_open(FILE));
        assert_eq!(opens.take_freed(), BTreeSet::from([FILE]));
        assert!(opens.take_freed().is_empty());
    }

    #[test]
    fn telling_again_replaces_what_was_told() {
        let mut opens = Opens::default();
        opens.tell(A, &[OpenInode { id: FILE, count: 5 }]);
        opens.tell(A, &[OpenInode { id: FILE, count: 1 }]);
        opens.release(A, FILE);
        assert!(!opens.may_be_open(FILE));
        opens.release(A, FILE);
        assert!(!opens.may_be_open(FILE), "one release too many changes nothing");
    }
}
