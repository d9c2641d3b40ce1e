//! What this brick has and its volume has abandoned goes aside before a full copy replaces it ([`crate::divergent`]).

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rfs_core::consensus::api::RoleView;
use rfs_model::Index;
use rfs_model::Term;
use rfs_model::config::Position;
use rfs_model::label::BrickState;

use super::bridge::bridge;
use super::converge::Log;
use super::forks::Forks;
use super::resync::ResyncEvent;
use super::{Event, Inner, Shard, TreeState};
use crate::divergent::{self, Tail};
use crate::tree::{self, Fault, Tree, read_label};

/// How long the last readers of the old tree may hold its index.
const READERS: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);

#[derive(Default)]
pub(crate) struct Aside {
    /// What the core found: the last record in common with a leader of the brick's own lineage.
    common: Option<Index>,
    /// Held by the thread that sets aside or receives a copy, one at a time. True: it is done, and the old tree means nothing.
    done: Arc<Mutex<bool>>,
    /// What is set aside may not have been compared yet.
    settled: bool,
    settling: bool,
}

impl Aside {
    /// A copy is in place.
    pub fn replaced(&mut self) {
        *self = Self::default();
    }
}

/// Work for the thread that receives a copy, before it touches anything.
pub(super) struct TailJob {
    tail: Option<(Tail, Log)>,
    done: Arc<Mutex<bool>>,
}

impl TailJob {
    /// Sets the tail aside, if there is one and it was not done before. Blocks. Durable on return.
    ///
    /// # Errors
    /// One line. Nothing of the tree was touched.
    pub fn carry_out(self, brick: &Path) -> Result<(), String> {
        // An earlier copy's thread ends first: it was told that it is.
        let mut done = self.done.lock().map_err(|_| "an earlier attempt failed")?;
        let Some((tail, mut log)) = self.tail.filter(|_| !*done) else { return Ok(()) };
        let label = read_label(brick).map_err(|e| e.to_string())?;
        if label.is_none_or(|label| label.state != BrickState::Live) {
            return Ok(());
        }
        let began = Instant::now();
        let count = set_aside(brick, &tail, &mut log).map_err(|e| e.to_string())?;
        tracing::warn!(brick = %brick.display(), common = %tail.common, last = %tail.last.index, paths = count,
            ms = began.elapsed().as_millis(),
            "what the volume has abandoned was set aside: 'rfs-tools heal-status divergent' will show what differs");
        *done = true;
        Ok(())
    }
}

/// Brings the tree to the end of its own log, whoever has abandoned it, and keeps what the tail touched.
fn set_aside(brick: &Path, tail: &Tail, log: &mut Log) -> Result<usize, Fault> {
    let mut tree = open_tree(brick)?;
    log.from = tree.applied().next();
    tree.converge(tail.last.index, tail.last.term, log)?;
    divergent::set_aside(&tree, tail, log)
}

/// The shard has let go of the tree; threads that were reading it may take a moment.
fn open_tree(brick: &Path) -> Result<Tree, Fault> {
    let end = Instant::now() + READERS;
    loop {
        match Tree::open(brick, &tree::Limits::default()) {
            Err(Fault::Index { .. }) if Instant::now() < end => thread::sleep(PAUSE),
            other => return other,
        }
    }
}

impl Inner {
    /// The core found that the leader lacks what this brick has. It tells the leader, which sends a copy.
    pub(super) fn diverged(&mut self, common: Index) {
        tracing::warn!(brick = %self.path.display(), %common, last = %self.journal.last().index,
            "the volume has gone on without records after the common one: they will be set aside, and a copy taken");
        self.aside.common = Some(self.aside.common.map_or(common, |known| known.min(common)));
    }

    /// What is to be done before a copy from somebody who has gone through `forks` replaces tree and log.
    pub(super) fn tail_job(&mut self, shard: &Rc<Shard>, forks: &Forks) -> std::io::Result<TailJob> {
        let done = Arc::clone(&self.aside.done);
        let by_forks = self.forks.common(forks, &self.journal);
        let common = by_forks.into_iter().chain(self.aside.common).min();
        let (last, base) = (self.journal.last(), self.journal.base().index);
        let Some(common) = common.filter(|common| *common < last.index) else {
            return Ok(TailJob { tail: None, done });
        };
        let tail = Tail { common, base, last: Position::new(last.term, last.index) };
        let (caller, desk) = bridge()?;
        glommio::spawn_local(Rc::clone(shard).feed(desk, last.index)).detach();
        let log = Log { from: base.next(), through: last.index, caller };
        Ok(TailJob { tail: Some((tail, log)), done })
    }

    /// Once the tree shows what the volume has, what was set aside is compared with it.
    pub(super) fn settle_aside(&mut self, shard: &Rc<Shard>) {
        let follows = self.core.role() != RoleView::Candidate && self.core.leader().is_some();
        let ready = matches!(self.tree, TreeState::Ready(_)) && follows && self.applied() >= self.committed;
        if self.aside.settled || self.aside.settling || !ready {
            return;
        }
        self.aside.settling = true;
        let (brick, inbox): (PathBuf, _) = (self.path.clone(), Rc::clone(&shard.inbox));
        let base = Position::new(self.journal.base().term, self.journal.base().index);
        // A tail that is still in the log is this brick's own: nothing has replaced it.
        let held: Vec<(Index, Term)> = self.journal.runs();
        let last = self.journal.last().index;
        glommio::spawn_local(async move {
            let still = move |at: Position| {
                let run = held.iter().rev().find(|(first, _)| *first <= at.index);
                at.index > base.index && at.index <= last && run.is_some_and(|(_, term)| *term == at.term)
            };
            let job = move || divergent::settle(&brick, still);
            let done = glommio::executor().spawn_blocking(job).await;
            inbox.push(Event::Resync(ResyncEvent::Settled(done)));
        })
        .detach();
    }

    pub(super) fn settled_aside(&mut self, done: Result<(usize, usize), String>) {
        self.aside.settling = false;
        self.aside.settled = true;
        match done {
            Ok((_, 0)) => {}
            Ok((0, all)) => tracing::info!(brick = %self.path.display(), paths = all,
                "what was set aside does not differ from the volume, and is gone"),
            Ok((kept, all)) => tracing::warn!(brick = %self.path.display(), kept, of = all,
                "'rfs-tools heal-status divergent' shows what an abandoned lineage had"),
            Err(why) => tracing::error!(
                "what was set aside could not be compared with the volume, and is kept: {why}"
            ),
        }
    }
}
