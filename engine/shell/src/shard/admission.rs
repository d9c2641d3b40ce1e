//! A leader's turn with its mounts: requests become records.

use std::rc::Rc;

use rfs_core::admit::{Received, Verdict};
use rfs_core::consensus::api::{Input, Ticket};
use rfs_model::client::{Done, Mutation, ToBrick, ToMount};
use rfs_model::codec::Encode;
use rfs_model::hello::Purpose;
use rfs_model::op::Stamped;
use rfs_model::{Index, Record, RecordKind, Refusal, Seq, SessionId};

use super::mounts::ConnId;
use super::{Inner, Shard, TreeState};
use crate::clock;

/// Records and bytes that one journal write takes at the most.
const BATCH_RECORDS: usize = 1024;
const BATCH_BYTES: usize = 1024 * 1024;

/// A mount's request and its answer, of which the log says nothing.
pub(super) type Unrecorded = (SessionId, Seq, Result<Done, Refusal>);

impl Inner {
    /// Whether requests can be admitted: this brick leads, and its tree holds its whole log.
    pub(crate) fn serves(&self) -> bool {
        self.front.is_leading() && matches!(self.tree, TreeState::Ready(_)) && self.state.started
    }

    /// Begins to admit once this leader's first record, of whatever kind, is applied: the tree and the sessions are those of
    /// the whole log.
    pub(super) fn start_leading(&mut self) {
        let reached = self.first.is_some_and(|first| self.applied() >= first.index);
        let Some((term, _)) = self.core.leading().filter(|_| reached && !self.front.is_leading()) else {
            return;
        };
        if let Some(fork) = self.forks.0.last() {
            self.front.lineage_began(fork.last.index.next());
        }
        self.front.lead(term, clock::boottime_us() / 1000);
        self.report_own_room();
    }

    pub(super) fn stop_leading(&mut self) {
        if self.front.is_leading() {
            self.front.reset();
        }
        self.forget_claims();
        self.opening.clear();
        self.unrecorded.clear();
        self.queries.drop_all();
        self.mounts.dismiss_all(&ToMount::NotLeader);
        self.fail_proposals();
    }

    pub(super) fn tick_sessions(&mut self, now_us: u64) {
        // It may have been about to hand over when its first record was applied, and then have kept leadership.
        self.start_leading();
        if !self.front.is_leading() || !self.core.lease_valid(now_us) {
            return;
        }
        for session in self.front.tick(now_us / 1000) {
            self.session_closed(session);
        }
    }

    /// Judges what has come, as much as a turn may, and asks for the leases that are in the way.
    pub(super) fn admit(&mut self, shard: &Rc<Shard>, now_us: u64) {
        self.judge_requests(shard, now_us);
        for (holder, dir) in self.front.take_recalls() {
            self.mounts.recall(holder, dir);
        }
    }

    /// Until a turn's batch is full or nothing more can be judged.
    fn judge_requests(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let mut bytes = 0;
        if self.serves() && !self.settle_doubts(shard, now_us) {
            return;
        }
        while self.batch.len() < BATCH_RECORDS && bytes < BATCH_BYTES && self.failed.is_none() {
            let Some((term, next)) = self.core.leading().filter(|_| self.serves()) else { return };
            let TreeState::Ready(tree) = &self.tree else { return };
            match self.front.admit_next(&**tree, clock::now(), next) {
                Ok(Some(Verdict::Record(stamped))) => {
                    let record = self.record_of(next, term, &stamped);
                    bytes += record.payload.len();
                    let meta = record.meta;
                    self.enter(record);
                    self.step(shard, now_us, Input::Proposed { meta });
                }
                Ok(Some(Verdict::Answer { session, seq, outcome })) => match outcome.answer(&**tree) {
                    Ok(answer) => self.answer_unrecorded(shard, &(session, seq, answer)),
                    Err(fault) => self.fail(fault.to_string()),
                },
                Ok(None) => return,
                Err(fault) => self.fail(fault.to_string()),
            }
        }
    }

