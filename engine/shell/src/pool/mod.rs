//! The pool inside a daemon: which nodes and volumes there are, and the service that command lines and other daemons talk
//! to. What it knows of replica sets and of the network goes through [`seam`].

pub mod auth;
pub mod file;
pub mod seam;

pub use file::{FileError, PoolFile, StateDir};
pub use seam::{BrickSpec, Bricks, LocalBoxFuture, ProposeError, ReplicaSet};
