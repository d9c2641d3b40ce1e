//! The leader's side of a copy.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::task::Poll;
use std::time::Instant;

use bytes::Bytes;
use rfs_model::codec::Encode;
use rfs_model::config::Position;
use rfs_model::resync::Item;
use rfs_model::{Index, InodeId, NodeId, Term};

use super::super::bridge::{Caller, Desk, bridge};
use super::super::wire::ShellMessage;
use super::super::{Event, Inner, Shard, TreeState};
use super::{ResyncEvent, Sending, WINDOW};
use crate::tree::{Checked, Fault, Lender, Lent, Source};

/// How far the receiver has stored.
#[derive(Default)]
pub(super) struct Acked {
    upto: Cell<u64>,
    gone: Cell<bool>,
    waker: Cell<Option<std::task::Waker>>,
}

impl Acked {
    pub fn upto(&self, upto: u64) {
        self.upto.set(self.upto.get().max(upto));
        self.wake();
    }

    pub fn give_up(&self) {
        self.gone.set(true);
        self.wake();
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.take() {
            waker.wake();
        }
    }

    /// Waits until parts before `upto` are stored; false when the receiver is gone.
    async fn reached(&self, upto: u64) -> bool {
        std::future::poll_fn(|cx| {
            if self.gone.get() || self.upto.get() >= upto {
                return Poll::Ready(!self.gone.get());
            }
            self.waker.set(Some(cx.waker().clone()));
            Poll::Pending
        })
        .await
    }
}

/// How far a copy is.
pub(crate) struct Progress {
    /// Of the checkpoint.
    pub inodes: u64,
    pub(super) begun: Instant,
    done: Cell<u64>,
    bytes: Cell<u64>,
    now: Cell<InodeId>,
}

impl Default for Progress {
    fn default() -> Self {
        let (done, bytes, now) = (Cell::default(), Cell::default(), Cell::new(InodeId::ROOT));
        Self { inodes: 0, begun: Instant::now(), done, bytes, now }
    }
}

impl Progress {
    fn reached(&self, id: InodeId) {
        self.done.set(self.done.get() + 1);
        self.now.set(id);
    }

    /// The inode being copied.
    pub fn now(&self) -> InodeId {
        self.now.get()
    }

    /// Bytes a second so far, and those that are left if the other inodes are like those before.
    pub fn rate_and_left(&self) -> (u64, u64) {
        let (bytes, done) = (self.bytes.get(), self.done.get().max(1));
        let ms = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX).max(1);
        let left = self.inodes.saturating_sub(done);
        (bytes.saturating_mul(1000) / ms, (bytes / done).saturating_mul(left))
    }
}

enum Ask {
    Lend(InodeId),
    Check(InodeId, u64, Bytes),
    Applied,
    Send(Bytes),
}

enum Reply {
    Lent(Result<Option<Lent>, Fault>),
    Checked(Result<Checked, Fault>),
    Applied(Option<Index>),
    /// Whether to go on.
    Sent(bool),
}

/// The thread's view of the shard; sending and lending share it.
struct Thread<'a>(&'a RefCell<Caller<Ask, Reply>>);

fn gone() -> Fault {
    Fault::Copy("the brick that is copied to is gone".into())
}

impl Lender for Thread<'_> {
    fn lend(&mut self, id: InodeId) -> Result<Option<Lent>, Fault> {
        match self.0.borrow_mut().call(Ask::Lend(id)) {
            Some(Reply::Lent(lent)) => lent,
            _ => Err(gone()),
        }
    }

    fn check(&mut self, id: InodeId, offset: u64, data: Bytes) -> Result<Checked, Fault> {
        match self.0.borrow_mut().call(Ask::Check(id, offset, data)) {
            Some(Reply::Checked(checked)) => checked,
            _ => Err(gone()),
        }
    }

    fn applied(&mut self) -> Result<Index, Fault> {
        match self.0.borrow_mut().call(Ask::Applied) {
            Some(Reply::Applied(Some(index))) => Ok(index),
            _ => Err(gone()),
        }
    }
}

/// Runs on a thread: reads the whole copy.
fn read_all(mut source: Source, caller: Caller<Ask, Reply>) -> Result<(), Fault> {
    let caller = RefCell::new(caller);
    source.run(&mut Thread(&caller), &mut |item: Item| match caller
        .borrow_mut()
        .call(Ask::Send(item.encoded().into()))
    {
        Some(Reply::Sent(true)) => Ok(()),
        _ => Err(gone()),
    })
}

