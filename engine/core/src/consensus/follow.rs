//! Following a leader: heartbeats, appends, and what is acknowledged.

use rfs_model::config::{ConfigEntry, Position};
use rfs_model::hard::Trust;
use rfs_model::peer::{Ack, AppendHeader, PeerMessage, Pulse};
use rfs_model::{Index, Meta, NodeId, RecordKind, Term};

use super::api::{Effect, Lie, Peer};
use super::role::{Follower, Role};
use super::{Consensus, Hold};

/// What to do with an append's records.
enum Fit {
    /// All are there already.
    Known,
    /// Those from here on are new; a tail that differs is cut.
    From { index: Index, cut: bool },
    /// The record before them is missing or another one.
    No { hint: Position },
    /// This brick has committed what the leader does not have, or has a tail of another lineage.
    Diverged { common: Index },
    /// The leader lacks what a quorum has made durable.
    Lie,
}

impl Consensus {
    pub(super) fn become_follower(&mut self, term: Term, leader: Option<NodeId>) {
        assert!(term >= self.hard.term, "the term went back");
        if term > self.hard.term {
            (self.hard.term, self.hard.voted_for) = (term, None);
            self.dirty.vote = true;
        }
        let old =
            std::mem::replace(&mut self.role, Role::Follower(Follower { leader, ..Follower::default() }));
        match old {
            Role::Leader(lead) => {
                let own = lead.reads.iter().filter_map(|(_, reader)| reader.own());
                self.refuse_reads(own);
            }
            Role::Follower(old) => self.refuse_reads(old.reads.into_iter().map(|(_, ticket)| ticket)),
            Role::Candidate(_) => {}
        }
        self.election_us = self.election_timeout();
    }

    /// Believes a leader's frame; `None` when it is a former leader's, who is told so.
    fn follow(&mut self, from: NodeId, pulse: Pulse) -> Option<&mut Follower> {
        if pulse.term < self.hard.term {
            self.send_ack(from);
            return None;
        }
        self.see_term(pulse.term);
        if self.leader().is_some_and(|leader| leader != from) {
            self.refuse(Peer::Brick(from), Lie::SecondLeader);
            return None;
        }
        if matches!(self.role, Role::Candidate(_)) {
            self.become_follower(pulse.term, Some(from));
        }
        self.hold = Hold { until_us: self.now_us + self.timing.hold_us, term: pulse.term };
        self.election_us = self.election_timeout();
        self.want_sync = self.want_sync.max(pulse.sync_to);
        self.newer = None;
        let Role::Follower(follower) = &mut self.role else { return None };
        follower.leader = Some(from);
        follower.round = follower.round.max(pulse.round);
        follower.leader_committed = follower.leader_committed.max(pulse.committed);
        follower.leader_durable = follower.leader_durable.max(pulse.durable);
        Some(follower)
    }

    pub(super) fn on_heartbeat(&mut self, from: NodeId, pulse: Pulse) {
        if let Some(follower) = self.follow(from, pulse) {
            follower.ack_due = true;
        }
    }

    pub(super) fn on_append(
        &mut self,
        from: NodeId,
        header: AppendHeader,
        metas: &[Meta],
        configs: &[ConfigEntry],
    ) {
        if !well_formed(header, metas, configs) {
            return self.refuse(Peer::Brick(from), Lie::Malformed);
        }
        if self.follow(from, header.pulse).is_none() {
            return;
        }
        if self.copying {
            return self.ack_soon();
        }
        let fit = self.fit(header.prev, metas);
        let end = header.prev.index.0 + metas.len() as u64;
        if let Fit::From { index, cut } = fit {
            self.accept(index, cut, metas, configs);
        }
        if matches!(fit, Fit::Lie) {
            return self.refuse(Peer::Brick(from), Lie::LacksDurable);
        }
        let Role::Follower(follower) = &mut self.role else { return };
        match fit {
            Fit::Known => follower.ack_due = true,
            Fit::From { .. } | Fit::Lie => {}
            Fit::No { hint } => (follower.ack_due, follower.rejected) = (true, Some(hint)),
            Fit::Diverged { common } => {
                if !follower.diverged {
                    self.out.push(Effect::Diverged { common });
                }
                (follower.ack_due, follower.diverged) = (true, true);
                return;
            }
        }
        if !matches!(fit, Fit::No { .. }) {
            follower.agreed = follower.agreed.max(Index(end));
        }
    }

    fn fit(&self, prev: Position, metas: &[Meta]) -> Fit {
        if !self.log.has(prev) {
            let behind_base = prev.index < self.log.base().index;
            let known = !behind_base && prev.index <= self.marks.committed;
            if known {
                return self.diverged(prev.index.prev());
            }
            let term = if prev.index > self.log.last() { Term(u64::MAX) } else { prev.term };
            let hint = self.log.common_with(Position::new(term, prev.index));
            return Fit::No { hint: hint.unwrap_or(self.log.base()) };
        }
        let fresh = metas.iter().find(|meta| self.log.term_at(meta.index) != Some(meta.term));
        match fresh {
            None if self.mutations.cuts_behind_append
                && prev.index.0 + (metas.len() as u64) < self.log.last().0 =>
            {
                Fit::From { index: Index(prev.index.0 + metas.len() as u64 + 1), cut: true }
            }
            None => Fit::Known,
            Some(meta) if meta.index <= self.marks.committed => self.diverged(meta.index.prev()),
            // Whether anybody was promised that tail, only the abandoned lineage knows.
            Some(meta) if self.of_another_lineage(meta) => Fit::Diverged { common: meta.index.prev() },
            Some(meta) => Fit::From { index: meta.index, cut: meta.index <= self.log.last() },
        }
    }

