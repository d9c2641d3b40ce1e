//! Whether a tree that was found is one that the work may have left.

mod found;
mod history;
mod verdict;

pub use found::{Found, read};
pub use history::{History, Window};
pub use verdict::{Verdict, judge};

#[cfg(test)]
mod tests;
