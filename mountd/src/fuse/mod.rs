//! The kernel's side: pure translation of FUSE requests to the verbs of [`crate::fs`], and of their results back.

mod convert;
mod filesystem;
mod listing;
mod net;
mod notices;
mod notify;
mod reply;

pub use filesystem::Translator;
pub use net::{Commands, Net, run};
pub use notify::notify;
