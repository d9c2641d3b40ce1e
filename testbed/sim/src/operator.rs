//! What an operator does: overrules the votes, replaces a disk or a brick, starts a brick over whose records were abandoned.

use rfs_core::consensus::api::RoleView;
use rfs_model::hard::{HardState, Trust};
use rfs_model::{Index, Lineage, NodeId};

use crate::client::Client;
use crate::disk::Disk;
use crate::kind::Kind;
use crate::net::{CLIENTS, SEATS};
use crate::outside::{Event, Item};
use crate::world::World;

/// Above every lineage.
const ANY: Lineage = Lineage(u32::MAX);

/// Clients at the most, over a history.
const CLIENTS_MOST: usize = 6;

impl World {
    /// An operator's patience: nobody leads, and this brick says that it waits for others.
    pub fn promote_if_blocked(&mut self, n: usize) {
        let led = (0..self.bricks.len()).any(|n| self.core(n).is_some_and(|c| c.role() == RoleView::Leader));
        let waits = self.core(n).is_some_and(|core| !core.waiting_for().bricks.is_empty());
        // Operators know of each other.
        let newest = self.core(n).is_some_and(|core| self.out.oracle.counts(core.term().lineage()));
        if !led && waits && newest && self.can_be_promoted(n) && self.out.rng.one_in(3) {
            self.out.stats.fault(Kind::Promote);
            self.promote(n);
        }
    }

    fn can_be_promoted(&self, n: usize) -> bool {
        let disk = &self.bricks[n].disk;
        let name = self.out.node(n);
        let wanted = |p: &crate::brick::Process| p.core.config().record.target().bricks.contains(&name);
        let whole = !disk.unfit && !disk.resyncing && disk.last() > Index::ZERO;
        let frozen = self.bricks[n].machine.frozen_until > self.out.now;
        let fine = |p: &crate::brick::Process| p.end.is_none() && !p.leaving && p.doom.is_none() && wanted(p);
        whole
            && !frozen
            && self.bricks[n].process.as_ref().is_some_and(fine)
            && disk.hard.trust != Trust::Blank
    }

    /// Brick `n` goes on alone. What was committed elsewhere and is not in its log is abandoned from here on.
    fn promote(&mut self, n: usize) {
        let disk = &self.bricks[n].disk;
        let last = disk.last();
        let known = |index, crc| disk.crc_at(index).is_none_or(|own| own == crc) && index <= last;
        let lost = self.out.oracle.all().find(|(index, crc)| !known(*index, *crc)).map(|(index, _)| index);
        let now = self.bricks[n].machine.clock.at(self.out.now);
        let Some(mut brick) = self.bricks[n].running(n, &mut self.out) else { return };
        brick.p.now = brick.p.now.max(now);
        let begun = brick.promote(lost.unwrap_or(last.next()));
        brick.wake();
        if begun {
            self.out.say(format_args!("brick {n} is promoted, log to {last}, abandoned from {lost:?}"));
            let disk = &mut self.bricks[n].disk;
            disk.promoted_short = disk.tree_at > last || !disk.explains_tree();
            // What is left is all there is from here on.
            disk.supply = Index::ZERO;
            self.forsake();
        }
    }

    /// Mounts whose requests were abandoned are of no use any more.
    pub fn forsake(&mut self) {
        if !std::mem::take(&mut self.out.oracle.forsaken) {
            return;
        }
        self.out.say(format_args!("requests are abandoned, and the mounts with them"));
        for client in &mut self.clients {
            client.disconnect(&mut self.out);
            self.out.births.forget(client.n());
            (client.alive, client.forsaken) = (false, true);
        }
        self.new_client();
    }

    pub fn new_client(&mut self) {
        if self.clients.len() < CLIENTS_MOST {
            let client = self.clients.len();
            let mut new = Client::new(client, self.out.client_clock());
            new.quiet = self.clients.first().is_some_and(|client| client.quiet);
            self.clients.push(new);
            self.out.after(1_000, Event::Wake { client });
        }
    }

