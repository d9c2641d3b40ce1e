//! Rot: bits are flipped in every kind of file that a brick or a witness owns, one at a time, and each time it is looked
//! whether somebody noticed, said where, and repaired it or refused; and whether a mount was ever given wrong bytes.
//!
//! A round is: take a brick, damage one file of it, read everything through the mount, let it heal, compare the bricks.

pub mod bench;
mod damage;
pub mod files;
pub mod kind;
pub mod round;
pub mod table;

pub use bench::Bench;
pub use kind::Kind;
pub use round::{Noticed, Outcome, Round};
