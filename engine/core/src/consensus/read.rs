//! Reads (§6.4): with a lease at once; without one, after one heartbeat round that proves that no other leader was elected
//! before it began. A follower asks the leader for the index.

use rfs_model::peer::PeerMessage;
use rfs_model::{Index, NodeId, SeatId, Term};

use super::api::{Effect, Ticket};
use super::refuse::READS;
use super::role::{Lead, Reader, Role};
use super::{Consensus, quorum};

/// How long a follower waits for the leader's index before it asks again, microseconds.
const ASK_AGAIN_US: u64 = 100_000;

impl Consensus {
    pub(super) fn read(&mut self, ticket: Ticket) {
        match &mut self.role {
            Role::Leader(_) => self.lead_read(Reader::Own(ticket)),
            Role::Follower(follower) if follower.leader.is_some() => {
                follower.reads.push_back((self.read_ticket, ticket));
            }
            Role::Follower(_) | Role::Candidate(_) => self.out.push(Effect::ReadRefused { ticket }),
        }
    }

    fn lead_read(&mut self, reader: Reader) {
        let leased = self.lease_valid(self.now_us);
        let Role::Leader(lead) = &mut self.role else { return };
        if leased {
            return self.read_ready(reader, false);
        }
        lead.round_due = true;
        lead.reads.push_back((lead.round + 1, reader));
    }

    fn read_ready(&mut self, reader: Reader, confirmed: bool) {
        let (term, index) = (self.hard.term, self.marks.committed);
        match reader {
            Reader::Own(ticket) => self.out.push(Effect::ReadReady { ticket, index, confirmed }),
            Reader::Brick(to, ticket) => {
                self.send(to, PeerMessage::ReadIndexReply { term, ticket, index: Some(index) });
            }
        }
    }

    /// Answers the reads whose round enough voters have acknowledged.
    pub(super) fn answer_reads(&mut self) {
        let Role::Leader(lead) = &self.role else { return };
        if lead.reads.is_empty() || self.marks.committed < lead.first {
            return;
        }
        let confirmed = lead.reads.partition_point(|(round, _)| self.confirmed(lead, *round));
        let Role::Leader(lead) = &mut self.role else { return };
        let ready: Vec<_> = lead.reads.drain(..confirmed).collect();
        for (_, reader) in ready {
            self.read_ready(reader, true);
        }
    }

    /// Whether so many voters acknowledged this round, or a later one, that nobody else led when it began.
    fn confirmed(&self, lead: &Lead, round: u64) -> bool {
        let brick = |id: NodeId| id == self.me || lead.progress.get(&id).is_some_and(|p| p.round >= round);
        let seat = |id: SeatId| lead.seats.get(&id).is_some_and(|s| s.round >= round);
        lead.round >= round && quorum::blocks(self.record(), brick, seat)
    }

    /// Whether the lease covers this moment: look again after the data was read and before the reply leaves.
    ///
    /// A leader outside S has none: where S is one brick, that one needs nobody's vote and heeds no promise of its own
    /// ([`Self::free_us`]).
    #[must_use]
    pub fn lease_valid(&self, now_us: u64) -> bool {
        let Role::Leader(lead) = &self.role else { return false };
        if self.marks.committed < lead.first || lead.handing.is_some() || !self.in_sync() {
            return false;
        }
        let lease_us = if self.mutations.lease_never_ends { u64::MAX / 4 } else { self.timing.lease_us };
        let valid = |sent: Option<u64>| sent.is_some_and(|sent| now_us < sent + lease_us);
        let brick =
            |id: NodeId| id == self.me || lead.progress.get(&id).is_some_and(|p| valid(p.round_sent_us));
        let seat = |id: SeatId| lead.seats.get(&id).is_some_and(|s| valid(s.round_sent_us));
        quorum::blocks(self.record(), brick, seat)
    }

    pub(super) fn on_read_index(&mut self, from: NodeId, term: Term, ticket: u64) {
        self.see_term(term);
        let taken = matches!(&self.role, Role::Leader(lead) if lead.reads.len() < READS);
        if taken && term == self.hard.term {
            return self.lead_read(Reader::Brick(from, ticket));
        }
        let term = self.hard.term;
        self.send(from, PeerMessage::ReadIndexReply { term, ticket, index: None });
    }

    pub(super) fn on_read_reply(&mut self, from: NodeId, term: Term, ticket: u64, index: Option<Index>) {
        self.see_term(term);
        let asked = (self.nonce >> 2..self.read_ticket).contains(&ticket);
        // What an abandoned lineage has left here may have a higher index, and is not what the leader means.
        let index = index.filter(|_| !self.is_abandoned());
        let Role::Follower(follower) = &mut self.role else { return };
        if follower.leader != Some(from) || term != self.hard.term || !asked {
            return;
        }
        let answered = follower.reads.partition_point(|(asked, _)| *asked <= ticket);
        let reads: Vec<_> = follower.reads.drain(..answered).map(|(_, ticket)| ticket).collect();
        let Some(index) = index else { return self.refuse_reads(reads) };
        follower.leader_committed = follower.leader_committed.max(index);
        let ready = |ticket| Effect::ReadReady { ticket, index, confirmed: true };
        self.out.extend(reads.into_iter().map(ready));
    }

    /// Asks once for all reads of a turn.
    pub(super) fn send_read_index(&mut self) {
        let term = self.hard.term;
        let Role::Follower(follower) = &mut self.role else { return };
        let newest = follower.reads.back().map(|(number, _)| *number);
        let (Some(leader), Some(ticket)) = (follower.leader, newest) else { return };
        if ticket == self.read_ticket || follower.read_sent_us == 0 {
            follower.read_sent_us = self.now_us.max(1);
            self.read_ticket = ticket + 1;
            self.send(leader, PeerMessage::ReadIndex { term, ticket });
        }
    }

    pub(super) fn resend_read_index(&mut self) {
        if let Role::Follower(follower) = &mut self.role
            && self.now_us >= follower.read_sent_us + ASK_AGAIN_US
        {
            follower.read_sent_us = 0;
        }
    }
}
