//! What waits to be written to one connection: a contiguous buffer that one write takes as a whole.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use rfs_model::codec::Encode;
use rfs_model::frame::{FrameKind, put_frame};
use tokio::sync::Notify;

/// A buffer that has grown beyond this is not kept for reuse, bytes.
const KEEP_BYTES: usize = 4 * 1024 * 1024;

#[derive(Default)]
struct State {
    waiting: RefCell<Vec<u8>>,
    spare: RefCell<Vec<u8>>,
    writing: Cell<bool>,
    closed: Cell<bool>,
    /// The writer has something to do.
    work: Notify,
    /// The writer has nothing to do.
    idle: Notify,
}

/// The sending half of a connection; clones send to the same one. Its size is bounded by the retained window and by the
/// number of the kernel's open requests.
#[derive(Clone, Default)]
pub struct Outbox {
    state: Rc<State>,
}

impl Outbox {
    /// Queues one message as a frame. Nothing happens after [`Outbox::close`].
    pub fn send(&self, kind: FrameKind, message: &impl Encode) {
        self.send_later(kind, message);
        self.send_rest();
    }

    /// As [`Outbox::send`], but it goes with what is sent next, or at the next [`Outbox::send_rest`].
    pub fn send_later(&self, kind: FrameKind, message: &impl Encode) {
        if !self.is_closed() {
            put_frame(&mut self.state.waiting.borrow_mut(), kind, |out| message.encode(out));
        }
    }

    pub fn send_rest(&self) {
        if !self.state.waiting.borrow().is_empty() {
            self.state.work.notify_one();
        }
    }

    /// The writer task ends, and with it the connection.
    pub fn close(&self) {
        self.state.closed.set(true);
        self.state.work.notify_one();
        self.state.idle.notify_waiters();
    }

    #[must_use]
    pub fn is_closed(&self) -> bool {
        self.state.closed.get()
    }

    /// Returns when everything queued so far has been handed to the kernel, or the connection has ended.
    pub async fn drained(&self) {
        loop {
            let idle = self.state.idle.notified();
            let busy = self.state.writing.get() || !self.state.waiting.borrow().is_empty();
            if !busy || self.is_closed() {
                return;
            }
            idle.await;
        }
    }

    /// Everything that waits, as one batch; `None` when the connection is to end. Give the buffer back with
    /// [`Outbox::written`].
    pub(super) async fn batch(&self) -> Option<Vec<u8>> {
        loop {
            if self.is_closed() {
                return None;
            }
            if !self.state.waiting.borrow().is_empty() {
                self.state.writing.set(true);
                let spare = self.state.spare.take();
                return Some(self.state.waiting.replace(spare));
            }
            self.state.work.notified().await;
        }
    }

    pub(super) fn written(&self, mut buffer: Vec<u8>) {
        self.state.writing.set(false);
        if buffer.capacity() <= KEEP_BYTES {
            buffer.clear();
            self.state.spare.replace(buffer);
        }
        if self.state.waiting.borrow().is_empty() {
            self.state.idle.notify_waiters();
        }
    }
}