    /// Whether what a record would replace was written under a lineage that the leader's has abandoned.
    fn of_another_lineage(&self, meta: &Meta) -> bool {
        let own = self.log.term_at(meta.index).map(Term::lineage);
        own.is_some_and(|own| own < self.hard.term.lineage())
    }

    /// The leader lacks what is committed here. Another lineage may have abandoned it; or all of S lost power, and what only
    /// a learner still has was never durable. What was durable no leader lacks, unless an operator has begun another lineage.
    fn diverged(&self, common: Index) -> Fit {
        let own = self.log.term_at(self.marks.committed).map(Term::lineage);
        let abandoned = own < Some(self.hard.term.lineage());
        if abandoned || common >= self.marks.durable { Fit::Diverged { common } } else { Fit::Lie }
    }

    fn accept(&mut self, from: Index, cut: bool, metas: &[Meta], configs: &[ConfigEntry]) {
        let kept = from.prev();
        assert!(kept >= self.marks.committed, "committed records are not cut");
        if cut {
            self.log.truncate(kept);
            let marks = &mut self.marks;
            marks.journaled = marks.journaled.min(kept);
            marks.synced = marks.synced.min(kept);
            self.sync_issued = self.sync_issued.min(kept);
            self.gate = self.gate.min(kept);
        }
        let mut configs = configs.iter().skip_while(|entry| entry.at.index < from);
        for meta in metas.iter().skip_while(|meta| meta.index < from) {
            self.grow_log(Position::new(meta.term, meta.index));
            if meta.kind == RecordKind::Config
                && let Some(entry) = configs.next()
            {
                self.log.append_config(entry.clone());
            }
        }
        self.settle_config();
        self.out.push(Effect::Accept { from, truncate_after: cut.then_some(kept) });
    }

    /// An acknowledgement is due, if there is somebody to tell.
    pub(super) fn ack_soon(&mut self) {
        if let Role::Follower(follower) = &mut self.role {
            follower.ack_due = follower.leader.is_some();
        }
    }

    pub(super) fn follow_end_of_turn(&mut self) {
        self.send_read_index();
        let Role::Follower(follower) = &mut self.role else { return };
        if let (Some(leader), true) = (follower.leader, follower.ack_due) {
            self.send_ack(leader);
        }
    }

    fn send_ack(&mut self, to: NodeId) {
        let (marks, last, copying) = (self.marks, self.log.last_position(), self.copying);
        let (agreed, round, rejected, diverged) = match &mut self.role {
            Role::Follower(follower) if follower.leader == Some(to) => {
                follower.ack_due = false;
                (follower.agreed, follower.round, follower.rejected.take(), follower.diverged)
            }
            _ => (Index::ZERO, 0, None, false),
        };
        let ack = Ack {
            term: self.hard.term,
            round,
            agreed,
            journaled: agreed.min(marks.journaled),
            synced: agreed.min(marks.synced),
            committed: marks.committed,
            applied: marks.applied,
            rejected,
            last,
            trust: self.voting_trust(),
            nonce: self.nonce,
            leaving: self.leave.is_some(),
            diverged: diverged || copying,
        };
        self.send(to, PeerMessage::Ack { ack });
    }

    /// Moves the own commit index after the leader's. A learner follows what is durable: it may hold a record that all of S
    /// lost with its power, and must not have applied it.
    pub(super) fn follow_commit(&mut self) {
        self.regain_trust();
        let member = self.record().configs().all(|config| config.has(self.me));
        let Role::Follower(follower) = &self.role else { return };
        // What this brick has committed behind `agreed` may be another record than the leader's durable one.
        let durable = follower.leader_durable.min(follower.agreed);
        let sure = if member { follower.leader_committed } else { follower.leader_committed.min(durable) };
        let committed = sure.min(follower.agreed);
        // The tree may show what a leader had committed and not made durable: the first word covers that.
        if self.voting_trust() != Trust::Sound || committed < self.gate.min(follower.leader_committed) {
            return;
        }
        if committed > self.marks.committed {
            self.set_committed(committed);
        }
        self.marks.durable = self.marks.durable.max(durable.min(self.marks.committed));
    }
}

/// Whether an append is one that a leader may send.
fn well_formed(header: AppendHeader, metas: &[Meta], configs: &[ConfigEntry]) -> bool {
    let mut end = header.prev;
    for meta in metas {
        if meta.index != end.index.next() || meta.term < end.term || meta.term > header.pulse.term {
            return false;
        }
        end = Position::new(meta.term, meta.index);
    }
    let announced = metas.iter().filter(|meta| meta.kind == RecordKind::Config);
    announced.map(|meta| Position::new(meta.term, meta.index)).eq(configs.iter().map(|entry| entry.at))
        && configs.iter().all(|entry| entry.record.problem().is_none())
}
