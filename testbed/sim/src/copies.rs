//! Full copies: they take time, are read while the giver goes on, and may break off on either side.

use rfs_core::consensus::api::{Input, PeerView, RoleView};
use rfs_model::config::Position;

use crate::brick::{Process, Running};
use crate::disk::{self, Copy};
use crate::kind::Kind;
use crate::outside::{Event, Item};
use crate::world::World;

/// A copy on its way out.
#[derive(Clone, Debug)]
pub struct Sending {
    pub to: usize,
    number: u64,
    /// The receiver's life.
    life: u64,
    part: u64,
    parts: u64,
    copy: Option<Box<Copy>>,
}

/// A copy on its way in.
#[derive(Clone, Copy, Debug)]
pub struct Receiving {
    number: u64,
    next: u64,
    /// When its last part came, by the simulator's clock.
    heard: u64,
}

/// Silence after which a copy counts as broken off, microseconds.
const SILENCE_US: u64 = 1_000_000;

impl World {
    /// Begins a copy, or looks again later.
    pub fn copy(&mut self, n: usize, to: usize) {
        let name = self.out.node(to);
        let Some(p) = &self.bricks[n].process else { return };
        let wants = self.bricks[to].process.as_ref().is_some_and(Process::lacks_tree);
        let needed = |view: &PeerView| view.brick == name && view.resync;
        let leads = p.core.role() == RoleView::Leader;
        if !leads || !wants && !p.core.bricks().iter().any(needed) {
            return;
        }
        let busy = p.sending.as_ref().is_some_and(|sending| sending.to == to);
        if busy || !self.can_copy(n, to) || !self.begin_copy(n, to) {
            let life = self.out.bricks[n].life;
            self.out.after(50_000, Event::Copy { brick: n, life, to });
        }
    }

    fn can_copy(&self, n: usize, to: usize) -> bool {
        let frozen = |n: usize| self.bricks[n].machine.frozen_until > self.out.now;
        let idle =
            |p: &Process| p.core.role() != RoleView::Leader && p.leave_done.is_none() && p.end.is_none();
        let gives = self.bricks[n].process.as_ref().is_some_and(|p| !p.torn);
        let receives = self.bricks[to].process.as_ref().is_some_and(idle);
        gives && receives && self.out.net.both(n, to).is_none() && !frozen(n) && !frozen(to)
    }

    fn begin_copy(&mut self, n: usize, to: usize) -> bool {
        let disk = &self.bricks[n].disk;
        let Some(p) = &self.bricks[n].process else { return false };
        // Of its checkpoint, as the daemon's: what the giver cannot lose with its power.
        let index = disk.checkpoint.index;
        let config = p.core.config_upto(index).cloned();
        let (Some(term), Some(crc), Some(config)) = (disk.term_at(index), disk.crc_at(index), config) else {
            return false;
        };
        let checkpoint = disk.checkpoint.clone();
        let shown = checkpoint.tree.clone();
        let at = Position::new(term, index);
        let gone = disk.crcs_upto(index);
        let copy = Copy { at, crc, checkpoint, gone, config, shown, floor: index, floor_crc: crc };
        let number = self.out.rng.draw();
        self.out.say(format_args!("brick {to} gets a copy of brick {n} at {index}"));
        let (parts, life) = (self.out.rng.within(2, 12), self.out.bricks[to].life);
        let sending = Sending { to, number, life, part: 0, parts, copy: Some(Box::new(copy)) };
        if let Some(p) = &mut self.bricks[n].process {
            p.sending = Some(sending);
        }
        self.copy_step(n, number);
        true
    }

    /// The next part, or the end; a copy that cannot go on is begun anew.
    pub fn copy_step(&mut self, n: usize, number: u64) {
        let life = self.out.bricks[n].life;
        let Some(sending) = self.bricks[n].process.as_ref().and_then(|p| p.sending.clone()) else { return };
        if sending.number != number {
            return;
        }
        let to = sending.to;
        let leads = self.core(n).is_some_and(|core| core.role() == RoleView::Leader);
        if !leads || self.out.bricks[to].life != sending.life || !self.can_copy(n, to) {
            self.end_sending(n);
            return self.out.after(300_000, Event::Copy { brick: n, life, to });
        }
        if sending.part > 0 && self.out.rng.one_in(24) && self.out.strikes(Kind::CopyCut) {
            let victim = if self.out.rng.one_in(2) { n } else { to };
            self.out.say(format_args!("a copy from {n} to {to} is cut"));
            self.end_sending(n);
            self.out.after(300_000, Event::Copy { brick: n, life, to });
            return self.crash(victim);
        }
        let delay = self.out.net.delay(&mut self.out.rng, n, to);
        if sending.part < sending.parts {
            self.out.item(delay, to, Item::CopyPart { from: n, number, part: sending.part });
            if let Some(sending) = self.bricks[n].process.as_mut().and_then(|p| p.sending.as_mut()) {
                sending.part += 1;
            }
            let pause = self.out.rng.within(2_000, 60_000).max(delay);
            return self.out.after(pause, Event::CopyStep { brick: n, life, number });
        }
        let copy = self.finish_reading(n);
        self.end_sending(n);
        if let Some(copy) = copy {
            self.out.stats.copies += 1;
            self.out.item(delay, to, Item::CopyEnd { number, copy });
        }
        // What it needs next may have left the log before it could say so: then once more.
        let again = self.out.rng.within(300_000, 400_000);
        self.out.after(again, Event::Copy { brick: n, life, to });
    }

