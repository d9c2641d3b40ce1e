//! Stand-ins for what the shell does with real disks, for tests and the simulator.

mod bench;
mod content;
mod tree;

pub use bench::{Cut, MemBench};
pub use content::Content;
pub use tree::{Body, MemTree, Node};
