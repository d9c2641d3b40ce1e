//! What goes wrong, by the seed.

use crate::net::{CLIENTS, Cut, Party, SEATS};
use crate::outside::Event;
use crate::setup::Weather;
use crate::world::World;

impl World {
    /// One fault, or the repair of some; then the next one.
    pub fn fault(&mut self) {
        if self.calm {
            return;
        }
        let pause = self.out.setup.pause_us;
        let pause = self.out.rng.within(1, 2 * pause);
        self.out.after(pause, Event::Fault);
        if self.lost.is_some() && self.settled() {
            self.lost = None;
        }
        let n = self.out.rng.below(self.bricks.len() as u64) as usize;
        let runs = self.out.bricks[n].runs;
        match self.out.rng.below(100) {
            0..10 if runs => self.kill(n),
            0..26 if !runs => self.come_back(n),
            26..33 if runs => self.maybe_power_cut(n),
            33..45 => self.partition(n),
            45..55 => self.heal(),
            55..60 => self.weaken(),
            60..64 => self.reset(n),
            64..69 if runs => self.freeze(n),
            69..74 => self.disk_trouble(n),
            74..82 => self.seat_trouble(),
            82..87 if runs => {
                self.out.stats.fault("leave");
                self.leave(n);
            }
            87..91 => self.client_trouble(),
            91..93 => {
                self.out.stats.fault("clock jump");
                let jump = self.out.rng.within(0, 7200) as i64 - 3600;
                self.bricks[n].machine.wall_secs += jump;
            }
            _ if self.out.setup.ambushes => self.ambush(n),
            _ => {}
        }
    }

    fn kill(&mut self, n: usize) {
        self.out.stats.fault("crash");
        let steps = self.out.rng.below(40);
        match &mut self.bricks[n].process {
            // In the middle of a turn, between two of its steps.
            Some(p) if steps > 0 => p.doom = Some(steps),
            _ => self.crash(n),
        }
    }

    /// Starts a brick; after a power cut, perhaps to die again before it has stored that it is suspect.
    fn come_back(&mut self, n: usize) {
        let lost_power = self.bricks[n].disk.life_boot != self.bricks[n].machine.boot;
        let steps = self.out.rng.below(6);
        if lost_power && self.out.rng.one_in(4) { self.start_and_die(n, steps) } else { self.start(n) }
    }

    fn maybe_power_cut(&mut self, n: usize) {
        let all = self.out.rng.one_in(3);
        match self.out.setup.weather {
            Weather::Crashes => {}
            Weather::OnePowerCut => self.cut_power_while_well(n),
            Weather::PowerCuts if all => {
                self.out.stats.fault("power cut of all");
                self.out.oracle.lossy = true;
                (0..self.bricks.len()).for_each(|n| self.power_cut(n));
                if self.out.rng.one_in(2) {
                    (0..self.bricks.len()).for_each(|n| self.start(n));
                }
            }
            Weather::PowerCuts => {
                self.out.stats.fault("power cut");
                self.out.oracle.lossy = true;
                self.power_cut(n);
            }
        }
    }

    /// One machine loses power, and none other until all is well again.
    pub fn cut_power_while_well(&mut self, n: usize) {
        if self.lost.is_some() || self.bricks.len() < 2 || !self.settled() {
            return;
        }
        self.lost = Some(n);
        self.out.stats.fault("power cut");
        self.power_cut(n);
        if self.out.setup.ambushes {
            self.hurry_back(n);
        }
    }

    fn parties(&self) -> Vec<Party> {
        let seats = (0..self.holders.len()).map(|seat| SEATS + seat);
        let clients = (0..self.clients.len()).map(|client| CLIENTS + client);
        (0..self.bricks.len()).chain(seats).chain(clients).collect()
    }

    fn partition(&mut self, n: usize) {
        self.out.stats.fault("partition");
        let how = if self.out.rng.one_in(4) { Cut::Reject } else { Cut::Silent };
        let parties = self.parties();
        let other = *self.out.rng.pick(&parties);
        let kind = self.out.rng.below(4);
        self.out.say(format_args!("partition {kind} of {n} from {other}, {how:?}"));
        match kind {
            0 => {
                for other in parties {
                    self.cut_both(n, other, how);
                }
            }
            1 => self.cut_both(n, other, how),
            2 => self.out.net.cut(n, other, how),
            _ => self.out.net.cut(other, n, how),
        }
        if how == Cut::Reject {
            for peer in 0..self.bricks.len() {
                self.break_link(n, peer);
                self.break_link(peer, n);
            }
        }
    }

