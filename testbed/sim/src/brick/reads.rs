//! Reads at any brick: what the core says they may see must hold all that was committed before they began.

use rfs_core::consensus::api::{Input, Ticket};
use rfs_model::Index;

use super::Running;
use super::process::Read;

impl Running<'_> {
    pub fn read(&mut self, promised: Index) {
        self.p.next_ticket += 1;
        let ticket = Ticket(self.p.next_ticket);
        self.p.reads.insert(ticket, Read { promised, ready: None });
        self.step(Input::Read { ticket });
    }

    pub fn read_ready(&mut self, ticket: Ticket, index: Index, confirmed: bool) {
        self.unrecorded_ready(ticket, confirmed);
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
        let due: Vec<Ticket> =
            self.p.reads.iter().filter(|(_, read)| is_due(read, applied)).map(|(t, _)| *t).collect();
        for ticket in due {
            let Some(read) = self.p.reads.remove(&ticket) else { continue };
            let confirmed = read.ready.is_some_and(|(_, confirmed)| confirmed);
            if !confirmed && !leased {
                continue;
            }
            self.out.stats.reads += 1;
            let promised = self.out.oracle.still_promised(read.promised);
            assert!(applied >= promised, "brick {} reads at {applied}, {promised} was there", self.n);
        }
    }
}

fn is_due(read: &Read, applied: Index) -> bool {
    read.ready.is_some_and(|(index, _)| index <= applied)
}
