//! What was done.

use std::ops::AddAssign;

use serde::Serialize;

/// Counts over histories.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stats {
    pub histories: u64,
    /// Operations, each applied to a tree at least once.
    pub operations: u64,
    pub checkpoints: u64,
    /// Disks that a crash left and that were recovered, those inside recovery included.
    pub crash_states: u64,
    /// Crashes inside recovery, of any kind.
    pub crashes_inside: u64,
    /// Those of them in which a part of what recovery had done was lost.
    pub losses_inside: u64,
    /// Recoveries that ended.
    pub recoveries: u64,
    /// Changes of the disk that recoveries made.
    pub changes: u64,
    pub copies: u64,
    pub rebuilt: u64,
    /// Disks with effects of records that the log had lost.
    pub lost_tails: u64,
}

impl AddAssign for Stats {
    fn add_assign(&mut self, other: Self) {
        self.histories += other.histories;
        self.operations += other.operations;
        self.checkpoints += other.checkpoints;
        self.crash_states += other.crash_states;
        self.crashes_inside += other.crashes_inside;
        self.losses_inside += other.losses_inside;
        self.recoveries += other.recoveries;
        self.changes += other.changes;
        self.copies += other.copies;
        self.rebuilt += other.rebuilt;
        self.lost_tails += other.lost_tails;
    }
}
