//! A full copy from the leader, for a brick whose missing records are recycled there.
//!
//! ```text
//! leader                                              learner
//!  core: NeedsResync
//!  checkpoint A, log pinned from A on
//!  source thread ── CopyBegin{A} ──────────────────►  label: resyncing; the old tree is wiped
//!                ── CopyPart 0.. ──────────────────►  sink thread builds the tree of A
//!                ◄─ CopyAck (at most WINDOW ahead) ─
//!                                                     label: live; log begins behind A; core: Installed
//!  log from A on ── Append ────────────────────────►  recovery over (A, E], then as any learner
//! ```
//! A crash of the learner in between leaves the label `resyncing`: it starts again as a brick with an empty disk.

mod receive;
mod send;

pub(super) use receive::{forget_origin, noted_origin};

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rfs_core::consensus::api::{Input, Lie, Peer};
use rfs_model::codec::Decode;
use rfs_model::config::{ConfigEntry, Position};
use rfs_model::volume::VolumeState;
use rfs_model::{Index, InodeId, NodeId};

use super::forks::Forks;
use super::wire::ShellMessage;
use super::{Inner, Shard, TreeState};
use crate::journal::Pin;
use crate::tree::{Checkpoint, Tree};

/// Parts that are on their way at the most.
const WINDOW: u64 = 16;

/// How long a message may have been on its way.
const CROSSED: Duration = Duration::from_secs(2);

/// What a copy is of.
#[derive(Clone, Debug)]
pub(crate) struct Origin {
    pub at: Position,
    pub chain: u32,
    pub config: ConfigEntry,
    pub forks: Forks,
}

#[derive(Default)]
pub(crate) struct Resync {
    /// Bricks that need a copy, as soon as there is a checkpoint.
    wanted: Vec<NodeId>,
    sending: BTreeMap<NodeId, Sending>,
    /// Copies that were begun.
    begun: u64,
    receiving: Option<receive::Receiving>,
    /// The log must be committed up to here before a copied tree is recovered.
    pub floor: Index,
    /// A copy's origin is noted on the disk; its configuration is not in the hard state yet.
    pub noted: bool,
    /// A copy that arrived while a checkpoint was being written.
    pending: Option<Pending>,
    asked_us: u64,
}

/// A copy that has to wait, and the parts of it that have come: at most [`WINDOW`].
struct Pending {
    from: NodeId,
    origin: Origin,
    parts: Vec<bytes::Bytes>,
}

/// A copy on its way out.
struct Sending {
    /// Others went to this brick before.
    number: u64,
    acked: Rc<send::Acked>,
    progress: Rc<send::Progress>,
    /// The copied brick needs the log from here on.
    _pin: Pin,
    at: Index,
}

pub(crate) enum ResyncEvent {
    /// All parts were sent and stored.
    Sent {
        to: NodeId,
        parts: u64,
    },
    Broken {
        to: NodeId,
        number: u64,
        why: String,
    },
    /// The copy is complete here, durable and live.
    Installed {
        number: u64,
        tree: Box<Tree>,
        checkpoint: Checkpoint,
        origin: Box<Origin>,
    },
    ReceiveFailed {
        number: u64,
        why: String,
    },
    /// What this brick has and the leader lacks could not be set aside: nothing of it was touched.
    NotSetAside {
        why: String,
    },
    /// What was set aside was compared with the volume: how many paths differ, of how many.
    Settled(Result<(usize, usize), String>),
}

impl Resync {
    /// How far the copy to a brick is, while one is on its way.
    pub(super) fn progress(&self, to: NodeId) -> Option<&send::Progress> {
        self.sending.get(&to).map(|sending| &*sending.progress)
    }

    /// What was on its way to a brick is lost, or the brick says that it has no use for it.
    pub(super) fn break_off(&mut self, to: NodeId) {
        if let Some(sending) = self.sending.remove(&to) {
            sending.acked.give_up();
        }
    }

