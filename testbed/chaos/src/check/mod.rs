//! Whether a history can have happened on a volume that keeps its promises. Pure functions of what was recorded.
//!
//! An operation without an acknowledgement may or may not have happened, once. A write that was acknowledged, on a handle
//! that was neither synced nor closed before its mount ended, may be lost; nothing else may.

mod append;
mod errors;
mod exclusive;
mod keys;
mod listings;
mod locks;
mod names;
mod replace;
mod writes;

use std::fmt;

use serde::Serialize;

use crate::clock::{Micros, seconds};
use crate::history::History;

/// What was broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Rule {
    /// A file or name holds what nobody can have written: torn, incomplete, twice, out of order.
    Nonsense,
    /// Something is there that nobody had written by then.
    FromNowhere,
    /// What was fsynced is gone.
    LostSynced,
    /// What was closed is gone, or an acknowledged change of a name.
    LostClosed,
    /// What was written is gone though its mount lives.
    LostWrite,
    /// A read on the same mount does not show an acknowledged write.
    StaleRead,
    /// An open does not show what another mount had closed.
    StaleOpen,
    /// A read shows an older state than one before it.
    Backwards,
    /// A write is lost, and a later one of the same mount is not.
    Hole,
    /// Two had a lock at a time.
    LocksOverlap,
    /// What was written under a lock was not seen by the next holder.
    LostUpdate,
    /// Two made a name that only one can make.
    TwoWinners,
    /// A name was refused as existing, and nobody had made it.
    NoWinner,
    /// A name is there and should not be, or the other way round.
    WrongName,
    /// An error that nothing explains.
    Error,
    /// An operation took longer than any request may.
    Stall,
    /// Bricks or mounts do not show the same at the end.
    Differ,
    /// The volume, a program or a client did not come back.
    NotHealed,
}

/// One thing that cannot have happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Violation {
    pub rule: Rule,
    pub at: Micros,
    pub text: String,
}

impl Violation {
    #[must_use]
    pub fn new(rule: Rule, at: Micros, text: impl Into<String>) -> Violation {
        Violation { rule, at, text: text.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} at {:.6} s: {}", self.rule, seconds(self.at), self.text)
    }
}

/// All that is wrong, in the order of time.
#[must_use]
pub fn check(history: &History) -> Vec<Violation> {
    let mut found = errors::check(history);
    found.extend(append::check(history));
    found.extend(keys::check(history));
    found.extend(replace::check(history));
    found.extend(names::check(history));
    found.extend(listings::check(history));
    found.extend(locks::check(history));
    found.extend(exclusive::check(history));
    found.sort_by_key(|v| v.at);
    found
}
