//! Faults that come together, at the moment at which they hurt: chance alone rarely makes them meet.

use rfs_core::consensus::api::RoleView;

use crate::kind::Kind;
use crate::net::{CLIENTS, Cut, SEATS};
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
            Step::RefuseLeader { brick } => self.refuse_leader(brick),
            Step::SwapWithOneBehind { brick, behind } => self.swap_with_one_behind(brick, behind),
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

    /// Until then the network stays as it is.
    fn heal_later(&mut self, least_ms: u64, most_ms: u64) {
        let delay = self.out.rng.within(least_ms * 1000, most_ms * 1000);
        self.ambush_until = self.ambush_until.max(self.out.now + delay);
        self.out.after(delay, Event::Step(Step::Heal));
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
        self.heal_later(1_500, 3_000);
    }

    /// Bricks lose sight of one of them, and of no other one in that time; all see the witnesses.
    pub fn split(&mut self, n: usize) {
        if self.out.now < self.ambush_until {
            return;
        }
        self.out.stats.fault(Kind::Split);
        self.out.say(format_args!("brick {n} and the others lose sight of each other"));
        self.cut_off(n, false);
        self.heal_later(2_000, 5_000);
    }

    /// A leader loses sight of all but the mounts, which find the next leader, and then this one again, before it knows.
    pub fn leave_leader_to_mounts(&mut self) {
        let Some(n) = self.leader().filter(|_| self.bricks.len() > 1) else { return };
        if self.out.setup.leases && self.out.now < self.ambush_until {
            return;
        }
        self.out.stats.fault(Kind::LeaderAlone);
        if self.out.setup.leases && self.out.rng.one_in(2) {
            return self.leave_leader_to_one_mount(n);
        }
        self.out.say(format_args!("leader {n} loses sight of all but the mounts"));
        self.cut_off(n, true);
        let next = (n + 1) % self.bricks.len();
        for from in [1_050, 1_150, 1_250, 1_350] {
            self.later(from, from + 30, Step::Visit { brick: next });
            self.later(from + 50, from + 80, Step::Visit { brick: n });
        }
        self.heal_later(2_000, 5_000);
    }

    /// A leader loses sight of all but one mount, which hears of nobody else that wants its lease back. The others find the next
    /// leader, who takes that lease away in the end.
    fn leave_leader_to_one_mount(&mut self, n: usize) {
        let mount = self.out.rng.below(self.clients.len() as u64) as usize;
        self.out.say(format_args!("leader {n} loses sight of all but mount {mount}"));
        self.cut_off(n, true);
        for other in (0..self.clients.len()).filter(|other| *other != mount) {
            self.cut_both(n, CLIENTS + other, Cut::Silent);
        }
        self.heal_later(5_000, 8_000);
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
        self.heal_later(2_000, 4_000);
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
        self.heal_later(2_000, 5_000);
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

    /// A brick dies while its hard state is written, and comes back at once. If that was a vote, whoever got it may lose
    /// sight of all others, who find each other again.
    fn dies_in_save(&mut self, n: usize, life: u64) {
        let Some(saving) = &self.bricks[n].disk.saving else { return };
        let voted = saving.voted_for.and_then(|id| self.out.brick(id)).filter(|other| *other != n);
        if self.out.bricks[n].life != life || !self.out.bricks[n].runs {
            return;
        }
        self.out.stats.fault(Kind::CrashInSave);
        self.crash(n);
        self.later(1, 20, Step::Return { brick: n, steps: None });
        if let Some(asker) = voted.filter(|_| self.out.rng.one_in(2)) {
            self.heal();
            self.cut_off(asker, true);
            self.heal_later(1_000, 3_000);
        }
    }

    /// What a follower says to its leader takes long; then the leader's connections break, and its lease rests on late answers.
    pub fn plan_late_answers(&mut self, n: usize) {
        let Some(leader) = self.leader().filter(|leader| *leader != n) else { return };
        self.out.net.slow.insert((n, leader));
        self.later(300, 600, Step::RefuseLeader { brick: leader });
    }

    fn refuse_leader(&mut self, n: usize) {
        if self.leader() == Some(n) {
            self.refuse_all(n);
            self.heal_later(500, 2_000);
        }
    }

    /// While all is well, one brick loses sight of the others for a moment, and lacks what is written in it. Then the disk of
    /// another one fails, and the leader, who has everything, is out of sight: those two know too little to go on.
    pub fn plan_swap_with_one_behind(&mut self, n: usize) -> bool {
        let others = (0..self.bricks.len()).filter(|other| *other != n && Some(*other) != self.leader());
        let Some(behind) = others.max() else { return false };
        let fits = self.bricks.len() > 2 && self.out.setup.weather != Weather::PowerCuts;
        if !fits || self.leader() == Some(n) || self.lost.is_some() || !self.settled() {
            return false;
        }
        self.cut_off(behind, true);
        self.later(200, 600, Step::SwapWithOneBehind { brick: n, behind });
        true
    }

    fn swap_with_one_behind(&mut self, n: usize, behind: usize) {
        let Some(leader) = self.leader().filter(|leader| *leader != n && *leader != behind) else { return };
        // Nothing is lost as long as the leader's disk is there.
        let disk = &self.bricks[leader].disk;
        let has_all = self
            .out
            .oracle
            .all()
            .all(|(index, crc)| index < disk.base.index || disk.crc_at(index) == Some(crc));
        if self.lost.is_some() || self.is_damaged() || !has_all || !self.healthy() {
            return;
        }
        self.replace_disk(Kind::DiskSwap, n);
        self.heal();
        self.cut_off(leader, true);
        self.later(5, 30, Step::Return { brick: n, steps: None });
        self.heal_later(2_000, 4_000);
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
        self.heal_later(1_000, 3_000);
    }
}
