//! How far behind, in time, a brick of S is, and what follows where the operator has set a limit (`max-lag`).
//!
//! Every write waits for the slowest brick of a commit quorum, and a leader that died is followed by one that must first
//! apply what it has journaled: one brick with a dying disk makes the volume slow. With a limit it leaves S like one that is
//! gone, heals as a learner, and may come back; a leader that is itself too slow lets a faster brick lead, which then judges.

use rfs_model::{Index, NodeId};

use super::Consensus;
use super::role::{Lead, Role};

/// After it left S for its slowness, a brick stays a learner for this long: a disk that is slow now and then would otherwise
/// take the volume through a change of its configuration each time. Microseconds.
const PAUSE_US: u64 = 60_000_000;

/// Two goals, each with the time at which it was set: the ends of the log and of what was committed, at a moment when the
/// brick had reached the goals before.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    journal: (Index, u64),
    apply: (Index, u64),
    /// When it was last taken out of S for its slowness.
    pub evicted_us: Option<u64>,
}

impl Pace {
    pub fn new(now_us: u64) -> Self {
        Self { journal: (Index::ZERO, now_us), apply: (Index::ZERO, now_us), evicted_us: None }
    }

    /// The brick has journaled and applied this much, the leader has that much.
    fn note(&mut self, has: (Index, Index), leader: (Index, Index), now_us: u64) {
        for (goal, has, leader) in [(&mut self.journal, has.0, leader.0), (&mut self.apply, has.1, leader.1)]
        {
            if has >= goal.0 {
                *goal = (leader, now_us);
            }
        }
    }

    /// For how long the older of the two goals has not been reached, as far as it was noted last. The true age of the oldest
    /// record that the brick lacks is at most twice as much.
    fn behind_us(&self, now_us: u64) -> u64 {
        now_us.saturating_sub(self.journal.1.min(self.apply.1))
    }

    pub fn may_return(&self, now_us: u64) -> bool {
        self.evicted_us.is_none_or(|at| now_us >= at.saturating_add(PAUSE_US))
    }
}

impl Consensus {
    /// Looks how far everybody has come.
    pub(super) fn note_paces(&mut self) {
        let (now, marks) = (self.now_us, self.marks);
        let Role::Leader(lead) = &mut self.role else { return };
        let leader = (marks.last, marks.committed);
        lead.pace.note((marks.journaled, marks.applied), leader, now);
        for progress in lead.progress.values_mut() {
            progress.pace.note((progress.journaled, progress.applied), leader, now);
        }
    }

    /// How far another brick is behind, microseconds: what this leader knows.
    pub(super) fn lag_us(&self, lead: &Lead, brick: NodeId) -> u64 {
        lead.progress.get(&brick).map_or(0, |progress| progress.pace.behind_us(self.now_us))
    }

    pub(super) fn own_lag_us(&self, lead: &Lead) -> u64 {
        lead.pace.behind_us(self.now_us)
    }

    pub(super) fn is_too_slow(&self, lead: &Lead, brick: NodeId) -> bool {
        self.timing.max_lag_us.is_some_and(|most| self.lag_us(lead, brick) > most)
    }

    /// Notes which bricks a change takes out of S for their slowness.
    pub(super) fn note_evicted(&mut self, slow: &[NodeId]) {
        let now = self.now_us;
        let Role::Leader(lead) = &mut self.role else { return };
        for brick in slow {
            if let Some(progress) = lead.progress.get_mut(brick) {
                progress.pace.evicted_us = Some(now);
            }
        }
    }

    /// Whether this brick leads, is too slow for that, and another one of S is not.
    pub(super) fn should_step_aside(&self) -> bool {
        let (Role::Leader(lead), Some(most)) = (&self.role, self.timing.max_lag_us) else { return false };
        let fit = |brick: &NodeId| {
            *brick != self.me && self.is_there(lead, *brick) && self.lag_us(lead, *brick) <= most / 2
        };
        self.own_lag_us(lead) > most && self.record().target().in_sync.iter().any(fit)
    }
}
