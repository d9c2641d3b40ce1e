//! A replica set on this node: one brick's core, journal, tree, links and mounts, owned by one task.
//!
//! Everything that happens arrives as an [`Event`] in the shard's inbox. The task takes all that came at once, a *turn*:
//!
//! ```text
//! events ─► core.step ─► effects          requests ─► front.admit ─► records
//!                   └──────────┬──────────────────────────┘
//!                    one journal write for the turn
//!                    one frame for each follower, acks
//!                    committed records ─► tree, front ─► answers
//! ```
//!
//! A turn lets the links send once what it wrote is on its way to them, and awaits nothing else. What takes long (fdatasync, saving the hard state, reading old segments, checkpoints, big
//! truncates) runs elsewhere and comes back as an event.

mod accept;
mod admission;
mod apply;
mod aside;
mod brick;
mod bridge;
mod callers;
mod checkpoint;
mod converge;
mod doubts;
mod drive;
pub mod forks;
mod heal;
pub mod index_check;
mod info;
mod interest;
mod journal;
mod leave;
pub mod life;
pub mod links;
mod mounts;
mod operate;
mod overrule;
mod peers;
mod queries;
mod queue;
mod resync;
mod rot;
mod scrub;
mod scrub_log;
mod scrub_state;
mod seats;
mod start;
mod status;
mod sums;
mod throttle;
mod timing;
#[doc(hidden)]
pub mod wire;

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rfs_core::admit::Front;
use rfs_core::consensus::Consensus;
use rfs_core::consensus::api::{Effect, Ticket};
use rfs_model::client::ToBrick;
use rfs_model::hard::HardState;
use rfs_model::hello::SeatClass;
use rfs_model::options::Options;
use rfs_model::peer::WitnessReply;
use rfs_model::volume::VolumeState;
use rfs_model::{Index, InodeId, NodeId, Record, SeatId, VolumeId};

use crate::clock;
use crate::journal::{Journal, JournalError};
use crate::net::handshake::Secret;
use crate::tree::{CheckpointDone, Digests, Fault, Mended, Summed, Tree};

pub use brick::NodeBricks;
pub use links::{Addresses, LinkEvent};
pub use mounts::MountHello;
pub use queue::Outbox;
pub use seats::WitnessHello;

use links::Link;
use mounts::{ConnId, Mounts};
use queries::Queries;
use queue::Inbox;

/// Time between two ticks: less than half of the shortest interval of the protocol.
const TICK: Duration = Duration::from_millis(15);
/// A tick this late is worth a line: peers and mounts soon take this brick for dead.
const LATE: Duration = Duration::from_millis(250);

/// What a turn may take, so that ticks, heartbeats and other connections get their share: this long (a page cache that has to
/// find memory takes 4 MiB in 20 ms), and records of this many bytes into one write.
const TURN: Duration = Duration::from_millis(10);
const TURN_BYTES: usize = 1024 * 1024;

/// What happens to a shard.
pub(crate) enum Event {
    Tick,
    /// There is more to do than fitted into one turn.
    More,
    Link(LinkEvent),
    Peer {
        from: NodeId,
        frame: wire::PeerFrame,
        part: callers::Part,
    },
    SeatUp {
        seat: SeatId,
        class: SeatClass,
        host: String,
        outbox: Rc<queue::Outbox>,
    },
    Seat {
        seat: SeatId,
        reply: WitnessReply,
        part: callers::Part,
    },
    SeatDown {
        seat: SeatId,
        outbox: Rc<queue::Outbox>,
    },
    MountUp {
        hello: MountHello,
        connection: crate::net::Connection,
    },
    Mount {
        conn: ConnId,
        message: ToBrick,
    },
    MountDown {
        conn: ConnId,
    },
    Synced(Result<Index, JournalError>),
    StateSaved {
        ticket: Ticket,
        result: std::io::Result<()>,
    },
    /// Old records, for the tree.
    Loaded(Result<Vec<Record>, JournalError>),
    /// Old records, for a follower.
    ShipLoaded {
        ship: drive::Ship,
        records: Result<Vec<Record>, JournalError>,
    },
    /// A brick that is healed may be sent more.
    ShipDue {
        to: NodeId,
    },
    /// The slow part of a record is done; it may be applied now.
    PreludeDone(Result<(), Fault>),
    CheckpointDone(Result<CheckpointDone, String>),
    Converged(Box<converge::Converged>),
    ReadDone {
        read: Box<queries::Asked>,
        data: Result<bytes::Bytes, Fault>,
    },
    Listed {
        read: Box<queries::Asked>,
        listed: Result<crate::tree::Listed, Fault>,
    },
    Summed(Result<Summed, Fault>),
    /// As [`Event::Summed`], for a scrub.
    Scrubbed(Result<Summed, Fault>),
    /// A scrub has read records.
    LogScrubbed(Result<Vec<Record>, JournalError>),
    /// Rotten blocks were written and read back.
    Mended {
        from: NodeId,
        at: (InodeId, u64),
        result: Result<Mended, Fault>,
    },
    /// A chunk of a doubted file was hashed.
    Digested {
        id: InodeId,
        chunk: u64,
        digests: Result<Digests, Fault>,
        of: doubts::For,
    },
    Resync(resync::ResyncEvent),
    Propose {
        state: VolumeState,
        answer: operate::Answer,
    },
    Operate {
        operation: rfs_model::admin::Operation,
        answer: operate::OperateAnswer,
    },
    Leave,
}

