//! Reading from the brick on this machine while another one leads: the leader says which index is as good as its own, the
//! local brick waits until it has applied that, and the data never crosses the wire.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use rfs_model::client::{Answer, Query, ToBrick, ToMount};
use rfs_model::codec::Decode;
use rfs_model::frame::FrameKind;
use rfs_model::hello::{Purpose, Standing};
use rfs_model::{Index, InodeId, Seq};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::Failure;
use super::client::Client;
use super::greet::greet;
use crate::transport::{Address, Connection, Outbox};

/// The leader is asked instead when the local brick takes longer.
const LOCAL_PATIENCE: Duration = Duration::from_millis(200);
/// How often a daemon on this machine is looked for, and spoken to.
const LOOK_AGAIN: Duration = Duration::from_secs(2);
const BEAT: Duration = Duration::from_millis(250);

/// A connection to the local brick.
pub struct LocalReads {
    outbox: Outbox,
    asked: RefCell<BTreeMap<u64, oneshot::Sender<Option<Answer>>>>,
    last_tag: Cell<u64>,
}

impl LocalReads {
    /// `None` when the brick refuses or does not answer in time.
    async fn ask(&self, at: Index, op: Query) -> Option<Answer> {
        let (waiter, answer) = oneshot::channel();
        let tag = self.last_tag.get() + 1;
        self.last_tag.set(tag);
        self.asked.borrow_mut().insert(tag, waiter);
        self.outbox.send(FrameKind::Client, &ToBrick::Query { tag, at, op });
        let answer = tokio::time::timeout(LOCAL_PATIENCE, answer).await;
        self.asked.borrow_mut().remove(&tag);
        answer.ok()?.ok()?
    }

    async fn listen(self: Rc<Self>, mut connection: Connection) {
        while let Some((FrameKind::Client, payload)) = connection.receive().await {
            let (tag, answer) = match ToMount::from_all(&payload) {
                Ok(ToMount::Answer { tag, answer }) => (tag, Some(answer)),
                Ok(ToMount::NoAnswer { tag, .. }) => (tag, None),
                Ok(_) => continue,
                Err(_) => break,
            };
            if let Some(waiter) = self.asked.borrow_mut().remove(&tag) {
                let _ = waiter.send(answer);
            }
        }
        self.outbox.close();
    }

    fn is_up(&self) -> bool {
        !self.outbox.is_closed()
    }
}

impl Client {
    /// Data of a file, from the nearest brick that has it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn read(&self, id: InodeId, offset: u64, len: u32) -> Result<bytes::Bytes, Failure> {
        if let Some(data) = self.read_locally(id, offset, len).await {
            return Ok(data);
        }
        match self.ask(Query::Read { id, offset, len }).await? {
            Answer::Data { data } if data.len() <= len as usize => Ok(data),
            _ => Err(Failure::Nonsense),
        }
    }

    async fn read_locally(&self, id: InodeId, offset: u64, len: u32) -> Option<bytes::Bytes> {
        let local = self.local.borrow().clone().filter(|local| local.is_up())?;
        let Ok(Answer::ReadAt { index }) = self.ask(Query::ReadIndex { id }).await else { return None };
        match local.ask(index, Query::Read { id, offset, len }).await? {
            Answer::Data { data } if data.len() <= len as usize => Some(data),
            _ => None,
        }
    }
}

/// Keeps a connection for reads alive while a brick on this machine follows another one.
pub(super) async fn keep(client: Rc<Client>) {
    let mut tried = Instant::now() - LOOK_AGAIN;
    loop {
        let up = client.local.borrow().as_ref().is_some_and(|local| local.is_up());
        if !up && tried.elapsed() >= LOOK_AGAIN && client.leader.get().is_some() {
            look(&client).await;
            let local = open(&client).await;
            close(&client);
            client.local.replace(local);
            tried = Instant::now();
        }
        if let Some(local) = &*client.local.borrow() {
            local.outbox.send(FrameKind::Client, &ToBrick::Beat { lowest_kept: Seq::ZERO });
        }
        tokio::time::sleep(BEAT).await;
    }
}

/// Ends the connection, if there is one.
pub(super) fn close(client: &Client) {
    if let Some(local) = client.local.take() {
        local.outbox.close();
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
    if welcome.standing == Standing::Stopped || client.leader.get()? == node {
        return None;
    }
    let outbox = connection.outbox();
    let local = Rc::new(LocalReads { outbox, asked: RefCell::default(), last_tag: Cell::new(0) });
    tokio::task::spawn_local(local.clone().listen(connection));
    Some(local)
}