    fn end_sending(&mut self, n: usize) {
        if let Some(p) = &mut self.bricks[n].process {
            p.sending = None;
        }
    }

    /// The giver's tree changed while it was read: of what was applied since the checkpoint the copy shows some and not
    /// other things.
    fn finish_reading(&mut self, n: usize) -> Option<Box<Copy>> {
        let sending = self.bricks[n].process.as_mut()?.sending.as_mut()?;
        let mut copy = sending.copy.take()?;
        let disk = &self.bricks[n].disk;
        let upto = self.bricks[n].process.as_ref()?.applied().min(disk.last());
        for record in disk.range(copy.at.index.next(), upto) {
            if self.out.rng.one_in(2) {
                disk::show(&mut copy.shown, &record, false);
            }
        }
        (copy.floor, copy.floor_crc) = (upto.max(copy.at.index), disk.crc_at(upto).unwrap_or(copy.crc));
        Some(copy)
    }
}

impl Running<'_> {
    /// A part of a copy came. The first one wipes what was there.
    pub fn copy_part(&mut self, from: usize, number: u64, part: u64) {
        let heard = self.out.now;
        if part == 0 && self.p.core.role() != RoleView::Leader {
            self.out.say(format_args!("brick {} is copied anew, from {from}", self.n));
            self.p.front.reset();
            self.p.copies += 1;
            self.p.checkpoint_busy = false;
            self.p.torn = true;
            self.p.receiving = Some(Receiving { number, next: 1, heard });
            if !self.out.setup.mutants.driver.abandoned_dropped {
                self.disk.set_aside(rfs_model::Index::ZERO, self.p.core.term().lineage());
            }
            self.disk.wipe();
            self.disk.resyncing = !self.out.setup.mutants.driver.copy_whole_too_early;
            return self.step(Input::CopyBegins);
        }
        if let Some(receiving) = &mut self.p.receiving
            && receiving.number == number
            && receiving.next == part
        {
            (receiving.next, receiving.heard) = (part + 1, heard);
        }
    }

    /// A brick whose copy broke off has no tree: it asks for another.
    pub fn ask_for_copy(&mut self) {
        let silent = |r: &Receiving| self.out.now >= r.heard + SILENCE_US;
        if !self.p.receiving.as_ref().is_some_and(silent) {
            return;
        }
        let leader = self.p.core.leader().and_then(|leader| self.out.brick(leader)).filter(|l| *l != self.n);
        if let Some(receiving) = &mut self.p.receiving {
            receiving.heard = self.out.now;
        }
        if let Some(leader) = leader {
            let life = self.out.bricks[leader].life;
            self.out.after(1_000, Event::Copy { brick: leader, life, to: self.n });
        }
    }

    /// A full copy has replaced tree and log.
    pub fn install(&mut self, number: u64, copy: Copy) {
        if self.p.receiving.is_none_or(|receiving| receiving.number != number) {
            return;
        }
        let (at, crc, config) = (copy.at, copy.crc, copy.config.clone());
        let front = rfs_core::admit::Front::restore(Default::default(), &copy.checkpoint.state);
        self.p.front = front.expect("a snapshot of ours");
        if !self.out.setup.mutants.driver.abandoned_dropped {
            self.disk.set_aside(rfs_model::Index::ZERO, self.p.core.term().lineage());
        }
        self.disk.install(copy);
        self.p.batch.clear();
        (self.p.chain, self.p.committed, self.p.torn) = (crc, at.index, true);
        (self.p.syncing, self.p.untold) = (self.p.syncing.min(at.index), false);
        (self.p.checkpoint_busy, self.p.receiving) = (false, None);
        self.p.copies += 1;
        self.p.now = self.p.now.max(self.machine.clock.at(self.out.now));
        self.step(Input::Installed { at, config });
    }
}

impl Process {
    /// A copy of the tree began to come, and has not come whole.
    #[must_use]
    pub fn lacks_tree(&self) -> bool {
        self.receiving.is_some()
    }
}