impl From<LinkEvent> for Event {
    fn from(event: LinkEvent) -> Self {
        Self::Link(event)
    }
}

/// What a shard needs of its daemon.
#[derive(Clone)]
pub struct Surroundings {
    pub me: NodeId,
    pub secret: Secret,
    /// Where to dial a node of the pool.
    pub addresses: Addresses,
    /// Called when a volume record was applied.
    pub volume_changed: Rc<dyn Fn(&VolumeState)>,
}

/// How a shard ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// In good order, marked clean.
    Clean,
    /// The leave did not come to an end in time.
    Hasty,
    /// The brick found itself wrong and stopped; why, in one line.
    Failed(String),
}

/// The handle: shared by the accept loop, the pool service and the shard's own tasks.
pub struct Shard {
    pub volume: VolumeId,
    pub path: PathBuf,
    pub(crate) around: Surroundings,
    pub(crate) inbox: Rc<Inbox<Event>>,
    pub(crate) inner: RefCell<Inner>,
    /// Who notes the volume's state beside the brick: one at a time.
    pub(crate) noting: glommio::sync::Semaphore,
    pub(crate) callers: callers::Callers,
    end: RefCell<Option<End>>,
    ended: Cell<Option<std::task::Waker>>,
}

/// Whether the tree may be used.
pub(crate) enum TreeState {
    Ready(Box<Tree>),
    /// It may hold any part of what came after its checkpoint: recovery begins when the core knows a commit index.
    Torn(Box<Tree>),
    /// Recovery is at work on a thread of its own.
    Converging,
    /// A full copy from another brick replaces it.
    Resyncing,
}

/// All that the shard's task owns.
pub(crate) struct Inner {
    pub me: NodeId,
    pub state: VolumeState,
    pub options: Options,
    pub core: Consensus,
    pub effects: VecDeque<Effect>,
    pub journal: Journal,
    /// Records of this turn that are not in the journal yet.
    pub batch: Vec<Record>,
    /// Checksum of the newest record's header, those of the batch included.
    pub chain: u32,
    /// Records that came with the append being stepped.
    pub incoming: Vec<Record>,
    pub tree: TreeState,
    pub front: Front,
    pub committed: Index,
    pub durable: Index,
    /// This leader's first record.
    pub first: Option<rfs_model::config::Position>,
    pub links: BTreeMap<NodeId, Rc<Link>>,
    pub seats: seats::Seats,
    /// About those who say what nobody says who keeps to the protocol.
    pub complaints: crate::net::Complaints,
    pub mounts: Mounts,
    pub opening: accept::Openings,
    pub queries: Queries,
    /// Answers that wait for word that nobody else led when they were found.
    pub unrecorded: BTreeMap<Ticket, admission::Unrecorded>,
    pub syncing: journal::Syncing,
    pub saving: drive::Saving,
    pub feed: apply::Feed,
    pub checkpoint: checkpoint::Checkpoints,
    pub infos: info::Infos,
    pub paces: heal::Paces,
    pub resync: resync::Resync,
    pub forks: forks::Forks,
    pub aside: aside::Aside,
    /// The brick's directory, and which one of those that were ever there.
    pub path: PathBuf,
    pub summing: sums::Summing,
    pub rot: rot::Rot,
    pub scrub: scrub::Scrub,
    pub comparing: doubts::Comparing,
    /// Recovery waits for the log to be on disk.
    pub converge_when_synced: bool,
    pub brick: rfs_model::BrickId,
    pub proposals: Vec<operate::Proposal>,
    /// Commands of an operator that are under way.
    pub commands: Vec<overrule::Command>,
    pub leaving: bool,
    pub leave_done: Option<(bool, bool)>,
    pub next_ticket: u64,
    pub hard: HardState,
    /// Set once: the brick is wrong and does nothing more.
    pub failed: Option<String>,
}