    pub(super) fn record_of(
        &self,
        index: rfs_model::Index,
        term: rfs_model::Term,
        stamped: &Stamped,
    ) -> Record {
        Record::new(index, term, RecordKind::Op, self.chain, stamped.encoded().into())
    }

    pub(super) fn mount_message(&mut self, shard: &Rc<Shard>, now_us: u64, conn: ConnId, message: ToBrick) {
        let Some(mount) = self.mounts.get(conn) else { return };
        let (session, purpose) = (mount.session, mount.purpose);
        self.mounts.noted(conn, &message);
        match message {
            ToBrick::Query { tag, at, op } => self.ask(shard, now_us, conn, tag, at, op),
            _ if purpose == Purpose::LocalReads => {}
            ToBrick::Mutate { seq, lowest_kept, op } => {
                self.receive(shard, conn, (session, seq, lowest_kept), op)
            }
            ToBrick::Beat { lowest_kept } => self.front.heard(session, lowest_kept),
            ToBrick::Detach {} => {
                self.front.close(session);
                if let Some(mount) = self.mounts.detach(conn) {
                    mount.outbox.finish();
                }
            }
        }
    }

    fn receive(
        &mut self,
        shard: &Rc<Shard>,
        conn: ConnId,
        (session, seq, lowest_kept): (SessionId, Seq, Seq),
        op: Mutation,
    ) {
        let outcome = match self.front.receive(session, seq, lowest_kept, op) {
            Ok(Received::Queued | Received::OnItsWay(_)) => return,
            Ok(Received::Known(outcome)) => outcome,
            Err(violation) => {
                tracing::warn!(%session, "a mount is sent away: {violation}");
                self.mounts.detach(conn);
                return;
            }
        };
        let TreeState::Ready(tree) = &self.tree else { return };
        match outcome.answer(&**tree) {
            Ok(answer) => self.answer_unrecorded(shard, &(session, seq, answer)),
            Err(fault) => self.fail(fault.to_string()),
        }
    }

    /// What is carried out is in the log. A refusal, or a success that left no trace, says what the tree is like: as a read
    /// does, it waits until it is sure that nobody else led when it was found.
    fn answer_unrecorded(&mut self, shard: &Rc<Shard>, answer: &Unrecorded) {
        // Not the turn's time: the core must not take a lease for valid that is not.
        let now_us = clock::boottime_us();
        if self.core.lease_valid(now_us) {
            return self.give(answer);
        }
        let ticket = self.ticket();
        self.unrecorded.insert(ticket, *answer);
        self.step(shard, now_us, Input::Read { ticket });
    }

    fn give(&mut self, (session, seq, answer): &Unrecorded) {
        match answer {
            Ok(done) => self.mounts.done(*session, *seq, done),
            Err(why) => self.mounts.refused(*session, *seq, *why),
        }
    }

    /// The core's answer to a read, or to an answer that waits like one.
    pub(super) fn read_ready(
        &mut self,
        shard: &Rc<Shard>,
        ticket: Ticket,
        (index, confirmed): (Index, bool),
    ) {
        match self.unrecorded.remove(&ticket) {
            Some(answer) if confirmed => self.give(&answer),
            Some(answer) => self.answer_unrecorded(shard, &answer),
            None => self.queries.ready(ticket, index, confirmed),
        }
    }

    /// This brick leads no more: a mount sends again what was not answered.
    pub(super) fn read_refused(&mut self, ticket: Ticket) {
        if self.unrecorded.remove(&ticket).is_none() {
            self.queries.refused(ticket, &mut self.mounts);
        }
    }

    pub(super) fn mount_down(&mut self, conn: ConnId) {
        if let Some(mount) = self.mounts.detach(conn)
            && mount.purpose == Purpose::Session
            && self.mounts.of(mount.session).is_none()
        {
            self.front.detach(mount.session);
        }
        self.queries.forget(conn);
    }

    pub(super) fn session_closed(&mut self, session: SessionId) {
        if let Some(mount) = self.mounts.of(session) {
            mount.outbox.close();
        }
    }
}
