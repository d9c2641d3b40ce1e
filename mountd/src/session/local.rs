//! Reading from the brick on this machine while another one leads: the leader says which index a brick must have applied
//! for a read of this file to be as good as its own, the local brick waits for that, and the data never crosses the wire.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rfs_model::client::{Answer, Query, ToBrick, ToMount};
use rfs_model::codec::Decode;
use rfs_model::frame::FrameKind;
use rfs_model::hello::{Purpose, Standing};
use rfs_model::{Index, InodeId, Refusal, Seq};
use tokio::sync::{Notify, oneshot, watch};
use tokio::time::timeout;

use super::Failure;
use super::client::Client;
use super::greet::greet;
use crate::transport::{Address, Connection, Outbox};

/// The leader is asked instead when the local brick takes longer.
const PATIENCE: Duration = Duration::from_millis(200);
/// How often a daemon on this machine is looked for while none is found.
const LOOK_AGAIN: Duration = Duration::from_millis(500);
/// Between two attempts whatever happens.
const BREATH: Duration = Duration::from_millis(50);
const BEAT: Duration = Duration::from_millis(250);

/// The way to the brick of this machine.
#[derive(Default)]
pub struct Nearby {
    brick: RefCell<Option<Rc<LocalReads>>>,
    /// The session has been attached, or the connection has ended.
    changed: Notify,
    /// A look around has been taken: from here on, data is read where it is nearest.
    looked: watch::Sender<bool>,
}

impl Nearby {
    pub(super) fn attached(&self) {
        self.changed.notify_one();
    }

    /// Ends the connection, if there is one.
    pub(super) fn close(&self) {
        if let Some(brick) = self.brick.take() {
            brick.outbox.close();
        }
    }

    /// Returns when it is known whether there is a brick to read from; after a while in any case.
    pub(super) async fn looked(&self) {
        let mut looked = self.looked.subscribe();
        // The sender lives as long as the client.
        let _ = timeout(PATIENCE, looked.wait_for(|looked| *looked)).await;
    }

    fn usable(&self) -> Option<Rc<LocalReads>> {
        let brick = self.brick.borrow();
        brick.as_ref().filter(|brick| brick.is_up() && brick.behind.get().is_none()).cloned()
    }
}

/// A connection to the local brick.
struct LocalReads {
    outbox: Outbox,
    asked: RefCell<BTreeMap<u64, oneshot::Sender<Result<Answer, Refusal>>>>,
    last_tag: Cell<u64>,
    /// It could not answer at this index in time: it is not asked again until it can.
    behind: Cell<Option<Index>>,
}

/// What the local brick made of a question.
enum Said {
    Answer(Answer),
    /// Of the inode: the leader may know more.
    No,
    /// It is not there yet, or not at all.
    Unable,
}

impl LocalReads {
    async fn ask(&self, at: Index, op: Query) -> Said {
        let (waiter, answer) = oneshot::channel();
        let tag = self.last_tag.get() + 1;
        self.last_tag.set(tag);
        self.asked.borrow_mut().insert(tag, waiter);
        self.outbox.send(FrameKind::Client, &ToBrick::Query { tag, at, op });
        let answer = timeout(PATIENCE, answer).await;
        self.asked.borrow_mut().remove(&tag);
        match answer {
            Ok(Ok(Ok(answer))) => Said::Answer(answer),
            Ok(Ok(Err(Refusal::Interrupted | Refusal::NotSupported | Refusal::Broken))) => Said::Unable,
            Ok(Ok(Err(_))) => Said::No,
            Ok(Err(_)) | Err(_) => Said::Unable,
        }
    }

    /// Data of a file as of `at` or later; `None`: ask the leader.
    async fn read(&self, at: Index, id: InodeId, offset: u64, len: u32) -> Option<Bytes> {
        match self.ask(at, Query::Read { id, offset, len }).await {
            Said::Answer(Answer::Data { data }) if data.len() <= len as usize => Some(data),
            Said::Answer(_) | Said::No => None,
            Said::Unable => {
                if self.behind.get().is_none_or(|behind| behind < at) {
                    tracing::info!("this machine's brick is not at record {at}: reading from the leader");
                    self.behind.set(Some(at));
                }
                None
            }
        }
    }

