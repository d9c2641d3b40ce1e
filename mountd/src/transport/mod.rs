//! Connections to bricks as streams of frames.
//!
//! Each connection has one owned reader task and one owned writer task for its whole life. Nothing puts a deadline or a
//! `select` around a socket operation, because a ring operation whose future is dropped still takes its bytes: deadlines
//! live with the requests, and a connection is abandoned by shutting it down.

mod connection;
mod outbox;
mod uring;

use std::future::Future;
use std::io;
use std::path::PathBuf;
use std::pin::Pin;
use std::time::Duration;

pub use connection::Connection;
pub use outbox::Outbox;
pub use uring::{Uring, breathe, ring};

/// Where a brick listens.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// `host:port`; resolved anew at each attempt.
    Tcp(String),
    /// The socket of a daemon on this machine.
    Unix(PathBuf),
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tcp(host) => f.write_str(host),
            Self::Unix(path) => path.display().fmt(f),
        }
    }
}

/// A connection in the making.
pub type Connecting = Pin<Box<dyn Future<Output = io::Result<Connection>>>>;

/// How connections are made. Everything runs on the calling thread.
pub trait Transport {
    /// Gives up after `patience`; the future may be dropped.
    fn connect(&self, to: &Address, patience: Duration) -> Connecting;
}
