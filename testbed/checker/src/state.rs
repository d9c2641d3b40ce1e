//! One state of a replica set: everything that its bricks, its witnesses and the record of what was promised hold.
//!
//! Indexes count from 1, so that 0 is "none". What a role no longer needs is zero: equal situations are equal states.

use crate::config::{BRICKS, Config, Placed, Record, SEATS, Voters};

/// Longest log.
pub const LOG: usize = 10;

/// Whether a brick knows that it has all that it acknowledged.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Trust {
    #[default]
    Sound,
    Suspect,
    /// A new disk.
    Blank,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    #[default]
    Follower,
    Candidate,
    Leader,
}

/// One brick. A brick that is down is one that takes no step: its crash and its next start are one action.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Brick {
    pub log: [Record; LOG],
    pub len: u8,
    /// Written: survives a crash. A follower's records are, once it has them; a leader's lag behind where the model says so.
    pub journaled: u8,
    /// Survives a power loss.
    pub synced: u8,
    pub term: u8,
    /// The brick that has its vote, plus 1.
    pub voted: u8,
    /// Term and vote as a crash leaves them: what they are, but for the mutant that answers first.
    pub saved: (u8, u8),
    pub trust: Trust,
    /// Trust as a crash leaves it; the same applies.
    pub saved_trust: Trust,
    /// A configuration in the hard state whose record a power loss took from the log, and its index; zero if there is none.
    pub ahead: Record,
    pub ahead_at: u8,
    /// Bound by a promise to a leader.
    pub holds: bool,
    /// The term of that leader.
    pub hold_term: u8,
    /// The latest term whose leader gave up its lease.
    pub released: u8,
    pub role: Role,
    /// Follower: its log is its leader's up to here.
    pub agreed: u8,
    /// Follower that is not sound: where the logs must agree, by the word of a leader, plus 1.
    pub vouched: u8,
    /// An answer to an earlier nonce, plus 1, and its term: nothing, but for the mutant that takes it.
    pub stale_vouch: (u8, u8),
    /// Candidate: whose votes it has.
    pub votes: Voters,
    /// Those of them that are not sound.
    pub suspects: Voters,
    pub lead: Lead,
}

/// What a leader knows; zero in other roles.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lead {
    /// Its first record.
    pub first: u8,
    pub committed: u8,
    /// It began the joint configuration at the end of its log.
    pub own_joint: bool,
    /// Where the log of each brick ended at the lowest, as it told this leader, plus 1; kept while it may serve to turn back
    /// a joint configuration that this leader did not begin.
    pub ended: [u8; BRICKS],
    /// Acknowledged as journaled, by brick.
    pub journaled: [u8; BRICKS],
    pub synced: [u8; BRICKS],
    /// Witnesses that have stored its newest configuration.
    pub stored: Voters,
    /// Voters whose promise is younger than the lease.
    pub lease: Voters,
    /// A read waits: how long the committed log was when it came, plus 1.
    pub read: u8,
    /// Who has answered since.
    pub round: Voters,
}

/// A witness's register.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Register {
    pub term: u8,
    pub voted: u8,
    /// Term and index of the stored configuration.
    pub config: (u8, u8),
    pub stored_in: u8,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Witness {
    pub register: Register,
    /// As a crash leaves it.
    pub saved: Register,
    pub holds: bool,
    pub hold_term: u8,
    /// Its register was lost: who comes back is a stranger.
    pub lost: bool,
}

/// Faults and events that a history has had, each bounded by the model.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spent {
    pub crashes: u8,
    pub powers: u8,
    pub witness_faults: u8,
    pub changes: u8,
    pub data: u8,
    pub reads: u8,
    pub disks: u8,
}

