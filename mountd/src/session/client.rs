//! What the file system calls: mutations, queries and the waits between them. Lives on the network thread.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use rfs_model::client::{Answer, Change, Done, Mutation, Query};
use rfs_model::hello::{BrickPlace, Hello, Purpose, VERSIONS};
use rfs_model::options::Options;
use rfs_model::{InodeId, NodeId, Refusal, Seq, SessionId};
use tokio::sync::{Notify, watch};

use super::Failure;
use super::counts::{self, Counts};
use super::credit::{Credit, Share};
use super::local::Nearby;
use super::patience::Patience;
use super::places::Places;
use super::search::Outlook;
use super::state::Session;
use super::window::Waiter;
use crate::transport::{Address, Outbox, Transport};

/// How long the last message may take to leave this machine.
const GOODBYE_PATIENCE: Duration = Duration::from_millis(500);
/// Between two looks whether all that was taken is durable.
const DRAIN_LOOK: Duration = Duration::from_millis(5);

/// What a session is begun with.
#[derive(Clone, Debug)]
pub struct ClientConfig {
    pub volume: String,
    /// This machine's name, for people.
    pub host: String,
    /// Data of retained mutations at the most, bytes; `None`: as the volume says.
    pub window_bytes: Option<usize>,
    /// Zero: requests wait for ever; `None`: as the volume says.
    pub request_timeout: Option<Duration>,
    /// Servers to ask first, in order.
    pub named: Vec<Address>,
    /// Where a daemon of this machine may listen.
    pub sockets: Vec<PathBuf>,
}

/// What the session tells the file system unasked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Push {
    /// Somebody else changed these.
    Changes(Vec<Change>),
    /// Somebody waits for the lease on this directory.
    Recall(InodeId),
    /// From here until `Attached` nobody tells of changes: nothing may be cached, and what is cached may be old.
    Lost,
    Attached,
    /// Nothing can be asked until further notice, or that is over.
    Down(bool),
    /// All handles and locks are void.
    Expired,
}

/// One mount's session, and the connection that it has at the moment.
pub struct Client {
    pub(super) config: ClientConfig,
    pub(super) transport: Box<dyn Transport>,
    pub(super) session: RefCell<Session>,
    pub(super) places: RefCell<Places>,
    pub(super) patience: Patience,
    pub(super) outlook: watch::Sender<Outlook>,
    /// Why nothing can be asked at present, though the volume's bricks answer.
    pub(super) down: Cell<Option<Refusal>>,
    /// Whom the session is attached to.
    pub(super) leader: Cell<Option<NodeId>>,
    pub(super) nearby: Nearby,
    pub(super) pushes: Box<dyn Fn(Push)>,
    /// The session is not to be attached again.
    pub(super) ending: Cell<bool>,
    credit: Arc<Credit>,
    lock_freed: Notify,
    news: Notify,
    hurrying: Cell<bool>,
    /// The present connection's.
    pub(super) outbox: RefCell<Option<Outbox>>,
    counts: Counts,
}

impl Client {
    /// `credit` is taken on other threads too.
    #[must_use]
    pub fn new(
        config: ClientConfig,
        transport: Box<dyn Transport>,
        credit: Arc<Credit>,
        pushes: Box<dyn Fn(Push)>,
    ) -> Rc<Self> {
        let limit = config.request_timeout.filter(|limit| !limit.is_zero());
        Rc::new(Self {
            session: RefCell::new(Session::new(new_session_id())),
            places: RefCell::new(Places::new(config.named.clone(), config.sockets.clone())),
            patience: Patience::new(limit),
            outlook: watch::Sender::new(Outlook::default()),
            down: Cell::new(None),
            leader: Cell::new(None),
            nearby: Nearby::default(),
            transport,
            config,
            credit,
            pushes,
            lock_freed: Notify::new(),
            news: Notify::new(),
            hurrying: Cell::new(false),
            ending: Cell::new(false),
            outbox: RefCell::new(None),
            counts: Counts::default(),
        })
    }

    pub(super) fn hello(&self, purpose: Purpose) -> Hello {
        let session = self.session.borrow();
        Hello::Mount {
            versions: VERSIONS.to_vec(),
            volume: self.config.volume.clone(),
            session: session.id,
            purpose,
            host: self.config.host.clone(),
            resumed: session.resumed,
            opens: if purpose == Purpose::Session { session.opens() } else { Vec::new() },
        }
    }

