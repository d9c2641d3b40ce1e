//! The one door: what goes into the core, what it asks for, and what it shows.

use bytes::Bytes;
use rfs_model::config::{ConfigEntry, Position};
use rfs_model::hello::SeatClass;
use rfs_model::peer::{AppendHeader, PeerMessage, WitnessReply, WitnessRequest};
use rfs_model::{Index, Meta, NodeId, RecordKind, SeatId, Term};

pub use rfs_model::hard::{HardState, Trust};

/// How the last life of this brick's process ended, judged by the shell before the core is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// The brick carries the clean mark: everything was synced.
    Clean,
    /// The process died, the kernel did not (same boot id): everything written is there.
    SameBoot,
    /// Anything else: the end of the log may be lost.
    Suspect,
    /// Records that were synced cannot be read any more: the log ends before them, and what this brick has acknowledged may
    /// have been behind that end.
    Rotten,
}

impl Start {
    /// Whether the brick may have less than it has promised.
    #[must_use]
    pub const fn is_suspect(self) -> bool {
        matches!(self, Self::Suspect | Self::Rotten)
    }
}

/// What the core knows of the log at start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSummary {
    /// The record before the first one kept (index and term; zero for a whole log).
    pub base: Position,
    /// For each run of records with one term: its first index, its term. Ascending.
    pub runs: Vec<(Index, Term)>,
    pub last: Index,
    /// All configuration records kept, and the newest one before them (at or before `base`). Ascending.
    pub configs: Vec<ConfigEntry>,
    /// Everything up to here has been fdatasynced (at least the checkpoint).
    pub synced: Index,
    /// Everything up to here is known to be committed: the checkpoint of the tree.
    pub committed: Index,
}

impl LogSummary {
    /// Of a new replica set: the two records that `volume create` wrote.
    #[must_use]
    pub fn genesis(bricks: &[NodeId]) -> Self {
        use rfs_model::config::{GENESIS_CONFIG, GENESIS_LAST, GENESIS_TERM};
        Self {
            base: Position::ZERO,
            runs: vec![(GENESIS_CONFIG, GENESIS_TERM)],
            last: GENESIS_LAST,
            configs: vec![ConfigEntry::genesis(bricks)],
            synced: GENESIS_LAST,
            committed: GENESIS_LAST,
        }
    }

    /// Of a brick without a log: a new disk.
    #[must_use]
    pub fn empty() -> Self {
        let (runs, configs) = (vec![], vec![]);
        Self {
            base: Position::ZERO,
            runs,
            last: Index::ZERO,
            configs,
            synced: Index::ZERO,
            committed: Index::ZERO,
        }
    }
}

/// All durations, microseconds. [`Timing::default`] is what the protocol says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timing {
    /// Between two heartbeats of a leader.
    pub heartbeat_us: u64,
    /// Silence of the leader after which a brick becomes a candidate: at least, and at most.
    pub election_us: (u64, u64),
    /// How long a leader's lease lasts, from the sending of the heartbeat.
    pub lease_us: u64,
    /// How long a voter that acknowledged a heartbeat gives no vote, from its receipt.
    pub hold_us: u64,
    /// Pause before a refused pre-vote or vote is tried again: at least, and at most.
    pub retry_us: (u64, u64),
    /// Silence after which a brick leaves S (`peer-timeout`).
    pub peer_us: u64,
    /// The same for a brick whose machine answers that nobody listens.
    pub refused_us: u64,
    /// How long a learner must have had all but a short tail before it enters S.
    pub growth_us: u64,
    /// How long a better candidate for the seat must have been connected.
    pub seat_ready_us: u64,
    /// Silence after which the seat is taken from its holder.
    pub seat_silent_us: u64,
    /// Least time between two seat moves.
    pub seat_pause_us: u64,
    /// How long an append may go unanswered before it is sent again.
    pub resend_us: u64,
    /// Commit and durable indexes that no append has carried to a follower go alone after this.
    pub notice_us: u64,
    /// How far a brick of S may be behind in time before it leaves S (`max-lag`). `None`: no limit.
    pub max_lag_us: Option<u64>,
    /// Between two background syncs of the journal (`sync=100ms`). `None`: the shell syncs each batch and reports
    /// `Journaled` and `Synced` together (`sync=always`).
    pub sync_us: Option<u64>,
    /// How long a graceful leave may take.
    pub leave_us: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Self {
            heartbeat_us: 75_000,
            election_us: (1_000_000, 1_500_000),
            lease_us: 200_000,
            hold_us: 250_000,
            retry_us: (20_000, 60_000),
            peer_us: 2_000_000,
            refused_us: 150_000,
            growth_us: 500_000,
            seat_ready_us: 1_000_000,
            seat_silent_us: 5_000_000,
            seat_pause_us: 10_000_000,
            resend_us: 500_000,
            notice_us: 10_000,
            max_lag_us: None,
            sync_us: Some(100_000),
            leave_us: 10_000_000,
        }
    }
}

