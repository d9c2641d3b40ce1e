//! One mount's session with the volume: what was asked, what is retained until it is durable, and who leads.
//!
//! [`state`] decides and never waits: it is the whole of a session without a socket, driven by messages. [`window`] keeps
//! mutations until they are durable, [`credit`] bounds it. [`client`] is what the file system calls; [`search`] finds the
//! brick that leads; [`driver`] keeps a connection to it alive. [`local`] reads from a brick on this machine.

pub mod client;
pub mod counts;
pub mod credit;
pub mod driver;
pub mod failure;
pub mod greet;
pub mod local;
pub mod patience;
pub mod places;
pub mod ready;
pub mod search;
pub mod state;
pub mod window;

pub use client::{Client, ClientConfig, Push};
pub use credit::Credit;
pub use failure::Failure;
