//! Power loss ([4], rules 2 to 4): a suspect brick becomes sound again when a live leader, whose term is no older than its
//! own, has answered a fresh nonce, and their logs agree up to the index in that answer. Without this rule one power loss and
//! a witness's vote elect a leader that lacks a committed record.
//!
//! A brick whose log has lost synced records to rot may have committed what was behind its end, all alone if it had taken the
//! others out of S. Its hard state knows that configuration: until a leader has vouched it helps nobody, itself included,
//! who lacks it.
//!
//! A brick with a new disk does not know what it promised, nor in which term. It regains its voice only as a learner: under
//! a committed configuration that is the leader's newest and does not count it.

use rfs_model::hard::Trust;
use rfs_model::peer::PeerMessage;
use rfs_model::{Index, NodeId, Term};

use super::Consensus;
use super::role::Role;

impl Consensus {
    /// Answers a brick that has lost power, if this one leads.
    pub(super) fn vouch(&mut self, to: NodeId, trust: Trust, nonce: u64) {
        let (now, pause) = (self.now_us, self.timing.heartbeat_us);
        let (term, upto) = (self.hard.term, self.marks.last);
        let Role::Leader(lead) = &mut self.role else { return };
        let Some(progress) = lead.progress.get_mut(&to) else { return };
        progress.trust = trust;
        if progress.vouched_us.is_none_or(|(last, at)| last != nonce || now >= at + pause) {
            progress.vouched_us = Some((nonce, now));
            self.send(to, PeerMessage::Vouch { term, nonce, upto });
        }
    }

    pub(super) fn on_vouch(&mut self, from: NodeId, term: Term, nonce: u64, upto: Index) {
        self.see_term(term);
        if nonce != self.nonce || term != self.hard.term {
            return;
        }
        let Role::Follower(follower) = &mut self.role else { return };
        if *follower.leader.get_or_insert(from) == from {
            follower.vouched = Some(follower.vouched.map_or(upto, |lowest| lowest.min(upto)));
        }
    }

    pub(super) fn regain_trust(&mut self) {
        let Role::Follower(follower) = &self.role else { return };
        let Some(upto) = follower.vouched else { return };
        if self.hard.trust == Trust::Sound || follower.agreed < upto || self.marks.journaled < upto {
            return;
        }
        let committed = follower.leader_committed.min(follower.agreed);
        let learner = !self.record().is_joint() && !self.in_sync() && self.hard.config.at.index <= committed;
        if self.hard.trust == Trust::Suspect || learner {
            self.hard.trust = Trust::Sound;
            self.dirty.vote = true;
            self.rotten = false;
            // The tree may show what was committed behind the end of the log that the power loss left.
            if self.gate > Index::ZERO && !self.mutations.gate_forgets_loss {
                self.gate = self.gate.max(upto);
            }
            self.ack_soon();
        }
    }
}
