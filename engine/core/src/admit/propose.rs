//! A request's way to its record.

use rfs_model::client::Mutation;
use rfs_model::op::Stamped;
use rfs_model::{FileKind, Index, InodeId, Op, Seq, SessionId, Timestamp};

use super::desk::{Received, Request, Violation};
use super::front::Front;
use super::judge::judge;
use super::lead::{Lead, Own};
use super::ledger;
use super::scene::{Ruling, Scene, Stop};
use super::verdict::Verdict;
use super::view::{Fault, TreeView};
use crate::sessions::Outcome;

impl Front {
    /// A request arrives.
    ///
    /// # Errors
    /// [`Violation`]: the mount broke the protocol; its connection is to be dropped.
    pub fn receive(
        &mut self,
        session: SessionId,
        seq: Seq,
        lowest_kept: Seq,
        op: Mutation,
    ) -> Result<Received, Violation> {
        if self.is_abandoned(session, lowest_kept) {
            self.close(session);
            return Err(Violation::Abandoned(lowest_kept));
        }
        let lead = self.lead.as_mut().ok_or(Violation::NoSession)?;
        let desk = lead.desks.get_mut(&session).ok_or(Violation::NoSession)?;
        if !desk.can_receive() {
            return Err(Violation::NoSession);
        }
        desk.heard_ms = lead.clock_ms;
        let opens = opens_new(&op);
        let received = desk.receive(seq, lowest_kept, op, self.state.sessions.get(session))?;
        match received {
            Received::Queued => lead.list(session),
            // The mount does not know the inode yet, hence has not named it among those that it holds.
            Received::Known(Outcome::Done { id, .. }) | Received::OnItsWay(Outcome::Done { id, .. })
                if opens =>
            {
                lead.opens.open(session, id);
            }
            Received::Known(_) | Received::OnItsWay(_) => {}
        }
        Ok(received)
    }

    /// Judges the next request, or takes the leader's own next step (sessions that begin or end, orphans that go). `next` is
    /// the index that a record would get. `None`: nothing can be done before something arrives or is applied.
    ///
    /// # Errors
    /// [`Fault`]: the brick must stop; nothing was consumed.
    pub fn admit_next(
        &mut self,
        tree: &dyn TreeView,
        now: Timestamp,
        next: Index,
    ) -> Result<Option<Verdict>, Fault> {
        let Some(lead) = &mut self.lead else { return Ok(None) };
        if let Some(own) = lead.next_own(self.state.orphans()) {
            return Ok(Some(self.record_own(own, now, next)));
        }
        let time = lead.stamp(now, self.first_stamp);
        self.first_stamp = false;
        while let Some(session) = lead.ready.pop_front() {
            let Some(desk) = lead.desks.get_mut(&session) else { continue };
            desk.listed = false;
            let Some(request) = desk.queue.front().cloned() else { continue };
            let scene = Scene {
                session,
                tree,
                over: &lead.over,
                state: &self.state,
                opens: &lead.opens,
                limits: &self.limits,
                room: self.ledger.room(),
                time,
                next: InodeId { term: lead.term, index: next },
            };
            let verdict = match judge(&scene, &request.op) {
                Ok(ruling) => {
                    self.ledger.charge(next, ruling.charge);
                    record(lead, session, &request, ruling, time, next)
                }
                Err(Stop::Refused(why)) => answer(lead, session, request.seq, Outcome::Refused { why }),
                Err(Stop::Nothing(outcome)) => answer(lead, session, request.seq, outcome),
                Err(Stop::Wait(index)) => {
                    lead.wait(session, index);
                    continue;
                }
                Err(Stop::Leased { dir, holder }) => {
                    lead.wait_for_lease(session, dir, holder);
                    continue;
                }
                Err(Stop::Fault(fault)) => {
                    lead.list(session);
                    return Err(fault);
                }
            };
            lead.list(session);
            lead.leave_if_idle(session);
            return Ok(Some(verdict));
        }
        Ok(None)
    }

    /// Whether the tree shows all that is proposed about an inode: what is read of it now is what the next record finds.
    #[must_use]
    pub fn is_settled(&self, id: InodeId) -> bool {
        self.lead.as_ref().is_some_and(|lead| lead.over.still(id, |pending| pending.last) == Index::ZERO)
    }

    /// A record of the leader's own, by which the other bricks get what its tree shows already. The caller has looked at the
    /// inode in this turn, and it [is settled](Self::is_settled). `None` when nobody leads here.
    pub fn record_repair(&mut self, op: Op, now: Timestamp, next: Index) -> Option<Stamped> {
        self.lead.as_ref()?;
        self.ledger.charge(next, ledger::cost(&op));
        match self.record_own(Own { session: SessionId::NIL, op }, now, next) {
            Verdict::Record(stamped) => Some(stamped),
            Verdict::Answer { .. } => None,
        }
    }

    fn record_own(&mut self, own: Own, now: Timestamp, next: Index) -> Verdict {
        let size = match &own.op {
            Op::SetAttr { set, .. } => set.size,
            _ => None,
        };
        let lead = self.lead.as_mut().expect("only a leader has records of its own");
        let time = lead.stamp(now, self.first_stamp);
        self.first_stamp = false;
        lead.over.add(next, own.session, &own.op, size.map(|_| FileKind::File), size);
        Verdict::Record(Stamped {
            session: own.session,
            seq: Seq::ZERO,
            lowest_kept: Seq::ZERO,
            refused: Vec::new(),
            time,
            op: own.op,
        })
    }
}

/// A request that opens an inode which its mount has not named yet: it does so once it has the answer.
fn opens_new(op: &Mutation) -> bool {
    matches!(op, Mutation::Make { open: true, .. })
}

fn record(
    lead: &mut Lead,
    session: SessionId,
    request: &Request,
    ruling: Ruling,
    time: Timestamp,
    index: Index,
) -> Verdict {
    let outcome = Outcome::of(&ruling.op);
    if let (true, Op::Make { id, .. }) = (opens_new(&request.op), &ruling.op) {
        lead.opens.open(session, *id);
    }
    lead.over.add(index, session, &ruling.op, ruling.kind, ruling.size);
    let desk = lead.desks.get_mut(&session).expect("its request was just judged");
    let refused = desk.propose(index, outcome);
    let lowest_kept = desk.lowest().min(request.seq);
    Verdict::Record(Stamped { session, seq: request.seq, lowest_kept, refused, time, op: ruling.op })
}

fn answer(lead: &mut Lead, session: SessionId, seq: Seq, outcome: Outcome) -> Verdict {
    if let Some(desk) = lead.desks.get_mut(&session) {
        desk.tell(outcome);
    }
    Verdict::Answer { session, seq, outcome }
}
