//! The graceful leave ([2]): hand leadership over, leave S, say so. The last brick of S stays in it.

use rfs_model::NodeId;
use rfs_model::peer::PeerMessage;

use super::Consensus;
use super::api::Effect;
use super::role::Role;

/// How long the receiver of the leadership may take to have the whole log, microseconds.
const HANDING_US: u64 = 1_000_000;

/// A leave under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaving {
    deadline_us: u64,
    done: bool,
}

impl Consensus {
    pub(super) fn begin_leave(&mut self) {
        if self.leave.is_none_or(|leave| leave.done) {
            let deadline_us = self.now_us + self.timing.leave_us;
            self.leave = Some(Leaving { deadline_us, done: false });
            self.ack_soon();
            self.review = true;
        }
    }

    /// Does what can be done towards the leave, after every input.
    pub(super) fn leave_progress(&mut self) {
        let Some(leave) = self.leave.filter(|leave| !leave.done) else { return self.step_aside() };
        if !self.in_sync() && matches!(self.role, Role::Leader(_)) {
            self.abdicate();
        } else if !self.in_sync() && !self.is_needed() {
            self.leave_done(true, false);
        } else if self.now_us >= leave.deadline_us {
            self.leave_done(false, false);
        } else if self.is_last() {
            self.leave_done(true, true);
        } else if self.in_sync() {
            self.hand_over();
        }
    }

    /// A leader that need not leave, but should not lead.
    fn step_aside(&mut self) {
        if self.should_step_aside() {
            self.hand_over();
        } else {
            self.abdicate();
        }
    }

    /// A leader that completed a change begun by another, which takes itself out of S, hands leadership over (§4.2.2).
    fn abdicate(&mut self) {
        let done = !self.in_sync() && self.marks.committed >= self.entry().at.index;
        if done && matches!(self.role, Role::Leader(_)) {
            self.hand_over();
        }
    }

    fn leave_done(&mut self, clean: bool, last: bool) {
        if let Some(leave) = &mut self.leave {
            leave.done = true;
        }
        self.out.push(Effect::LeaveDone { clean, last });
    }

    /// Whether this brick is all of S, has committed everything, and those that left know it.
    fn is_last(&self) -> bool {
        let Role::Leader(lead) = &self.role else { return false };
        let config = self.entry().at.index;
        let told = |(brick, progress): (&NodeId, &super::role::Progress)| {
            let up = self.peers.get(brick).is_some_and(|peer| peer.up);
            !up || !progress.leaving || progress.committed >= config
        };
        self.is_alone() && self.marks.committed == self.marks.last && lead.progress.iter().all(told)
    }

    /// Chooses who shall lead, and lets go once that one has the whole log.
    fn hand_over(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        let Some((to, _)) = lead.handing else { return self.choose_successor() };
        let ready = lead.progress.get(&to).is_some_and(|progress| progress.journaled == self.marks.last);
        if ready && self.is_there(lead, to) {
            let term = self.hard.term;
            self.send(to, PeerMessage::Handover { term });
            self.released = term;
            self.become_follower(term, None);
        }
    }

    /// One that has answered this leader, and so has said whether it is leaving itself. A leader outside S lets go all the
    /// same: the last brick of S can only leave in good order as the leader.
    fn choose_successor(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        let fit = |brick: &NodeId| {
            *brick != self.me
                && self.is_there(lead, *brick)
                && self.peers.get(brick).is_some_and(|peer| peer.up)
                && lead.progress.get(brick).is_some_and(|progress| {
                    progress.ack_us.is_some() && (!progress.leaving || !self.in_sync())
                })
        };
        let config = self.record().target();
        let fits = config.in_sync.iter().copied().filter(fit);
        let best = fits.max_by_key(|brick| {
            lead.progress.get(brick).map(|progress| (!progress.leaving, progress.journaled))
        });
        let now = self.now_us;
        if let (Some(best), false, Role::Leader(lead)) = (best, self.record().is_joint(), &mut self.role) {
            lead.handing = Some((best, now));
            self.hand_over();
        }
    }

    /// A successor that does not catch up is given up.
    pub(super) fn give_up_handing(&mut self) {
        let now = self.now_us;
        if let Role::Leader(lead) = &mut self.role {
            lead.handing = lead.handing.filter(|(_, since)| now < since + HANDING_US);
        }
    }
}
