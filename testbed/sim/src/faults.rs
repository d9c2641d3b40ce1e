//! What goes wrong, by the seed.

use rfs_model::Index;

use crate::damage::Damage;
use crate::kind::Kind;
use crate::net::{Cut, Party};
use crate::outside::Event;
use crate::setup::Weather;
use crate::world::World;

/// How often each kind is chosen, where it does not come with another one.
const WEIGHTS: &[(Kind, u64)] = &[
    (Kind::Crash, 10),
    (Kind::PowerCut, 5),
    (Kind::PowerCutOfAll, 2),
    (Kind::Partition, 6),
    (Kind::OneWay, 6),
    (Kind::Refusal, 3),
    (Kind::Reset, 4),
    (Kind::Loss, 2),
    (Kind::Repetition, 2),
    (Kind::Delay, 2),
    (Kind::SlowWay, 2),
    (Kind::Pause, 5),
    (Kind::SlowDisk, 2),
    (Kind::FullDisk, 3),
    (Kind::Rot, 2),
    (Kind::Misdirected, 2),
    (Kind::DiskSwap, 1),
    (Kind::Replace, 1),
    (Kind::SeatCrash, 6),
    (Kind::SeatLoss, 2),
    (Kind::Leave, 5),
    (Kind::Promote, 2),
    (Kind::MountDisconnects, 3),
    (Kind::MountDies, 1),
    (Kind::ClockJump, 2),
    (Kind::ClockDrift, 1),
    (Kind::FullLeader, 1),
    (Kind::LearnerAlone, 2),
    (Kind::Split, 2),
    (Kind::LeaderAlone, 2),
];

impl World {
    /// One fault, or the repair of some; then the next one.
    pub fn fault(&mut self) {
        if self.calm {
            return;
        }
        let pause = self.out.setup.pause_us;
        let pause = self.out.rng.within(1, 2 * pause);
        self.out.after(pause, Event::Fault);
        // A record that cannot be read is not seen before somebody reads it.
        if self.lost.is_some() && self.settled() && !self.is_damaged() {
            self.lost = None;
        }
        let n = self.out.rng.below(self.bricks.len() as u64) as usize;
        match self.choose() {
            None if !self.out.bricks[n].runs => self.come_back(n),
            None if self.out.now >= self.ambush_until && self.out.rng.one_in(3) => self.heal(),
            None => {}
            Some(kind) => self.strike(kind, n),
        }
        self.ask_for_members();
    }

    /// A kind, or a repair.
    fn choose(&mut self) -> Option<Kind> {
        let kinds = self.out.setup.kinds;
        let possible = || WEIGHTS.iter().filter(|(kind, _)| kinds.has(*kind));
        let sum: u64 = possible().map(|(_, weight)| weight).sum();
        if sum == 0 || self.out.rng.one_in(3) {
            return None;
        }
        let mut at = self.out.rng.below(sum);
        for (kind, weight) in possible() {
            match at.checked_sub(*weight) {
                Some(rest) => at = rest,
                None => return Some(*kind),
            }
        }
        None
    }

    fn strike(&mut self, kind: Kind, n: usize) {
        let runs = self.out.bricks[n].runs;
        match kind {
            Kind::Crash if runs => self.kill(n),
            Kind::PowerCut if runs => self.maybe_power_cut(n),
            Kind::PowerCutOfAll => self.cut_all_power(),
            Kind::Partition | Kind::OneWay | Kind::Refusal => self.partition(kind, n),
            Kind::Reset => self.reset(n),
            Kind::Loss | Kind::Repetition | Kind::Delay | Kind::SlowWay => self.weaken(kind, n),
            Kind::Pause if runs => self.freeze(n),
            Kind::SlowDisk | Kind::FullDisk => self.disk_trouble(kind, n),
            Kind::Rot | Kind::Misdirected => self.damage(kind, n),
            Kind::DiskSwap | Kind::Replace => self.swap_disk(kind, n),
            Kind::SeatCrash | Kind::SeatLoss => self.seat_trouble(kind),
            Kind::Leave if runs => {
                self.out.stats.fault(kind);
                self.leave(n);
            }
            Kind::Promote => self.promote_if_blocked(n),
            Kind::MountDisconnects | Kind::MountDies => self.client_trouble(kind),
            Kind::ClockJump => {
                self.out.stats.fault(kind);
                let jump = self.out.rng.within(0, 7200) as i64 - 3600;
                self.bricks[n].machine.wall_secs += jump;
            }
            Kind::ClockDrift => {
                self.out.stats.fault(kind);
                let (now, drift) = (self.out.now, self.out.drift());
                self.bricks[n].machine.clock.set_rate(now, drift);
            }
            Kind::FullLeader => self.fill_leader(),
            Kind::LearnerAlone => self.leave_learner_alone(n),
            Kind::Split => self.split(n),
            Kind::LeaderAlone => self.leave_leader_to_mounts(),
            _ => {}
        }
    }

