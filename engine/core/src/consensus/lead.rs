//! Leading: the first record, heartbeats, what followers and the witness acknowledge, and when to stop.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use bytes::Bytes;
use rfs_model::config::{ConfigEntry, ConfigRecord, Position};
use rfs_model::hard::Trust;
use rfs_model::peer::{Ack, PeerMessage, Pulse, WitnessReply, WitnessRequest};
use rfs_model::{Encode, Index, NodeId, RecordKind, SeatId, Term};

use super::api::Effect;
use super::lag::Pace;
use super::role::{Lead, Mode, Progress, Role, SeatProgress};
use super::{Consensus, quorum};

/// Rounds whose sending time is remembered.
const ROUNDS: usize = 64;

impl Consensus {
    /// Begins to lead, with `forced` as the configuration where an operator has the last word.
    pub(super) fn become_leader(&mut self, forced: Option<ConfigRecord>) {
        let (now, last) = (self.now_us, self.log.last());
        if self.hard.trust != Trust::Sound {
            self.hard.trust = Trust::Sound;
            self.dirty.vote = true;
        }
        self.rotten = false;
        self.role = Role::Leader(Lead {
            since_us: now,
            first: last.next(),
            round: 0,
            rounds: VecDeque::new(),
            beat_us: now,
            progress: BTreeMap::new(),
            seats: BTreeMap::new(),
            own_joint: false,
            handing: None,
            reads: VecDeque::new(),
            round_due: false,
            seat_moved_us: None,
            news_us: None,
            announced: None,
            pace: Pace::new(now),
        });
        self.newer = None;
        self.review = true;
        self.adopt_progress();
        // A joint configuration is written again, as a record of this term; so is one that a power loss took from the log,
        // which may have grown past it since, and hold no other.
        let again = self.record().is_joint() || self.config_is_ahead() || !self.holds_config();
        match forced.or_else(|| again.then(|| self.record().clone())) {
            Some(record) => self.append_config(record),
            None => {
                self.append_own(RecordKind::Noop, Bytes::new());
            }
        }
        self.beat();
    }

    /// Makes room for the progress of each brick and seat of the configuration.
    pub(super) fn adopt_progress(&mut self) {
        let (me, now, next) = (self.me, self.now_us, self.log.last().next());
        let bricks: Vec<_> = self.record().configs().flat_map(|config| config.bricks.clone()).collect();
        let (seats, waits_on) = (self.voting_seats(), self.mutations.ship_outlives_link);
        let Role::Leader(lead) = &mut self.role else { return };
        lead.progress.retain(|brick, _| bricks.contains(brick));
        for brick in bricks.into_iter().filter(|brick| *brick != me) {
            lead.progress.entry(brick).or_insert_with(|| Progress::new(next, now, waits_on));
        }
        lead.seats.retain(|seat, _| seats.contains(seat));
        for seat in seats {
            lead.seats.entry(seat).or_insert_with(SeatProgress::default);
        }
    }

    fn append_own(&mut self, kind: RecordKind, payload: Bytes) -> Position {
        let at = Position::new(self.hard.term, self.log.last().next());
        self.grow_log(at);
        self.out.push(Effect::AppendOwn { at, kind, payload });
        at
    }

    /// Appends a configuration record and tells the witnesses of it.
    ///
    /// # Panics
    /// When it makes no sense.
    pub(super) fn append_config(&mut self, record: ConfigRecord) {
        assert_eq!(record.problem(), None, "{record:?}");
        let at = self.append_own(RecordKind::Config, record.encoded().into());
        let entry = ConfigEntry { at, record };
        self.log.append_config(entry.clone());
        self.hard.config = entry;
        self.config_changed();
        self.adopt_progress();
    }

    /// Whether this brick cannot forget its configuration. A witness is told only then: it would refuse its vote to a brick
    /// that knew a configuration and lost it.
    fn config_is_durable(&self) -> bool {
        self.config_saved() && self.marks.synced >= self.entry().at.index
    }

