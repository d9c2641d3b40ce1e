//! The daemon: what the core decides, done on glommio.

pub mod clock;
pub mod durable;
pub mod net;
pub mod pool;
pub mod tree;
