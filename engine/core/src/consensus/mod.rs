//! The consensus core of one brick of one replica set: Raft with a witness that has no log, commit quorums of data bricks
//! only, and a rule for power loss. Sans-IO: one door, [`Consensus::step`], closed enums in and out ([`api`]).
//!
//! # Rules
//!
//! Numbers in brackets are those of the replication protocol's sections; the sources are Ongaro, *Consensus: Bridging Theory
//! and Practice* (2014), cited by section, and Pâris, *Voting with witnesses* (1986).
//!
//! 1. **Quorums** [2] are those of [`quorum`]: commits count bricks in sync, elections also the witness.
//! 2. **Elections** (§3.4, §9.6): a brick of S that has not heard a leader for 1.0-1.5 s asks "would you?", then for votes. A
//!    voter compares logs; it refuses within 250 ms of a heartbeat it acknowledged, whatever it sees, without adopting the
//!    term. Evidence that the leader is gone (its machine refuses, or does not answer) replaces the timer, never that promise.
//! 3. **A witness** gives no vote to a candidate whose last configuration record is older than the one it stored ([2],
//!    [`crate::witness`]).
//! 4. **Commit** (§3.6.2): the leader counts journaled records, and none before its own first.
//! 5. **Configuration** [2]: `Joint(c, c')`, then `Final(c')`. Joint is stored when an election quorum of c *and* a commit
//!    quorum of c' have it *synced*, the hard state included; nothing at or behind it commits earlier. A candidate with Joint
//!    last needs both election quorums. A new leader that finds Joint last writes it again as its first record, so that
//!    rule 4 holds for a witness too. A leader may turn back a Joint of its own (`Final(c)`) that cannot complete: while it
//!    is alone in knowing, no `Final(c')` exists. So it may one of an earlier leader, when too few bricks of c' can have had it. See
//!    [`change`].
//! 6. **Leases** (§6.4): 200 ms from sending a heartbeat, held from so many voters that no election quorum is free; by a leader in S.
//! 7. **Power loss** [4]: a suspect brick has no vote and is no candidate, and its acknowledgements do not count, until a
//!    leader vouches. It may lead, and be led by another suspect one, when *all* of S votes. See [`suspect`].
//! 8. **Lineages** [2]: `promote` makes a brick all of S in a lineage that sorts above every term. Who has heard of a lineage
//!    that its own log is not of stands for no election and gets no vote; what it has beyond the common point is not cut
//!    but reported ([`api::Effect::Diverged`]).
//! 9. **Durability of the core's own state** [4]: a message that depends on the hard state waits for its fsync ([`save`]).
//!
//! # What the shell promises
//!
//! * Effects are carried out in their order, all of a step's before the next step. `AppendOwn` and `Proposed` records go to the journal in the order of their
//!   indexes; a truncation overtakes no append before it.
//! * `Journaled` and `Synced` name the record (index and term) that they are about.
//! * Messages may be lost, repeated, delayed and reordered; they are never forged and never cross replica sets. Those that
//!   nobody sends who keeps to the protocol are refused ([`Effect::Refuse`]), whatever they say: see [`refuse`].

pub mod api;
mod change;
mod commit;
mod door;
mod elect;
mod follow;
mod invariant;
mod lag;
mod lead;
mod leave;
mod log;
mod quorum;
mod random;
mod read;
mod refuse;
mod role;
mod save;
mod seat;
mod ship;
mod status;
mod suspect;
#[cfg(test)]
mod tests;
mod vote;

use std::collections::BTreeMap;

use api::{Effect, HardState, LogSummary, Mutations, SeatWish, Start, Timing, Trust, Watermarks};
use log::Log;
use rfs_model::config::{ConfigEntry, ConfigRecord};
use rfs_model::peer::PeerMessage;
use rfs_model::{Index, NodeId, SeatId, Term};
use role::{Follower, PeerState, Role, SeatState};
use save::{Dirty, Saver};

/// A voter's promise to a leader.
#[derive(Clone, Copy, Debug)]
struct Hold {
    until_us: u64,
    /// The leader's term.
    term: Term,
}

/// See the module.
#[derive(Debug)]
pub struct Consensus {
    me: NodeId,
    timing: Timing,
    mutations: Mutations,
    random: random::Random,
    now_us: u64,
    started_us: u64,
    /// Names this start of the process to whoever vouches for it.
    nonce: u64,
    log: Log,
    /// As it shall be; what is fsynced of it, the saver knows. Its `config` is the one in force.
    hard: HardState,
    dirty: Dirty,
    saver: Saver,
    marks: Watermarks,
    /// Nothing is applied before the logs agree up to here, or to the leader's commit index.
    gate: Index,
    role: Role,
    peers: BTreeMap<NodeId, PeerState>,
    seats: BTreeMap<SeatId, SeatState>,
    hold: Hold,
    /// The term whose leader gave up its lease.
    released: Term,
    /// When a candidacy begins.
    election_us: u64,
    /// A newer configuration that a refusal has named.
    newer: Option<ConfigEntry>,
    want_sync: Index,
    sync_issued: Index,
    last_sync_us: u64,
    leave: Option<leave::Leaving>,
    seat_wish: SeatWish,
    /// A full copy is coming: tree and log are about to be replaced.
    copying: bool,
    /// Synced records are gone from the end of the log, and no leader has made up for them yet.
    rotten: bool,
    /// Something happened that may call for another configuration.
    review: bool,
    /// Number of the next request for a read index. Begins anywhere (`nonce`): no answer to an earlier life fits.
    read_ticket: u64,
    out: Vec<Effect>,
}

