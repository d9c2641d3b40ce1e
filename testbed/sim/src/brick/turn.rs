//! One turn of a brick's loop.

use rfs_core::consensus::api::{Input, Received, RoleView};
use rfs_model::client::ToMount;
use rfs_model::peer::PeerMessage;
use rfs_model::{Meta, NodeId, Record};

use super::{End, Running};
use crate::disk::config_entry;
use crate::outside::{Event, Heard, Item};

/// Age of a checkpoint after which the next one is due, microseconds: shorter than the daemon's, for short histories.
const CHECKPOINT_US: u64 = 3_000_000;
/// Between two signs of life to a mount, microseconds.
const BEAT_US: u64 = 250_000;

impl Running<'_> {
    /// Takes in what has come, and does all that follows.
    pub fn turn(&mut self) -> Option<End> {
        self.p.turn_due = false;
        let jumped = (self.machine.wall_secs - super::WALL_SECS).clamp(0, 7200) as u64 * 1_000_000;
        let wall = if self.out.setup.mutants.driver.wall_clock { jumped } else { 0 };
        let now = self.machine.clock.at(self.out.now) + wall;
        // A turn's clock is read at its start.
        let stale = self.out.setup.mutants.driver.clock_of_last_turn;
        self.p.now = if stale { self.p.next_now.max(self.p.now) } else { self.p.now.max(now) };
        self.p.next_now = now;
        let mut items = std::mem::take(&mut self.p.inbox);
        for item in items.drain(..) {
            self.handle(item);
            if self.p.end.is_some() {
                return self.p.end.clone();
            }
        }
        // Its room is used again.
        items.append(&mut self.p.inbox);
        self.p.inbox = items;
        self.work();
        self.tell_durable();
        self.closed();
        self.p.end.clone()
    }

    /// Admits, writes, ships, applies, until nothing more follows from what has come.
    fn work(&mut self) {
        loop {
            self.admit();
            self.recall();
            self.begin_renewals();
            self.flush_journal();
            self.step(Input::EndOfTurn);
            self.report_journaled();
            let applied = self.apply();
            self.answer_reads();
            let stuck = self.out.now < self.machine.full_until;
            if self.p.end.is_some() || stuck || self.p.batch.is_empty() && !applied {
                return;
            }
        }
    }

    fn handle(&mut self, item: Item) {
        match item {
            Item::Tick => self.tick(),
            Item::Link { peer, down } => {
                let peer = self.out.node(peer);
                self.step(match down {
                    None => Input::LinkUp { peer },
                    Some(cause) => Input::LinkDown { peer, cause },
                });
            }
            Item::Peer { sent, frame } => self.peer(sent, *frame),
            Item::SeatUp { seat } => self.seat(seat, true),
            Item::SeatDown { seat } => self.seat(seat, false),
            Item::Seat { id, reply } => {
                self.step(Input::Message(Received::Seat { from: id, message: *reply }));
            }
            Item::Hello { client, conn, resumed } => self.hello(client, conn, resumed),
            Item::Client { conn, message } => self.client(conn, *message),
            Item::Synced => self.synced(),
            Item::SyncedTooEarly { upto } => self.synced_too_early(upto),
            Item::StateSaved { ticket } => self.state_saved(ticket),
            Item::ShipLoaded { ship } => self.ship_loaded(&ship),
            Item::Checkpointed { checkpoint, copies } => self.checkpointed(*checkpoint, copies),
            Item::Read { wish } => self.read(wish),
            Item::LocalRead { need, wish } => self.read_here(need, wish),
            Item::CopyPart { from, number, part } => self.copy_part(from, number, part),
            Item::CopyEnd { number, copy } => self.install(number, *copy),
            Item::Members { bricks } => self.step(Input::Members { bricks }),
            Item::Leave => self.step(Input::Leave),
        }
    }

    fn tick(&mut self) {
        self.step(Input::Tick);
        self.start_leading();
        self.ask_for_copy();
        let age = self.p.now.saturating_sub(self.p.checkpoint_us);
        if age >= CHECKPOINT_US || self.p.checkpoint_wanted {
            self.begin_checkpoint();
        }
        if self.p.front.is_leading() && self.p.core.lease_valid(self.p.now) {
            let expired = self.p.front.tick(self.p.now / 1000);
            assert!(expired.is_empty(), "sessions expire in a history this short: {expired:?}");
        }
        if self.p.now >= self.p.beat_us + BEAT_US {
            self.p.beat_us = self.p.now;
            for conn in self.p.mounts.keys() {
                self.out.to_client(*conn, Heard::message(ToMount::Beat));
            }
        }
    }

    fn peer(&mut self, sent: u64, (from, message, records): (NodeId, PeerMessage, Vec<Record>)) {
        let lost = |from| self.out.resets.get(&(from, self.n)).is_some_and(|at| sent < *at);
        if self.out.brick(from).is_none_or(lost) {
            return;
        }
        let PeerMessage::Append { header } = message else {
            return self.step(Input::Message(Received::Brick { from, message }));
        };
        let metas: Vec<Meta> = records.iter().map(|record| record.meta).collect();
        let configs: Vec<_> = records.iter().filter_map(config_entry).collect();
        self.p.incoming = records;
        self.step(Input::Append { from, header, metas: &metas, configs: &configs });
        self.p.incoming.clear();
    }

    fn seat(&mut self, seat: usize, up: bool) {
        let id = self.out.seat_ids[seat];
        let class = self.out.setup.seats[seat];
        if up {
            self.p.seats.insert(seat);
        } else {
            self.p.seats.remove(&seat);
        }
        let host = if up { format!("w{seat}") } else { String::new() };
        self.step(Input::SeatCandidate { seat: id, class, host, up });
    }

    /// The end of a brick in good order: drained, synced, checkpointed, marked clean.
    fn closed(&mut self) {
        let Some((clean, _)) = self.p.leave_done else { return };
        if !clean {
            self.p.end = Some(End::Hasty);
            return;
        }
        if self.out.setup.mutants.driver.clean_unsynced {
            (self.disk.clean, self.p.end) = (true, Some(End::Clean));
            return;
        }
        if self.disk.synced < self.disk.last() || !self.p.batch.is_empty() {
            return self.sync_now();
        }
        if self.p.torn {
            // The daemon waits for its recovery as long as a stop may take.
            self.p.end = Some(End::Hasty);
            return;
        }
        if self.p.applied() < self.p.committed || self.p.save_busy {
            return;
        }
        if self.disk.checkpoint.index < self.p.applied() {
            return self.begin_checkpoint();
        }
        self.disk.clean = true;
        self.p.end = Some(End::Clean);
    }

    /// Asks for a turn, unless one is coming.
    pub fn wake(&mut self) {
        if !std::mem::replace(&mut self.p.turn_due, true) {
            let (brick, life) = (self.n, self.out.bricks[self.n].life);
            let thaw = self.machine.frozen_until.saturating_sub(self.out.now);
            let delay = self.out.rng.within(5, 60);
            self.out.after(thaw.max(delay), Event::Turn { brick, life });
        }
    }

    /// Whether it leads, as far as it knows.
    #[must_use]
    pub fn leads(&self) -> bool {
        self.p.core.role() == RoleView::Leader
    }
}