    fn kill(&mut self, n: usize) {
        self.out.stats.fault(Kind::Crash);
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
        if lost_power && self.out.rng.one_in(4) && self.out.setup.kinds.has(Kind::CrashAtStart) {
            self.start_and_die(n, steps);
        } else {
            self.start(n);
        }
    }

    fn maybe_power_cut(&mut self, n: usize) {
        match self.out.setup.weather {
            Weather::Crashes => {}
            Weather::OnePowerCut => self.cut_power_while_well(n),
            Weather::PowerCuts => {
                self.out.stats.fault(Kind::PowerCut);
                self.out.oracle.lossy = true;
                self.power_cut(n);
            }
        }
    }

    fn cut_all_power(&mut self) {
        if self.out.setup.weather != Weather::PowerCuts {
            return;
        }
        self.out.stats.fault(Kind::PowerCutOfAll);
        self.out.oracle.lossy = true;
        (0..self.bricks.len()).for_each(|n| self.power_cut(n));
        if self.out.rng.one_in(2) {
            (0..self.bricks.len()).for_each(|n| self.start(n));
        }
    }

    /// One machine loses power, and none other until all is well again.
    pub fn cut_power_while_well(&mut self, n: usize) {
        if self.lost.is_some() || self.bricks.len() < 2 || !self.settled() {
            return;
        }
        self.lost = Some(n);
        self.out.stats.fault(Kind::PowerCut);
        self.power_cut(n);
        if self.out.setup.kinds.has(Kind::CrashAtStart) && self.out.rng.one_in(2) {
            self.hurry_back(n);
        }
    }

    /// One synced record of one brick becomes unreadable while all is well; nothing else is lost until all is well again.
    fn damage(&mut self, kind: Kind, n: usize) {
        if self.lost.is_some() || self.bricks.len() < 2 || !self.settled() || self.is_damaged() {
            return;
        }
        let (last, floor) = {
            let disk = &self.bricks[n].disk;
            (disk.synced.min(disk.last()).0, disk.base.index.0 + 1)
        };
        if floor + 4 > last {
            return;
        }
        self.lost = Some(n);
        self.out.stats.fault(kind);
        let index = Index(if self.out.rng.one_in(3) {
            self.out.rng.within(floor, last)
        } else {
            last - self.out.rng.below(20).min(last - floor)
        });
        let other = Index(self.out.rng.within(index.0, last)).max(index.next().min(Index(last)));
        self.out.say(format_args!("brick {n}: {}, record {index}", kind.name()));
        let disk = &mut self.bricks[n].disk;
        match disk.get(other).filter(|_| kind == Kind::Misdirected && other > index).cloned() {
            Some(record) => disk.damage(index, Damage::Other(Box::new(record))),
            None => disk.damage(index, Damage::Bytes),
        }
        if self.out.rng.one_in(2) {
            self.crash(n);
        }
    }

    fn partition(&mut self, kind: Kind, n: usize) {
        self.out.stats.fault(kind);
        let how = if kind == Kind::Refusal { Cut::Reject } else { Cut::Silent };
        let parties = self.parties();
        let other = *self.out.rng.pick(&parties);
        let whom = self.out.rng.below(2);
        self.out.say(format_args!("{}: {n} and {other} ({whom})", kind.name()));
        match (kind, whom) {
            (Kind::OneWay, 0) => self.out.net.cut(n, other, how),
            (Kind::OneWay, _) => self.out.net.cut(other, n, how),
            (_, 0) => {
                for other in parties {
                    self.cut_both(n, other, how);
                }
            }
            _ => self.cut_both(n, other, how),
        }
        if how == Cut::Reject {
            self.break_links(n);
        }
    }