/// Someone at the other end of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Peer {
    Brick(NodeId),
    Seat(SeatId),
}

/// A message that came in. Appends do not come this way: see [`Input::Append`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    Brick { from: NodeId, message: PeerMessage },
    Seat { from: SeatId, message: WitnessReply },
}

/// Why a message is refused: nobody sends it who keeps to the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Lie {
    #[error("a term or an index beyond all that can be")]
    Beyond,
    #[error("it is not well formed")]
    Malformed,
    #[error("it acknowledges what was never sent")]
    Unsent,
    #[error("two leaders in one term")]
    SecondLeader,
    #[error("the leader lacks what is durable")]
    LacksDurable,
    #[error("records that do not chain to the log here")]
    Unchained,
    #[error("a full copy from a brick that does not lead")]
    UncalledCopy,
    #[error("it comes from nobody of this replica set")]
    Stranger,
}

/// Why a link is down: evidence about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DownCause {
    /// Nobody listens there: the process is gone.
    Refused,
    /// It broke; one reconnect is under way.
    Reset,
    /// No answer.
    Silent,
}

/// Names a wait of the shell: whatever it likes, each number once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ticket(pub u64);

/// Where the operator wants the witness seat.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum SeatWish {
    /// With the best class that is connected.
    #[default]
    Best,
    /// With a machine of this name, whenever one is connected; while none is, as [`SeatWish::Best`].
    Host(String),
    /// Vacant.
    Nobody,
}

/// What can be done for a volume all of whose bricks have lost power while one of them is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TailLoss {
    /// Nothing keeps this brick from being led, or from leading, but time; or something else than a power loss does.
    NotNeeded,
    /// Not everybody has answered yet.
    Unknown,
    /// This brick has more in its log, or as much and a vote: ask there.
    Better(NodeId),
    /// This brick has the best log of those that answer: `present` bricks of S of `of`.
    Best { present: usize, of: usize },
}

