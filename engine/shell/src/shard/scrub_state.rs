//! How a scrub stands, as bricks tell each other.

use rfs_model::admin::{ScrubPhase, ScrubReport};
use rfs_model::layout;

/// How a brick's scrub stands, told to the others once a second.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ScrubState {
    /// 0: never; 1: runs; 2: came to its end; 3: was stopped.
    pub phase: u8,
    pub files: u64,
    pub total: u64,
    pub bytes: u64,
    pub ms: u64,
    /// Blocks in this life of the brick, whoever found them.
    pub rotten: u64,
    pub repaired: u64,
    /// Files without all their sums.
    pub unsummed: u64,
    /// What is wrong and was not put right.
    pub wrong: Vec<String>,
}
layout!(ScrubState { phase, files, total, bytes, ms, rotten, repaired, unsummed, wrong });

impl ScrubState {
    pub(super) fn report(&self) -> ScrubReport {
        let phase = match self.phase {
            1 => ScrubPhase::Running,
            2 => ScrubPhase::Done,
            3 => ScrubPhase::Stopped,
            _ => ScrubPhase::Never,
        };
        ScrubReport {
            phase,
            inodes: self.files,
            inodes_total: self.total,
            bytes: self.bytes,
            bytes_per_s: (self.bytes * 1000).checked_div(self.ms).unwrap_or(0),
            rotten: self.rotten,
            repaired: self.repaired,
            unsummed_files: self.unsummed,
            unrepaired: self.wrong.clone(),
        }
    }
}
