//! From requests to outcomes: validation, stamping, sessions, locks.

mod view;

pub use view::{Fault, Room, TreeView};