/// What happened.
#[derive(Clone, Debug)]
pub enum Input<'a> {
    /// Time has passed. At least each 25 ms; [`super::Consensus::next_wake_us`] says when it is worth it.
    Tick,
    /// The link on which this brick *sends* to the peer stands (anew).
    LinkUp {
        peer: NodeId,
    },
    /// It is down, or another attempt to dial failed. Reported for each attempt.
    LinkDown {
        peer: NodeId,
        cause: DownCause,
    },
    Message(Received),
    /// [`PeerMessage::Append`], its records decoded and verified: consecutive indexes from `header.prev` on. `configs` are
    /// the decoded configuration records among them. The answer is at most one [`Effect::Accept`].
    Append {
        from: NodeId,
        header: AppendHeader,
        metas: &'a [Meta],
        configs: &'a [ConfigEntry],
    },
    /// The shell has asked `leading()`, stamped a record with it and appended it to this turn's batch.
    Proposed {
        meta: Meta,
    },
    /// All inputs of this turn have been handed over: ship now.
    EndOfTurn,
    /// An [`Effect::Ship`] was carried out: records up to `upto` went onto the link (less than asked where a frame was full
    /// or a read from disk came short; `from - 1` when nothing could be sent). `from` is the effect's. `from` as in the effect.
    Shipped {
        to: NodeId,
        from: Index,
        upto: Index,
    },
    /// Own journal: written up to this record, which survives the death of the process. With the record's term, so that a
    /// report about a tail that was cut off meanwhile is known for what it is.
    Journaled {
        upto: Position,
    },
    /// Own journal: fdatasynced up to this record.
    Synced {
        upto: Position,
    },
    /// The tree shows everything up to here.
    Applied {
        upto: Index,
    },
    /// The hard state of this ticket, or a later one, is fsynced.
    StateSaved {
        ticket: Ticket,
    },
    /// The log no longer holds records up to and including this one.
    Trimmed {
        base: Position,
    },
    /// A machine that offers a witness seat is connected to this brick, or is no longer.
    SeatCandidate {
        seat: SeatId,
        class: SeatClass,
        host: String,
        up: bool,
    },
    /// An fsync waits for everything up to here to be durable. On the leader only; elsewhere it is ignored.
    WantDurable {
        upto: Index,
    },
    /// A read arrived. On the leader and on followers: the answer is `ReadReady` with the index the tree must have applied,
    /// or `ReadRefused`.
    Read {
        ticket: Ticket,
    },
    /// SIGTERM: hand over leadership, leave S. Ends in [`Effect::LeaveDone`].
    Leave,
    /// A full copy begins to come: the tree is gone, and the log will be. Until `Installed`, or the end of the process, this
    /// brick takes no records, leads nobody, and tells its leader that it needs a copy.
    CopyBegins,
    /// A full copy has replaced tree and log of this brick: the log is now empty behind `at`, where `config` was the newest
    /// configuration. Tree and label are durable.
    Installed {
        at: Position,
        config: ConfigEntry,
    },
    /// The replica set shall have these bricks (`brick replace`). On the leader; newcomers begin as learners. Ignored while
    /// a change is pending: the caller looks at `config()` and asks again.
    Members {
        bricks: Vec<NodeId>,
    },
    /// The operator overrules the votes (`volume promote`): this brick goes on alone, in a new lineage. Ignored by a brick
    /// with a new disk. The caller has seen that nobody leads who could go on.
    Promote,
    /// The opposite of `Leave`, once that is over: this brick may enter S again.
    Rejoin,
    /// Where the operator wants the witness seat. On every brick: each may lead some day.
    SeatWish {
        wish: SeatWish,
    },
}

/// What the shell must do, in this order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Send, or drop where there is no link.
    Send {
        to: NodeId,
        message: PeerMessage,
    },
    SendSeat {
        to: SeatId,
        message: WitnessRequest,
    },
    /// Write and fsync the hard state, then answer `StateSaved`. The core itself holds back what depends on it. A later
    /// state replaces an earlier one that is not written yet.
    SaveState {
        ticket: Ticket,
        hard: HardState,
    },
    /// Build this record with the log's chain and append it to this turn's batch, before `leading()` is asked again.
    /// No `Proposed` for it.
    AppendOwn {
        at: Position,
        kind: RecordKind,
        payload: Bytes,
    },
    /// Of the append just handed in: cut the log after `truncate_after` if given, then append its records from index
    /// `from` on. Both are never at or before a committed record.
    Accept {
        from: Index,
        truncate_after: Option<Index>,
    },
    /// Send `header` and the records `from ..= upto`, or the first of them as one frame allows; then answer `Shipped`, at
    /// once or later. At most one is unanswered for each peer; a link that goes down answers it. Void once this brick no
    /// longer leads in the header's term: the records may be others by then.
    Ship {
        to: NodeId,
        header: AppendHeader,
        from: Index,
        upto: Index,
    },
    /// Everything up to here is committed: apply it. Given only once a commit index that covers a record of the current
    /// term is known, and, at start, only once it covers everything that may have been applied before the crash.
    Committed {
        upto: Index,
    },
    /// Everything up to here is durable on a quorum. On the leader.
    Durable {
        upto: Index,
    },
    /// fdatasync the journal as far as it is written, then answer `Synced`.
    Sync,
    /// The read may be answered from a tree that has applied `index`; on the leader, if `lease_valid` still holds when the
    /// reply leaves or `confirmed` is set.
    ReadReady {
        ticket: Ticket,
        index: Index,
        confirmed: bool,
    },
    /// No leader is known, or it changed meanwhile: ask again.
    ReadRefused {
        ticket: Ticket,
    },
    /// Role, leader or term changed; see the accessors.
    RoleChanged,
    /// The peer needs records that this log no longer has, or has committed what this one lacks ([`Effect::Diverged`]).
    NeedsResync {
        to: NodeId,
    },
    /// This brick has records after `common` that the leader lacks and that are not the leader's to cut: set them aside, wait
    /// for a full copy. Another lineage abandoned them, committed or not; or all of S lost power, and a learner has what was
    /// committed and never durable.
    Diverged {
        common: Index,
    },
    /// The message just handed in was refused, and changed nothing: close the connection that it came on. In a replica set
    /// whose members keep to the protocol this never happens.
    Refuse {
        from: Peer,
        why: Lie,
    },
    /// A configuration was committed; see `config()`.
    ConfigCommitted,
    /// The leave is over. `clean`: sync, checkpoint, write the clean mark, exit 0; otherwise exit 1 without the mark.
    /// `last`: this brick is the last of S, which it has not left.
    LeaveDone {
        clean: bool,
        last: bool,
    },
}

