//! Links to the other bricks of the replica set. Each brick dials each other one and sends on the connection that it
//! dialled, so an outgoing link that breaks is noticed by the one who needs it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use glommio::timer::sleep;
use rfs_model::{NodeId, VolumeId};

use super::queue::{Inbox, Outbox};
use crate::net::handshake::{self, Secret};
use crate::net::{Connection, FrameSource, NetError};

/// How long a dial may take, connect and handshake each. Longer than the longest silence that still is not a fault.
const DIAL_LIMIT: Duration = Duration::from_millis(1500);
/// Pause between dials to a peer that refuses.
const REFUSED_PAUSE: Duration = Duration::from_millis(100);
/// Pause between dials to a peer that does not answer.
const SILENT_PAUSE: Duration = Duration::from_millis(300);

/// Why a link is down, as evidence about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Down {
    /// Nobody listens: the daemon is gone.
    Refused,
    /// The connection broke and came back at once.
    Reset,
    /// No answer, or an answer that makes no sense.
    Silent,
}

/// What a link tells the shard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LinkEvent {
    Up(NodeId),
    Down(NodeId, Down),
}

/// Who we are when we dial.
#[derive(Clone)]
pub struct Caller {
    pub me: NodeId,
    pub volume: VolumeId,
    pub secret: Secret,
}

/// Addresses of a peer, best first; asked again at each dial, since they may change.
pub type Addresses = Rc<dyn Fn(NodeId) -> Vec<String>>;

/// One peer's outgoing link.
pub struct Link {
    peer: NodeId,
    outbox: RefCell<Option<Rc<Outbox>>>,
    stopped: Cell<bool>,
    down: Cell<bool>,
}

impl Link {
    /// Starts dialling, for as long as the returned link is not stopped.
    pub fn start<E: From<LinkEvent> + 'static>(
        caller: Caller,
        peer: NodeId,
        addresses: Addresses,
        inbox: Rc<Inbox<E>>,
    ) -> Rc<Self> {
        let link = Rc::new(Self {
            peer,
            outbox: RefCell::new(None),
            stopped: Cell::new(false),
            down: Cell::new(false),
        });
        glommio::spawn_local(Rc::clone(&link).run(caller, addresses, inbox)).detach();
        link
    }

    /// Appends a frame for the peer, or drops it where there is no link: consensus messages are repeated by their sender.
    pub fn put(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        if let Some(outbox) = &*self.outbox.borrow() {
            outbox.put(fill);
        }
    }

    /// Bytes that wait to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.outbox.borrow().as_ref().map_or(0, |o| o.waiting())
    }

    #[must_use]
    pub fn is_up(&self) -> bool {
        self.outbox.borrow().is_some()
    }

    /// Ends the link for good, after what was put has been sent.
    pub fn stop(&self) {
        self.stopped.set(true);
        if let Some(outbox) = self.outbox.borrow_mut().take() {
            outbox.finish();
        }
    }

    async fn run<E: From<LinkEvent> + 'static>(
        self: Rc<Self>,
        caller: Caller,
        addresses: Addresses,
        inbox: Rc<Inbox<E>>,
    ) {
        let mut had_link = false;
        while !self.stopped.get() {
            match dial(&caller, self.peer, &addresses(self.peer)).await {
                Ok(connection) => {
                    if std::mem::take(&mut had_link) {
                        inbox.push(LinkEvent::Down(self.peer, Down::Reset).into());
                    }
                    self.down.set(false);
                    self.hold(connection, &inbox).await;
                    had_link = true;
                }
                Err(e) => {
                    had_link = false;
                    let down = if e.is_refusal() { Down::Refused } else { Down::Silent };
                    self.report_down(down, &e);
                    inbox.push(LinkEvent::Down(self.peer, down).into());
                    sleep(if down == Down::Refused { REFUSED_PAUSE } else { SILENT_PAUSE }).await;
                }
            }
        }
    }

    /// Keeps a link until it breaks.
    async fn hold<E: From<LinkEvent> + 'static>(&self, connection: Connection, inbox: &Rc<Inbox<E>>) {
        let (source, sink, hangup) = connection.split();
        let outbox = Outbox::new(hangup);
        *self.outbox.borrow_mut() = Some(Rc::clone(&outbox));
        glommio::spawn_local(Rc::clone(&outbox).drain(sink)).detach();
        tracing::info!(peer = %self.peer, "link up");
        inbox.push(LinkEvent::Up(self.peer).into());
        wait_for_end(source).await;
        outbox.close();
        self.outbox.borrow_mut().take();
        tracing::info!(peer = %self.peer, "link broken");
    }

    /// Says it once in a row.
    fn report_down(&self, down: Down, error: &NetError) {
        if !self.down.replace(true) {
            tracing::warn!(peer = %self.peer, ?down, "no link: {error}");
        }
    }
}

/// The other side says nothing on a link that we dialled; it only ends.
async fn wait_for_end(mut source: FrameSource) {
    while source.recv().await.is_ok() {}
}

async fn dial(caller: &Caller, peer: NodeId, addresses: &[String]) -> Result<Connection, NetError> {
    let mut last = NetError::Unresolved(peer.to_string());
    for address in addresses {
        match dial_one(caller, peer, address).await {
            Ok(connection) => return Ok(connection),
            Err(e) => last = e,
        }
    }
    Err(last)
}

async fn dial_one(caller: &Caller, peer: NodeId, address: &str) -> Result<Connection, NetError> {
    let mut connection = crate::net::connect(address, DIAL_LIMIT).await?;
    let dialogue = handshake::dial_peer(&mut connection, caller.me, peer, caller.volume, &caller.secret);
    crate::net::framed::within(DIAL_LIMIT, dialogue).await?;
    Ok(connection)
}
