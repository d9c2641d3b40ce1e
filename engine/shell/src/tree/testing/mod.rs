//! What tests of the tree share, in this crate and in the fuzzer of recovery: random histories, the fold of a log as plain
//! data, and a reader of a brick's directory that uses no code of the tree. Present under the feature `testing`.

mod dice;
mod history;
mod log;
mod model;
mod picture;
mod read;

pub use dice::Dice;
pub use history::next_op;
pub use log::{Log, TERM, stamped, time};
pub use model::{Model, ROOT_ATTR};
pub use picture::{Node, Picture};
pub use read::{is_torn, torn};

use rfs_model::InodeId;

pub use super::planted::Planted;
use super::{Fault, Tree};

/// Stands for `.rfs/limbo` as the parent of a name.
pub const LIMBO: InodeId = super::layout::LIMBO_DIR;
/// Stands for `.rfs/orphans` likewise.
pub const ORPHANS: InodeId = super::layout::ORPHANS_DIR;

impl Tree {
    /// Stops the brick with [`Fault::Tripped`] before it changes the disk for the `n`-th time from now on, counted from 0.
    pub fn stop_before(&self, n: u64) {
        self.trip.set(Some(n));
    }

    /// Plants a fault in the recovery that follows.
    pub fn plant(&mut self, fault: Option<Planted>) {
        self.planted = fault;
    }

    /// Changes of the disk that are left before the stop.
    pub fn changes_left(&self) -> Option<u64> {
        self.trip.get()
    }
}

/// Whether the brick was stopped by [`Tree::stop_before`].
#[must_use]
pub fn is_tripped(fault: &Fault) -> bool {
    match fault {
        Fault::Record { fault, .. } => is_tripped(fault),
        other => matches!(other, Fault::Tripped),
    }
}
