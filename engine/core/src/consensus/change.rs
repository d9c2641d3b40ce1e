//! Changing who decides: demotion of the gone, leaves, growth, new members ([2]).
//!
//! Demotion may begin while the last `Final(c)` is not committed, for its presence proves that c is the configuration: it was
//! preceded by a committed `Joint(_, c)`, or it turned back an uncommitted one, and then everything still needs c. All other
//! changes wait until the leader has committed a record of its own and the last configuration.

use rfs_model::config::{Config, ConfigRecord};
use rfs_model::hard::Trust;
use rfs_model::{Index, NodeId, SeatId};

use super::role::{Lead, Mode, Progress, Role};
use super::{Consensus, quorum};

/// Records that a learner may lack and still be said to have all but a short tail.
const SHORT_TAIL: u64 = 4096;
/// And how long it may take to get it, microseconds: records may be large, and once it is in S, writes wait for it.
const SHORT_TAIL_US: u64 = 1_000_000;
/// Heartbeats that may go unanswered by one who is said to be there.
const MISSED_BEATS: u64 = 6;

fn is_blank(lead: &Lead, brick: NodeId) -> bool {
    lead.progress.get(&brick).is_some_and(|progress| progress.trust == Trust::Blank)
}

/// Whether a brick can acknowledge nothing before it has a full copy. That may take hours; and the leader's own tree may be
/// torn, and in no state to be copied, until something is committed in this term.
fn needs_copy(lead: &Lead, brick: NodeId) -> bool {
    lead.progress.get(&brick).is_some_and(|progress| progress.mode == Mode::Resync)
}

impl Consensus {
    /// Looks whether another configuration is called for, and begins it.
    pub(super) fn reconfigure(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        if !std::mem::take(&mut self.review) || lead.handing.is_some() {
            return;
        }
        self.turn_back();
        if self.record().is_joint() || self.demote() {
            return;
        }
        let Role::Leader(lead) = &self.role else { return };
        if self.marks.committed < lead.first.max(self.entry().at.index) || self.leave.is_some() {
            return;
        }
        if !self.grow() {
            self.place_seat();
        }
    }

    /// Whether the leader considers a brick gone: nobody listens there, or it was silent for the peer timeout, or has not
    /// answered this leader for as long.
    fn is_gone(&self, lead: &Lead, brick: NodeId) -> bool {
        let (now, timing) = (self.now_us, self.timing);
        let peer = self.peers.get(&brick);
        let heard = peer.and_then(|peer| peer.heard_us).unwrap_or(self.started_us);
        let answered = lead.progress.get(&brick).and_then(|p| p.ack_us).unwrap_or(lead.since_us);
        now >= heard + timing.peer_us
            || now >= answered.max(lead.since_us) + timing.peer_us
            || (peer.is_some_and(|peer| peer.refused) && now >= heard + timing.refused_us)
    }

    /// Whether a brick can be counted on to store what comes next.
    pub(super) fn is_there(&self, lead: &Lead, brick: NodeId) -> bool {
        let recent = self.now_us.saturating_sub(MISSED_BEATS * self.timing.heartbeat_us);
        let heard = |brick| self.peers.get(&brick).is_some_and(|peer| peer.heard_us >= Some(recent));
        let sound = |p: &Progress| p.trust == Trust::Sound && p.mode != Mode::Resync;
        brick == self.me
            || (heard(brick) && lead.progress.get(&brick).is_some_and(sound) && !self.is_gone(lead, brick))
    }

    fn seat_is_there(&self, id: SeatId) -> bool {
        let recent = self.now_us.saturating_sub(MISSED_BEATS * self.timing.heartbeat_us);
        self.seats.get(&id).is_some_and(|seat| seat.up && seat.heard_us >= Some(recent))
    }

    /// Whether those who are there can carry out a change.
    fn achievable(&self, old: &Config, new: &Config) -> bool {
        let Role::Leader(lead) = &self.role else { return false };
        let brick = |id: NodeId| self.is_there(lead, id);
        new.has(self.me)
            && quorum::elects(old, brick, |id| self.seat_is_there(id))
            && quorum::commits(new, brick)
    }

    /// Gives up a change that a newcomer's absence keeps from completing. One that this leader began: nobody has a
    /// `Final(c')`, so `Final(c)` needs c alone, as everything does until then. One that it found in its log and wrote again:
    /// an earlier leader may have gone as far as `Final(c')`; the same two steps in the other direction need both. Unless the
    /// bricks of c' show that it cannot have: see [`Self::was_never_committed`].
    ///
    /// Nor can a brick that needs a full copy complete it, when the leader's own tree is torn: no copy can be given before
    /// something is committed.
    fn turn_back(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        let ConfigRecord::Joint { old, new } = self.record() else { return };
        let lost =
            |brick: &NodeId| *brick != self.me && (self.is_gone(lead, *brick) || is_blank(lead, *brick));
        let lost = |brick: &NodeId| lost(brick) || needs_copy(lead, *brick);
        let hopeless = new.in_sync.iter().any(lost) && !self.achievable(old, new);
        if self.marks.committed >= self.entry().at.index || !hopeless {
            return;
        }
        let newcomer_lost = new.in_sync.iter().any(|brick| !old.has(*brick) && lost(brick));
        let own = lead.own_joint || self.was_never_committed(lead);
        let (old, new) = (old.clone(), new.clone());
        if own {
            self.append_config(ConfigRecord::Final { config: old });
        } else if newcomer_lost && self.achievable(&new, &old) {
            self.append_config(ConfigRecord::Joint { old: new, new: old });
        }
        if let Role::Leader(lead) = &mut self.role {
            lead.own_joint = false;
        }
    }

