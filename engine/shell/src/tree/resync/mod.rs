//! Full copies: for a brick that is new, or has been away longer than the log reaches back.
//!
//! The source reads a snapshot of its index as of a checkpoint A, and contents from the live tree as it finds them, so
//! that writes go on. The sink builds exactly the namespace of A and then is a brick that crashed after checkpoint A: its
//! tree shows any part of what came later, and recovery over the log from A on makes it exact.

mod copy;
mod sink;
mod source;
mod wipe;

pub use copy::{Copy, Lent};
pub use sink::{Progress, Sink};
pub use source::{Lender, Source};
pub use wipe::Wipe;
