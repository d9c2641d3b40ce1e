//! From requests to outcomes: the leader validates against its applied tree and what is pending, stamps all that chance
//! could touch, and every brick keeps the sessions, locks and orphans that go with the tree. See [`Front`].

mod apply;
mod attach;
mod attrs;
mod data;
mod desk;
mod front;
mod in_place;
mod judge;
mod lead;
mod lease;
mod ledger;
mod limits;
mod lock;
mod make;
mod names;
mod opens;
mod overlay;
mod propose;
mod recalls;
mod remove;
mod rename;
mod scene;
mod state;
#[cfg(test)]
mod tests;
mod verdict;
mod view;
mod waits;
mod xattr;

pub use attach::Attach;
pub use desk::{Received, Violation};
pub use front::Front;
pub use lead::EXPIRY_MS;
pub use ledger::Ledger;
pub use limits::Limits;
pub use names::{RESERVED, is_reserved};
pub use state::{Applied, Replicated, SessionEvent};
pub use verdict::Verdict;
pub use view::{Fault, Room, TreeView};
pub use waits::Progress;
pub use xattr::is_hidden;
