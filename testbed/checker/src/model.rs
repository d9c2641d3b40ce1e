//! A model: how many of what, and how much of each.

use serde::Serialize;

use crate::rules::Rules;

/// How far a model goes. Everything within is explored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Bounds {
    /// The last term; the first is 1 and has no leader.
    pub terms: u8,
    /// Records in a log.
    pub log: u8,
    /// Records of clients.
    pub data: u8,
    /// Crashes of a brick's process.
    pub crashes: u8,
    /// Power losses of a brick.
    pub powers: u8,
    /// Crashes and losses of a witness's register.
    pub witness_faults: u8,
    /// Configuration changes and seat moves.
    pub changes: u8,
    /// Reads without a lease.
    pub reads: u8,
    /// Disks that are replaced by empty ones.
    pub disks: u8,
}

/// What a model has.
#[derive(Clone, Copy, Debug)]
#[allow(clippy::struct_excessive_bools, reason = "each adds a part of the protocol to the model")]
pub struct Shape {
    pub bricks: usize,
    pub seats: usize,
    /// Promises of voters, leases, and reads.
    pub leases: bool,
    /// It begins where a brick that is all of S has sent the other one, and not synced, the joint record that takes it in and
    /// the one that turns that back. All of S loses its power, so that only what is durable is promised.
    pub growing: bool,
    /// Syncs happen at any time after the write, not with it.
    pub lazy_sync: bool,
    /// A leader sends records before it has written them.
    pub lazy_journal: bool,
    /// Bricks leave S.
    pub demotion: bool,
    /// Bricks enter S.
    pub growth: bool,
    /// The seat moves.
    pub moves: bool,
    /// Changes are turned back.
    pub turning: bool,
}

/// A shape, its bounds, and the rules that hold.
#[derive(Clone, Copy, Debug)]
pub struct Model {
    pub shape: Shape,
    pub bounds: Bounds,
    pub rules: Rules,
}
