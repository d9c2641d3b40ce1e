//! The core's effects, carried out.

use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use rfs_core::consensus::api::{Effect, Input, RoleView, Ticket};
use rfs_model::codec::Encode;
use rfs_model::config::Position;
use rfs_model::frame::{FrameKind, put_frame};
use rfs_model::hard::HardState;
use rfs_model::peer::{AppendHeader, PeerMessage};
use rfs_model::{Index, NodeId, Record};

use super::resync::forget_origin;
use super::wire::put_append;
use super::{Event, Inner, Shard};
use crate::journal::JournalError;

/// Records in one frame to a follower, bytes: less than it may receive (`SHIP_BYTES`). A busy follower acknowledges a frame
/// of this size in time; what is not acknowledged in time is sent again, and all that was sent after it.
const SHIP_BYTES: usize = 1024 * 1024;
const _: () = assert!(SHIP_BYTES <= rfs_model::limits::SHIP_BYTES);

/// An append that was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ship {
    pub to: NodeId,
    pub header: AppendHeader,
    pub from: Index,
    pub upto: Index,
}

/// The hard state on its way to the disk: one at a time, the newest next.
#[derive(Default)]
pub(crate) struct Saving {
    busy: bool,
    next: Option<(Ticket, HardState)>,
}

impl Inner {
    /// Hands one input to the core and carries out all that follows.
    pub(crate) fn step(&mut self, shard: &Rc<Shard>, now_us: u64, input: Input<'_>) {
        let mut out = Vec::new();
        self.core.step(now_us, input, &mut out);
        // Effects of a step that an effect caused come after those that were there before.
        let nested = !self.effects.is_empty();
        self.effects.extend(out);
        if nested {
            return;
        }
        while let Some(effect) = self.effects.front().cloned() {
            self.perform(shard, now_us, effect);
            self.effects.pop_front();
            if self.failed.is_some() {
                self.effects.clear();
                return;
            }
        }
    }

    fn perform(&mut self, shard: &Rc<Shard>, now_us: u64, effect: Effect) {
        match effect {
            Effect::Send { to, message } => self.send(to, &message),
            Effect::SendSeat { to, message } => self.seats.send(to, &message),
            Effect::SaveState { ticket, hard } => self.save_state(shard, ticket, hard),
            Effect::AppendOwn { at, kind, payload } => {
                self.note_first(at);
                let record = Record::new(at.index, at.term, kind, self.chain, payload);
                self.enter(record);
            }
            Effect::Accept { from, truncate_after } => self.accept(shard, now_us, from, truncate_after),
            Effect::Ship { to, header, from, upto } => {
                self.ship(shard, now_us, Ship { to, header, from, upto });
            }
            Effect::Committed { upto } => self.committed_upto(shard, upto),
            Effect::Durable { upto } => {
                self.durable = self.durable.max(upto);
                self.durable_moved(shard);
            }
            Effect::Sync => self.sync_now(shard),
            Effect::ReadReady { ticket, index, confirmed } => {
                self.read_ready(shard, ticket, (index, confirmed));
            }
            Effect::ReadRefused { ticket } => self.read_refused(ticket),
            Effect::RoleChanged => self.role_changed(),
            Effect::NeedsResync { to } => self.needs_resync(shard, now_us, to),
            Effect::Diverged { common } => self.diverged(common),
            Effect::Refuse { from, why } => self.refused(shard, from, why),
            Effect::ConfigCommitted => self.config_committed(),
            Effect::LeaveDone { clean, last } => {
                if !self.left(shard, now_us, clean, last) {
                    self.leave_done = Some((clean, last));
                }
            }
        }
    }

    /// Requests are admitted once this leader's first record is applied, a `Noop` or a configuration.
    fn note_first(&mut self, at: Position) {
        if self.first.is_none_or(|first| first.term != at.term) {
            self.first = Some(at);
        }
    }

    pub(crate) fn send(&self, to: NodeId, message: &impl Encode) {
        if let Some(link) = self.links.get(&to) {
            link.put(|out| put_frame(out, FrameKind::Peer, |out| message.encode(out)));
        }
    }

    fn save_state(&mut self, shard: &Rc<Shard>, ticket: Ticket, hard: HardState) {
        self.hard = hard.clone();
        self.saving.next = Some((ticket, hard));
        self.save_next(shard);
    }

    fn save_next(&mut self, shard: &Rc<Shard>) {
        if self.saving.busy {
            return;
        }
        let Some((ticket, hard)) = self.saving.next.take() else { return };
        self.saving.busy = true;
        let path = super::life::hard_state_path(&shard.path);
        let inbox = Rc::clone(&shard.inbox);
        glommio::spawn_local(async move {
            let save = move || crate::durable::replace(&path, &hard.to_file());
            let result = glommio::executor().spawn_blocking(save).await;
            inbox.push(Event::StateSaved { ticket, result });
        })
        .detach();
    }

    /// A full copy's configuration is in the hard state that was saved last.
    fn forget_noted_origin(&mut self, shard: &Rc<Shard>) {
        if self.saving.next.is_none()
            && std::mem::take(&mut self.resync.noted)
            && let Err(e) = forget_origin(&shard.path)
        {
            self.fail(e);
        }
    }

    pub(super) fn state_saved(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        ticket: Ticket,
        result: io::Result<()>,
    ) {
        self.saving.busy = false;
        match result {
            Ok(()) => {
                self.forget_noted_origin(shard);
                self.step(shard, now_us, Input::StateSaved { ticket });
            }
            Err(e) => self.fail(format!("cannot save the brick's vote: {e}")),
        }
        self.save_next(shard);
    }