    /// After the faults, where bricks that lack what the log no longer gives them keep the others from deciding anything.
    pub fn rescue(&mut self) -> bool {
        let stuck = (0..self.bricks.len()).any(|n| self.lacks_log(n));
        let newest = |n: &usize| {
            let hard = &self.bricks[*n].disk.hard;
            self.out.oracle.counts(hard.term.max(hard.config.at.term).lineage())
        };
        // Where those of the newest lineage cannot be opened any more, an older one is all there is.
        let over = (0..self.bricks.len()).filter(newest).all(|n| self.bricks[n].disk.unfit);
        let best = (0..self.bricks.len()).filter(|n| self.can_be_promoted(*n) && (over || newest(n)));
        let Some(n) = best.max_by_key(|n| self.bricks[*n].disk.last_position()) else { return false };
        let leads =
            |brick: &crate::brick::Brick| brick.process.as_ref().is_some_and(|p| p.core.lease_valid(p.now));
        if !stuck || self.bricks.iter().any(leads) {
            return false;
        }
        self.out.stats.rescues += 1;
        self.promote(n);
        true
    }

    /// Whether a brick may need a full copy: its disk is empty or cannot be read, synced records of its log cannot, or the
    /// logs of others begin behind its end.
    fn lacks_log(&self, n: usize) -> bool {
        let disk = &self.bricks[n].disk;
        let behind = self.bricks.iter().any(|other| other.disk.base.index > disk.last());
        disk.hard.trust == Trust::Blank || disk.unfit || disk.is_damaged() || behind
    }

    /// A disk fails for good while all is well, and is replaced by an empty one.
    pub fn swap_disk(&mut self, kind: Kind, n: usize) {
        if self.lost.is_some() || self.bricks.len() < 2 || !self.settled() {
            return;
        }
        if kind == Kind::DiskSwap && self.out.rng.one_in(2) && self.plan_swap_with_one_behind(n) {
            return;
        }
        self.replace_disk(kind, n);
    }

    pub fn replace_disk(&mut self, kind: Kind, n: usize) {
        self.lost = Some(n);
        self.out.stats.fault(kind);
        self.disks_lost = true;
        self.out.say(format_args!("{}: {n}", kind.name()));
        if self.out.bricks[n].runs {
            self.crash(n);
        }
        if kind == Kind::Replace {
            self.out.names[n].0[15] += 1;
        }
        self.empty(n);
    }

    /// Some brick lacks what others may have to give it.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.bricks.iter().any(|brick| brick.disk.is_damaged())
    }

    /// The brick has an empty disk.
    fn empty(&mut self, n: usize) {
        let names = self.out.names.clone();
        let aside = std::mem::take(&mut self.bricks[n].disk.aside);
        let mut disk = Disk::blank(HardState::blank(&names), aside);
        if self.out.setup.mutants.driver.swap_unnoticed {
            (disk.hard.trust, disk.life_boot) = (Trust::Sound, self.bricks[n].machine.boot);
        }
        self.bricks[n].disk = disk;
    }

    /// What a brick has committed that its leader lacks is kept, and the brick starts over.
    pub fn start_over(&mut self, n: usize, common: Index) {
        self.out.say(format_args!("brick {n} starts over: what comes after {common} is set aside"));
        if !self.out.setup.mutants.driver.abandoned_dropped {
            // `common` is where the leader looked first: the logs may part before it.
            self.bricks[n].disk.set_aside(Index::ZERO, ANY);
        }
        self.empty(n);
    }

    /// Until the configuration has the bricks that there are.
    pub fn ask_for_members(&mut self) {
        let mut bricks: Vec<NodeId> = self.out.names.clone();
        bricks.sort_unstable();
        let Some(leader) = self.leader() else { return };
        let known = self.core(leader).map(|core| core.config().record.target().bricks.clone());
        let told = !self.out.setup.mutants.driver.members_not_told;
        if told && known.is_some_and(|known| known != bricks) {
            self.item(leader, Item::Members { bricks });
        }
    }

    /// What was abandoned is in a log or a tree nevertheless, or set aside somewhere, unless power cuts or a disk's end took it.
    ///
    /// # Panics
    /// When it is nowhere.
    pub fn check_abandoned(&mut self) {
        let abandoned: Vec<_> = self.out.oracle.abandoned().collect();
        self.out.stats.abandoned += abandoned.len() as u64;
        if self.out.oracle.lossy || self.disks_lost {
            return;
        }
        for (index, crc) in abandoned {
            let is = self.bricks.iter().any(|brick| brick.disk.still_has(index, crc));
            assert!(is, "record {index} was abandoned, and is nowhere");
        }
    }

    /// All that may be cut off.
    pub fn parties(&self) -> Vec<usize> {
        let seats = (0..self.holders.len()).map(|seat| SEATS + seat);
        let clients = (0..self.clients.len()).map(|client| CLIENTS + client);
        (0..self.bricks.len()).chain(seats).chain(clients).collect()
    }
}
