//! Nouns and bytes: what rfs stores and sends, without a line of I/O.
//!
//! Everything that reaches a disk or a wire is defined here, with a version, a fixed layout and a `problem()` or
//! `decode()` that names what is wrong instead of panicking. See docs/formats.md for the layouts in prose.

pub mod admin;
pub mod attr;
pub mod client;
pub mod codec;
pub mod config;
pub mod frame;
pub mod hard;
pub mod hello;
pub mod ids;
pub mod label;
pub mod limits;
pub mod op;
pub mod options;
pub mod peer;
pub mod record;
pub mod refusal;
pub mod register;
pub mod resync;
pub mod sealed;
pub mod segment;
pub mod sound;
pub mod volume;

pub use attr::{Attr, FileKind, SetAttr, Timestamp};
pub use codec::{Decode, DecodeError, Encode, Reader};
pub use ids::{BrickId, Index, InodeId, Lineage, NodeId, SeatId, Seq, SessionId, Term, VolumeId};
pub use op::Op;
pub use record::{Meta, Record, RecordKind};
pub use refusal::Refusal;
