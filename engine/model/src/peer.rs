//! Brick to brick, in frames of kind [`Peer`](crate::frame::FrameKind::Peer), and brick to witness and back, in frames of
//! kind [`Witness`](crate::frame::FrameKind::Witness).
//!
//! A frame's payload is one [`PeerMessage`]. Behind [`PeerMessage::Append`] follow the records, as they stand in the journal
//! ([`Record`](crate::record::Record)), to the end of the frame; behind the others nothing. Tags from 100 on belong to the
//! shell's own messages (full copy, reports). Everything here may be lost, repeated, delayed or reordered without harm.

use crate::config::{ConfigEntry, Position};
use crate::hard::Trust;
use crate::ids::{Index, NodeId, Term};
use crate::{layout, tagged};

/// The first tag that is not the consensus core's.
pub const FIRST_SHELL_TAG: u8 = 100;

/// Who asks for a vote, and on what grounds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidacy {
    /// The term that the candidate is, or would be, candidate of.
    pub term: Term,
    pub candidate: NodeId,
    /// "Would you?": nobody's state changes (Ongaro, *Consensus*, §9.6).
    pub pre: bool,
    /// The end of the candidate's log.
    pub last: Position,
    /// The candidate's last configuration record.
    pub config: Position,
    /// The term whose leader has told the candidate that it gave up its lease (zero: none): holds for it are void.
    pub released: Term,
}
layout!(Candidacy { term, candidate, pre, last, config, released });

/// What became of a vote. All but `Granted` are refusals.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Granted,
    /// The voter has seen a higher term.
    OldTerm,
    /// The voter's vote of that term is another's.
    Taken,
    /// The voter has promised a leader's heartbeat to wait; ask again in `retry_us` microseconds.
    Held {
        retry_us: u64,
    },
    /// The voter's log has more.
    OldLog,
    /// The witness has stored a newer configuration.
    OldConfig,
    /// The voter's disk is new: it has nothing to judge by.
    Blank,
}
tagged!(Verdict, "a verdict", {
    1 => Granted {}, 2 => OldTerm {}, 3 => Taken {}, 4 => Held { retry_us }, 5 => OldLog {}, 6 => OldConfig {},
    7 => Blank {},
});

/// What goes before the records of an append.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AppendHeader {
    pub pulse: Pulse,
    /// The record before the first one sent; the receiver appends only if it has that one.
    pub prev: Position,
}
layout!(AppendHeader { pulse, prev });

/// What a leader says with every frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pulse {
    pub term: Term,
    /// Number of the heartbeat round. Whoever acknowledges it gives no vote for the hold time.
    pub round: u64,
    /// Everything up to here is committed; zero until a record of `term` is.
    pub committed: Index,
    /// Everything up to here is durable.
    pub durable: Index,
    /// Sync at once up to here: an fsync waits for it.
    pub sync_to: Index,
}
layout!(Pulse { term, round, committed, durable, sync_to });

/// A follower's answer to every append and heartbeat. Cumulative.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ack {
    pub term: Term,
    /// The latest round seen in `term`.
    pub round: u64,
    /// Everything up to here is in this brick's log as it is in the leader's.
    pub agreed: Index,
    /// As much of `agreed` as survives the death of the process.
    pub journaled: Index,
    /// As much of `agreed` as survives a power loss.
    pub synced: Index,
    pub committed: Index,
    pub applied: Index,
    /// When an append did not fit: a record at or before its `prev` from which the leader looks for the common point.
    pub rejected: Option<Position>,
    /// The end of the sender's log.
    pub last: Position,
    pub trust: Trust,
    /// Fresh at each start of the process.
    pub nonce: u64,
    /// The brick is shutting down and wants to leave S.
    pub leaving: bool,
    /// The sender has committed what the leader's lineage abandoned: only a full copy helps.
    pub diverged: bool,
}
layout!(Ack {
    term,
    round,
    agreed,
    journaled,
    synced,
    committed,
    applied,
    rejected,
    last,
    trust,
    nonce,
    leaving,
    diverged
});

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerMessage {
    /// First thing on a new link: how the sender stands. A follower learns so that its leader has restarted.
    Greeting {
        term: Term,
        leading: bool,
        last: Position,
        trust: Trust,
        nonce: u64,
    },
    Vote {
        ask: Candidacy,
    },
    /// A vote with `trust` other than `Sound` counts only when all of S gave theirs.
    VoteReply {
        term: Term,
        pre: bool,
        verdict: Verdict,
        trust: Trust,
        last: Position,
        config: Position,
    },
    /// The records follow.
    Append {
        header: AppendHeader,
    },
    Heartbeat {
        pulse: Pulse,
    },
    Ack {
        ack: Ack,
    },
    /// A leader answers a suspect brick's nonce: once the logs agree up to `upto`, the brick is sound.
    Vouch {
        term: Term,
        nonce: u64,
        upto: Index,
    },
    /// The leader of `term` has given up its lease; the receiver has the whole log and shall be candidate at once.
    Handover {
        term: Term,
    },
    /// A follower asks for the index that its local reads must wait for.
    ReadIndex {
        term: Term,
        ticket: u64,
    },
    ReadIndexReply {
        term: Term,
        ticket: u64,
        index: Option<Index>,
    },
}
tagged!(PeerMessage, "a peer message", {
    1 => Greeting { term, leading, last, trust, nonce },
    2 => Vote { ask },
    3 => VoteReply { term, pre, verdict, trust, last, config },
    4 => Append { header },
    5 => Heartbeat { pulse },
    6 => Ack { ack },
    7 => Vouch { term, nonce, upto },
    8 => Handover { term },
    9 => ReadIndex { term, ticket },
    10 => ReadIndexReply { term, ticket, index },
});

/// Brick to witness.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a message lives for one call; configurations are rare")]
pub enum WitnessRequest {
    Vote {
        ask: Candidacy,
    },
    /// The leader of `term` stores its last configuration record.
    Store {
        term: Term,
        leader: NodeId,
        entry: ConfigEntry,
    },
    Heartbeat {
        term: Term,
        leader: NodeId,
        round: u64,
    },
    /// The seat has been moved away: the asker of [`WitnessReply::Release`] may go.
    Released {},
}
tagged!(WitnessRequest, "a witness request", {
    1 => Vote { ask }, 2 => Store { term, leader, entry }, 3 => Heartbeat { term, leader, round }, 4 => Released {},
});

/// Witness to brick.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(clippy::large_enum_variant, reason = "a message lives for one call; configurations are rare")]
pub enum WitnessReply {
    /// A refusal carries the stored configuration, so that the candidate can name whom it waits for.
    Vote { term: Term, pre: bool, verdict: Verdict, config: Option<ConfigEntry> },
    /// What is stored now; `term` above the leader's means that nothing was.
    Stored { term: Term, at: Position },
    /// `term` above the leader's means that the round was not acknowledged; `round` is 0 then.
    Heartbeat { term: Term, round: u64 },
    /// The machine is about to go: move the seat.
    Release {},
}
tagged!(WitnessReply, "a witness reply", {
    1 => Vote { term, pre, verdict, config }, 2 => Stored { term, at }, 3 => Heartbeat { term, round }, 4 => Release {},
});