/// How far this brick's log has got. All are inclusive; `synced <= journaled <= last`, `applied <= committed <= last`,
/// `durable <= committed`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Watermarks {
    /// The end of the log in memory.
    pub last: Index,
    /// Written to the own journal: survives the death of the process.
    pub journaled: Index,
    /// Fdatasynced in the own journal: survives power loss.
    pub synced: Index,
    /// Journaled by a commit quorum, as far as this brick knows.
    pub committed: Index,
    /// Synced by a commit quorum, as far as this brick knows; zero after a start, until a leader says.
    pub durable: Index,
    /// Shown by the own tree.
    pub applied: Index,
}

/// What this brick is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RoleView {
    /// In sync, following.
    Follower,
    /// Not in sync: receives the log and has no say.
    Learner,
    /// Asking for votes.
    Candidate,
    Leader,
}

/// Why nothing can be decided now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WaitReason {
    /// Not blocked.
    None,
    /// An election is under way; this takes a second or two.
    Election,
    /// Too few votes are in reach.
    Votes,
    /// The others went on without this brick; it must catch up with one of those named.
    Behind,
    /// This brick lost power and needs a leader, or all bricks of S, to know what it lost.
    Suspect,
    /// This brick leads, and too few bricks answer to commit.
    Commit,
}

/// Whom this brick waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Waiting {
    pub reason: WaitReason,
    /// Bricks any of which may help, ascending.
    pub bricks: Vec<NodeId>,
    /// The witness would help.
    pub seat: bool,
}

/// What a leader (or, with zeros, another brick) knows of a brick.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PeerView {
    pub brick: NodeId,
    pub in_sync: bool,
    /// The sending link stands.
    pub up: bool,
    /// Its log agrees with ours and is journaled there, up to here.
    pub matched: Index,
    pub applied: Index,
    /// How long it has been behind, microseconds: what the leader knows; 0 on any other brick.
    pub lag_us: u64,
    /// When the last frame of any kind came, in the shell's microseconds; `None`: never.
    pub heard_us: Option<u64>,
    pub trust: Trust,
    /// It needs a full copy.
    pub resync: bool,
}

/// Faults to plant, for proving that the simulator finds them. All false in production.
#[doc(hidden)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is one switch of a test")]
pub struct Mutations {
    /// The leader counts itself as soon as a record is proposed.
    pub count_before_journaled: bool,
    /// Durable counts what is journaled.
    pub durable_before_synced: bool,
    /// A brick that lost power votes and acknowledges at once.
    pub no_suspect_rule: bool,
    /// A joint configuration is committed by the new quorum alone.
    pub joint_by_new_alone: bool,
    /// Votes are given in spite of a promise to a leader.
    pub lease_ignores_hold: bool,
    /// A witness does not remember configurations.
    pub witness_forgets: bool,
    /// A brick that is not in S stands for election, and counts votes as when it was.
    pub demoted_serves: bool,
    /// Records of older terms are committed by counting.
    pub commit_old_terms: bool,
    /// Messages leave before the hard state is saved.
    pub speak_before_saved: bool,
    /// A brick whose log is of an abandoned lineage stands for election in the new one.
    pub abandoned_stands: bool,
    /// The first word on what is committed need not cover what a power loss took from the log and left in the tree.
    pub gate_forgets_loss: bool,
    /// An append of records that are known cuts what comes behind them.
    pub cuts_behind_append: bool,
    /// A lease is counted from the answer, not from the question.
    pub lease_from_answer: bool,
    /// A lease that was once held is held for ever.
    pub lease_never_ends: bool,
    /// An append that was being read when its link broke is waited for on the next link.
    pub ship_outlives_link: bool,
    /// Of two bricks, one and the witness are enough for a commit.
    pub witness_commits: bool,
}