    /// Its connections to the other bricks break, and none is accepted.
    pub fn refuse_all(&mut self, n: usize) {
        self.out.stats.fault(Kind::Refusal);
        self.out.say(format_args!("{}: leader {n} and all others", Kind::Refusal.name()));
        (0..self.bricks.len()).for_each(|other| self.cut_both(n, other, Cut::Reject));
        self.break_links(n);
    }

    fn break_links(&mut self, n: usize) {
        for peer in 0..self.bricks.len() {
            self.break_link(n, peer);
            self.break_link(peer, n);
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

    fn weaken(&mut self, kind: Kind, n: usize) {
        self.out.stats.fault(kind);
        if kind == Kind::SlowWay && self.out.setup.kinds.has(Kind::Refusal) && self.out.rng.one_in(4) {
            return self.plan_late_answers(n);
        }
        let parties = self.parties();
        self.out.say(format_args!("{} from here on: {n}", kind.name()));
        let (rng, net) = (&mut self.out.rng, &mut self.out.net);
        match kind {
            Kind::Loss => net.loss = *rng.pick(&[0, 2, 10, 30]),
            Kind::Repetition => net.repeats = *rng.pick(&[0, 5, 20]),
            Kind::Delay => net.delay_us = *rng.pick(&[400, 5_000, 40_000]),
            _ if rng.one_in(2) => net.slow.extend(parties.into_iter().map(|other| (n, other))),
            _ => _ = net.slow.insert((n, *rng.pick(&parties))),
        }
    }

    fn reset(&mut self, n: usize) {
        self.out.stats.fault(Kind::Reset);
        for peer in 0..self.bricks.len() {
            self.out.resets.insert((n, peer), self.out.now);
            self.out.resets.insert((peer, n), self.out.now);
            self.break_link(n, peer);
            self.break_link(peer, n);
        }
    }

    fn freeze(&mut self, n: usize) {
        self.out.stats.fault(Kind::Pause);
        let most = *self.out.rng.pick(&[200_000, 1_000_000, 4_000_000]);
        let time = self.out.rng.within(50_000, most);
        if self.out.setup.leases && self.out.rng.one_in(3) {
            let client = self.out.rng.below(self.clients.len() as u64) as usize;
            self.out.say(format_args!("client {client} stands still for {} ms", time / 1000));
            let client = &mut self.clients[client];
            client.frozen_until = client.frozen_until.max(self.out.now + time);
            return;
        }
        self.out.say(format_args!("brick {n} stands still for {} ms", time / 1000));
        self.bricks[n].machine.frozen_until = self.out.now + time;
    }

    fn disk_trouble(&mut self, kind: Kind, n: usize) {
        self.out.stats.fault(kind);
        let time = self.out.rng.within(50_000, 1_500_000);
        let until = self.out.now + time;
        self.out.say(format_args!("brick {n}: {} for {} ms", kind.name(), time / 1000));
        if kind == Kind::SlowDisk {
            self.bricks[n].machine.slow_until = until;
        } else {
            self.bricks[n].machine.full_until = until;
        }
    }

    fn seat_trouble(&mut self, kind: Kind) {
        if self.holders.is_empty() {
            return;
        }
        let seat = self.out.rng.below(self.holders.len() as u64) as usize;
        if !self.holders[seat].runs() {
            return self.holders[seat].start(&mut self.out);
        }
        self.out.stats.fault(kind);
        self.holders[seat].crash(&mut self.out, kind == Kind::SeatLoss);
        if self.out.rng.one_in(2) {
            self.holders[seat].start(&mut self.out);
        }
    }

    fn client_trouble(&mut self, kind: Kind) {
        let client = self.out.rng.below(self.clients.len() as u64) as usize;
        if kind == Kind::MountDies && client == 0 {
            return;
        }
        self.out.stats.fault(kind);
        self.clients[client].disconnect(&mut self.out);
        if kind == Kind::MountDies {
            self.clients[client].alive = false;
            self.out.births.forget(client);
        }
        self.out.mounts_died |= kind == Kind::MountDies;
    }

    /// Faults are over: everything that is down is started.
    pub fn calm_down(&mut self) {
        if !std::mem::replace(&mut self.calm, true) && self.clients.iter().all(|client| !client.alive) {
            self.new_client();
        }
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
        self.ask_for_members();
        for holder in &mut self.holders {
            if !holder.runs() {
                holder.start(&mut self.out);
            }
        }
    }
}