    /// Parts of a copy from that brick that are stored here: who sends it may not have heard of the last ones.
    pub(super) fn stored_of(&self, from: NodeId) -> Option<u64> {
        self.receiving.as_ref().and_then(|receiving| receiving.stored_of(from))
    }

    /// The inode that is being copied to some brick.
    pub(super) fn now(&self) -> Option<InodeId> {
        self.sending.values().next().map(|sending| sending.progress.now())
    }
}

impl Inner {
    /// The core found that a peer needs what the log does not have.
    pub(super) fn needs_resync(&mut self, _shard: &Rc<Shard>, _now_us: u64, to: NodeId) {
        if !self.resync.sending.contains_key(&to) && !self.resync.wanted.contains(&to) {
            tracing::info!(peer = %self.brick_name(to), "the brick needs a full copy");
            self.resync.wanted.push(to);
            self.want_checkpoint();
        }
    }

    pub(super) fn resync_checkpointed(&mut self, shard: &Rc<Shard>) {
        for to in std::mem::take(&mut self.resync.wanted) {
            self.start_copy(shard, to);
        }
    }

    pub(super) fn tick_resync(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let matched: BTreeMap<NodeId, (bool, Index)> =
            self.core.bricks().iter().map(|p| (p.brick, (p.up, p.matched))).collect();
        // The log is held until the brick has gone on from the copy.
        self.resync.sending.retain(|to, sending| {
            let (up, matched) = matched.get(to).copied().unwrap_or_default();
            if !up {
                sending.acked.give_up();
            }
            up && matched <= sending.at
        });
        if !self.resync.wanted.is_empty() && self.is_checkpointed() {
            self.resync_checkpointed(shard);
        }
        if self.checkpoint_idle()
            && let Some(Pending { from, origin, parts }) = self.resync.pending.take()
        {
            self.begin_receiving(shard, now_us, from, origin);
            for (number, part) in (0..).zip(parts) {
                self.receive_part(from, number, part);
            }
        }
        self.ask_for_copy(now_us);
        self.settle_aside(shard);
    }

    /// A brick without a tree says so once a second, until somebody sends it one.
    fn ask_for_copy(&mut self, now_us: u64) {
        let idle = self.resync.receiving.is_none() && self.resync.pending.is_none();
        if !matches!(self.tree, TreeState::Resyncing) || !idle || now_us - self.resync.asked_us < 1_000_000 {
            return;
        }
        self.resync.asked_us = now_us;
        if let Some(leader) = self.core.leader().filter(|l| *l != self.me) {
            self.send(leader, &ShellMessage::CopyWanted {});
        }
    }

    pub(super) fn resync_event(&mut self, shard: &Rc<Shard>, now_us: u64, event: ResyncEvent) {
        match event {
            ResyncEvent::Sent { to, parts } => {
                tracing::info!(peer = %self.brick_name(to), parts, "the copy is there; the log follows");
            }
            ResyncEvent::Broken { to, number, why } => {
                tracing::warn!(peer = %self.brick_name(to), "the copy broke off: {why}");
                if self.resync.sending.get(&to).is_some_and(|sending| sending.number == number) {
                    self.resync.sending.remove(&to);
                }
            }
            ResyncEvent::Installed { number, tree, checkpoint, origin } => {
                if self.is_receiving(number) {
                    self.install(shard, now_us, tree, &checkpoint, &origin);
                }
            }
            ResyncEvent::NotSetAside { why } => self.fail(format!(
                "what this brick has and the volume abandoned cannot be set aside: {why}; nothing of it was touched"
            )),
            ResyncEvent::Settled(done) => self.settled_aside(done),
            ResyncEvent::ReceiveFailed { number, why } => {
                if self.is_receiving(number) {
                    tracing::warn!("the copy from the leader cannot be stored: {why}");
                    self.resync.receiving = None;
                }
            }
        }
    }

