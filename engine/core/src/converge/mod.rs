//! Recovery after a crash: the tree holds everything up to the checkpoint N and any part of what came after. [`Plan::fold`]
//! reads W, the committed records after N, and says what must be true after them; [`place`] makes the names true on a
//! [`Workbench`]; the caller then redoes data and attributes in the log's order and settles the times.
//!
//! ```text
//! plan = Plan::new(); for r in W { plan.fold(r) }
//! place(&plan, bench)?                                   names, inodes, limbo
//! for (id, made) in plan.surviving_makes() { set made's owner, mode and ACLs on id, absolutely }
//! for r in W { if plan.redoes(&r) { apply r's data, size, attributes or xattr again } }
//! for (id, touch) in plan.touched() { set mtime if there is one; index: version, ctime }
//! syncfs, then a checkpoint at plan.through()
//! ```
//!
//! The result is the same wherever the crash hit, inside these steps included: each step looks before it acts and none
//! undoes a later one. Data is safe to redo in order because each outcome is absolute: the last record of W that touches a
//! byte, a size or an attribute decides it, and what no record of W touches was never disturbed.

mod place;
mod plan;
#[cfg(test)]
mod tests;
mod touch;

pub use place::{Occupant, PlaceError, Workbench, place};
pub use plan::{Made, Plan, Slot, Touch};
pub use touch::{Touched, slots, touched};
