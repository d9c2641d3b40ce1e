//! What a device was told, in order: an append-only file of events.
//!
//! A file is [`MAGIC`], then events: a header of [`HEADER`] bytes (kind, seven zero bytes, time, offset, length; numbers
//! are little-endian `u64`), and the data of a write. The recorder handles one request at a time and answers it before it
//! takes the next one, so a flush covers all events before it.

mod read;
mod write;

pub use read::{Figures, Record};
pub use write::Writer;

pub const MAGIC: &[u8; 8] = b"rfspcut1";

pub const HEADER: usize = 32;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The data lies in the record at `data`.
    Write { offset: u64, length: u64, data: u64 },
    /// Zeroes written, or a discard: it reads as zeroes from then on.
    Zero { offset: u64, length: u64 },
    /// All events before this one are safe.
    Flush,
}

/// Something that happened to a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// [`crate::clock`], before the answer.
    pub at_ns: u64,
    pub kind: Kind,
}
