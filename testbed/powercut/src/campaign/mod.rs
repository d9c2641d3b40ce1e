//! Many cuts of one recording.

mod figures;
mod job;
mod one;
mod run;

pub use figures::{Failure, Figures};
pub use job::{Cut, Job};
pub use one::run_one;
pub use run::{Options, run};