/// What was promised: known to nobody, kept for the checks.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Promised {
    /// Every record that a leader ever committed, but for those that a power loss of a commit quorum could take.
    pub log: [Record; LOG],
    pub committed: u8,
    pub durable: u8,
    /// The latest term in which something was committed.
    pub term: u8,
    /// Terms that had a leader, one bit each.
    pub led: u16,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct State {
    pub bricks: [Brick; BRICKS],
    pub witnesses: [Witness; SEATS],
    pub promised: Promised,
    pub spent: Spent,
}

impl State {
    /// A new volume: the first record everywhere, synced, committed; no leader yet.
    #[must_use]
    pub fn genesis(bricks: usize, seats: usize, growing: bool) -> Self {
        let in_sync = if growing { 1 } else { bricks };
        let seat = (in_sync.is_multiple_of(2) && seats > 0).then_some(0);
        let first = Record::last(1, Config::new((1 << in_sync) - 1, seat));
        let mut state = Self::default();
        for brick in &mut state.bricks[..bricks] {
            (brick.log[0], brick.len, brick.journaled, brick.synced) = (first, 1, 1, 1);
            (brick.term, brick.saved) = (1, (1, 0));
            if growing {
                let (one, both) = (first.target(), Config::new(3, Some(0)));
                brick.append(Record::joint(1, one, both));
                brick.append(Record::joint(1, both, one));
                brick.journaled = brick.len;
            }
        }
        for witness in &mut state.witnesses[..seats] {
            let register = Register { term: 1, voted: 0, config: (1, 1), stored_in: 1 };
            (witness.register, witness.saved) = (register, register);
        }
        state.promised.log[0] = first;
        (state.promised.committed, state.promised.durable, state.promised.term) = (1, 1, 1);
        state
    }
}

impl Brick {
    /// Term and index of the last record.
    #[must_use]
    pub fn end(&self) -> (u8, u8) {
        (self.log[..usize::from(self.len)].last().map_or(0, |record| record.term()), self.len)
    }

    #[must_use]
    pub fn record(&self, index: u8) -> Record {
        self.log[usize::from(index) - 1]
    }

    /// The newest configuration in the log up to `index`. A log without any belongs to a new disk.
    #[must_use]
    pub fn config_upto(&self, index: u8) -> Option<Placed> {
        let found = (1..=index).rev().find(|at| self.record(*at).is_config());
        found.map(|index| Placed { index, record: self.record(index) })
    }

    /// The configuration in force.
    #[must_use]
    pub fn config(&self) -> Placed {
        if self.ahead_at > 0 {
            return Placed { index: self.ahead_at, record: self.ahead };
        }
        self.config_upto(self.len).unwrap_or(Placed { index: 0, record: Record::default() })
    }

    pub fn append(&mut self, record: Record) {
        self.log[usize::from(self.len)] = record;
        self.len += 1;
        self.settle_config();
    }

    /// Removes everything behind `index`.
    pub fn cut(&mut self, index: u8) {
        for at in index..self.len {
            self.log[usize::from(at)] = Record::default();
        }
        self.len = index;
        self.journaled = self.journaled.min(index);
        self.synced = self.synced.min(index);
    }

    /// A configuration that the log lacks gives way once the log has passed it.
    pub fn settle_config(&mut self) {
        if self.ahead_at > 0 && self.end() >= (self.ahead.term(), self.ahead_at) {
            (self.ahead, self.ahead_at) = (Record::default(), 0);
        }
    }

    /// Records that both logs begin with.
    #[must_use]
    pub fn common(&self, other: &Self) -> u8 {
        let shorter = self.len.min(other.len);
        let pairs = self.log.iter().zip(&other.log).take(usize::from(shorter));
        pairs.take_while(|(a, b)| a == b).count() as u8
    }

    /// Ends what the brick was doing.
    pub fn follow(&mut self) {
        self.role = Role::Follower;
        (self.agreed, self.vouched, self.votes, self.suspects) = (0, 0, 0, 0);
        self.lead = Lead::default();
    }

    #[must_use]
    pub fn leads(&self) -> bool {
        self.role == Role::Leader
    }
}