    /// Takes the records of the append that is being stepped.
    fn accept(&mut self, shard: &Rc<Shard>, now_us: u64, from: Index, cut: Option<Index>) {
        if let Some(cut) = cut {
            self.flush_journal(shard, now_us);
            if let Err(e) = self.cut_log(cut) {
                self.fail(format!("cannot cut the log after record {cut}: {e}"));
                return;
            }
        }
        for record in std::mem::take(&mut self.incoming) {
            if record.meta.index < from {
                continue;
            }
            if record.meta.chain != self.chain {
                let index = record.meta.index;
                self.fail(format!("record {index} from the leader does not chain to the log here"));
                return;
            }
            self.enter(record);
        }
    }

    /// Some of this turn's records may not be in the journal: its disk was full. What is left of them waits on.
    fn cut_log(&mut self, cut: Index) -> Result<(), JournalError> {
        if cut <= self.journal.last().index {
            self.journal.truncate_after(cut)?;
        }
        self.chain = cut_batch(&mut self.batch, cut, self.journal.last().chain);
        Ok(())
    }

    /// Adds a record to this turn's batch.
    pub(crate) fn enter(&mut self, record: Record) {
        let last = self.batch.last().map(|r| Position::new(r.meta.term, r.meta.index));
        let before = last.unwrap_or(Position::new(self.journal.last().term, self.journal.last().index));
        if self.forks.note(before, record.meta.term)
            && let Err(why) = self.forks.save(&self.path)
        {
            self.fail(why);
        }
        self.chain = record.meta.crc();
        self.batch.push(record);
    }

    pub(super) fn ship(&mut self, shard: &Rc<Shard>, now_us: u64, ship: Ship) {
        let Some(most) = self.heal_share(shard, now_us, ship, SHIP_BYTES) else { return };
        if ship.upto > self.journal.last().index {
            self.flush_journal(shard, now_us);
        }
        let mut read = Box::pin(self.journal.read(ship.from, ship.upto, most));
        if let Some(records) = at_once(read.as_mut()) {
            self.ship_loaded(shard, now_us, &ship, records);
            return;
        }
        let inbox = Rc::clone(&shard.inbox);
        glommio::spawn_local(async move {
            let records = read.await;
            inbox.push(Event::ShipLoaded { ship, records });
        })
        .detach();
    }

    pub(super) fn ship_loaded(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        ship: &Ship,
        records: Result<Vec<Record>, JournalError>,
    ) {
        // The records may be others by now: the core has forgotten the request too.
        if self.core.role() != RoleView::Leader || self.core.term() != ship.header.pulse.term {
            return;
        }
        let records = match records {
            Ok(records) => records,
            Err(JournalError::NotHeld { .. }) => Vec::new(),
            // Then it gets a copy.
            Err(e) if self.let_go_of_log(shard, now_us, &e) => Vec::new(),
            Err(e) => return self.fail(format!("cannot read the log for a follower: {e}")),
        };
        let upto = records.last().map_or(ship.from.prev(), |r| r.meta.index);
        if let Some(link) = self.links.get(&ship.to).filter(|_| !records.is_empty()) {
            link.put(|out| put_frame(out, FrameKind::Peer, |out| put_append(out, ship.header, &records)));
            let bytes = records.iter().map(|r| r.meta.stored_bytes() as u64).sum();
            self.heal_spent(ship.to, bytes, now_us);
        }
        self.step(shard, now_us, Input::Shipped { to: ship.to, from: ship.from, upto });
    }

    fn role_changed(&mut self) {
        let leads = self.core.role() == RoleView::Leader;
        tracing::info!(role = ?self.core.role(), term = %self.core.term(), leader = ?self.core.leader(), "role");
        if !leads {
            self.first = None;
            self.stop_leading();
        }
    }

    pub(super) fn peer_message(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        from: NodeId,
        message: PeerMessage,
    ) {
        let message = rfs_core::consensus::api::Received::Brick { from, message };
        self.step(shard, now_us, Input::Message(message));
    }
}

/// Drops the records behind `cut` that wait for the journal, whose last record has this checksum. Returns that of the newest
/// record that is left.
fn cut_batch(batch: &mut Vec<Record>, cut: Index, written: u32) -> u32 {
    batch.retain(|record| record.meta.index <= cut);
    batch.last().map_or(written, |record| record.meta.crc())
}

/// The result of a future that needs no waiting, if it is one of those.
pub(crate) fn at_once<T>(future: Pin<&mut dyn Future<Output = T>>) -> Option<T> {
    match future.poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => Some(value),
        Poll::Pending => None,
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rfs_model::{RecordKind, Term};

    use super::*;

    #[test]
    fn a_cut_takes_what_a_full_disk_kept_waiting() {
        let mut chain = 7;
        let mut record = |index| {
            let record = Record::new(Index(index), Term(1), RecordKind::Op, chain, Bytes::from_static(b"op"));
            chain = record.meta.crc();
            record
        };
        let waiting = [record(5), record(6), record(7)];
        // Of a log that ends at 4, the records 5 to 7 wait: what a cut leaves, and what the next record chains to.
        let table = [(9, 3), (7, 3), (6, 2), (5, 1), (4, 0), (3, 0)];
        for (cut, left) in table {
            let mut batch = waiting.to_vec();
            let newest = cut_batch(&mut batch, Index(cut), 7);
            assert_eq!(batch, waiting[..left], "cut after {cut}");
            let wanted = left.checked_sub(1).map_or(7, |last| waiting[last].meta.crc());
            assert_eq!(newest, wanted, "cut after {cut}");
        }
    }
}
