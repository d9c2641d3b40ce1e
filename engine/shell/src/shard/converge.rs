//! Recovery of the tree, on a thread of its own: the shard goes on journalling, acknowledging and voting meanwhile.
//!
//! The thread asks for records with a byte on a socket, which the executor reads (a foreign thread must not wake a task by
//! its waker); they come back through a channel.

use std::io::Write;
use std::os::unix::net::UnixStream;
use std::rc::Rc;
use std::sync::mpsc;
use std::time::Instant;

use rfs_model::codec::Decode;
use rfs_model::op::Stamped;
use rfs_model::{Index, Record, RecordKind, Term};

use super::{Event, Inner, Shard, TreeState};
use crate::net::Connection;
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

type Batch = Result<Vec<Record>, String>;

/// The thread's view of the log.
struct Log {
    from: Index,
    through: Index,
    ask: UnixStream,
    batches: mpsc::Receiver<Batch>,
}

impl Log {
    fn batch(&mut self, from: Index) -> Result<Vec<Record>, Fault> {
        let lost = || Fault::Log("the shard is gone".into());
        self.ask.write_all(&from.0.to_le_bytes()).map_err(|_| lost())?;
        self.batches.recv().map_err(|_| lost())?.map_err(Fault::Log)
    }
}

impl Replay for Log {
    fn replay(&mut self, each: &mut Each<'_>) -> Result<(), Fault> {
        let mut next = self.from;
        while next <= self.through {
            let batch = self.batch(next)?;
            if batch.is_empty() {
                return Err(Fault::Log(format!("record {next} is not there")));
            }
            for record in &batch {
                next = record.meta.index.next();
                if record.meta.kind == RecordKind::Op {
                    let stamped = Stamped::from_all(&record.payload)
                        .map_err(|e| Fault::Log(format!("record {}: {e}", record.meta.index)))?;
                    each(record.meta.index, &stamped)?;
                }
            }
        }
        Ok(())
    }
}

impl Shard {
    /// Feeds the thread until it hangs up.
    async fn feed(self: Rc<Self>, reader: UnixStream, through: Index, batches: mpsc::Sender<Batch>) {
        let Ok(mut asks) = reader
            .set_nonblocking(true)
            .map_err(drop)
            .and_then(|()| Connection::new(reader.into()).map_err(drop))
        else {
            return;
        };
        while let Ok(bytes) = asks.recv_exact::<8>().await {
            let from = Index(u64::from_le_bytes(bytes));
            let read = self.inner.borrow().journal.read(from, through, BATCH_BYTES);
            if batches.send(read.await.map_err(|e| e.to_string())).is_err() {
                return;
            }
        }
    }
}

impl Inner {
    /// The core knows a commit index that covers all that the tree may have seen: recovery begins.
    pub(super) fn start_converge(&mut self, shard: &Rc<Shard>) {
        let through = self.committed;
        let TreeState::Torn(mut tree) = std::mem::replace(&mut self.tree, TreeState::Converging(through))
        else {
            return;
        };
        let from = tree.applied().next();
        let term = self.journal.term_at(through).unwrap_or(Term::ZERO);
        let (asks, ask) = match UnixStream::pair() {
            Ok((reader, writer)) => (reader, writer),
            Err(e) => return self.fail(format!("cannot begin recovery: {e}")),
        };
        let (sender, batches) = mpsc::channel();
        glommio::spawn_local(Rc::clone(shard).feed(asks, through, sender)).detach();
        let inbox = Rc::clone(&shard.inbox);
        tracing::info!(%from, %through, "recovery begins");
        glommio::spawn_local(async move {
            let job = move || {
                let begun = Instant::now();
                let mut log = Log { from, through, ask, batches };
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
