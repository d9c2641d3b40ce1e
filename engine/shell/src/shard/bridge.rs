//! Talk between a thread that works for a shard and the executor: the thread asks and waits for the answer.
//!
//! A foreign thread must not wake a task by its waker (measured: up to 200 ms late), so it writes a byte to a socket that
//! the executor reads; what is asked and answered travels through channels beside it.

use std::io::{self, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

use crate::net::Connection;

/// The thread's end.
pub(super) struct Caller<A, R> {
    bell: UnixStream,
    asks: mpsc::Sender<A>,
    replies: mpsc::Receiver<R>,
}

/// The executor's end.
pub(super) struct Desk<A, R> {
    bell: Connection,
    asks: mpsc::Receiver<A>,
    replies: mpsc::Sender<R>,
}

/// Both ends.
///
/// # Errors
/// When no socket can be made.
pub(super) fn bridge<A, R>() -> io::Result<(Caller<A, R>, Desk<A, R>)> {
    let (reader, bell) = UnixStream::pair()?;
    reader.set_nonblocking(true)?;
    let reader = Connection::new(reader.into()).map_err(io::Error::other)?;
    let (ask, asks) = mpsc::channel();
    let (reply, replies) = mpsc::channel();
    Ok((Caller { bell, asks: ask, replies }, Desk { bell: reader, asks, replies: reply }))
}

impl<A, R> Caller<A, R> {
    /// Asks and waits; `None` when the shard is gone.
    pub fn call(&mut self, ask: A) -> Option<R> {
        self.asks.send(ask).ok()?;
        self.bell.write_all(&[1]).ok()?;
        self.replies.recv().ok()
    }
}

impl<A, R> Desk<A, R> {
    /// The next question; `None` when the thread has ended.
    pub async fn next(&mut self) -> Option<A> {
        self.bell.recv_exact::<1>().await.ok()?;
        self.asks.recv().ok()
    }

    pub fn reply(&self, reply: R) {
        // A thread that has ended waits for nothing.
        let _ = self.replies.send(reply);
    }
}
