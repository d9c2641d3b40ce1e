//! The daemon: what the core decides, done on glommio.

pub mod net;
pub mod pool;
