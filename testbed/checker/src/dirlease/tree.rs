//! The replicated state, and what a leader has of it.

use super::list::List;
use super::state::NAMES;

/// A record of the log.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Record {
    #[default]
    None,
    Lock,
    Unlock,
    Create(u8),
    /// A request of A that is refused, so that its number is used up.
    RefuseLock,
    RefuseCreate(u8),
    /// Unlock, by the leader.
    Revoke,
    CreateByB,
    RefuseB,
}

/// Who made a name.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Owner {
    #[default]
    Nobody,
    A,
    B,
}

/// The replicated state.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Tree {
    pub owners: [Owner; NAMES],
    /// The lease of A, by the number of its request; zero: none.
    pub lock: u8,
    /// Requests of A that were carried out, and which of them were not refused.
    pub done: u8,
    pub granted: u8,
    /// B has an answer.
    pub b_done: bool,
    /// Leases that were revoked, one bit each.
    pub revoked: u8,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Leader {
    pub applied: Tree,
    /// Proposed, not committed.
    pub pending: List<Record, 10>,
    /// A request of B waits here.
    pub waiting: bool,
    /// The lease for which it sent a Recall; zero: none.
    pub recalled: u8,
    pub recall_age: u8,
}

impl Tree {
    pub fn apply(&mut self, record: Record) {
        match record {
            Record::None => {}
            Record::Lock => self.lock = self.answer(true),
            Record::Unlock => {
                self.answer(true);
                self.lock = 0;
            }
            Record::Create(name) => {
                self.answer(true);
                self.owners[usize::from(name)] = Owner::A;
            }
            Record::RefuseLock | Record::RefuseCreate(_) => {
                self.answer(false);
            }
            Record::Revoke => {
                self.revoked |= 1 << self.lock;
                self.lock = 0;
            }
            Record::CreateByB => (self.owners[0], self.b_done) = (Owner::B, true),
            Record::RefuseB => self.b_done = true,
        }
    }

    /// Uses up a number of A, and gives it.
    fn answer(&mut self, granted: bool) -> u8 {
        self.done += 1;
        self.granted |= u8::from(granted) << self.done;
        self.done
    }

    pub fn is_empty(&self) -> bool {
        self.owners.iter().all(|owner| *owner == Owner::Nobody)
    }
}

impl Leader {
    /// The state when everything proposed is committed.
    pub fn view(&self) -> Tree {
        let mut tree = self.applied;
        self.pending.as_slice().iter().for_each(|record| tree.apply(*record));
        tree
    }
}
