//! The core's effects, carried out.

use rfs_core::consensus::api::{Effect, Input, RoleView, Ticket};
use rfs_model::config::Position;
use rfs_model::hard::HardState;
use rfs_model::peer::PeerMessage;
use rfs_model::{Index, NodeId, Record, RecordKind};

use super::{End, Running};
use crate::kind::Kind;
use crate::outside::{Event, Item, Ship, Step, number};

/// Records in one frame at the most: few, so that answers come in parts.
const FRAME_RECORDS: u64 = 16;

impl Running<'_> {
    /// Hands one input to the core and carries out all that follows.
    pub fn step(&mut self, input: Input<'_>) {
        if self.p.end.is_some() || self.dies() {
            return;
        }
        self.hand(input);
        self.carry_out();
    }

    /// An operator overrules the votes; `lost` is the first record that is committed elsewhere only, if any, else the one
    /// behind the log. Returns whether a lineage has begun.
    pub fn promote(&mut self, lost: Index) -> bool {
        let before = self.p.core.term().lineage();
        self.hand(Input::Promote);
        let lineage = self.p.core.term().lineage();
        let begun = lineage > before;
        if begun {
            // Before it says that anything is committed.
            self.out.oracle.begin_lineage(lineage, lost);
        }
        self.carry_out();
        begun
    }

    fn hand(&mut self, input: Input<'_>) {
        let mut out = std::mem::take(&mut self.p.said);
        self.p.core.step(self.p.now, input, &mut out);
        // Effects of a step that an effect caused come after those that were there before.
        self.p.effects.extend(out.drain(..));
        self.p.said = out;
    }

    fn carry_out(&mut self) {
        if std::mem::replace(&mut self.p.performing, true) {
            return;
        }
        while let Some(effect) = self.p.effects.pop_front() {
            if self.dies() {
                break;
            }
            self.perform(effect);
            if self.p.end.is_some() {
                break;
            }
        }
        self.p.performing = false;
        if self.p.end.is_some() {
            self.p.effects.clear();
        }
    }

    /// Counts down to a planned crash.
    pub fn dies(&mut self) -> bool {
        match &mut self.p.doom {
            Some(0) => {
                self.p.end.get_or_insert(End::Crash);
                true
            }
            Some(steps) => {
                *steps -= 1;
                false
            }
            None => false,
        }
    }

    fn perform(&mut self, effect: Effect) {
        match effect {
            Effect::Send { to, message } => {
                if let Some(to) = self.out.brick(to) {
                    self.send(to, message, Vec::new());
                }
            }
            Effect::SendSeat { to, message } => {
                let seat = self.out.seat_ids.iter().position(|id| *id == to);
                if let Some(seat) = seat.filter(|seat| self.p.seats.contains(seat)) {
                    self.out.send_seat(self.n, seat, message);
                }
            }
            Effect::SaveState { ticket, hard } => {
                self.p.save_next = Some((ticket, hard));
                self.save_next();
            }
            Effect::AppendOwn { at, kind, payload } => {
                self.note_first(at, kind);
                let record = Record::new(at.index, at.term, kind, self.p.chain, payload);
                self.enter(record);
            }
            Effect::Accept { from, truncate_after } => self.accept(from, truncate_after),
            Effect::Ship { to, header, from, upto } => {
                let link = self.link_number(to);
                self.ship(Ship { to, header, from, upto, link });
            }
            Effect::Committed { upto } => self.committed(upto),
            Effect::Durable { upto } => {
                self.p.durable = self.p.durable.max(upto);
                self.holds_committed(upto);
                let crc = self.crc_at(upto);
                let lineage = self.p.core.term().lineage();
                self.out.oracle.is_durable(lineage, upto, crc);
            }
            Effect::Sync => self.sync_now(),
            Effect::ReadReady { ticket, index, confirmed } => self.read_ready(ticket, index, confirmed),
            Effect::ReadRefused { ticket } => {
                self.p.reads.remove(&ticket);
                self.p.renewals.refused(ticket);
                self.p.unrecorded.remove(&ticket);
            }
            Effect::RoleChanged => self.role_changed(),
            Effect::NeedsResync { to } => {
                let (brick, life) = (self.n, self.out.bricks[self.n].life);
                if let Some(to) = self.out.brick(to) {
                    self.out.after(5_000, Event::Copy { brick, life, to });
                }
            }
            Effect::Refuse { from, why } => panic!("brick {} refuses {from:?}: {why}", self.n),
            Effect::Diverged { common } => {
                self.out.say(format_args!("brick {} has what was abandoned after {common}", self.n));
                let lineage = self.p.core.term().lineage();
                if self.disk.last_position().term.lineage() < lineage {
                    self.p.end = Some(End::Diverged(common));
                }
            }
            Effect::ConfigCommitted => {
                let (n, entry) = (self.n, self.p.core.config().clone());
                let target = entry.record.target();
                let members: Vec<usize> = target.in_sync.iter().map(|id| number(*id)).collect();
                let seat = target.seat.as_ref().map(|seat| seat.host.as_str());
                let joint = entry.record.is_joint();
                let text = format_args!("brick {n}: S = {members:?}, seat {seat:?}, joint {joint}");
                self.out.say(text);
            }
            Effect::LeaveDone { clean, last } => self.p.leave_done = Some((clean, last)),
        }
    }

    /// Requests are admitted once this leader's first record is applied, a `Noop` or a configuration.
    fn note_first(&mut self, at: Position, kind: RecordKind) {
        let counts = kind == RecordKind::Noop || !self.out.setup.mutants.driver.only_noop_begins;
        if counts && self.p.first.is_none_or(|first| first.term != at.term) {
            self.p.first = Some(at);
        }
    }

    pub fn send(&mut self, to: usize, message: PeerMessage, records: Vec<Record>) {
        let Some(life) = self.p.links.get(&to).copied() else { return };
        if !self.out.send_peer(self.n, (to, life), message, records) {
            let (brick, life) = (self.n, self.out.bricks[self.n].life);
            if self.p.dialing.insert(to) {
                self.out.after(300, Event::Dial { brick, life, peer: to });
            }
        }
    }

    fn save_next(&mut self) {
        if self.p.save_busy {
            return;
        }
        let Some((ticket, hard)) = self.p.save_next.take() else { return };
        self.p.save_busy = true;
        let me = self.out.node(self.n);
        let gives_vote = hard.voted_for.is_some_and(|other| other != me && self.disk.hard.term < hard.term);
        self.disk.saving = Some(hard);
        let often = if gives_vote { 4 } else { 24 };
        if self.out.setup.kinds.has(Kind::CrashInSave) && self.out.rng.one_in(often) {
            let (brick, life) = (self.n, self.out.bricks[self.n].life);
            let after = self.out.rng.within(400, 3_000);
            self.out.after(after, Event::Step(Step::DiesInSave { brick, life }));
        }
        let slow = self.out.now < self.machine.slow_until;
        let takes = self.out.rng.within(500, if slow { 300_000 } else { 5_000 });
        self.out.item(takes, self.n, Item::StateSaved { ticket });
    }

    pub fn state_saved(&mut self, ticket: Ticket) {
        self.p.save_busy = false;
        let hard: Option<HardState> = self.disk.saving.take();
        self.disk.hard = hard.expect("it was being saved");
        if self.p.save_next.is_none() {
            self.disk.noted = None;
        }
        self.step(Input::StateSaved { ticket });
        self.save_next();
    }

    fn accept(&mut self, from: Index, cut: Option<Index>) {
        if let Some(cut) = cut {
            assert!(cut >= self.p.committed, "committed records are cut after {cut}");
            self.flush_journal();
            if !self.out.setup.mutants.driver.cut_forgets_batch {
                self.p.batch.retain(|record| record.meta.index <= cut);
            }
            if cut < self.disk.last() {
                if !self.out.setup.mutants.driver.abandoned_dropped {
                    self.disk.set_aside(cut, self.p.core.term().lineage());
                }
                self.disk.cut(cut);
                self.p.syncing = self.p.syncing.min(cut);
            }
            let left = self.p.batch.iter().rfind(|record| record.meta.index <= cut);
            self.p.chain = left.map_or(self.disk.chain(), |record| record.meta.crc());
        }
        for record in std::mem::take(&mut self.p.incoming) {
            if record.meta.index >= from {
                assert_eq!(record.meta.chain, self.p.chain, "record {} does not chain", record.meta.index);
                self.enter(record);
            }
        }
    }

    /// Adds a record to this turn's batch.
    pub fn enter(&mut self, record: Record) {
        self.p.chain = record.meta.crc();
        self.p.batch.push(record);
    }

    fn link_number(&self, to: NodeId) -> u64 {
        let peer = self.out.brick(to);
        peer.and_then(|peer| self.p.link_numbers.get(&peer)).copied().unwrap_or_default()
    }

    fn ship(&mut self, ship: Ship) {
        if ship.upto > self.disk.last() {
            self.flush_journal();
        }
        if self.out.rng.one_in(12) {
            let takes = self.out.rng.within(500, 20_000);
            return self.out.item(takes, self.n, Item::ShipLoaded { ship: Box::new(ship) });
        }
        self.ship_loaded(&ship);
    }

    pub fn ship_loaded(&mut self, ship: &Ship) {
        // The records may be others by now: the core has forgotten the request too. So it has where the link broke.
        let leads = self.p.core.role() == RoleView::Leader && self.p.core.term() == ship.header.pulse.term;
        if !leads || self.link_number(ship.to) != ship.link {
            return;
        }
        let most = ship.upto.min(Index(ship.from.0 + FRAME_RECORDS - 1));
        if let Some(bad) = self.disk.first_bad(ship.from, most) {
            return self.cannot_ship(ship, bad);
        }
        let records = self.disk.range(ship.from, most);
        let upto = records.last().map_or(ship.from.prev(), |record| record.meta.index);
        if let Some(to) = self.out.brick(ship.to).filter(|_| !records.is_empty()) {
            self.send(to, PeerMessage::Append { header: ship.header }, records);
        }
        self.step(Input::Shipped { to: ship.to, from: ship.from, upto });
    }

    /// A record cannot be read back. What a checkpoint covers, others get as a copy; otherwise the brick stops, and finds out
    /// at its next start what it has.
    fn cannot_ship(&mut self, ship: &Ship, bad: Index) {
        let base = self.disk.term_at(bad).map(|term| Position::new(term, bad));
        match base.filter(|_| bad <= self.disk.checkpoint.index) {
            Some(base) => {
                self.step(Input::Trimmed { base });
                self.step(Input::Shipped { to: ship.to, from: ship.from, upto: ship.from.prev() });
            }
            None => self.p.end = Some(End::Failed("a record cannot be read")),
        }
    }

    fn role_changed(&mut self) {
        let (role, term, leader) = (self.p.core.role(), self.p.core.term(), self.p.core.leader());
        let (n, leader) = (self.n, leader.map(number));
        self.out.say(format_args!("brick {n}: {role:?} in term {term}, leader {leader:?}"));
        if role == RoleView::Leader {
            if self.out.oracle.leads(term, n) {
                self.out.stats.elections += 1;
            }
        } else {
            self.p.first = None;
            self.stop_leading();
        }
    }
}
