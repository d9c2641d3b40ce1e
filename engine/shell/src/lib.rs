//! The daemon: what the core decides, done on glommio.

pub mod clock;
pub mod daemon;
mod divergent;
pub mod durable;
pub mod embedded;
pub mod journal;
pub mod net;
pub mod pool;
pub mod shard;
pub mod tree;
pub mod witness;