impl Consensus {
    /// `now_us`: CLOCK_BOOTTIME, microseconds. `seed`: random, another at each start of the process: jitter and the nonce
    /// come from it.
    ///
    /// # Panics
    /// When log and hard state contradict themselves: such a brick must not speak.
    #[must_use]
    pub fn new(
        now_us: u64,
        me: NodeId,
        hard: HardState,
        log: LogSummary,
        start: Start,
        timing: Timing,
        seed: u64,
    ) -> Self {
        let marks = Watermarks {
            last: log.last,
            journaled: log.last,
            synced: log.synced.min(log.last),
            committed: log.committed,
            durable: Index::ZERO,
            applied: log.committed,
        };
        let mut random = random::Random::new(seed);
        let nonce = random.next();
        let mut core = Self {
            me,
            timing,
            mutations: Mutations::default(),
            random,
            now_us,
            started_us: now_us,
            nonce,
            log: Log::new(log),
            hard,
            dirty: Dirty::default(),
            saver: Saver::default(),
            marks,
            gate: marks.last,
            role: Role::Follower(Follower::default()),
            peers: BTreeMap::new(),
            seats: BTreeMap::new(),
            hold: Hold { until_us: now_us + timing.hold_us, term: Term(u64::MAX) },
            released: Term::ZERO,
            election_us: 0,
            newer: None,
            want_sync: Index::ZERO,
            sync_issued: marks.synced,
            last_sync_us: now_us,
            leave: None,
            seat_wish: SeatWish::Best,
            copying: false,
            rotten: start == Start::Rotten,
            review: false,
            read_ticket: nonce >> 2,
            out: Vec::new(),
        };
        core.begin(start);
        core
    }

    fn begin(&mut self, start: Start) {
        let end = self.log.last_position();
        if end.term > self.hard.term {
            self.hard.term = end.term;
            self.hard.voted_for = None;
            self.dirty.vote = true;
        }
        if start.is_suspect() && self.hard.trust == Trust::Sound {
            self.hard.trust = Trust::Suspect;
            self.dirty.vote = true;
        }
        self.choose_config();
        self.hold.term = self.hard.term;
        self.election_us = if self.is_alone() { self.now_us } else { self.election_timeout() };
        self.adopt_bricks();
        self.check();
    }

    /// The configuration in force: the newest in the log. The hard state may name one behind the log's end that a power loss
    /// took: a `Final` stands (its `Joint` was committed, or turned back), a `Joint` was never counted from here, for that
    /// takes a synced record. Unless synced records are what is lost.
    fn choose_config(&mut self) {
        let kept = (self.rotten || !self.hard.config.record.is_joint()) && self.config_is_ahead();
        let Some(newest) = self.log.config() else { return };
        if !kept && *newest != self.hard.config {
            self.hard.config = newest.clone();
            self.dirty.config = true;
        }
    }

    /// Changes what an operator may change while the brick runs. From the next step on: `peer_us`, `max_lag_us` and `sync_us`
    /// are those of `timing`.
    ///
    /// Neither is part of a promise. A demotion is a configuration change that needs its quorums however impatient the
    /// leader is, and leases, holds and elections have times of their own, which stay; so bricks need not switch at once.
    /// When `sync_us` becomes `None`, the caller syncs what is written already.
    pub fn retime(&mut self, timing: &Timing) {
        let Timing { peer_us, max_lag_us, sync_us, .. } = *timing;
        self.timing = Timing { peer_us, max_lag_us, sync_us, ..self.timing };
        self.review = true;
    }

    /// For proofs that the simulator finds faults.
    #[doc(hidden)]
    pub fn mutate(&mut self, mutations: Mutations) {
        self.mutations = mutations;
    }

    /// The configuration record in force.
    fn entry(&self) -> &ConfigEntry {
        &self.hard.config
    }

    fn record(&self) -> &ConfigRecord {
        &self.hard.config.record
    }

    /// Whether this brick is in S, or in one of both.
    fn in_sync(&self) -> bool {
        self.record().configs().any(|config| config.has(self.me))
    }

    /// Whether every quorum is this brick by itself.
    fn is_alone(&self) -> bool {
        self.record().configs().all(|config| config.in_sync == [self.me])
    }

    fn election_timeout(&mut self) -> u64 {
        self.now_us + self.random.within(self.timing.election_us)
    }

    fn send(&mut self, to: NodeId, message: PeerMessage) {
        self.out.push(Effect::Send { to, message });
    }

    /// Makes room for what is known of each brick of the configuration.
    fn adopt_bricks(&mut self) {
        let bricks: Vec<_> = self.record().configs().flat_map(|config| config.bricks.clone()).collect();
        for brick in bricks {
            self.peer(brick);
        }
    }

    fn peer(&mut self, brick: NodeId) -> &mut PeerState {
        self.peers.entry(brick).or_insert(PeerState { up: false, refused: false, heard_us: None })
    }

    /// A configuration record became part of the log, or a cut removed one.
    fn config_changed(&mut self) {
        self.dirty.config = true;
        self.review = true;
        self.want_sync = self.want_sync.max(self.hard.config.at.index.min(self.marks.last));
        self.adopt_bricks();
    }

    /// Whether the configuration in force is one whose record a power loss took from the log.
    fn config_is_ahead(&self) -> bool {
        self.hard.config.at > self.log.last_position()
    }

    /// Whether the log holds the record of the configuration in force, or held it and let go of it.
    fn holds_config(&self) -> bool {
        let at = self.hard.config.at;
        at.index <= self.log.base().index || self.log.has(at)
    }

    /// After the log grew or shrank: a configuration that it does not hold gives way once the log has passed it.
    fn settle_config(&mut self) {
        let Some(newest) = self.log.config() else { return };
        if *newest != self.hard.config && !self.config_is_ahead() {
            self.hard.config = newest.clone();
            self.config_changed();
        }
    }
}