    fn up(&self) -> Result<(), Failure> {
        self.down.get().map_or(Ok(()), |why| Err(why.into()))
    }

    /// What the volume says, where the command line does not.
    pub(super) fn configure(&self, options: &[(String, String)]) {
        let options = Options::from_pairs(options);
        if self.config.request_timeout.is_none() {
            let limit = Duration::from_secs(options.request_timeout_s);
            self.patience.set_limit(Some(limit).filter(|limit| !limit.is_zero()));
        }
        // A window that is in use keeps its size.
        let first = !self.session.borrow().resumed;
        if let (None, true, Ok(window)) =
            (self.config.window_bytes, first, usize::try_from(options.window_bytes))
        {
            self.credit.resize(window);
        }
    }

    /// The share of the window that `op` needs; waits for it.
    ///
    /// # Errors
    /// [`Failure::TimedOut`], [`Failure::Ending`], [`Failure::Refused`] when the volume is down.
    async fn credit(self: &Rc<Self>, op: &Mutation) -> Result<Share, Failure> {
        self.up()?;
        self.counts.count(counts::CHANGE);
        if let Some(share) = self.credit.try_take(op.data_bytes()) {
            return Ok(share);
        }
        self.hurry();
        let share = self.patience.within(self.credit.take(op.data_bytes())).await??;
        self.up()?;
        Ok(share)
    }

    /// Takes a mutation into the window without waiting for anything; `waiter` hears how it ends.
    pub fn submit(self: &Rc<Self>, op: Mutation, credit: Share, waiter: Waiter) -> Seq {
        self.counts.count(counts::CHANGE);
        let seq = self.session.borrow_mut().mutate(op, Some(credit), Some(waiter), None);
        if self.credit.runs_low() {
            self.hurry();
        }
        seq
    }

    /// Takes a mutation into the window, waiting for room only.
    ///
    /// # Errors
    /// [`Failure::TimedOut`], [`Failure::Refused`] when the volume is down.
    pub async fn enqueue(self: &Rc<Self>, op: Mutation, waiter: Waiter) -> Result<Seq, Failure> {
        let credit = self.credit(&op).await?;
        Ok(self.session.borrow_mut().mutate(op, Some(credit), Some(waiter), None))
    }

    /// Takes a mutation into the window that nobody waits for, nor for its answer.
    ///
    /// # Errors
    /// As [`Client::enqueue`].
    pub async fn enqueue_quietly(self: &Rc<Self>, op: Mutation) -> Result<(), Failure> {
        let credit = self.credit(&op).await?;
        self.session.borrow_mut().mutate(op, Some(credit), None, None);
        Ok(())
    }

