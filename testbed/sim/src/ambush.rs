//! Faults that come together, at the moment at which they hurt: chance alone rarely makes them meet.

use rfs_core::consensus::api::RoleView;

use crate::kind::Kind;
use crate::net::{Cut, SEATS};
use crate::outside::{Event, Step};
use crate::setup::Weather;
use crate::world::World;

impl World {
    /// The first power cut comes early, while all is still well.
    pub fn plan_ambush(&mut self) {
        let kinds = self.out.setup.kinds;
        let wanted = kinds.has(Kind::PowerCut) && kinds.has(Kind::CrashAtStart) && self.out.rng.one_in(3);
        if wanted && self.out.setup.weather == Weather::OnePowerCut {
            let brick = self.out.rng.below(self.bricks.len() as u64) as usize;
            self.later(1_500, 2_400, Step::PowerCut { brick });
        }
    }

    /// Takes a step that an ambush has planned.
    pub fn carry_out(&mut self, step: Step) {
        if self.calm {
            return;
        }
        match step {
            Step::Heal => self.heal(),
            Step::Return { brick, steps } => self.come_back_for(brick, steps),
            Step::PowerCut { brick } => self.cut_power_soon(brick),
            Step::Visit { brick } => {
                for client in &mut self.clients {
                    client.turn_to(brick, &mut self.out);
                }
            }
            Step::SeatDies { seat, asker } => self.seat_dies(seat, asker),
            Step::DiesInSave { brick, life } => self.dies_in_save(brick, life),
            Step::SeatReturns { seat } => {
                if !self.holders[seat].runs() {
                    self.holders[seat].start(&mut self.out);
                }
            }
        }
    }

    fn later(&mut self, least_ms: u64, most_ms: u64, step: Step) {
        let delay = self.out.rng.within(least_ms * 1000, most_ms * 1000);
        self.out.after(delay, Event::Step(step));
    }

    /// No other brick hears this one; clients do, and witnesses unless they are cut off too.
    fn cut_off(&mut self, n: usize, seats_too: bool) {
        for other in (0..self.bricks.len()).filter(|other| *other != n) {
            self.cut_both(n, other, Cut::Silent);
        }
        if seats_too {
            (0..self.holders.len()).for_each(|seat| self.cut_both(n, SEATS + seat, Cut::Silent));
        }
    }

    /// A leader with a full disk takes requests that nobody gets; the others go on; it comes back while its disk is full.
    pub fn fill_leader(&mut self) {
        let Some(n) = self.leader().filter(|_| self.bricks.len() > 1) else { return };
        self.out.stats.fault(Kind::FullLeader);
        let full = self.out.rng.within(2_000_000, 5_000_000);
        self.out.say(format_args!(
            "leader {n}'s disk is full for {} ms, the others lose sight of it",
            full / 1000
        ));
        self.bricks[n].machine.full_until = self.out.now + full;
        self.cut_off(n, true);
        self.later(1_500, 3_000, Step::Heal);
    }

    /// Bricks lose sight of one of them; all see the witnesses.
    pub fn split(&mut self, n: usize) {
        self.out.stats.fault(Kind::Split);
        self.out.say(format_args!("brick {n} and the others lose sight of each other"));
        self.cut_off(n, false);
        self.later(2_000, 5_000, Step::Heal);
    }

    /// A leader loses sight of all but the mounts, which find the next leader, and then this one again, before it knows.
    pub fn leave_leader_to_mounts(&mut self) {
        let Some(n) = self.leader().filter(|_| self.bricks.len() > 1) else { return };
        self.out.stats.fault(Kind::LeaderAlone);
        self.out.say(format_args!("leader {n} loses sight of all but the mounts"));
        self.cut_off(n, true);
        let next = (n + 1) % self.bricks.len();
        for from in [1_050, 1_150, 1_250, 1_350] {
            self.later(from, from + 30, Step::Visit { brick: next });
            self.later(from + 50, from + 80, Step::Visit { brick: n });
        }
        self.later(2_000, 5_000, Step::Heal);
    }

    /// A brick that lacks something loses sight of those who have it.
    pub fn leave_learner_alone(&mut self, n: usize) {
        let learns = self.core(n).is_some_and(|core| core.role() == RoleView::Learner);
        if !learns {
            return;
        }
        self.out.stats.fault(Kind::LearnerAlone);
        self.out.say(format_args!("learner {n} loses sight of the other bricks"));
        self.cut_off(n, false);
        for other in (0..self.bricks.len()).filter(|other| *other != n) {
            self.cut_seats(other);
        }
        self.later(2_000, 4_000, Step::Heal);
    }

    /// Waits for a moment in which all is well.
    fn cut_power_soon(&mut self, n: usize) {
        if self.settled() {
            self.cut_power_while_well(n);
        } else if self.lost.is_none() {
            self.later(1, 5, Step::PowerCut { brick: n });
        }
    }

    fn cut_seats(&mut self, n: usize) {
        (0..self.holders.len()).for_each(|seat| self.cut_both(n, SEATS + seat, Cut::Silent));
    }

    /// After a power cut of brick `n`: it is started soon, dies while it starts, and is started again, all before the others
    /// miss it; one that knows what `n` may have lost cannot say so.
    pub fn hurry_back(&mut self, n: usize) {
        (0..self.holders.len()).for_each(|seat| self.carry_out(Step::SeatReturns { seat }));
        let other = (n + 1) % self.bricks.len();
        self.cut_off(other, true);
        let steps = self.out.rng.below(8);
        self.later(5, 60, Step::Return { brick: n, steps: Some(steps) });
        for after in [61, 120, 200] {
            self.later(after, after + 50, Step::Return { brick: n, steps: None });
        }
        self.later(2_000, 5_000, Step::Heal);
    }

    /// A supervisor's start; with `steps`, the brick dies again after so many.
    fn come_back_for(&mut self, n: usize, steps: Option<u64>) {
        if self.out.bricks[n].runs {
            return;
        }
        match steps {
            None => self.start(n),
            Some(steps) => self.start_and_die(n, steps),
        }
    }

    /// A brick dies while its hard state is written, and comes back at once.
    fn dies_in_save(&mut self, n: usize, life: u64) {
        let saving = self.bricks[n].disk.saving.is_some();
        if saving && self.out.bricks[n].life == life && self.out.bricks[n].runs {
            self.out.stats.fault(Kind::CrashInSave);
            self.crash(n);
            self.later(1, 20, Step::Return { brick: n, steps: None });
        }
    }

    /// A witness dies just after it gave an answer that it had to save, and comes back at once; who asked is cut off.
    fn seat_dies(&mut self, seat: usize, asker: usize) {
        if !self.holders[seat].runs() {
            return;
        }
        self.out.stats.fault(Kind::SeatCrashAfterAnswer);
        self.holders[seat].crash(&mut self.out, false);
        if self.out.rng.one_in(2) {
            self.cut_off(asker, true);
        } else {
            self.cut_both(asker, SEATS + seat, Cut::Silent);
        }
        self.later(1, 30, Step::SeatReturns { seat });
        self.later(1_000, 3_000, Step::Heal);
    }
}
