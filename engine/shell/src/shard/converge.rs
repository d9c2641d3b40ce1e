//! Recovery of the tree, on a thread of its own: the shard goes on journalling, acknowledging and voting meanwhile.

use std::rc::Rc;
use std::time::Instant;

use rfs_model::codec::Decode;
use rfs_model::op::Stamped;
use rfs_model::{Index, Record, RecordKind, Term};

use super::bridge::{Caller, Desk, bridge};
use super::{Event, Inner, Shard, TreeState};
use crate::divergent::Records;
use crate::tree::{Each, Fault, Replay, Tree};

/// Records handed to the thread at once, bytes.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What the thread ends with.
pub(crate) struct Converged {
    tree: Box<Tree>,
    through: Index,
    result: Result<u64, Fault>,
    took_ms: u128,
}

pub(super) type Batch = Result<Vec<Record>, String>;

/// A thread's view of the log.
pub(super) struct Log {
    pub from: Index,
    pub through: Index,
    pub caller: Caller<Index, Batch>,
}

impl Records for Log {
    fn each(&mut self, from: Index, each: &mut dyn FnMut(&Record) -> Result<(), Fault>) -> Result<(), Fault> {
        let mut next = from;
        while next <= self.through {
            let batch = self.caller.call(next).ok_or_else(|| Fault::Log("the shard is gone".into()))?;
            let batch = batch.map_err(Fault::Log)?;
            if batch.is_empty() {
                return Err(Fault::Log(format!("record {next} is not there")));
            }
            for record in &batch {
                next = record.meta.index.next();
                each(record)?;
            }
        }
        Ok(())
    }
}

impl Replay for Log {
    fn replay(&mut self, each: &mut Each<'_>) -> Result<(), Fault> {
        self.each(self.from, &mut |record| {
            if record.meta.kind != RecordKind::Op {
                return Ok(());
            }
            let stamped = Stamped::from_all(&record.payload)
                .map_err(|e| Fault::Log(format!("record {}: {e}", record.meta.index)))?;
            each(record.meta.index, &stamped)
        })
    }
}

impl Shard {
    /// Feeds the thread until it ends.
    pub(super) async fn feed(self: Rc<Self>, mut desk: Desk<Index, Batch>, through: Index) {
        while let Some(from) = desk.next().await {
            let read = self.inner.borrow().journal.read(from, through, BATCH_BYTES);
            desk.reply(read.await.map_err(|e| e.to_string()));
        }
    }
}

impl Inner {
    /// The core knows a commit index that covers all that the tree may have seen: recovery begins.
    pub(super) fn start_converge(&mut self, shard: &Rc<Shard>) {
        let through = self.committed;
        if through < self.resync.floor {
            // A copied tree has seen more than is known to be committed yet.
            return;
        }
        if self.journal.synced() < through.min(self.journal.last().index) {
            // What recovery removes must not come back with a log that loses its end once more.
            self.converge_when_synced = true;
            return self.sync_now(shard);
        }
        let TreeState::Torn(mut tree) = std::mem::replace(&mut self.tree, TreeState::Converging) else {
            return;
        };
        let from = tree.applied().next();
        let term = self.journal.term_at(through).unwrap_or(Term::ZERO);
        let (caller, desk) = match bridge() {
            Ok(ends) => ends,
            Err(e) => return self.fail(format!("cannot begin recovery: {e}")),
        };
        glommio::spawn_local(Rc::clone(shard).feed(desk, through)).detach();
        let inbox = Rc::clone(&shard.inbox);
        tracing::info!(%from, %through, "recovery begins");
        glommio::spawn_local(async move {
            let job = move || {
                let begun = Instant::now();
                let mut log = Log { from, through, caller };
                let result = tree.converge(through, term, &mut log).map(|done| done.records);
                Converged { tree, through, result, took_ms: begun.elapsed().as_millis() }
            };
            let done = glommio::executor().spawn_blocking(job).await;
            inbox.push(Event::Converged(Box::new(done)));
        })
        .detach();
    }

    pub(super) fn converged(&mut self, _shard: &Rc<Shard>, _now_us: u64, done: Converged) {
        match done.result {
            Ok(records) => {
                tracing::info!(records, through = %done.through, ms = done.took_ms, "recovery is done");
                match done.tree.leftovers() {
                    Ok(leftovers) => leftovers.into_iter().for_each(super::apply::free),
                    Err(e) => return self.fail(e.to_string()),
                }
                self.tree = TreeState::Ready(done.tree);
                self.want_checkpoint();
            }
            Err(Fault::Lost { id }) => self.fail(format!(
                "the tree lacks inode {id}, which its checkpoint promised: \
                 the brick must be copied anew ('rfs-tools brick replace')"
            )),
            Err(e) => self.fail(e.to_string()),
        }
    }
}
