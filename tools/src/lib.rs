//! The command line. A library too, so that man pages and completions come from the same definitions.

pub mod args;
pub mod client;
mod heal;
pub mod run;
pub mod show;
