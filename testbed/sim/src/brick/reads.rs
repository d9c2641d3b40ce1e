//! Reads at any brick: what the core says they may see must hold all that was committed before they began.

use rfs_core::consensus::api::{Input, RoleView, Ticket};
use rfs_model::Index;

use super::Running;
use super::process::Read;
use crate::outside::{Item, Wish};

impl Running<'_> {
    pub fn read(&mut self, wish: Wish) {
        self.p.next_ticket += 1;
        let ticket = Ticket(self.p.next_ticket);
        self.p.reads.insert(ticket, Read { wish, ready: None });
        self.step(Input::Read { ticket });
    }

    pub fn read_ready(&mut self, ticket: Ticket, index: Index, confirmed: bool) {
        self.unrecorded_ready(ticket, confirmed);
        self.p.renewals.ready(ticket, index, confirmed);
        if let Some(read) = self.p.reads.get_mut(&ticket) {
            read.ready = Some((index, confirmed));
        }
    }

    /// Answers the reads whose index is applied, as the tree is now.
    pub fn answer_reads(&mut self) {
        if self.p.torn {
            return;
        }
        let applied = self.p.applied();
        let leased = self.p.core.lease_valid(self.p.now);
        if !self.p.reads.is_empty() {
            let due: Vec<Ticket> =
                self.p.reads.iter().filter(|(_, read)| is_due(read, applied)).map(|(t, _)| *t).collect();
            for ticket in due {
                let Some(read) = self.p.reads.remove(&ticket) else { continue };
                let confirmed = read.ready.is_some_and(|(_, confirmed)| confirmed);
                if confirmed || leased {
                    self.answer_read(read.wish);
                }
            }
        }
        self.answer_renewals();
        self.answer_local_reads();
    }

    fn answer_read(&mut self, wish: Wish) {
        match wish.at {
            None => self.look(wish),
            // The leader's word goes to the mount, which asks the other brick. That of one who was abandoned is no promise.
            Some(_) if !self.out.oracle.counts(self.p.core.term().lineage()) => {}
            Some(brick) => {
                let need = self.p.applied();
                let delay = self.out.rng.within(300, 3_000);
                if self.out.bricks[brick].runs {
                    self.out.item(delay, brick, Item::LocalRead { need, wish });
                }
            }
        }
    }

    /// A mount's read of this brick's tree.
    pub fn read_here(&mut self, need: Index, wish: Wish) {
        let follows = matches!(self.p.core.role(), RoleView::Follower | RoleView::Learner);
        let lineage = self.disk.last_position().term.lineage() == self.p.core.term().lineage();
        let careless = self.out.setup.mutants.driver.reads_here_at_once;
        if self.p.torn || !follows || self.p.core.leader().is_none() || !lineage {
            return;
        }
        if careless {
            return self.look(wish);
        }
        if need > self.p.applied() {
            // Makes this brick hear at once what is committed.
            self.p.next_ticket += 1;
            let ticket = Ticket(self.p.next_ticket);
            self.step(Input::Read { ticket });
        }
        self.p.local_reads.push((need, wish));
    }

    fn answer_local_reads(&mut self) {
        if self.p.local_reads.is_empty() {
            return;
        }
        let applied = self.p.applied();
        let (due, later): (Vec<_>, Vec<_>) =
            std::mem::take(&mut self.p.local_reads).into_iter().partition(|(need, _)| *need <= applied);
        self.p.local_reads = later;
        for (_, wish) in due {
            self.out.stats.local_reads += 1;
            self.look(wish);
        }
    }

    /// What is seen is what was committed before the read began, or later.
    fn look(&mut self, wish: Wish) {
        self.out.stats.reads += 1;
        let overruled = self.out.oracle.lineage > wish.lineage;
        if overruled || !self.out.oracle.counts(self.p.core.term().lineage()) {
            return;
        }
        let (n, applied) = (self.n, self.p.applied());
        let promised = self.out.oracle.still_promised(wish.promised);
        assert!(applied >= promised, "brick {n} reads at {applied}, {promised} was there");
        if let Some((file, bytes)) = wish.file.filter(|_| !self.out.oracle.lossy) {
            let size = self.disk.tree.size_of(file);
            assert!(size >= bytes, "brick {n} shows {size} bytes of a file that had {bytes}");
        }
    }
}

fn is_due(read: &Read, applied: Index) -> bool {
    read.ready.is_some_and(|(index, _)| index <= applied)
}
