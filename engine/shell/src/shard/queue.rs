//! The two queues between tasks of one executor: events to the shard, bytes to a connection.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::task::{Poll, Waker};

use crate::net::{FrameSink, Hangup};

/// What woke up, and may be waited for by one task.
#[derive(Default)]
pub(super) struct Bell {
    rung: Cell<bool>,
    waker: RefCell<Option<Waker>>,
}

impl Bell {
    pub(super) fn ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waker.borrow_mut().take() {
            waker.wake();
        }
    }

    pub(super) async fn heard(&self) {
        std::future::poll_fn(|cx| {
            if self.rung.replace(false) {
                return Poll::Ready(());
            }
            *self.waker.borrow_mut() = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Events for a shard. Senders are many, the receiver is the shard's one task, which takes all that came at once: a turn.
pub struct Inbox<E> {
    events: RefCell<VecDeque<E>>,
    bell: Bell,
}

impl<E> Inbox<E> {
    #[must_use]
    pub fn new() -> Rc<Self> {
        Rc::new(Self { events: RefCell::new(VecDeque::new()), bell: Bell::default() })
    }

    /// Adds an event. Connections are bounded elsewhere: a mount's by its [`Gate`](super::throttle::Gate), a peer's by its
    /// pipeline.
    pub fn push(&self, event: E) {
        self.events.borrow_mut().push_back(event);
        self.bell.ring();
    }

    /// Gives back what did not fit into a turn: it comes first in the next.
    pub fn put_back(&self, mut rest: VecDeque<E>) {
        if rest.is_empty() {
            return;
        }
        let mut events = self.events.borrow_mut();
        rest.append(&mut events);
        *events = rest;
        self.bell.ring();
    }

    /// Nobody will take what is here.
    pub fn clear(&self) {
        self.events.borrow_mut().clear();
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.events.borrow().len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.borrow().is_empty()
    }

    /// Waits until there is something to do, and takes all of it.
    pub async fn take(&self) -> VecDeque<E> {
        loop {
            let events = std::mem::take(&mut *self.events.borrow_mut());
            if !events.is_empty() {
                return events;
            }
            self.bell.heard().await;
        }
    }
}

/// Bytes on their way to a connection. Whoever writes appends whole frames; one task sends all that has gathered as one
/// buffer.
pub struct Outbox {
    bytes: RefCell<Vec<u8>>,
    bell: Bell,
    closed: Cell<bool>,
    hangup: Hangup,
}

/// A connection that takes nothing for so long that this much has gathered is given up, bytes.
const GIVE_UP_BYTES: usize = 256 * 1024 * 1024;

impl Outbox {
    #[must_use]
    pub fn new(hangup: Hangup) -> Rc<Self> {
        let (bytes, bell, closed) = (RefCell::default(), Bell::default(), Cell::new(false));
        Rc::new(Self { bytes, bell, closed, hangup })
    }

    /// Lets `fill` append whole frames.
    pub fn put(&self, fill: impl FnOnce(&mut Vec<u8>)) {
        if self.closed.get() {
            return;
        }
        let mut bytes = self.bytes.borrow_mut();
        fill(&mut bytes);
        if bytes.len() > GIVE_UP_BYTES {
            drop(bytes);
            tracing::warn!("a connection takes nothing: closed with {GIVE_UP_BYTES} bytes waiting");
            self.close();
        } else {
            self.bell.ring();
        }
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// Bytes that wait to be sent.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.bytes.borrow().len()
    }

    /// Sends what has gathered if it goes at once, then closes the connection.
    pub fn finish(&self) {
        self.closed.set(true);
        self.bell.ring();
    }

    /// Closes the connection now.
    pub fn close(&self) {
        self.finish();
        self.bytes.borrow_mut().clear();
        self.hangup.hang_up();
    }

    /// The connection's writer: runs until the outbox is closed or the connection breaks, then hangs up, which ends the
    /// reader as well.
    pub async fn drain(self: Rc<Self>, mut sink: FrameSink) {
        let mut sending = Vec::new();
        loop {
            self.bell.heard().await;
            loop {
                sending.clear();
                std::mem::swap(&mut sending, &mut *self.bytes.borrow_mut());
                if sending.is_empty() {
                    break;
                }
                if sink.send(&sending).await.is_err() {
                    self.close();
                    return;
                }
            }
            if self.closed.get() {
                self.hangup.hang_up();
                return;
            }
        }
    }
}
