//! Checkpoints: the log up to N synced, then the tree, then the index that says so.

use std::rc::Rc;

use rfs_model::{Index, Timestamp};

use super::{Event, Inner, Shard, TreeState};
use crate::clock;
use crate::tree::{CheckpointDone, CheckpointJob};

/// Age of a checkpoint after which the next one is due, microseconds.
const AGE_US: u64 = 30_000_000;
/// Bytes applied since, after which it is due.
const BYTES: u64 = 256 * 1024 * 1024;
/// Changed inodes since, after which it is due: they are kept in memory.
const ENTRIES: usize = 200_000;

/// A wall clock that was set back by more than this gives what changes now an older time than the last checkpoint noted.
const SET_BACK_SECS: i64 = 1;

/// Chunks that got sums since: they are kept in memory too.
const SUMS: usize = 100_000;

#[derive(Default)]
pub(crate) struct Checkpoints {
    /// The last one that is done.
    pub index: Index,
    begun_us: u64,
    bytes_then: u64,
    state: State,
    /// One is wanted as soon as possible.
    wanted: bool,
    /// The wall clock at the last tick.
    wall: Timestamp,
}

#[derive(Default)]
enum State {
    #[default]
    Idle,
    /// Begun; the log is being synced up to its index.
    Syncing(Box<CheckpointJob>),
    Running,
}

impl Checkpoints {
    /// `noted`: the wall clock that the last one noted.
    pub fn at(index: Index, now_us: u64, noted: Timestamp) -> Self {
        Self { index, begun_us: now_us, wall: noted, ..Self::default() }
    }
}

impl Inner {
    pub(super) fn tick_checkpoint(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let wall = clock::now();
        let TreeState::Ready(tree) = &self.tree else { return };
        let set_back = wall.secs < self.checkpoint.wall.secs.saturating_sub(SET_BACK_SECS);
        (self.checkpoint.wall, self.checkpoint.wanted) = (wall, self.checkpoint.wanted || set_back);
        let c = &self.checkpoint;
        // After recovery the sessions are behind the tree for a while: no index names both.
        let something =
            (tree.applied() > c.index || tree.fresh_sums() > 0) && tree.applied() == self.applied();
        let due = c.wanted
            || now_us.saturating_sub(c.begun_us) >= AGE_US
            || self.feed.bytes_applied - c.bytes_then >= BYTES
            || tree.dirty_entries() >= ENTRIES
            || tree.fresh_sums() >= SUMS;
        if something && due && matches!(c.state, State::Idle) {
            self.begin_checkpoint(shard, now_us);
        }
    }

    /// Begins a checkpoint at the applied index, unless one is under way: then the next one is begun after it.
    pub(crate) fn want_checkpoint(&mut self) {
        self.checkpoint.wanted = true;
    }

    fn begin_checkpoint(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let snapshot = self.front.snapshot().into();
        let TreeState::Ready(tree) = &mut self.tree else { return };
        tree.tell_wall(clock::now());
        let job = match tree.checkpoint_begin(snapshot) {
            Ok(job) => job,
            Err(e) => return self.fail(e.to_string()),
        };
        (self.checkpoint.wanted, self.checkpoint.begun_us) = (false, now_us);
        self.checkpoint.bytes_then = self.feed.bytes_applied;
        self.checkpoint.state = State::Syncing(Box::new(job));
        if self.journal.synced() >= self.journal.last().index {
            self.checkpoint_log_synced(shard, self.journal.synced());
        } else {
            self.sync_now(shard);
        }
    }

    /// The log is durable up to `upto`: the checkpoint that waits for that may go on.
    pub(super) fn checkpoint_log_synced(&mut self, shard: &Rc<Shard>, upto: Index) {
        match std::mem::take(&mut self.checkpoint.state) {
            State::Syncing(job) if job.index() <= upto => {
                self.checkpoint.state = State::Running;
                let inbox = Rc::clone(&shard.inbox);
                glommio::spawn_local(async move {
                    let run = move || job.run().map_err(|e| e.to_string());
                    inbox.push(Event::CheckpointDone(glommio::executor().spawn_blocking(run).await));
                })
                .detach();
            }
            State::Syncing(job) => {
                self.checkpoint.state = State::Syncing(job);
                self.sync_now(shard);
            }
            other => self.checkpoint.state = other,
        }
    }

    pub(super) fn checkpoint_done(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        result: Result<CheckpointDone, String>,
    ) {
        self.checkpoint.state = State::Idle;
        // A copy that has begun meanwhile has made this checkpoint void.
        let TreeState::Ready(tree) = &mut self.tree else { return };
        let index = match result.and_then(|done| tree.checkpoint_done(done).map_err(|e| e.to_string())) {
            Ok(index) => index,
            Err(e) => return self.fail(format!("cannot make a checkpoint: {e}")),
        };
        self.checkpoint.index = index;
        let base = self.journal.base().index;
        // What a quorum may lose with its power, this brick may have to give it again.
        self.journal.release(index.min(self.core.watermarks().durable));
        let now = self.journal.base();
        if now.index > base {
            let base = rfs_model::config::Position::new(now.term, now.index);
            self.step(shard, now_us, rfs_core::consensus::api::Input::Trimmed { base });
        }
        self.resync_checkpointed(shard);
        tracing::debug!(%index, "checkpoint");
    }

    /// Whether no checkpoint is being written.
    pub(super) fn checkpoint_idle(&self) -> bool {
        !matches!(self.checkpoint.state, State::Running)
    }

    /// Whether nothing more is to be done for the checkpoint to hold all that is applied.
    pub(super) fn is_checkpointed(&self) -> bool {
        match &self.tree {
            TreeState::Ready(tree) => {
                let all =
                    tree.applied() == self.checkpoint.index && tree.fresh_sums() == 0 && tree.dying() == 0;
                all && matches!(self.checkpoint.state, State::Idle)
            }
            _ => false,
        }
    }
}