impl Shard {
    /// The shard's task: turns until the brick has left, failed, or was told to go.
    pub(crate) async fn run(self: Rc<Self>) {
        glommio::spawn_local(Rc::clone(&self).tick()).detach();
        loop {
            let mut events = self.inbox.take().await;
            let begun = Instant::now();
            self.inner.borrow_mut().hear(&self, &mut events, begun);
            self.inbox.put_back(events);
            self.work(begun).await;
            let end = self.inner.borrow_mut().end_turn(&self);
            if let Some(end) = end {
                self.finish(end);
                return;
            }
            glommio::executor().yield_task_queue_now().await;
        }
    }

    /// Admits, writes, ships, applies, until nothing more follows from what has come, or the turn is over.
    async fn work(self: &Rc<Self>, begun: Instant) {
        loop {
            if self.inner.borrow_mut().write(self) {
                // What was written is on its way before the tree is touched: the other bricks need not wait for that.
                futures_lite::future::yield_now().await;
            }
            if !self.inner.borrow_mut().carry_out(self) {
                return;
            }
            if begun.elapsed() >= TURN {
                return self.inbox.push(Event::More);
            }
        }
    }

    async fn tick(self: Rc<Self>) {
        while self.end.borrow().is_none() {
            self.inbox.push(Event::Tick);
            let slept = Instant::now();
            glommio::timer::sleep(TICK).await;
            let late = slept.elapsed().saturating_sub(TICK);
            if late > LATE {
                tracing::warn!(brick = %self.path.display(), ms = late.as_millis(), "the brick stood still");
            }
        }
    }

    fn finish(&self, end: End) {
        match &end {
            End::Failed(why) => tracing::error!(brick = %self.path.display(), "the brick stops: {why}"),
            other => tracing::info!(brick = %self.path.display(), ?other, "the brick is closed"),
        }
        self.inner.borrow_mut().hang_up_all();
        self.callers.hang_up_all();
        self.inbox.clear();
        *self.end.borrow_mut() = Some(end);
        if let Some(waker) = self.ended.take() {
            waker.wake();
        }
    }

    /// Notes the volume's state beside the brick, for a start without tree and log: one at a time, in the order of the
    /// calls. Durable on return.
    pub(crate) async fn note_volume(&self, state: VolumeState) -> Result<(), String> {
        let _turn = self.noting.acquire_permit(1).await.map_err(|e| e.to_string())?;
        let dir = self.path.clone();
        let save = move || life::save_volume(&dir, &state);
        glommio::executor().spawn_blocking(save).await.map_err(|e| e.to_string())
    }

    /// How it ended, if it has.
    #[must_use]
    pub fn end(&self) -> Option<End> {
        self.end.borrow().clone()
    }

    /// Asks the brick to leave in good order, and waits until it is closed.
    pub async fn leave(&self) -> End {
        self.inbox.push(Event::Leave);
        std::future::poll_fn(|cx| match self.end() {
            Some(end) => std::task::Poll::Ready(end),
            None => {
                self.ended.set(Some(cx.waker().clone()));
                std::task::Poll::Pending
            }
        })
        .await
    }
}

impl Inner {
    /// The first part of a turn: as many of the events as it may take.
    fn hear(&mut self, shard: &Rc<Shard>, events: &mut VecDeque<Event>, begun: Instant) {
        let now_us = clock::boottime_us();
        while let Some(event) = events.pop_front() {
            let records = matches!(event, Event::Peer { .. });
            self.handle(shard, now_us, event);
            let full = records && self.batch_bytes() >= TURN_BYTES;
            if self.failed.is_some() || full || begun.elapsed() >= TURN {
                return;
            }
        }
    }

