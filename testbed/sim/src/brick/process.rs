//! What a brick's process has in memory.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rfs_core::admit::Front;
use rfs_core::consensus::Consensus;
use rfs_core::consensus::api::{Effect, Ticket};
use rfs_core::sessions::Outcome;
use rfs_model::config::Position;
use rfs_model::hard::HardState;
use rfs_model::{Index, Record, Seq, SessionId};

use super::leases::Renewals;
use crate::copies::{Receiving, Sending};
use crate::outside::{Item, Wish};

/// How a process ends by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// It has left, and carries the clean mark.
    Clean,
    /// It had to go without.
    Hasty,
    /// The planned crash in the middle of a turn.
    Crash,
    /// It finds itself wrong, and stops.
    Failed(&'static str),
    /// Another lineage has abandoned what it committed after this record.
    Diverged(Index),
}

#[derive(Clone, Copy, Debug)]
pub struct Mount {
    pub client: usize,
    pub told_durable: Seq,
}

/// A mount that waits for its session's first record to be durable.
#[derive(Clone, Copy, Debug)]
pub struct Opening {
    pub client: usize,
    pub conn: u64,
    pub index: Option<Index>,
}

#[derive(Clone, Copy, Debug)]
pub struct Read {
    pub wish: Wish,
    /// The core's answer: what the tree must have applied, and whether that needs a lease at the end.
    pub ready: Option<(Index, bool)>,
}

pub struct Process {
    pub core: Consensus,
    pub now: u64,
    /// The clock as the last turn found it: for a planted fault.
    pub next_now: u64,
    pub inbox: VecDeque<Item>,
    pub turn_due: bool,
    pub effects: VecDeque<Effect>,
    /// Effects are being carried out.
    pub performing: bool,
    /// Room for the core's answer.
    pub said: Vec<Effect>,
    /// Records of this turn that are not in the journal yet.
    pub batch: Vec<Record>,
    pub chain: u32,
    pub incoming: Vec<Record>,
    pub untold: bool,
    /// The tree is as a crash left it, until recovery.
    pub torn: bool,
    pub front: Front,
    /// This leader's first record.
    pub first: Option<Position>,
    pub committed: Index,
    pub durable: Index,
    /// Lives of the peers that the standing links lead to.
    pub links: BTreeMap<usize, u64>,
    /// Counts the links to each peer, those that came up and those that broke.
    pub link_numbers: BTreeMap<usize, u64>,
    /// Peers to whom a dial is coming.
    pub dialing: BTreeSet<usize>,
    pub seats: BTreeSet<usize>,
    pub mounts: BTreeMap<u64, Mount>,
    pub opening: Vec<Opening>,
    pub reads: BTreeMap<Ticket, Read>,
    pub renewals: Renewals,
    /// Reads of mounts that wait for an index of the leader's.
    pub local_reads: Vec<(Index, Wish)>,
    /// Answers without a record, given once it is known that nobody else led when they were found.
    pub unrecorded: BTreeMap<Ticket, (SessionId, Seq, Outcome)>,
    pub sync_busy: bool,
    /// As far as the sync under way reaches; less once the log was cut meanwhile.
    pub syncing: Index,
    pub sync_again: bool,
    pub save_busy: bool,
    pub save_next: Option<(Ticket, HardState)>,
    pub checkpoint_busy: bool,
    pub checkpoint_wanted: bool,
    pub checkpoint_us: u64,
    pub next_ticket: u64,
    /// Full copies received: what was under way before one is void.
    pub copies: u64,
    pub sending: Option<Sending>,
    pub receiving: Option<Receiving>,
    pub beat_us: u64,
    pub leaving: bool,
    pub leave_done: Option<(bool, bool)>,
    /// Steps until the process dies in the middle of whatever it does.
    pub doom: Option<u64>,
    pub end: Option<End>,
}

impl Process {
    #[must_use]
    pub fn new(core: Consensus, front: Front, committed: Index, chain: u32, torn: bool) -> Self {
        Self {
            core,
            now: 0,
            next_now: 0,
            inbox: VecDeque::new(),
            turn_due: false,
            effects: VecDeque::new(),
            performing: false,
            said: Vec::new(),
            batch: Vec::new(),
            chain,
            incoming: Vec::new(),
            untold: false,
            torn,
            front,
            first: None,
            committed,
            durable: Index::ZERO,
            links: BTreeMap::new(),
            link_numbers: BTreeMap::new(),
            dialing: BTreeSet::new(),
            seats: BTreeSet::new(),
            mounts: BTreeMap::new(),
            opening: Vec::new(),
            reads: BTreeMap::new(),
            renewals: Renewals::default(),
            local_reads: Vec::new(),
            unrecorded: BTreeMap::new(),
            sync_busy: false,
            syncing: Index::ZERO,
            sync_again: false,
            save_busy: false,
            save_next: None,
            checkpoint_busy: false,
            checkpoint_wanted: false,
            checkpoint_us: 0,
            next_ticket: 0,
            copies: 0,
            sending: None,
            receiving: None,
            beat_us: 0,
            leaving: false,
            leave_done: None,
            doom: None,
            end: None,
        }
    }

    /// How far the tree and the sessions are.
    #[must_use]
    pub fn applied(&self) -> Index {
        self.front.state().applied()
    }
}
