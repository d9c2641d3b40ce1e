//! Stand-ins for what the shell does with real disks, for tests and the simulator.

mod bench;
mod content;
mod history;
mod partial;
mod rng;
mod tree;

pub use bench::{Cut, MemBench};
pub use content::Content;
pub use history::History;
pub use rng::Rng;
pub use tree::{Body, MemTree, Node};