    /// Looks whether it can be read from again.
    async fn try_again(&self) {
        let Some(behind) = self.behind.get() else { return };
        if let Said::Answer(_) = self.ask(behind, Query::GetAttr { id: InodeId::ROOT }).await
            && self.behind.get() == Some(behind)
        {
            tracing::info!("reading from this machine's brick again");
            self.behind.set(None);
        }
    }

    async fn listen(self: Rc<Self>, client: Rc<Client>, mut connection: Connection) {
        while let Some((FrameKind::Client, payload)) = connection.receive().await {
            let (tag, answer) = match ToMount::from_all(&payload) {
                Ok(ToMount::Answer { tag, answer }) => (tag, Ok(answer)),
                Ok(ToMount::NoAnswer { tag, why }) => (tag, Err(why)),
                Ok(_) => continue,
                Err(_) => break,
            };
            if let Some(waiter) = self.asked.borrow_mut().remove(&tag) {
                let _ = waiter.send(answer);
            }
        }
        self.outbox.close();
        // Whoever waits asks the leader now.
        self.asked.borrow_mut().clear();
        client.nearby.changed.notify_one();
    }

    fn is_up(&self) -> bool {
        !self.outbox.is_closed()
    }

    fn beat(&self) {
        self.outbox.send(FrameKind::Client, &ToBrick::Beat { lowest_kept: Seq::ZERO });
    }
}

impl Client {
    /// Data of a file, from the nearest brick that has it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn read(&self, id: InodeId, offset: u64, len: u32) -> Result<Bytes, Failure> {
        if let Some(local) = self.nearby.usable() {
            let index = match self.ask(Query::ReadIndex { id }).await? {
                Answer::ReadAt { index } => index,
                _ => return Err(Failure::Nonsense),
            };
            if let Some(data) = local.read(index, id, offset, len).await {
                return Ok(data);
            }
        }
        match self.ask(Query::Read { id, offset, len }).await? {
            Answer::Data { data } if data.len() <= len as usize => Ok(data),
            _ => Err(Failure::Nonsense),
        }
    }
}

/// Keeps a connection for reads alive while a brick on this machine follows another one.
pub(super) async fn keep(client: Rc<Client>) {
    let nearby = &client.nearby;
    loop {
        let brick = nearby.brick.borrow().clone().filter(|brick| brick.is_up());
        let pause = match brick {
            Some(brick) => {
                brick.beat();
                brick.try_again().await;
                BEAT
            }
            None if client.leader.get().is_some() => {
                look(&client).await;
                let brick = open(&client).await;
                let pause = if brick.is_some() { BEAT } else { LOOK_AGAIN };
                nearby.close();
                nearby.brick.replace(brick);
                nearby.looked.send_replace(true);
                tokio::time::sleep(BREATH).await;
                pause
            }
            None => LOOK_AGAIN,
        };
        let _ = timeout(pause, nearby.changed.notified()).await;
    }
}

/// Looks for a daemon of this volume on this machine, unless one is known.
pub(super) async fn look(client: &Rc<Client>) {
    let known = client.places.borrow().local().is_some();
    if known || client.places.borrow().bricks().is_empty() {
        return;
    }
    let sockets = client.places.borrow().sockets().to_vec();
    for socket in sockets.into_iter().filter(|socket| socket.exists()) {
        let hello = || Some(client.hello(Purpose::LocalReads));
        let to = Address::Unix(socket.clone());
        let Ok((_, welcome)) = greet(&*client.transport, &to, hello).await else { continue };
        if client.places.borrow_mut().learn(&to, &welcome) {
            client.places.borrow_mut().found_local(welcome.node, socket);
            return;
        }
    }
}

async fn open(client: &Rc<Client>) -> Option<Rc<LocalReads>> {
    let (node, address) = client.places.borrow().local()?;
    if client.leader.get()? == node {
        return None;
    }
    let hello = || Some(client.hello(Purpose::LocalReads));
    let (connection, welcome) = greet(&*client.transport, &address, hello).await.ok()?;
    if welcome.standing != Standing::Ready || client.leader.get()? == node {
        return None;
    }
    tracing::info!("file data is read from this machine's brick");
    let (asked, last_tag, behind) = (RefCell::default(), Cell::new(0), Cell::new(None));
    let local = Rc::new(LocalReads { outbox: connection.outbox(), asked, last_tag, behind });
    tokio::task::spawn_local(local.clone().listen(client.clone(), connection));
    Some(local)
}
