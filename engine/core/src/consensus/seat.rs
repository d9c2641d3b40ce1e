//! Who holds the witness seat ([2]): the best machine, while all of S is well; never two moves at once.

use rfs_model::SeatId;
use rfs_model::config::{Config, Seat};
use rfs_model::peer::WitnessRequest;

use super::Consensus;
use super::api::{Effect, SeatWish};
use super::role::{Role, SeatState};

impl Consensus {
    /// The holder for an S that needs one now: the one there is, if it answers, else the best that is connected.
    pub(super) fn seat_for(&self, current: Option<&Seat>) -> Option<Seat> {
        if self.seat_wish == SeatWish::Nobody {
            return None;
        }
        let held = current.filter(|seat| self.seats.get(&seat.id).is_some_and(|s| s.up && !s.releasing));
        held.or_else(|| self.best_seat(0, None)).or(current).cloned()
    }

    /// The best machine that has been connected for so long, `but` for one.
    fn best_seat(&self, connected_us: u64, but: Option<SeatId>) -> Option<&Seat> {
        let ready = |seat: &&SeatState| {
            let there = seat.up && !seat.silent && !seat.releasing && Some(seat.seat.id) != but;
            there && self.now_us >= seat.since_us + connected_us
        };
        let seats = self.seats.values().filter(ready).map(|state| &state.seat);
        seats.min_by_key(|seat| (!self.is_wished(seat), seat.class, seat.id))
    }

    /// Whether the operator has named this machine.
    fn is_wished(&self, seat: &Seat) -> bool {
        matches!(&self.seat_wish, SeatWish::Host(host) if *host == seat.host)
    }

    /// Whether a machine is better for the seat than its holder: named by the operator, or else of a better class.
    fn is_better(&self, seat: &Seat, than: &Seat) -> bool {
        (!self.is_wished(seat), seat.class) < (!self.is_wished(than), than.class)
    }

    /// The operator wants the seat elsewhere. From the next step on.
    pub fn wish_seat(&mut self, wish: SeatWish) {
        if self.seat_wish != wish {
            self.seat_wish = wish;
            self.review = true;
            // What the operator wants waits for no pause.
            if let Role::Leader(lead) = &mut self.role {
                lead.seat_moved_us = None;
            }
        }
    }

    /// Moves the seat to a better holder, or away from one that is silent or about to go.
    pub(super) fn place_seat(&mut self) {
        let Some(seat) = self.better_seat() else { return };
        self.note_silence();
        let config = Config { seat, ..self.record().target().clone() };
        if let Role::Leader(lead) = &mut self.role {
            lead.seat_moved_us = Some(self.now_us);
        }
        self.propose_config(config);
    }

    /// A holder that is left for its silence is no candidate again before it says something.
    fn note_silence(&mut self) {
        let Some(id) = self.record().target().seat.as_ref().map(|seat| seat.id) else { return };
        let silent_us = self.timing.seat_silent_us;
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.silent = seat.heard_us.is_none_or(|at| self.now_us >= at + silent_us);
        }
    }

    /// `Some(None)`: it shall be vacant.
    fn better_seat(&self) -> Option<Option<Seat>> {
        let Role::Leader(lead) = &self.role else { return None };
        let config = self.record().target();
        let well = config.in_sync.iter().all(|brick| self.is_there(lead, *brick));
        if !config.wants_seat() || !well {
            return None;
        }
        let current = config.seat.as_ref();
        if self.seat_wish == SeatWish::Nobody {
            return current.map(|_| None);
        }
        let best = self.best_seat(self.timing.seat_ready_us, current.map(|seat| seat.id));
        let Some(current) = current else { return best.map(|seat| Some(seat.clone())) };
        let holder = self.seats.get(&current.id);
        if holder.is_some_and(|holder| holder.releasing) {
            return Some(best.or_else(|| self.best_seat(0, Some(current.id))).cloned());
        }
        let heard = holder.and_then(|holder| holder.heard_us).unwrap_or(0).max(lead.since_us);
        let silent = self.now_us >= heard + self.timing.seat_silent_us;
        let paused = lead.seat_moved_us.is_some_and(|at| self.now_us < at + self.timing.seat_pause_us);
        let better = best.filter(|seat| !paused && (silent || self.is_better(seat, current)))?;
        Some(Some(better.clone()))
    }

    /// Whether the leader is about to move the seat: to its first holder, or to a better one that must have been connected
    /// for a while first.
    #[must_use]
    pub fn seat_move_due(&self) -> bool {
        let config = self.record().target();
        if !matches!(self.role, Role::Leader(_)) || !config.wants_seat() {
            return false;
        }
        let current = config.seat.as_ref();
        if self.seat_wish == SeatWish::Nobody {
            return current.is_some();
        }
        let best = self.best_seat(0, current.map(|seat| seat.id));
        best.is_some_and(|best| current.is_none_or(|current| self.is_better(best, current)))
    }

    /// The machines that could hold the seat now: connected to this brick, the best one first.
    #[must_use]
    pub fn seat_candidates(&self) -> Vec<Seat> {
        let up = self.seats.values().filter(|seat| seat.up && !seat.silent && !seat.releasing);
        let mut all: Vec<_> = up.map(|state| state.seat.clone()).collect();
        all.sort_by_key(|seat| (seat.class, seat.id));
        all
    }

    /// A holder asks to be relieved.
    pub(super) fn release_seat(&mut self, id: SeatId) {
        if let Some(seat) = self.seats.get_mut(&id) {
            seat.releasing = true;
        }
        self.review = true;
        self.tell_released_seats();
    }

    /// Tells those who asked and hold no seat under the last, committed configuration that they may go.
    pub(super) fn tell_released_seats(&mut self) {
        let done = !self.record().is_joint() && self.marks.committed >= self.entry().at.index;
        if !done || !matches!(self.role, Role::Leader(_)) {
            return;
        }
        let held = self.voting_seats();
        let free = self.seats.iter().filter(|(id, seat)| seat.releasing && !held.contains(id));
        let message = || WitnessRequest::Released {};
        let told: Vec<_> = free.map(|(id, _)| Effect::SendSeat { to: *id, message: message() }).collect();
        self.out.extend(told);
    }
}
