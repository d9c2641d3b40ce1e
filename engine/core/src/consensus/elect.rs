//! Candidacy: when a brick asks for votes, and when it has enough.

use std::collections::BTreeMap;

use rfs_model::config::{Config, ConfigEntry, ConfigRecord, Position};
use rfs_model::hard::Trust;
use rfs_model::peer::{Candidacy, Verdict, WitnessRequest};
use rfs_model::{NodeId, SeatId, Term};

use super::api::Effect;
use super::role::{Campaign, Role, Vote};
use super::{Consensus, PeerMessage, quorum};

/// A real vote takes two fsyncs: it is given this many times the patience of a pre-vote.
const VOTE_PATIENCE: u64 = 10;
/// The pause between attempts grows up to so many times the first.
const PATIENCE_LIMIT: u64 = 10;

impl Consensus {
    /// Whether this brick may ask for votes at all.
    pub(super) fn can_stand(&self) -> bool {
        let counts = self.in_sync() || self.is_needed() || self.mutations.demoted_serves;
        let free = self.hard.term.has_next() && !self.is_abandoned();
        counts && self.hard.trust != Trust::Blank && free && !self.copying && !self.lacks_config()
    }

    /// Whether rot has taken the records that the configuration in force came with: what else was behind them, this brick
    /// may have committed alone.
    pub(super) fn lacks_config(&self) -> bool {
        self.rotten && self.config_is_ahead()
    }

    /// Whether this brick has heard of a lineage that its log is not of: an operator has abandoned what it has. It waits for
    /// a leader of that lineage, however alone it is.
    pub(super) fn is_abandoned(&self) -> bool {
        let own = self.log.last_position().term.max(self.entry().at.term);
        own.lineage() < self.hard.term.lineage() && !self.mutations.abandoned_stands
    }

    /// Whether this brick is no longer of S by a configuration that may not be committed: it may be the only one that has it,
    /// and so the only one that can lead until it is (§4.2.2). Its own vote does not count.
    pub(super) fn is_needed(&self) -> bool {
        let was = self
            .log
            .config_before(self.entry().at)
            .is_some_and(|entry| entry.record.configs().any(|config| config.has(self.me)));
        was && !self.in_sync() && self.entry().at.index > self.marks.committed
    }

    /// When this brick's own promise lets it be a candidate.
    fn free_us(&self) -> u64 {
        let void = self.released >= self.hold.term || self.mutations.lease_ignores_hold;
        if void || self.is_alone() { 0 } else { self.hold.until_us }
    }

    /// There is evidence that the leader is gone: the timer need not run out.
    pub(super) fn leader_lost(&mut self) {
        let Role::Follower(follower) = &mut self.role else { return };
        follower.leader = None;
        let reads = std::mem::take(&mut follower.reads);
        self.refuse_reads(reads.into_iter().map(|(_, ticket)| ticket));
        let several = self.record().configs().any(|config| config.in_sync.len() > 2);
        let jitter = if several { self.random.within((0, self.timing.retry_us.0)) } else { 0 };
        self.election_us = self.election_us.min(self.now_us.max(self.free_us()) + jitter);
    }

    pub(super) fn follow_tick(&mut self) {
        if self.now_us >= self.election_us.max(self.free_us()) {
            if self.can_stand() {
                let pre = !self.is_alone();
                return self.campaign(pre, 0);
            }
            self.leader_lost();
            self.election_us = self.election_timeout();
        }
        self.resend_read_index();
    }

    pub(super) fn campaign_tick(&mut self) {
        let Role::Candidate(campaign) = &self.role else { return };
        if !self.can_stand() {
            return self.become_follower(self.hard.term, None);
        }
        let attempt = campaign.attempt + 1;
        if self.now_us >= campaign.retry_us.max(self.free_us()) {
            let pre = !self.is_alone();
            self.campaign(pre, attempt);
        }
    }

    /// Asks everybody with a vote, under the configuration in force.
    pub(super) fn campaign(&mut self, pre: bool, attempt: u64) {
        let term = self.hard.term.next();
        self.become_follower(if pre { self.hard.term } else { term }, None);
        if !pre {
            self.hard.voted_for = Some(self.me);
            self.dirty.vote = true;
        }
        let (last, config, released) = (self.log.last_position(), self.hard.config.at, self.released);
        let ask = Candidacy { term, candidate: self.me, pre, last, config, released };
        let patience = if pre { 1 + (attempt / 4).min(PATIENCE_LIMIT) } else { VOTE_PATIENCE };
        let retry_us = self.now_us + self.random.within(self.timing.retry_us) * patience;
        let (votes, seats) = (BTreeMap::new(), BTreeMap::new());
        self.role = Role::Candidate(Campaign { ask, votes, seats, retry_us, attempt });
        for brick in self.voters() {
            self.send(brick, PeerMessage::Vote { ask });
        }
        for seat in self.voting_seats() {
            self.ask_seat(seat, ask);
        }
    }

