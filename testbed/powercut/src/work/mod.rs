//! What the client does while it is recorded: a stream of operations that a seed and a number determine, how they are
//! carried out, and what the tree is after any number of them.

pub mod generate;
mod log;
mod model;
mod op;
mod run;

pub use log::{Done, Log};
pub use model::{Node, Tree};
pub use op::{MARK, Op, filled};
pub use run::{Pace, run};

/// Streams of operations that go on side by side, each in a folder of its own.
pub const WORKERS: u64 = 4;

/// The folder of one of them.
#[must_use]
pub fn folder(worker: u64) -> String {
    format!("w{worker}")
}
