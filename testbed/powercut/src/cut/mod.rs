//! The disk as a power cut left it.

mod build;
mod losses;
mod plan;

pub use build::{Builder, Tally};
pub use losses::Losses;
pub use plan::{Moment, moments};