    pub fn cut_both(&mut self, a: Party, b: Party, how: Cut) {
        if a != b {
            self.out.net.cut(a, b, how);
            self.out.net.cut(b, a, how);
        }
    }

    fn break_link(&mut self, n: usize, peer: usize) {
        let linked = |p: &mut crate::brick::Process| p.links.get_mut(&peer).map(|life| *life = 0).is_some();
        if self.bricks[n].process.as_mut().is_some_and(linked) {
            self.redial(n, peer, 400);
        }
    }

    pub fn heal(&mut self) {
        self.out.say(format_args!("the network is well"));
        self.out.net.heal();
    }

    fn weaken(&mut self) {
        self.out.stats.fault("bad network");
        let net = &mut self.out.net;
        net.loss = *self.out.rng.pick(&[0, 2, 10, 30]);
        net.repeats = *self.out.rng.pick(&[0, 5, 20]);
        net.delay_us = *self.out.rng.pick(&[400, 5_000, 40_000]);
        if self.out.rng.one_in(3) {
            let n = self.out.rng.below(self.bricks.len() as u64) as usize;
            net.slow.insert(n);
        }
    }

    fn reset(&mut self, n: usize) {
        self.out.stats.fault("reset");
        for peer in 0..self.bricks.len() {
            self.break_link(n, peer);
            self.break_link(peer, n);
        }
    }

    fn freeze(&mut self, n: usize) {
        self.out.stats.fault("pause");
        let most = *self.out.rng.pick(&[200_000, 1_000_000, 4_000_000]);
        let time = self.out.rng.within(50_000, most);
        self.out.say(format_args!("brick {n} stands still for {} ms", time / 1000));
        self.bricks[n].machine.frozen_until = self.out.now + time;
    }

    fn disk_trouble(&mut self, n: usize) {
        let time = self.out.rng.within(50_000, 1_500_000);
        let until = self.out.now + time;
        if self.out.rng.one_in(2) {
            self.out.stats.fault("slow disk");
            self.bricks[n].machine.slow_until = until;
        } else {
            self.out.stats.fault("full disk");
            self.out.say(format_args!("brick {n}'s disk is full for {} ms", time / 1000));
            self.bricks[n].machine.full_until = until;
        }
    }

    fn seat_trouble(&mut self) {
        if self.holders.is_empty() {
            return;
        }
        let seat = self.out.rng.below(self.holders.len() as u64) as usize;
        if !self.holders[seat].runs() {
            return self.holders[seat].start(&mut self.out);
        }
        let lost = self.out.rng.one_in(4);
        self.out.stats.fault(if lost { "seat loss" } else { "seat crash" });
        self.holders[seat].crash(&mut self.out, lost);
        if self.out.rng.one_in(2) {
            self.holders[seat].start(&mut self.out);
        }
    }

    fn client_trouble(&mut self) {
        let client = self.out.rng.below(self.clients.len() as u64) as usize;
        self.clients[client].disconnect(&mut self.out);
        if self.out.rng.one_in(4) && client > 0 {
            self.out.stats.fault("mount dies");
            self.clients[client].alive = false;
        } else {
            self.out.stats.fault("mount disconnects");
        }
    }

    /// Faults are over: everything that is down is started.
    pub fn calm_down(&mut self) {
        self.calm = true;
        self.out.net.heal();
        for brick in &mut self.bricks {
            brick.machine.frozen_until = 0;
            brick.machine.full_until = 0;
            brick.machine.slow_until = 0;
            if let Some(p) = &mut brick.process {
                p.doom = None;
            }
        }
        for n in 0..self.bricks.len() {
            if !self.out.bricks[n].runs {
                self.start(n);
            }
        }
        for holder in &mut self.holders {
            if !holder.runs() {
                holder.start(&mut self.out);
            }
        }
    }
}