    /// Tells all witnesses of a new configuration: the holder of the seat must store it, and others shall stand by no brick
    /// that does not know it.
    pub(super) fn announce_config(&mut self) {
        let (at, durable) = (self.entry().at, self.config_is_durable());
        let Role::Leader(lead) = &mut self.role else { return };
        if durable && lead.announced != Some(at) {
            lead.announced = Some(at);
            let connected = self.seats.iter().filter(|(_, seat)| seat.up).map(|(id, _)| *id);
            let seats: BTreeSet<_> = connected.chain(self.voting_seats()).collect();
            seats.into_iter().for_each(|seat| self.tell_config(seat));
        }
    }

    /// Stores the configuration at a holder of the seat that has not said that it did.
    fn store(&mut self, to: SeatId) {
        let Role::Leader(lead) = &self.role else { return };
        let at = self.entry().at;
        if lead.seats.get(&to).is_some_and(|seat| seat.stored != Some(at)) {
            self.tell_config(to);
        }
    }

    /// Tells any witness of the configuration, once this brick cannot forget it.
    pub(super) fn tell_config(&mut self, to: SeatId) {
        if !self.config_is_durable() {
            return;
        }
        let (term, leader, entry) = (self.hard.term, self.me, self.hard.config.clone());
        self.out.push(Effect::SendSeat { to, message: WitnessRequest::Store { term, leader, entry } });
    }

    /// What goes with every frame of this leader.
    pub(super) fn pulse(&self, lead: &Lead) -> Pulse {
        let marks = self.marks;
        Pulse {
            term: self.hard.term,
            round: lead.round,
            committed: if marks.committed >= lead.first { marks.committed } else { Index::ZERO },
            durable: marks.durable,
            sync_to: if self.want_sync > marks.durable { self.want_sync } else { Index::ZERO },
        }
    }

    pub(super) fn send_pulse(&mut self, to: NodeId) {
        let Role::Leader(lead) = &self.role else { return };
        let pulse = self.pulse(lead);
        self.told(to, pulse);
        self.send(to, PeerMessage::Heartbeat { pulse });
    }

    /// Begins a heartbeat round.
    pub(super) fn beat(&mut self) {
        let (now, pause, term, leader) = (self.now_us, self.timing.heartbeat_us, self.hard.term, self.me);
        let Role::Leader(lead) = &mut self.role else { return };
        lead.round += 1;
        lead.round_due = false;
        lead.beat_us = now + pause;
        lead.rounds.push_back((lead.round, now));
        if lead.rounds.len() > ROUNDS {
            lead.rounds.pop_front();
        }
        let round = lead.round;
        let bricks: Vec<_> = lead.progress.keys().copied().collect();
        for brick in bricks {
            self.send_pulse(brick);
        }
        for to in self.voting_seats() {
            self.out
                .push(Effect::SendSeat { to, message: WitnessRequest::Heartbeat { term, leader, round } });
            self.store(to);
        }
    }

    pub(super) fn lead_tick(&mut self) {
        if !self.has_support() {
            return self.become_follower(self.hard.term, None);
        }
        let Role::Leader(lead) = &self.role else { return };
        if self.now_us >= lead.beat_us {
            self.beat();
        }
        self.note_short_tails();
        self.note_paces();
        self.give_up_handing();
    }

    /// Check-quorum: whether an election quorum has answered this leader not too long ago (§6.2). For a change of its own that
    /// it can still turn back, that of the old configuration is enough.
    ///
    /// The answers of a brick with a new disk support nobody: while it is in S it can neither vote nor commit. A leader that
    /// leans on it decides nothing, and keeps an operator from promoting it. Nor do those of one that needs a full copy before
    /// this leader has committed anything: its tree may be torn, and a torn tree gives none.
    fn has_support(&self) -> bool {
        let Role::Leader(lead) = &self.role else { return true };
        let recent = |at: Option<u64>| at.unwrap_or(lead.since_us) + self.timing.election_us.1 > self.now_us;
        let copies = self.marks.committed >= lead.first;
        // Until the first timeout what it waits for may be turned back.
        let last = |p: &Progress| p.ack_us.filter(|_| copies || p.mode != Mode::Resync);
        let supports = |p: &Progress| p.trust != Trust::Blank && recent(last(p));
        let brick = |id: NodeId| id == self.me || lead.progress.get(&id).is_some_and(supports);
        let seat = |id: SeatId| lead.seats.get(&id).is_some_and(|s| recent(s.round_sent_us));
        match self.record() {
            ConfigRecord::Joint { old, .. } if lead.own_joint => quorum::elects(old, brick, seat),
            record => quorum::elects_all(record, brick, seat),
        }
    }

