//! One connection, as the rest of the program sees it.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Instant;

use bytes::Bytes;
use rfs_model::codec::Encode;
use rfs_model::frame::FrameKind;
use tokio::sync::mpsc;

use super::Outbox;

/// Frames that a connection holds for its reader before it stops reading from the socket.
pub(super) const INBOX_FRAMES: usize = 256;

/// Both halves of a connection. Dropping it shuts the connection down.
pub struct Connection {
    outbox: Outbox,
    inbox: mpsc::Receiver<(FrameKind, Bytes)>,
    heard: Rc<Cell<Instant>>,
    shutdown: Box<dyn Fn()>,
}

impl Connection {
    /// `heard` is set by the reader task whenever bytes arrive; `shutdown` makes its pending read return.
    pub(super) fn new(
        outbox: Outbox,
        inbox: mpsc::Receiver<(FrameKind, Bytes)>,
        heard: Rc<Cell<Instant>>,
        shutdown: Box<dyn Fn()>,
    ) -> Self {
        Self { outbox, inbox, heard, shutdown }
    }

    pub fn send(&self, kind: FrameKind, message: &impl Encode) {
        self.outbox.send(kind, message);
    }

    /// What was to be sent later is sent now.
    pub fn send_rest(&self) {
        self.outbox.send_rest();
    }

    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.outbox.clone()
    }

    /// The next frame; `None` when the connection has ended. May be dropped at any time: nothing is lost.
    pub async fn receive(&mut self) -> Option<(FrameKind, Bytes)> {
        self.inbox.recv().await
    }

    /// A frame that is already here.
    pub fn receive_now(&mut self) -> Option<(FrameKind, Bytes)> {
        self.inbox.try_recv().ok()
    }

    /// When bytes last arrived.
    #[must_use]
    pub fn heard(&self) -> Instant {
        self.heard.get()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.outbox.close();
        (self.shutdown)();
    }
}
