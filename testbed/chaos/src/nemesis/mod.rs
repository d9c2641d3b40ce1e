//! Harm, by a schedule.

mod act;
mod fault;
mod plan;

pub use act::Nemesis;
pub use fault::{Fault, KINDS, Kind};
pub use plan::{Field, Round, Schedule};
