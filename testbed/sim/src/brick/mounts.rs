//! A leader's turn with its mounts: requests become records, and are answered.

use bytes::Bytes;
use rfs_core::admit::{Attach, Received, Verdict};
use rfs_core::consensus::api::{Input, Ticket};
use rfs_core::sessions::Outcome;
use rfs_model::client::{Done, Mutation, Query, ToBrick, ToMount};
use rfs_model::op::Stamped;
use rfs_model::{Encode, Index, InodeId, Meta, Record, RecordKind, Seq, SessionId, Term, Timestamp};

use super::Running;
use super::leases::Renewals;
use super::process::{Mount, Opening};
use crate::outside::{Heard, number};

#[must_use]
pub fn session(client: usize) -> SessionId {
    SessionId([client as u8 + 1; 16])
}

impl Running<'_> {
    pub fn hello(&mut self, client: usize, conn: u64, resumed: bool) {
        if !self.p.front.is_leading() {
            let leader = self.p.core.leader().map(number).filter(|leader| *leader != self.n);
            self.out.to_client(conn, Heard::Elsewhere(leader));
            return self.out.hang_up(conn);
        }
        match self.p.front.attach(session(client), resumed, &Bytes::from_static(b"host"), &[]) {
            Attach::Ready => self.attach(client, conn),
            Attach::Opening => {
                self.p.opening.retain(|opening| opening.client != client);
                self.p.opening.push(Opening { client, conn, index: None });
            }
            // A later leader may know the session.
            Attach::Expired => {
                if self.p.core.lease_valid(self.p.now) || self.out.setup.mutants.driver.refuses_without_lease
                {
                    self.out.to_client(conn, Heard::Expired);
                }
                self.out.hang_up(conn);
            }
            Attach::Full | Attach::NotLeading => self.out.hang_up(conn),
        }
    }

    fn attach(&mut self, client: usize, conn: u64) {
        self.p.mounts.retain(|_, mount| mount.client != client);
        self.p.mounts.insert(conn, Mount { client, told_durable: Seq::ZERO });
        self.out.to_client(conn, Heard::Welcome);
    }

    pub fn opened(&mut self, id: SessionId, index: Index) {
        for opening in self.p.opening.iter_mut().filter(|opening| session(opening.client) == id) {
            opening.index = Some(index);
        }
    }

    pub fn client(&mut self, conn: u64, message: ToBrick) {
        let Some(mount) = self.p.mounts.get(&conn).copied() else { return };
        let id = session(mount.client);
        match message {
            ToBrick::Mutate { seq, lowest_kept, op } => self.receive(conn, id, seq, lowest_kept, op),
            ToBrick::Beat { lowest_kept } => self.p.front.heard(id, lowest_kept),
            ToBrick::Query { op: Query::Sync { seq }, .. } => {
                if let Some(upto) = self.p.front.index_of(id, seq) {
                    self.step(Input::WantDurable { upto });
                }
            }
            ToBrick::Query { tag, op: Query::Renew {}, .. } => self.ask_renewal(conn, tag, id),
            ToBrick::Query { .. } | ToBrick::Detach {} => {}
        }
    }

    fn receive(&mut self, conn: u64, id: SessionId, seq: Seq, lowest_kept: Seq, op: Mutation) {
        match self.p.front.receive(id, seq, lowest_kept, op) {
            Ok(Received::Queued | Received::OnItsWay(_)) => {}
            Ok(Received::Known(outcome)) => self.answer_unrecorded(id, seq, outcome),
            // A former leader may lack what a later one carried out.
            Err(_) if !self.p.core.lease_valid(self.p.now) => self.out.hang_up(conn),
            Err(violation) => panic!("client's request {seq} on connection {conn}: {violation}"),
        }
    }

    pub fn answer(&mut self, id: SessionId, seq: Seq, outcome: Outcome) {
        self.answer_with(id, seq, outcome, InodeId::NIL);
    }

    pub fn answer_with(&mut self, id: SessionId, seq: Seq, outcome: Outcome, spare: InodeId) {
        let message = match outcome.answer(&self.disk.tree).expect("a tree in memory") {
            Ok(done) => ToMount::Done { seq, done: Done { spare, ..done } },
            Err(why) => ToMount::Refused { seq, why },
        };
        self.tell(id, message);
    }

    /// What is carried out is in the log. An answer without a record tells what the tree is like: as a read does, it needs
    /// to be sure that nobody else leads.
    fn answer_unrecorded(&mut self, id: SessionId, seq: Seq, outcome: Outcome) {
        if self.p.core.lease_valid(self.p.now) || self.out.setup.mutants.driver.refuses_without_lease {
            return self.answer(id, seq, outcome);
        }
        self.p.next_ticket += 1;
        let ticket = Ticket(self.p.next_ticket);
        self.p.unrecorded.insert(ticket, (id, seq, outcome));
        self.step(Input::Read { ticket });
    }

    pub fn unrecorded_ready(&mut self, ticket: Ticket, confirmed: bool) {
        let Some((id, seq, outcome)) = self.p.unrecorded.remove(&ticket) else { return };
        if confirmed {
            self.answer(id, seq, outcome);
        } else {
            self.answer_unrecorded(id, seq, outcome);
        }
    }

    pub fn tell(&mut self, id: SessionId, message: ToMount) {
        let to = self.p.mounts.iter().find(|(_, mount)| session(mount.client) == id).map(|(conn, _)| *conn);
        if let Some(conn) = to {
            self.out.to_client(conn, Heard::message(message));
        }
    }

    /// Judges what has come, until nothing more can be judged.
    pub fn admit(&mut self) {
        if self.out.setup.mutants.driver.waits_for_the_dead && self.out.mounts_died {
            return;
        }
        while self.p.end.is_none() && self.p.front.is_leading() && !self.p.torn {
            let Some((term, next)) = self.p.core.leading() else { return };
            let time = self.time();
            let verdict = self.p.front.admit_next(&self.disk.tree, time, next).expect("a tree in memory");
            match verdict {
                Some(Verdict::Record(stamped)) => {
                    let meta = self.enter_outcome(next, term, &stamped);
                    if self.out.setup.mutants.driver.reply_when_proposed && stamped.seq > Seq::ZERO {
                        self.answer(stamped.session, stamped.seq, Outcome::of(&stamped.op));
                    }
                    self.step(Input::Proposed { meta });
                }
                Some(Verdict::Answer { session, seq, outcome }) => {
                    self.answer_unrecorded(session, seq, outcome)
                }
                None => return,
            }
        }
    }

    /// The time of day, as this machine has it.
    pub fn time(&self) -> Timestamp {
        let secs = (self.out.now / 1_000_000) as i64 + self.machine.wall_secs;
        Timestamp { secs, nanos: (self.out.now % 1_000_000) as u32 * 1_000 }
    }

    pub fn enter_outcome(&mut self, index: Index, term: Term, stamped: &Stamped) -> Meta {
        let payload = stamped.encoded().into();
        let record = Record::new(index, term, RecordKind::Op, self.p.chain, payload);
        let meta = record.meta;
        self.enter(record);
        meta
    }

    /// At the end of a turn: what has become durable, and who is let in for that.
    pub fn tell_durable(&mut self) {
        let durable = self.p.durable;
        if !self.p.front.is_leading() {
            return;
        }
        let opening = std::mem::take(&mut self.p.opening);
        let is_durable = |opening: &Opening| opening.index.is_some_and(|index| index <= durable);
        let (done, rest): (Vec<_>, Vec<_>) = opening.into_iter().partition(is_durable);
        self.p.opening = rest;
        done.iter().for_each(|opening| self.attach(opening.client, opening.conn));
        if let Some(upto) = self.p.opening.iter().filter_map(|opening| opening.index).max() {
            self.step(Input::WantDurable { upto });
        }
        let mut told = Vec::new();
        for (conn, mount) in &mut self.p.mounts {
            let seq = self.p.front.durable_seq(session(mount.client), durable);
            if seq > mount.told_durable {
                mount.told_durable = seq;
                told.push((*conn, seq));
            }
        }
        for (conn, seq) in told {
            self.out.to_client(conn, Heard::message(ToMount::Durable { seq }));
        }
    }

    pub fn stop_leading(&mut self) {
        self.p.front.reset();
        self.p.unrecorded.clear();
        self.p.renewals = Renewals::default();
        for opening in std::mem::take(&mut self.p.opening) {
            self.out.hang_up(opening.conn);
        }
        for conn in std::mem::take(&mut self.p.mounts).into_keys() {
            self.out.to_client(conn, Heard::message(ToMount::NotLeader));
            self.out.hang_up(conn);
        }
    }
}