    pub(super) fn on_ack(&mut self, from: NodeId, ack: Ack) {
        self.see_term(ack.term);
        let now = self.now_us;
        let Role::Leader(lead) = &mut self.role else { return };
        let from_answer = self.mutations.lease_from_answer;
        let sent = lead.sent_us(ack.round).map(|sent| if from_answer { now } else { sent });
        let Some(progress) = lead.progress.get_mut(&from) else { return };
        if ack.term != self.hard.term {
            return;
        }
        self.review |= progress.trust != ack.trust || progress.leaving != ack.leaving;
        progress.note(ack, sent, now);
        if ack.trust != Trust::Sound {
            self.vouch(from, ack.trust, ack.nonce);
        }
        self.steer(from, ack);
    }

    pub(super) fn seat_message(&mut self, from: SeatId, message: WitnessReply) {
        let now = self.now_us;
        if let Some(seat) = self.seats.get_mut(&from) {
            (seat.heard_us, seat.silent) = (Some(now), false);
        }
        match message {
            WitnessReply::Vote { term, pre, verdict, config } => {
                self.on_seat_vote(from, (term, pre), verdict, config);
            }
            WitnessReply::Stored { term, at } => {
                self.see_term(term);
                if let Some((seat, _)) = self.seat_progress(from, term) {
                    seat.stored = Some(at);
                }
            }
            WitnessReply::Heartbeat { term, round } => {
                self.see_term(term);
                if let Some((seat, sent)) = self.seat_progress(from, term)
                    && round > seat.round
                {
                    let sent_us = sent.iter().rev().find(|(number, _)| *number == round).map(|(_, at)| *at);
                    seat.round = round;
                    seat.round_sent_us = sent_us.or(seat.round_sent_us);
                }
            }
            WitnessReply::Release {} => self.release_seat(from),
        }
    }

    fn seat_progress(
        &mut self,
        id: SeatId,
        term: Term,
    ) -> Option<(&mut SeatProgress, &VecDeque<(u64, u64)>)> {
        let Role::Leader(lead) = &mut self.role else { return None };
        let seat = lead.seats.get_mut(&id)?;
        (term == self.hard.term).then_some((seat, &lead.rounds))
    }
}

impl Progress {
    fn note(&mut self, ack: Ack, sent_us: Option<u64>, now_us: u64) {
        self.ack_us = Some(now_us);
        (self.trust, self.leaving) = (ack.trust, ack.leaving);
        // One with a new disk does not know what it had; and a rotten log, which makes a suspect, ends before what was synced.
        if ack.trust == Trust::Sound {
            self.ended = Some(self.ended.map_or(ack.last.index, |end| end.min(ack.last.index)));
        }
        if ack.trust == Trust::Sound {
            if ack.round > self.round {
                self.round = ack.round;
                self.round_sent_us = sent_us.or(self.round_sent_us);
            }
            self.journaled = self.journaled.max(ack.journaled);
            self.synced = self.synced.max(ack.synced);
        }
        if ack.agreed > self.agreed {
            (self.agreed, self.moved_us) = (ack.agreed, now_us);
        }
        self.committed = self.committed.max(ack.committed);
        self.applied = self.applied.max(ack.applied);
        if self.mode == Mode::Stream {
            while self.in_flight.front().is_some_and(|end| *end <= ack.agreed) {
                self.in_flight.pop_front();
            }
        }
    }
}