    /// The second part: requests become records, records go to the journal and to the followers. Returns whether peers are
    /// told anything.
    fn write(&mut self, shard: &Rc<Shard>) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let now_us = clock::boottime_us();
        self.admit(shard, now_us);
        self.flush_journal(shard, now_us);
        self.begin_queries(shard, now_us);
        self.step(shard, now_us, rfs_core::consensus::api::Input::EndOfTurn);
        self.report_journaled(shard, now_us);
        self.links.values().any(|link| link.waiting() > 0)
    }

    /// The third part: the tree, and answers from it. Returns whether that gave the second part something to do.
    fn carry_out(&mut self, shard: &Rc<Shard>) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let now_us = clock::boottime_us();
        let applied = self.apply(shard, now_us);
        self.answer_ripe(shard, now_us);
        self.failed.is_none() && (applied || !self.batch.is_empty())
    }

    /// Returns how the shard ended, once it has.
    fn end_turn(&mut self, shard: &Rc<Shard>) -> Option<End> {
        if let Some(why) = &self.failed {
            return Some(End::Failed(why.clone()));
        }
        let now_us = clock::boottime_us();
        self.mounts.hang_up_silent(now_us);
        self.review_sync(shard);
        let (durable, front) = (self.durable, &self.front);
        self.mounts.flush(now_us, |session| front.durable_seq(session, durable));
        let window = usize::try_from(self.options.window_bytes).unwrap_or(usize::MAX);
        self.mounts.throttle(window, |session| front.progress(session).map(|progress| progress.next));
        self.closed(shard)
    }

    /// Bytes of records that this turn will write.
    fn batch_bytes(&self) -> usize {
        self.batch.iter().map(|record| record.payload.len()).sum()
    }

    fn handle(&mut self, shard: &Rc<Shard>, now_us: u64, event: Event) {
        use rfs_core::consensus::api::Input;
        match event {
            Event::Tick => self.tick(shard, now_us),
            Event::More => {}
            Event::Link(event) => self.link_event(shard, now_us, event),
            Event::Peer { from, frame, part: _part } => self.peer_frame(shard, now_us, from, frame),
            Event::SeatUp { seat, class, host, outbox } => {
                self.seat_up(shard, now_us, seat, class, host, outbox);
            }
            Event::Seat { seat, reply, part: _part } => self.seat_reply(shard, now_us, seat, reply),
            Event::SeatDown { seat, outbox } => self.seat_down(shard, now_us, seat, &outbox),
            Event::MountUp { hello, connection } => self.mount_up(shard, now_us, hello, connection),
            Event::Mount { conn, message } => self.mount_message(shard, now_us, conn, message),
            Event::MountDown { conn } => self.mount_down(conn),
            Event::Synced(result) => self.synced(shard, now_us, result),
            Event::StateSaved { ticket, result } => self.state_saved(shard, now_us, ticket, result),
            Event::Loaded(records) => self.loaded(records),
            Event::ShipLoaded { ship, records } => self.ship_loaded(shard, now_us, &ship, records),
            Event::ShipDue { to } => self.ship_due(shard, now_us, to),
            Event::PreludeDone(result) => self.prelude_done(result),
            Event::CheckpointDone(result) => self.checkpoint_done(shard, now_us, result),
            Event::Converged(result) => self.converged(shard, now_us, *result),
            Event::ReadDone { read, data } => self.read_done(shard, now_us, *read, data),
            Event::Listed { read, listed } => self.listed(*read, listed),
            Event::Summed(result) => self.summed(result),
            Event::Scrubbed(result) => self.scrubbed(now_us, result),
            Event::LogScrubbed(read) => self.log_scrubbed(shard, now_us, read),
            Event::Mended { from, at, result } => self.mended(now_us, from, at, result),
            Event::Digested { id, chunk, digests, of } => self.digested(shard, (id, chunk), digests, of),
            Event::Resync(event) => self.resync_event(shard, now_us, event),
            Event::Propose { state, answer } => self.propose_state(shard, now_us, state, answer),
            Event::Operate { operation, answer } => self.operate(shard, now_us, operation, answer),
            Event::Leave => {
                self.leaving = true;
                self.step(shard, now_us, Input::Leave);
            }
        }
    }

    fn tick(&mut self, shard: &Rc<Shard>, now_us: u64) {
        self.step(shard, now_us, rfs_core::consensus::api::Input::Tick);
        self.tick_sync(shard, now_us);
        self.tick_checkpoint(shard, now_us);
        self.tick_sessions(now_us);
        self.tick_info(now_us);
        self.tick_commands(shard, now_us);
        self.follow_bricks(shard, now_us);
        self.tick_resync(shard, now_us);
        self.tick_sums(shard, now_us);
        self.tick_rot(now_us);
        self.tick_scrub(shard, now_us);
        self.tick_doubts(shard, now_us);
    }

    /// Stops the brick for good: it says where it went wrong and does nothing more.
    pub(crate) fn fail(&mut self, why: impl Into<String>) {
        let why = why.into();
        if self.failed.is_none() {
            self.failed = Some(why);
        }
    }

    fn hang_up_all(&mut self) {
        self.mounts.dismiss_all(&rfs_model::client::ToMount::NotLeader);
        self.links.values().for_each(|link| link.stop());
        self.seats.close_all();
        self.opening.clear();
        self.fail_proposals();
        for command in std::mem::take(&mut self.commands) {
            command.give_up();
        }
    }

    pub(crate) fn ticket(&mut self) -> Ticket {
        self.next_ticket += 1;
        Ticket(self.next_ticket)
    }
}