    /// Asks whether there is a leader: none of the requests that are counted.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn renew(&self) -> Result<(), Failure> {
        let answer = self.session.borrow_mut().ask(Query::Renew {}, self.patience.deadline());
        answer.await.unwrap_or(Err(Failure::Ending)).map(drop)
    }

    /// Carries out a mutation: committed, and metadata applied on the leader, on return.
    ///
    /// # Errors
    /// [`Failure`]; the outcome of [`Failure::TimedOut`] is unknown.
    pub async fn mutate(self: &Rc<Self>, op: Mutation) -> Result<Done, Failure> {
        let credit = self.credit(&op).await?;
        let (tell, done) = tokio::sync::oneshot::channel();
        let waiter: Waiter = Box::new(move |result| {
            let _ = tell.send(result);
        });
        let deadline = self.patience.deadline();
        self.session.borrow_mut().mutate(op, Some(credit), Some(waiter), deadline);
        done.await.unwrap_or(Err(Failure::Ending))
    }

    /// # Errors
    /// [`Failure`].
    pub async fn ask(&self, op: Query) -> Result<Answer, Failure> {
        self.up()?;
        self.counts.count(counts::kind(&op));
        let answer = self.session.borrow_mut().ask(op, self.patience.deadline());
        answer.await.unwrap_or(Err(Failure::Ending))
    }

    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    pub fn release(&self, id: InodeId) {
        self.counts.count(counts::kind(&Query::Release { id }));
        self.session.borrow_mut().release(id);
    }

    /// Newest mutation of this session.
    #[must_use]
    pub fn last(&self) -> Seq {
        self.session.borrow().window().last()
    }

    /// Whether the leader has yet to answer a mutation.
    #[must_use]
    pub fn awaits_answers(&self) -> bool {
        let session = self.session.borrow();
        session.window().settled() < session.window().last()
    }

    /// Waits until something has been heard from the leader since the last call returned. For one task.
    pub async fn news(&self) {
        self.news.notified().await;
    }

    pub(super) fn tell_news(&self) {
        self.news.notify_one();
    }

    /// Waits until every mutation up to `seq` is committed or refused.
    ///
    /// # Errors
    /// [`Failure::Unconfirmed`] when that takes longer than `request-timeout`, [`Failure::Refused`] when the volume is down.
    pub async fn settled(&self, seq: Seq) -> Result<(), Failure> {
        if self.session.borrow().window().settled() >= seq {
            return Ok(());
        }
        self.up()?;
        let settled = self.session.borrow_mut().when_settled(seq);
        match self.patience.within(settled).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Failure::Expired),
            Err(_) => Err(Failure::Unconfirmed),
        }
    }

    /// Waits until every mutation up to now is durable.
    ///
    /// # Errors
    /// [`Failure::Unconfirmed`] when that takes longer than `request-timeout`, else those of a query.
    pub async fn sync(&self) -> Result<(), Failure> {
        let seq = self.last();
        match self.ask(Query::Sync { seq }).await {
            Ok(Answer::Done) => self.settled(seq).await,
            Ok(_) => Err(Failure::Nonsense),
            Err(Failure::TimedOut) => Err(Failure::Unconfirmed),
            Err(failure) => Err(failure),
        }
    }

    /// Waits until all that was taken is durable: programs may have been told of a write that is still on its way from the
    /// kernel's thread to the window.
    async fn drained(&self) -> Result<(), Failure> {
        loop {
            if !self.session.borrow().window().is_empty() {
                self.sync().await?;
            }
            if self.credit.is_whole() {
                return Ok(());
            }
            tokio::time::sleep(DRAIN_LOOK).await;
        }
    }

    /// Waits until some lock was freed, or `at_most`.
    pub async fn lock_freed(&self, at_most: Duration) {
        let _ = tokio::time::timeout(at_most, self.lock_freed.notified()).await;
    }

    pub(super) fn tell_lock_freed(&self) {
        self.lock_freed.notify_waiters();
    }

    /// The volume's bricks, and the node of this machine's daemon if it has one of them.
    #[must_use]
    pub fn bricks(&self) -> (Vec<BrickPlace>, Option<NodeId>) {
        let places = self.places.borrow();
        (places.bricks().to_vec(), places.local().map(|(node, _)| node))
    }

    /// Time that counts against requests.
    #[must_use]
    pub fn patience(&self) -> &Patience {
        &self.patience
    }

    /// Makes the bricks sync now instead of at their next interval, since the window is filling up.
    fn hurry(self: &Rc<Self>) {
        if self.hurrying.replace(true) {
            return;
        }
        let client = self.clone();
        tokio::task::spawn_local(async move {
            let _ = client.sync().await;
            client.hurrying.set(false);
        });
    }

    /// Why everything has to be refused from now on; `None`: that is over.
    pub(super) fn set_down(&self, why: Option<Refusal>) {
        if self.down.replace(why) == why {
            return;
        }
        (self.pushes)(Push::Down(why.is_some()));
        if let Some(why) = why {
            tracing::warn!("requests are refused until further notice: {why}");
            self.session.borrow_mut().fail_all(why.into());
        }
    }

    /// Takes nothing any more, waits at most `limit` for all that was taken to be durable, then tells the brick that the
    /// session may go.
    ///
    /// # Errors
    /// [`Failure`]: something retained may be lost.
    pub async fn finish(&self, limit: Duration) -> Result<(), Failure> {
        self.credit.close();
        let drained = tokio::time::timeout(limit, self.drained()).await.unwrap_or(Err(Failure::Unconfirmed));
        self.ending.set(true);
        self.session.borrow_mut().say_goodbye();
        if let Some(outbox) = self.outbox.take() {
            let _ = tokio::time::timeout(GOODBYE_PATIENCE, outbox.drained()).await;
        }
        drained
    }
}

/// Random, from the kernel.
pub(super) fn new_session_id() -> SessionId {
    SessionId(*uuid::Uuid::new_v4().as_bytes())
}
