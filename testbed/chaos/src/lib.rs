//! Chaos on real processes: clients write through two mounts while servers, mounts and network fail, and what they saw
//! is checked afterwards.
//!
//! [`work`] runs inside the client hosts and records a [`history`]; [`nemesis`] does the harm, by a schedule that a seed
//! decides; [`check`] is a pure function over what was recorded; [`plant`] falsifies a history, to show that the checker
//! sees it; [`run`] puts them together.

pub mod check;
pub mod clock;
pub mod event;
pub mod format;
pub mod history;
pub mod look;
pub mod nemesis;
pub mod plant;
pub mod report;
pub mod run;
pub mod work;
