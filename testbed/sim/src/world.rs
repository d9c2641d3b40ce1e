//! Bricks, witnesses, clients, and what happens between them.

use rfs_core::consensus::Consensus;
use rfs_core::consensus::api::DownCause;

use crate::brick::{Brick, End};
use crate::client::Client;
use crate::disk::Disk;
use crate::kind::Kind;
use crate::net::Cut;
use crate::outside::{Event, Item, Outside, Wish};
use crate::seat::Holder;
use crate::setup::Setup;

/// The daemon's tick, microseconds.
const TICK_US: u64 = 15_000;

pub struct World {
    pub out: Outside,
    pub bricks: Vec<Brick>,
    pub holders: Vec<Holder>,
    pub clients: Vec<Client>,
    /// Who lost power since all was well.
    pub lost: Option<usize>,
    /// Disks were replaced by empty ones.
    pub disks_lost: bool,
    /// Until then only an ambush heals the network.
    pub ambush_until: u64,
    /// Faults are over.
    pub calm: bool,
}

impl World {
    #[must_use]
    pub fn new(setup: Setup, print: bool) -> Self {
        let mut out = Outside::new(setup, print);
        let all = out.names.clone();
        let genesis = Disk::genesis(&all);
        for record in genesis.range(rfs_model::Index(1), genesis.last()) {
            let what = (record.meta.index, record.meta.crc(), record.meta.term);
            out.oracle.commits(0, record.meta.term.lineage(), what);
        }
        let bricks = all.iter().map(|_| Brick::new(Disk::genesis(&all), &mut out)).collect();
        let holders = (0..out.setup.seats.len()).map(|seat| Holder::new(seat, &mut out)).collect();
        let clients: Vec<_> = (0..out.setup.clients).map(|n| Client::new(n, out.client_clock())).collect();
        let (lost, disks_lost, ambush_until, calm) = (None, false, 0, false);
        let mut world = Self { out, bricks, holders, clients, lost, disks_lost, ambush_until, calm };
        (0..world.bricks.len()).for_each(|n| world.start(n));
        world.holders.iter_mut().for_each(|holder| holder.start(&mut world.out));
        for client in 0..world.clients.len() {
            world.out.after(1_000, Event::Wake { client });
        }
        let first = world.out.setup.faults_us.0;
        world.out.after(first, Event::Fault);
        world.plan_ambush();
        world
    }