    pub(super) fn copy_message(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        from: NodeId,
        message: ShellMessage,
    ) {
        match message {
            ShellMessage::CopyBegin { at, config, .. } if !self.wants_copy(from, at, &config) => {
                self.refused(shard, Peer::Brick(from), Lie::UncalledCopy);
            }
            ShellMessage::CopyBegin { at, chain, config, forks } => {
                let origin = Origin { at, chain, config, forks: Forks(forks) };
                self.flush_journal(shard, now_us);
                if self.checkpoint_idle() {
                    self.begin_receiving(shard, now_us, from, origin);
                } else {
                    self.resync.pending = Some(Pending { from, origin, parts: Vec::new() });
                }
            }
            ShellMessage::CopyPart { number, part } => match &mut self.resync.pending {
                Some(pending) if pending.from == from && number == pending.parts.len() as u64 => {
                    pending.parts.push(part);
                }
                _ => self.receive_part(from, number, part),
            },
            ShellMessage::CopyAck { upto } => {
                if let Some(sending) = self.resync.sending.get(&from) {
                    sending.acked.upto(upto);
                }
            }
            ShellMessage::CopyWanted {} => {
                if self.front.is_leading() {
                    // It asks only while it gets none. What it said before this one had begun means nothing.
                    let stale = |sending: &Sending| sending.progress.begun.elapsed() >= CROSSED;
                    if self.resync.sending.get(&from).is_some_and(stale) {
                        self.resync.break_off(from);
                    }
                    self.needs_resync(shard, now_us, from);
                }
            }
            ShellMessage::Info { .. }
            | ShellMessage::BlocksWanted { .. }
            | ShellMessage::BlocksGiven { .. }
            | ShellMessage::Scrub { .. }
            | ShellMessage::ScrubState { .. }
            | ShellMessage::Compare { .. }
            | ShellMessage::Compared { .. }
            | ShellMessage::CompareSums { .. }
            | ShellMessage::OtherSums { .. }
            | ShellMessage::Claim { .. }
            | ShellMessage::Claimed { .. } => {}
        }
    }

    /// Whether a copy, which begins with the end of the tree that is here, may be taken: it makes sense, and comes from the
    /// leader.
    fn wants_copy(&self, from: NodeId, at: Position, config: &ConfigEntry) -> bool {
        let sound = config.record.problem().is_none() && at.index <= Index::LIMIT && at.term.is_believable();
        sound && from != self.me && self.core.leader() == Some(from)
    }

    /// Goes on from the copied tree: a brick that crashed just after its checkpoint.
    fn install(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        tree: Box<Tree>,
        checkpoint: &Checkpoint,
        origin: &Origin,
    ) {
        let Origin { at, chain, config, forks } = origin;
        self.forks = forks.clone();
        self.aside.replaced();
        let front = rfs_core::admit::Front::restore(rfs_core::admit::Limits::default(), &checkpoint.state);
        self.front = match front {
            Ok(front) => front,
            Err(e) => return self.fail(format!("the copied state of sessions cannot be read: {e}")),
        };
        match self.front.state().volume().map(VolumeState::from_all) {
            Some(Ok(state)) => self.adopt_state(shard, state),
            Some(Err(e)) => return self.fail(format!("the copied state of the volume cannot be read: {e}")),
            None => {}
        }
        self.batch.clear();
        if let Err(e) = self.journal.set_base(at.index, at.term, *chain) {
            return self.fail(format!("cannot begin the log anew: {e}"));
        }
        // The origin stays noted until the hard state has its configuration.
        self.resync.noted = true;
        self.chain = *chain;
        self.tree = TreeState::Torn(tree);
        self.resync.receiving = None;
        self.resync.floor = checkpoint.floor;
        (self.committed, self.durable) = (at.index, at.index);
        self.checkpoint = super::checkpoint::Checkpoints::at(at.index, now_us, crate::clock::now());
        self.restart_feed();
        tracing::info!(at = %at.index, "the copy is in place");
        self.step(shard, now_us, Input::Installed { at: *at, config: config.clone() });
    }
}
