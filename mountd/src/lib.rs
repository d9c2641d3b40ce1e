//! rfs-mountd: a volume as a file system.
//!
//! ```text
//! kernel ── fuse/ ──► fs/ ──► session/ ──► transport/ ──► brick
//!           copies    verbs   retained     frames
//!           and asks          window
//! ```
//!
//! One thread owns the session and its connections; the kernel's requests are read by others, which copy and hand over.
//! `mount/` is the way to a mount and back, `witness/` lends this machine's vote to the bricks.

mod embedded;
pub mod errno;
pub mod fs;
pub mod fuse;
pub mod mount;
pub mod session;
pub mod transport;
mod witness;
