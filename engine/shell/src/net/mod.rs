//! Connections of the daemon: frames over TCP and Unix sockets on the executor.

pub mod complaints;
pub mod crowd;
pub mod framed;
pub mod handshake;
pub mod listen;

pub use complaints::Complaints;
pub use crowd::{Crowd, Member};
pub use framed::{Connection, FrameSink, FrameSource, Hangup, NetError, connect, connect_unix, notice_death};
