//! What a brick is doing, and what it must know for that; nothing of it outlives the role.

use std::collections::{BTreeMap, VecDeque};

use rfs_model::config::Position;
use rfs_model::hard::Trust;
use rfs_model::peer::{Candidacy, Verdict};
use rfs_model::{Index, NodeId, SeatId};

use super::api::Ticket;
use super::lag::Pace;

#[derive(Debug)]
pub(super) enum Role {
    Follower(Follower),
    Candidate(Campaign),
    Leader(Lead),
}

/// Of one term, and of one leader once it is known.
#[derive(Debug, Default)]
pub(super) struct Follower {
    pub leader: Option<NodeId>,
    /// The log is the leader's up to here.
    pub agreed: Index,
    /// The leader's latest heartbeat round.
    pub round: u64,
    /// What the leader has said is committed.
    pub leader_committed: Index,
    pub leader_durable: Index,
    /// An answer is due at the end of the turn.
    pub ack_due: bool,
    /// ... which says that an append did not fit, and from where to look for the common point.
    pub rejected: Option<Position>,
    /// The leader lacks what this brick committed.
    pub diverged: bool,
    /// The lowest index up to which a vouching leader wants the logs to agree.
    pub vouched: Option<Index>,
    /// Local reads that wait for the leader's index; those of one request share its number.
    pub reads: VecDeque<(u64, Ticket)>,
    pub read_sent_us: u64,
}

/// A vote and what came with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Vote {
    pub verdict: Verdict,
    pub trust: Trust,
    /// The voter knows a newer configuration.
    pub behind: bool,
}

#[derive(Debug)]
pub(super) struct Campaign {
    pub ask: Candidacy,
    pub votes: BTreeMap<NodeId, Vote>,
    pub seats: BTreeMap<SeatId, Verdict>,
    /// When to begin again.
    pub retry_us: u64,
    /// How many times it was begun since there was a leader.
    pub attempt: u64,
}

/// Who waits for a read index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reader {
    Own(Ticket),
    Brick(NodeId, u64),
}

#[derive(Debug)]
pub(super) struct Lead {
    pub since_us: u64,
    /// This leader's first record. Commits begin with it.
    pub first: Index,
    pub round: u64,
    /// Heartbeat rounds not long ago, and when they were sent.
    pub rounds: VecDeque<(u64, u64)>,
    pub beat_us: u64,
    pub progress: BTreeMap<NodeId, Progress>,
    pub seats: BTreeMap<SeatId, SeatProgress>,
    /// The joint configuration at the end of the log was begun by this leader and can be turned back.
    pub own_joint: bool,
    /// Leadership is on its way to this brick: no more proposals.
    pub handing: Option<(NodeId, u64)>,
    /// Reads, each with the round that must be acknowledged.
    pub reads: VecDeque<(u64, Reader)>,
    /// A read waits for a round that has not begun.
    pub round_due: bool,
    /// When the last seat move was begun.
    pub seat_moved_us: Option<u64>,
    /// Commit or durable index moved, not yet told to everybody, since then.
    pub news_us: Option<u64>,
    /// The configuration that witnesses were told of last.
    pub announced: Option<Position>,
    /// Its own.
    pub pace: Pace,
}

/// How a follower is being served.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// The common point is looked for, one empty append at a time.
    Probe { asked_us: Option<u64> },
    /// Records flow without waiting.
    Stream,
    /// It needs a full copy.
    Resync,
}

/// A leader's view of another brick.
#[derive(Debug)]
pub(super) struct Progress {
    pub mode: Mode,
    /// The next record to send.
    pub next: Index,
    /// Records that the shell was asked to send and has not answered for.
    pub shipping: Option<(Index, Index)>,
    /// A planted fault: that is waited for on the next link too.
    pub waits_on: bool,
    /// Ends of appends sent and not agreed to.
    pub in_flight: VecDeque<Index>,
    /// When `agreed` moved last, or the first of `in_flight` was sent.
    pub moved_us: u64,
    pub agreed: Index,
    /// Agreed and journaled there.
    pub journaled: Index,
    pub synced: Index,
    pub committed: Index,
    pub applied: Index,
    /// The round it acknowledged last, and when that was sent.
    pub round: u64,
    pub round_sent_us: Option<u64>,
    pub ack_us: Option<u64>,
    pub trust: Trust,
    pub leaving: bool,
    /// The least end of its log that it has named in this term.
    pub ended: Option<Index>,
    /// The end of the log when it had all up to the goal before, and when that was; before the first one: none.
    pub goal: (Index, Option<u64>),
    /// Since when it has all but a short tail.
    pub short_us: Option<u64>,
    pub pace: Pace,
    /// What the last frame told it.
    pub told_committed: Index,
    pub told_durable: Index,
    pub told_sync: Index,
    /// The nonce answered last, and when.
    pub vouched_us: Option<(u64, u64)>,
}

impl Progress {
    pub fn new(next: Index, now_us: u64, waits_on: bool) -> Self {
        Self {
            mode: Mode::Probe { asked_us: None },
            next,
            shipping: None,
            waits_on,
            in_flight: VecDeque::new(),
            moved_us: now_us,
            agreed: Index::ZERO,
            journaled: Index::ZERO,
            synced: Index::ZERO,
            committed: Index::ZERO,
            applied: Index::ZERO,
            round: 0,
            round_sent_us: None,
            ack_us: None,
            trust: Trust::Sound,
            leaving: false,
            ended: None,
            goal: (next, None),
            short_us: None,
            pace: Pace::new(now_us),
            told_committed: Index::ZERO,
            told_durable: Index::ZERO,
            told_sync: Index::ZERO,
            vouched_us: None,
        }
    }

    /// Begins to look for the common point anew.
    pub fn probe(&mut self, next: Index) {
        self.mode = Mode::Probe { asked_us: None };
        self.next = next;
        self.shipping = self.shipping.filter(|_| self.waits_on);
        self.in_flight.clear();
        self.short_us = None;
    }
}

/// A leader's view of a seat in its configuration.
#[derive(Debug, Default)]
pub(super) struct SeatProgress {
    pub round: u64,
    pub round_sent_us: Option<u64>,
    /// The configuration record stored there in this term.
    pub stored: Option<Position>,
}

impl Lead {
    /// When this round was sent; `None` when that was long ago.
    pub fn sent_us(&self, round: u64) -> Option<u64> {
        self.rounds.iter().rev().find(|(number, _)| *number == round).map(|(_, sent)| *sent)
    }
}

/// What every role knows of another brick.
#[derive(Clone, Debug)]
pub(super) struct PeerState {
    /// The sending link stands.
    pub up: bool,
    /// The last attempt to dial found nobody listening.
    pub refused: bool,
    /// When the last frame of any kind came.
    pub heard_us: Option<u64>,
}

/// What every role knows of a witness that is or was connected.
#[derive(Clone, Debug)]
pub(super) struct SeatState {
    pub seat: rfs_model::config::Seat,
    pub up: bool,
    /// Since when it is up, or down.
    pub since_us: u64,
    pub heard_us: Option<u64>,
    /// It has asked for the seat to be moved.
    pub releasing: bool,
    /// The seat was taken from it since it did not answer, and it has said nothing since: its link may stand all the same.
    pub silent: bool,
}

impl Reader {
    pub fn own(&self) -> Option<Ticket> {
        match self {
            Self::Own(ticket) => Some(*ticket),
            Self::Brick(..) => None,
        }
    }
}