    /// Whether no earlier leader can have committed the joint record that this one found. It takes a commit quorum of c' that
    /// had it synced; whoever's log ended before it in this term was not one of them, for what is committed is in the log of
    /// each later leader, and so no leader had it cut.
    ///
    /// Not where that record turns back another joint one: that it was never committed does not make c the configuration.
    fn was_never_committed(&self, lead: &Lead) -> bool {
        let ConfigRecord::Joint { new, .. } = self.record() else { return false };
        let first = self.log.first_like(self.record()).unwrap_or(self.entry()).at;
        if self.log.config_before(first).is_some_and(|entry| entry.record.is_joint()) {
            return false;
        }
        let first = first.index;
        let ended = |brick: NodeId| lead.progress.get(&brick).and_then(|progress| progress.ended);
        let lacks = |brick: NodeId| ended(brick).is_some_and(|end| end < first);
        let others = new.in_sync.iter().filter(|brick| !lacks(**brick)).count();
        first > self.marks.committed && others < quorum::size(new)
    }

    pub(super) fn propose_config(&mut self, new: Config) {
        let old = self.record().target().clone();
        self.append_config(ConfigRecord::Joint { old, new });
        if let Role::Leader(lead) = &mut self.role {
            lead.own_joint = true;
        }
    }

    /// Takes bricks out of S that are gone, have a new disk, need a full copy, want to leave, or are too slow.
    fn demote(&mut self) -> bool {
        let Role::Leader(lead) = &self.role else { return false };
        let config = self.record().target();
        let progress = |brick: &NodeId| lead.progress.get(brick);
        let others = || config.in_sync.iter().copied().filter(|brick| *brick != self.me);
        let lost =
            |brick: &NodeId| self.is_gone(lead, *brick) || is_blank(lead, *brick) || needs_copy(lead, *brick);
        let gone: Vec<_> = others().filter(lost).collect();
        let leaving: Vec<_> = others().filter(|brick| progress(brick).is_some_and(|p| p.leaving)).collect();
        let slow: Vec<_> = others().filter(|brick| self.is_too_slow(lead, *brick)).collect();
        let both: Vec<_> = gone.iter().chain(&leaving).copied().collect();
        let all: Vec<_> = both.iter().chain(&slow).copied().collect();
        for drop in [all, both, gone, leaving, slow.clone()] {
            let new = self
                .with_sync(config.in_sync.iter().copied().filter(|brick| !drop.contains(brick)).collect());
            if !drop.is_empty() && self.achievable(config, &new) {
                self.note_evicted(&slow);
                self.propose_config(new);
                return true;
            }
        }
        false
    }

    /// The configuration in force with another S, and the seat that this S needs.
    fn with_sync(&self, mut in_sync: Vec<NodeId>) -> Config {
        in_sync.sort_unstable();
        let config = self.record().target();
        let mut new = Config { in_sync, ..config.clone() };
        new.seat = if new.wants_seat() { self.seat_for(config.seat.as_ref()) } else { None };
        new
    }

    /// Takes learners into S that have had all but a short tail for long enough.
    fn grow(&mut self) -> bool {
        let Role::Leader(lead) = &self.role else { return false };
        let config = self.record().target();
        let (now, limit) = (self.now_us, self.timing.max_lag_us);
        let ready = |brick: &NodeId| {
            let progress = lead.progress.get(brick).filter(|p| !p.leaving && self.is_there(lead, *brick));
            let progress = progress.filter(|p| limit.is_none() || p.pace.may_return(now));
            progress.and_then(|p| p.short_us).is_some_and(|since| now >= since + self.timing.growth_us)
        };
        let grown: Vec<_> = config.bricks.iter().copied().filter(|b| config.has(*b) || ready(b)).collect();
        if grown.len() == config.in_sync.len() {
            return false;
        }
        let new = self.with_sync(grown);
        let able = self.achievable(config, &new);
        if able {
            self.propose_config(new);
        }
        able
    }

    /// Notes since when each learner has had all but a short tail.
    pub(super) fn note_short_tails(&mut self) {
        let (now, marks) = (self.now_us, self.marks);
        let Role::Leader(lead) = &self.role else { return };
        let there: Vec<_> =
            lead.progress.keys().copied().filter(|brick| self.is_there(lead, *brick)).collect();
        let config = self.record().target().clone();
        let Role::Leader(lead) = &mut self.role else { return };
        let near = |mark: Index, goal: Index| mark.0 + SHORT_TAIL >= goal.0;
        for (brick, progress) in &mut lead.progress {
            let streams = progress.mode == Mode::Stream;
            if !streams || progress.journaled >= progress.goal.0 {
                progress.goal = (marks.last, streams.then_some(now));
            }
            let short = there.contains(brick)
                && !config.has(*brick)
                && streams
                && progress.goal.1.is_some_and(|reached| now <= reached + SHORT_TAIL_US)
                && near(progress.journaled, marks.last)
                && near(progress.applied, marks.durable);
            progress.short_us = if short { progress.short_us.or(Some(now)) } else { None };
        }
    }

    /// `brick replace`: newcomers begin as learners, bricks that are no longer named leave S with the same change.
    pub(super) fn members(&mut self, mut bricks: Vec<NodeId>) {
        bricks.sort_unstable();
        bricks.dedup();
        let Role::Leader(lead) = &self.role else { return };
        let busy = self.record().is_joint() || self.marks.committed < lead.first.max(self.entry().at.index);
        let config = self.record().target();
        if busy || lead.handing.is_some() || bricks == config.bricks {
            return;
        }
        let mut new = self.with_sync(config.in_sync.iter().copied().filter(|b| bricks.contains(b)).collect());
        new.bricks = bricks;
        if new.problem().is_none() && self.achievable(config, &new) {
            self.propose_config(new);
        }
    }
}