    /// Lets time pass.
    pub fn run(&mut self, for_us: u64) {
        let until = self.out.now + for_us;
        while let Some(event) = self.out.next(until) {
            self.happen(event);
            self.forsake();
        }
        self.out.now = until;
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::Turn { brick, life } if self.lives(brick, life) => self.turn(brick),
            Event::Tick { brick, life } if self.lives(brick, life) => self.tick(brick, life),
            Event::Item { brick, life, item } if self.lives(brick, life) => self.item(brick, item),
            Event::Dial { brick, life, peer } if self.lives(brick, life) => self.dial(brick, peer),
            Event::Copy { brick, life, to } if self.lives(brick, life) => self.copy(brick, to),
            Event::CopyStep { brick, life, number } if self.lives(brick, life) => {
                self.copy_step(brick, number);
            }
            Event::ToSeat { seat, life, from, request } => {
                self.holders[seat].ask(life, from, *request, &mut self.out);
            }
            Event::SeatSaved { seat, life } => self.holders[seat].saved(life, &mut self.out),
            Event::SeatDial { seat, life, brick } => self.holders[seat].dial(life, brick, &mut self.out),
            Event::Heard { client, conn, heard } => self.clients[client].heard(conn, heard, &mut self.out),
            Event::Wake { client } => {
                self.clients[client].wake(&mut self.out);
                self.read_somewhere(client);
            }
            Event::Fault => self.fault(),
            Event::Step(step) => self.carry_out(step),
            _ => {}
        }
    }

    fn lives(&self, n: usize, life: u64) -> bool {
        self.out.bricks[n].runs && self.out.bricks[n].life == life
    }

    /// A read at any brick; or of a mount, which has asked the leader what it must see, at a follower.
    fn read_somewhere(&mut self, client: usize) {
        let n = self.out.rng.below(self.bricks.len() as u64) as usize;
        let promised = self.out.oracle.promised();
        let client = &self.clients[client];
        let file = (client.alive && !self.out.oracle.lossy && self.out.rng.one_in(4))
            .then(|| client.has_written())
            .flatten();
        let mount = self.out.rng.one_in(3);
        let lineage = self.out.oracle.lineage;
        let wish = |at| Wish { promised, lineage, file, at };
        match self.leader().filter(|leader| mount && *leader != n) {
            Some(leader) => self.item(leader, Item::Read { wish: wish(Some(n)) }),
            None if self.out.bricks[n].runs => self.item(n, Item::Read { wish: wish(None) }),
            None => {}
        }
    }

    // ---- processes ----

    pub fn start(&mut self, n: usize) {
        assert!(!self.out.bricks[n].runs, "it runs");
        let others = (0..self.bricks.len())
            .any(|other| other != n && self.core(other).is_some_and(|c| c.leading().is_some()));
        if !self.bricks[n].is_fit(others, &mut self.out) {
            return;
        }
        let standing = &mut self.out.bricks[n];
        standing.life += 1;
        (standing.runs, standing.powered) = (true, true);
        let life = standing.life;
        self.bricks[n].start(n, &mut self.out);
        self.is_up(n, life);
    }

    /// Starts a brick that dies after so many steps: the first two are those before its core is made.
    pub fn start_and_die(&mut self, n: usize, steps: u64) {
        self.out.stats.fault(Kind::CrashAtStart);
        let Some(doom) = steps.checked_sub(2) else {
            self.out.say(format_args!("brick {n} dies at its start, after {steps} steps"));
            return self.bricks[n].begin_and_die(steps, &self.out);
        };
        self.start(n);
        if let Some(p) = &mut self.bricks[n].process {
            p.doom = Some(doom);
        }
    }

    fn is_up(&mut self, n: usize, life: u64) {
        self.out.after(0, Event::Tick { brick: n, life });
        for peer in (0..self.bricks.len()).filter(|peer| *peer != n) {
            self.redial(n, peer, 1_000);
        }
    }

    /// Schedules a dial, unless one is coming.
    pub fn redial(&mut self, n: usize, peer: usize, delay_us: u64) {
        let life = self.out.bricks[n].life;
        if let Some(p) = &mut self.bricks[n].process
            && p.dialing.insert(peer)
        {
            self.out.after(delay_us, Event::Dial { brick: n, life, peer });
        }
    }

    /// The process is gone: its peers' connections break, where word of that gets through.
    fn gone(&mut self, n: usize) {
        self.out.bricks[n].runs = false;
        self.holders.iter_mut().for_each(|holder| holder.brick_down(n));
        self.out.hang_up_all(n);
        for other in (0..self.bricks.len()).filter(|other| *other != n) {
            let linked = self.bricks[other].process.as_ref().is_some_and(|p| p.links.contains_key(&n));
            if linked && self.out.net.both(other, n).is_none() {
                self.redial(other, n, 400);
            }
        }
    }

    pub fn crash(&mut self, n: usize) {
        self.out.say(format_args!("brick {n} dies"));
        self.bricks[n].crash(&mut self.out);
        self.gone(n);
    }

    pub fn power_cut(&mut self, n: usize) {
        let before = self.bricks[n].disk.last();
        let kinds = self.out.setup.kinds;
        self.bricks[n].power_cut(kinds, &mut self.out);
        let after = self.bricks[n].disk.last();
        self.out.say(format_args!("brick {n} loses power: log to {before}, {after} is left"));
        self.out.bricks[n].runs = false;
        self.out.bricks[n].powered = false;
        self.holders.iter_mut().for_each(|holder| holder.brick_down(n));
        self.out.fall_silent(n);
    }

    fn turn(&mut self, n: usize) {
        let (thaw, life) = (self.bricks[n].machine.frozen_until, self.out.bricks[n].life);
        if thaw > self.out.now {
            return self.out.after(thaw - self.out.now, Event::Turn { brick: n, life });
        }
        let end = self.bricks[n].running(n, &mut self.out).and_then(|mut brick| brick.turn());
        match end {
            None => {}
            Some(End::Crash) => self.crash(n),
            Some(end) => {
                self.out.say(format_args!("brick {n} ends: {end:?}"));
                self.bricks[n].process = None;
                self.gone(n);
                self.ended(n, &end);
            }
        }
    }

    /// What follows where a process has ended by itself.
    fn ended(&mut self, n: usize, end: &End) {
        match end {
            End::Diverged(common) => self.start_over(n, *common),
            // A machine that is shut down: what has left in good order has nothing to lose.
            End::Clean if !self.calm && self.out.setup.kinds.has(Kind::Leave) && self.out.rng.one_in(2) => {
                self.power_cut(n);
            }
            _ => {}
        }
    }

    fn tick(&mut self, n: usize, life: u64) {
        let thaw = self.bricks[n].machine.frozen_until.saturating_sub(self.out.now);
        self.out.after(thaw.max(TICK_US), Event::Tick { brick: n, life });
        let Some(p) = &mut self.bricks[n].process else { return };
        p.inbox.push_back(Item::Tick);
        if !p.turn_due {
            self.turn(n);
        }
    }

    pub fn item(&mut self, n: usize, item: Item) {
        if let Some(mut brick) = self.bricks[n].running(n, &mut self.out) {
            brick.p.inbox.push_back(item);
            brick.wake();
        }
    }

    // ---- links ----

    fn dial(&mut self, n: usize, peer: usize) {
        let thaw = self.bricks[n].machine.frozen_until.saturating_sub(self.out.now);
        let there = self.out.bricks[peer];
        let frozen = self.bricks[peer].machine.frozen_until > self.out.now;
        let Some(p) = &mut self.bricks[n].process else { return };
        p.dialing.remove(&peer);
        if thaw > 0 {
            return self.redial(n, peer, thaw);
        }
        let old = p.links.remove(&peer);
        if old == Some(there.life) && there.runs {
            p.links.insert(peer, there.life);
            return;
        }
        *p.link_numbers.entry(peer).or_default() += 1;
        let down = match self.out.net.both(n, peer) {
            Some(Cut::Silent) => Some(DownCause::Silent),
            Some(Cut::Reject) => Some(DownCause::Refused),
            None if !there.powered || frozen && there.runs => Some(DownCause::Silent),
            None if !there.runs => Some(DownCause::Refused),
            None => None,
        };
        match down {
            None => {
                p.links.insert(peer, there.life);
                if old.is_some() {
                    self.item(n, Item::Link { peer, down: Some(DownCause::Reset) });
                }
                self.item(n, Item::Link { peer, down: None });
            }
            Some(cause) => {
                self.item(n, Item::Link { peer, down: Some(cause) });
                let again = if cause == DownCause::Refused { 100_000 } else { 600_000 };
                self.redial(n, peer, again);
            }
        }
    }

    // ---- looking ----

    #[must_use]
    pub fn core(&self, n: usize) -> Option<&Consensus> {
        self.bricks[n].process.as_ref().map(|p| &p.core)
    }

    /// The brick that takes proposals.
    #[must_use]
    pub fn leader(&self) -> Option<usize> {
        let leads = |n: &usize| self.core(*n).is_some_and(|core| core.leading().is_some());
        (0..self.bricks.len()).filter(leads).max_by_key(|n| self.core(*n).map(Consensus::term))
    }

    #[must_use]
    pub fn healthy(&self) -> bool {
        let all = self.bricks.iter().all(|brick| brick.process.is_some());
        all && self.leader().is_some_and(|n| self.core(n).is_some_and(Consensus::healthy))
    }

    /// All bricks are in S and have applied the same.
    #[must_use]
    pub fn settled(&self) -> bool {
        let Some(leader) = self.leader() else { return false };
        let end = self.bricks[leader].disk.last();
        let same = |brick: &Brick| brick.process.as_ref().is_some_and(|p| p.applied() == end && !p.torn);
        self.healthy() && self.bricks.iter().all(|brick| same(brick) && brick.disk.last() == end)
    }

    pub fn leave(&mut self, n: usize) {
        self.out.say(format_args!("brick {n} is told to leave"));
        if let Some(p) = &mut self.bricks[n].process {
            p.leaving = true;
        }
        self.item(n, Item::Leave);
    }

    #[must_use]
    pub fn show(&self) -> String {
        let mut text = String::new();
        for (n, brick) in self.bricks.iter().enumerate() {
            let line = brick.process.as_ref().map(|p| {
                let core = &p.core;
                format!(
                    "{:?}, leader {:?}, term {}, {:?}, applied {}, admits {}, torn {}, {:?}\n   {:?}\n   {:?}\n   {:?}",
                    core.role(),
                    core.leader(),
                    core.term(),
                    core.trust(),
                    p.applied(),
                    p.front.is_leading(),
                    p.torn,
                    core.watermarks(),
                    core.config(),
                    core.waiting_for(),
                    core.bricks()
                )
            });
            text += &format!("brick {n}: {}\n", line.unwrap_or("down".into()));
        }
        for client in &self.clients {
            text += &format!("{client:?}\n");
        }
        text
    }
}