    /// Whose votes count: the configuration in force.
    fn electorate(&self) -> &ConfigRecord {
        let own = || self.log.newest_final(|config| config.has(self.me));
        let old = self.mutations.demoted_serves.then(own).flatten();
        old.unwrap_or(self.record())
    }

    fn voters(&self) -> Vec<NodeId> {
        let all = self.electorate().configs().flat_map(|config| &config.in_sync);
        let mut bricks: Vec<_> = all.copied().filter(|brick| *brick != self.me).collect();
        bricks.sort_unstable();
        bricks.dedup();
        bricks
    }

    pub(super) fn voting_seats(&self) -> Vec<SeatId> {
        let mut seats: Vec<_> =
            self.electorate().configs().flat_map(|c| &c.seat).map(|seat| seat.id).collect();
        seats.dedup();
        seats
    }

    pub(super) fn ask_seat(&mut self, to: SeatId, ask: Candidacy) {
        if self.voting_seats().contains(&to) {
            self.out.push(Effect::SendSeat { to, message: WitnessRequest::Vote { ask } });
        }
    }

    pub(super) fn on_vote_reply(
        &mut self,
        from: NodeId,
        (term, pre): (Term, bool),
        verdict: Verdict,
        trust: Trust,
        config: Position,
    ) {
        self.see_term(term);
        let behind = config > self.hard.config.at;
        let Role::Candidate(campaign) = &mut self.role else { return };
        if campaign.ask.pre != pre || !Self::answers(campaign.ask, term, verdict) {
            return;
        }
        campaign.votes.insert(from, Vote { verdict, trust, behind });
        self.retry_when_free(verdict);
    }

    pub(super) fn on_seat_vote(
        &mut self,
        from: SeatId,
        (term, pre): (Term, bool),
        verdict: Verdict,
        config: Option<ConfigEntry>,
    ) {
        self.see_term(term);
        let Role::Candidate(campaign) = &mut self.role else { return };
        if campaign.ask.pre != pre || !Self::answers(campaign.ask, term, verdict) {
            return;
        }
        campaign.seats.insert(from, verdict);
        if verdict == Verdict::OldConfig {
            self.newer = config;
        }
        self.retry_when_free(verdict);
    }

    /// Whether a reply belongs to this candidacy: a real vote bears its term; a "would" may come from the term before.
    fn answers(ask: Candidacy, term: Term, verdict: Verdict) -> bool {
        verdict != Verdict::Granted || term == ask.term || (ask.pre && term < ask.term)
    }

    /// A voter that is held by a promise says until when.
    fn retry_when_free(&mut self, verdict: Verdict) {
        let (now, jitter) = (self.now_us, self.random.within((1_000, 3_000)));
        if let (Role::Candidate(campaign), Verdict::Held { retry_us }) = (&mut self.role, verdict)
            && campaign.ask.pre
        {
            let retry_us = now.saturating_add(retry_us.min(self.timing.hold_us)) + jitter;
            campaign.retry_us = campaign.retry_us.min(retry_us);
        }
    }

    /// Goes on when there are enough votes. The own one counts once it is fsynced.
    pub(super) fn count_votes(&mut self) {
        let Role::Candidate(campaign) = &self.role else { return };
        if !self.electorate().configs().all(|config| self.wins(campaign, config)) {
            return;
        }
        let (pre, attempt) = (campaign.ask.pre, campaign.attempt);
        if pre {
            self.campaign(false, attempt);
        } else if self.vote_saved() {
            self.become_leader(None);
        }
    }

    /// By an election quorum of sound voters; or, after a power loss, by all of S, whoever is suspect.
    fn wins(&self, campaign: &Campaign, config: &Config) -> bool {
        let own = self.voting_trust();
        let vote = |brick: NodeId| {
            let vote = campaign.votes.get(&brick).filter(|vote| vote.verdict == Verdict::Granted);
            if brick == self.me { Some(own) } else { vote.map(|vote| vote.trust) }
        };
        let sound = |brick| vote(brick) == Some(Trust::Sound);
        let seat = |id| campaign.seats.get(&id) == Some(&Verdict::Granted);
        let by_quorum = own == Trust::Sound && quorum::elects(config, sound, seat);
        by_quorum || config.in_sync.iter().all(|brick| vote(*brick).is_some())
    }

    /// Whether term, vote and trust are fsynced as they are now.
    pub(super) fn vote_saved(&self) -> bool {
        !self.dirty.vote && self.saver.vote_saved()
    }

    /// Whether the configuration in force is.
    pub(super) fn config_saved(&self) -> bool {
        !self.dirty.config && self.saver.config_saved()
    }

    pub(super) fn on_handover(&mut self, from: NodeId, term: Term) {
        let Role::Follower(follower) = &self.role else { return };
        if term == self.hard.term && follower.leader == Some(from) && self.can_stand() {
            self.released = self.released.max(term);
            self.campaign(false, 0);
        }
    }
}