impl Inner {
    pub(super) fn start_copy(&mut self, shard: &Rc<Shard>, to: NodeId) {
        let TreeState::Ready(tree) = &self.tree else { return };
        let source = match tree.copy_source() {
            Ok(source) => source,
            Err(e) => return self.fail(e.to_string()),
        };
        let index = source.at();
        let chain = match self.journal.chain_at(index) {
            Ok(chain) => chain,
            Err(e) => return tracing::warn!("cannot begin a copy: {e}"),
        };
        let term = self.journal.term_at(index).unwrap_or(Term::ZERO);
        let (caller, desk) = match bridge() {
            Ok(ends) => ends,
            Err(e) => return tracing::warn!("cannot begin a copy: {e}"),
        };
        let pin = self.journal.pin(index.next());
        let acked = Rc::new(Acked::default());
        // Not the one in force: that may be waiting for this very copy, and follows in the log.
        let Some(config) = self.core.config_upto(index).cloned() else {
            return tracing::warn!("cannot begin a copy: the log begins behind record {index}");
        };
        let (at, forks) = (Position::new(term, index), self.forks.0.clone());
        self.send(to, &ShellMessage::CopyBegin { at, chain, config, forks });
        let inodes = source.total().unwrap_or(0);
        tracing::info!(peer = %self.brick_name(to), at = %index, inodes, "a copy begins");
        let progress = Rc::new(Progress { inodes, ..Progress::default() });
        self.resync.begun += 1;
        let number = self.resync.begun;
        let sending = Sending {
            number,
            acked: Rc::clone(&acked),
            progress: Rc::clone(&progress),
            _pin: pin,
            at: index,
        };
        self.resync.sending.insert(to, sending);
        glommio::spawn_local(Rc::clone(shard).serve_copy((to, number), desk, acked, progress)).detach();
        glommio::spawn_local(async move {
            let read = glommio::executor().spawn_blocking(move || read_all(source, caller)).await;
            if let Err(e) = read {
                tracing::warn!("the copy ended early: {e}");
            }
        })
        .detach();
    }
}

impl Shard {
    /// Answers the copying thread, and sends what it has read as fast as the other side stores it.
    async fn serve_copy(
        self: Rc<Self>,
        (to, copy): (NodeId, u64),
        mut desk: Desk<Ask, Reply>,
        acked: Rc<Acked>,
        progress: Rc<Progress>,
    ) {
        let (mut number, mut ended) = (0u64, false);
        while let Some(ask) = desk.next().await {
            match ask {
                Ask::Lend(id) => {
                    progress.reached(id);
                    let lent = match &self.inner.borrow().tree {
                        TreeState::Ready(tree) => tree.lend(id),
                        _ => Err(gone()),
                    };
                    desk.reply(Reply::Lent(lent));
                }
                Ask::Check(id, offset, data) => {
                    let checked = match &self.inner.borrow().tree {
                        TreeState::Ready(tree) => tree.check_copied(id, offset, data),
                        _ => Err(gone()),
                    };
                    desk.reply(Reply::Checked(checked));
                }
                Ask::Applied => {
                    let inner = self.inner.borrow();
                    ended = true;
                    desk.reply(Reply::Applied(inner.front.is_leading().then(|| inner.applied())));
                }
                Ask::Send(part) => {
                    let bytes = part.len() as u64;
                    self.heal_turn(to, bytes).await;
                    progress.bytes.set(progress.bytes.get() + bytes);
                    let go_on =
                        acked.reached((number + 1).saturating_sub(WINDOW)).await && self.end().is_none();
                    if go_on {
                        self.inner.borrow().send(to, &ShellMessage::CopyPart { number, part });
                        number += 1;
                    }
                    desk.reply(Reply::Sent(go_on));
                }
            }
        }
        let whole = ended && acked.reached(number).await;
        let event = if whole {
            ResyncEvent::Sent { to, parts: number }
        } else {
            ResyncEvent::Broken { to, number: copy, why: "the link or the copying thread ended".into() }
        };
        self.inbox.push(Event::Resync(event));
    }
}
