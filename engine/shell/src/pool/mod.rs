//! The pool inside a daemon: which nodes and volumes there are, and the service that command lines and other daemons talk
//! to. What it knows of replica sets goes through [`seam`]; it grants no authority over them.
//!
//! | file | what |
//! |---|---|
//! | `file` | `pool.toml`: identity, secret, entries, what is still to be told to others |
//! | `service`, `serve` | the state in memory, requests and their answers, one connection |
//! | `line`, `links`, `auth` | connections to other daemons, one kept to each |
//! | `peers` | probe, join, detach, leave, exchange |
//! | `create`, `prepare`, `place`, `errands` | volumes made and deleted on several nodes, all or none |
//! | `replace` | a brick's place taken by another |
//! | `change`, `look` | volume states changed at the leader, and looked at from anywhere |

pub mod auth;
mod change;
mod create;
mod errands;
pub mod file;
pub mod line;
mod links;
mod look;
pub mod names;
mod notify;
mod peers;
mod place;
mod prepare;
mod replace;
pub mod seam;
mod serve;
mod service;

#[cfg(test)]
mod tests;

pub use file::{FileError, PoolFile, StateDir};
pub use line::{Dial, Tcp};
pub use seam::{BrickSpec, Bricks, LocalBoxFuture, ProposeError, ReplicaSet};
pub use service::{Asker, Pool};
