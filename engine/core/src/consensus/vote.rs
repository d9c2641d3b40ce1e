//! The voter: when a brick gives its vote.
//!
//! | the voter | answer |
//! |---|---|
//! | has a higher term | `OldTerm` |
//! | leads, or acknowledged a heartbeat less than 250 ms ago (unless that leader gave up its lease) | `Held` |
//! | has a new disk | `Blank` |
//! | voted for another in that term | `Taken` |
//! | has lost synced records, and knows a newer configuration | `OldConfig` |
//! | has more in its log, or the candidate's is not of the lineage that it stands in | `OldLog` |
//! | else | `Granted`, with its trust: a suspect's vote counts only when all of S voted |

use rfs_model::NodeId;
use rfs_model::hard::Trust;
use rfs_model::peer::{Candidacy, PeerMessage, Verdict};

use super::Consensus;
use super::role::Role;

impl Consensus {
    pub(super) fn on_vote(&mut self, from: NodeId, ask: Candidacy) {
        if from != ask.candidate {
            return;
        }
        let verdict = self.judge(ask);
        if !ask.pre && verdict == Verdict::Granted {
            self.give_vote(from);
        }
        let (trust, last, config) = (self.voting_trust(), self.log.last_position(), self.hard.config.at);
        let (term, pre) = (self.hard.term, ask.pre);
        self.send(from, PeerMessage::VoteReply { term, pre, verdict, trust, last, config });
    }

    fn give_vote(&mut self, to: NodeId) {
        if matches!(self.role, Role::Candidate(_)) {
            self.become_follower(self.hard.term, None);
        }
        if self.hard.voted_for != Some(to) {
            self.hard.voted_for = Some(to);
            self.dirty.vote = true;
        }
        self.election_us = self.election_timeout();
    }

    fn judge(&mut self, ask: Candidacy) -> Verdict {
        if ask.term < self.hard.term {
            return Verdict::OldTerm;
        }
        if let Some(retry_us) = self.held_for(ask) {
            return Verdict::Held { retry_us };
        }
        if !ask.pre {
            self.see_term(ask.term);
        }
        if self.hard.trust == Trust::Blank {
            return Verdict::Blank;
        }
        let taken = self.hard.voted_for.is_some_and(|brick| brick != ask.candidate);
        if ask.term == self.hard.term && taken {
            return Verdict::Taken;
        }
        // Under the configuration that this brick knows, the candidate may not have counted.
        if self.rotten && ask.config < self.hard.config.at {
            return Verdict::OldConfig;
        }
        // Who stands in a lineage has a record of it.
        let abandoned = ask.last.term.max(ask.config.term).lineage() < ask.term.lineage();
        if ask.last < self.log.last_position() || (abandoned && !self.mutations.abandoned_stands) {
            Verdict::OldLog
        } else {
            Verdict::Granted
        }
    }

    /// How long a promise still binds this brick towards the candidate.
    fn held_for(&self, ask: Candidacy) -> Option<u64> {
        if self.mutations.lease_ignores_hold {
            return None;
        }
        if matches!(self.role, Role::Leader(_)) {
            return Some(self.timing.hold_us);
        }
        let void = ask.released >= self.hold.term || self.released >= self.hold.term;
        (!void && self.now_us < self.hold.until_us).then(|| self.hold.until_us - self.now_us)
    }

    pub(super) fn voting_trust(&self) -> Trust {
        if self.mutations.no_suspect_rule { Trust::Sound } else { self.hard.trust }
    }
}
