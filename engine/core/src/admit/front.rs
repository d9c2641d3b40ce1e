//! The front of one replica set's state machine: requests in, outcomes out, and the replicated state that goes with them.

use bytes::Bytes;
use rfs_model::client::Mutation;
use rfs_model::hello::OpenInode;
use rfs_model::op::{Fate, LockKind, LockOwner, LockRange, Stamped};
use rfs_model::{DecodeError, Index, InodeId, NodeId, Op, Seq, SessionId, Term, Timestamp};

use super::desk::{Desk, Life, Received, Request, Violation};
use super::judge::judge;
use super::lead::{Lead, Own};
use super::ledger::{self, Ledger};
use super::limits::Limits;
use super::scene::{Ruling, Scene, Stop};
use super::state::{Applied, Replicated};
use super::verdict::Verdict;
use super::view::{Fault, Room, TreeView};
use crate::sessions::{Outcome, Session};

/// Whether a mount may attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// The session exists.
    Ready,
    /// Its first record is on the way. Welcome the mount when [`Applied::session`] says that it is applied, and better only
    /// when it is *durable*: a session that a power loss takes back is refused as expired.
    Opening,
    /// It was welcomed once and does not exist any more, or it is ending.
    Expired,
    /// The volume has as many sessions as it can have.
    Full,
    /// This brick does not lead.
    NotLeading,
}

/// One replica set's front, on every brick. All bricks [`apply`](Front::apply); the leader also admits.
///
/// ```text
/// turn of the shard's loop on the leader:
///   for each frame that came:      front.receive(..)
///   while Some(v) = front.admit_next(tree, now, log.next_index())?:
///       Record -> propose          Answer -> reply
///   for each committed record:     tree.apply(r)?, then front.apply(r)?, then reply from Applied
/// ```
/// The tree must be told before the front, record by record: what the front holds to be applied, the tree must show.
#[derive(Clone, Debug)]
pub struct Front {
    limits: Limits,
    state: Replicated,
    ledger: Ledger,
    lead: Option<Lead>,
    /// No record of this leader has been stamped yet.
    first_stamp: bool,
}

impl Front {
    /// The front of a replica set whose log is empty.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self::with(limits, Replicated::default())
    }

    /// The front as [`Front::snapshot`] saw it.
    ///
    /// # Errors
    /// When the bytes are no snapshot.
    pub fn restore(limits: Limits, bytes: &Bytes) -> Result<Self, DecodeError> {
        Ok(Self::with(limits, Replicated::restore(bytes)?))
    }

    fn with(limits: Limits, state: Replicated) -> Self {
        Self { limits, state, ledger: Ledger::default(), lead: None, first_stamp: true }
    }

    /// The replicated state at the applied index: versioned, self-contained.
    #[must_use]
    pub fn snapshot(&self) -> Vec<u8> {
        self.state.snapshot()
    }

    #[must_use]
    pub fn state(&self) -> &Replicated {
        &self.state
    }

    /// The bricks in sync have changed, and with them what each can hold.
    pub fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// A brick in sync has `free` room, its reserve taken off, with its tree at index `at`.
    pub fn report_room(&mut self, brick: NodeId, at: Index, free: Room) {
        self.ledger.report(brick, at, free);
    }

    /// Only these bricks' reports count from now on.
    pub fn retain_rooms(&mut self, in_sync: &[NodeId]) {
        self.ledger.retain(in_sync);
    }

    /// What is free for new data.
    #[must_use]
    pub fn room(&self) -> Room {
        self.ledger.room()
    }
}

/// Leading.
impl Front {
    /// Starts to admit: this brick leads in `term`, and its own first record of that term is applied, hence its whole log.
    /// The sessions' clocks start anew at `now_ms`.
    pub fn lead(&mut self, term: Term, now_ms: u64) {
        self.first_stamp = true;
        self.lead = Some(Lead::new(term, now_ms, &self.state));
    }

    /// Ends leadership: all that is volatile goes. Mounts send again what is unanswered.
    pub fn reset(&mut self) {
        self.lead = None;
    }

    #[must_use]
    pub fn is_leading(&self) -> bool {
        self.lead.is_some()
    }

    /// The sessions' clock goes on; to be called at least once a second while this brick leads *with a quorum*. Returns
    /// sessions that have just expired: their connections are to be dropped.
    pub fn tick(&mut self, now_ms: u64) -> Vec<SessionId> {
        let Some(lead) = &mut self.lead else { return Vec::new() };
        lead.tick(now_ms);
        lead.expire()
    }

    /// A mount calls, with all that it holds open. Its earlier connection, if any, is dead: what was queued from it goes.
    pub fn attach(&mut self, session: SessionId, resumed: bool, host: &Bytes, opens: &[OpenInode]) -> Attach {
        let Some(lead) = &mut self.lead else { return Attach::NotLeading };
        if session.is_nil() {
            return Attach::Expired;
        }
        if let Some(desk) = lead.desks.get_mut(&session) {
            if !desk.can_receive() {
                return Attach::Expired;
            }
            desk.clear_queue();
            desk.heard_ms = lead.clock_ms;
            let attach = if desk.life == Life::Open { Attach::Ready } else { Attach::Opening };
            lead.opens.tell(session, opens);
            return attach;
        }
        if resumed {
            return Attach::Expired;
        }
        if lead.desks.len() >= rfs_model::limits::SESSIONS {
            return Attach::Full;
        }
        lead.desks.insert(session, Desk::new(Life::Opening, None, lead.clock_ms));
        lead.opens.tell(session, opens);
        lead.own.push_back(Own { session, op: Op::SessionOpen { name: host.clone() } });
        Attach::Opening
    }

    /// The connection of a session is gone. The session stays, and what it has queued will be sent again.
    pub fn detach(&mut self, session: SessionId) {
        if let Some(desk) = self.desk_mut(session) {
            desk.clear_queue();
        }
    }

    /// The mount ends in good order: the session goes once its queue is empty.
    pub fn close(&mut self, session: SessionId) {
        let Some(lead) = &mut self.lead else { return };
        if let Some(desk) = lead.desks.get_mut(&session)
            && desk.life == Life::Open
        {
            desk.life = Life::Leaving;
        }
        lead.leave_if_idle(session);
    }

    /// A sign of life, and the oldest request that the mount still keeps.
    pub fn heard(&mut self, session: SessionId, lowest_kept: Seq) {
        let Some(lead) = &mut self.lead else { return };
        if let Some(desk) = lead.desks.get_mut(&session) {
            desk.heard_ms = lead.clock_ms;
            // A mount never lets go of what it has not sent yet.
            desk.keep_from(lowest_kept.min(desk.received().next()));
        }
    }

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
        lead.queue_reaps(self.state.orphans());
        if let Some(own) = lead.own.pop_front() {
            return Ok(Some(self.record_own(own, now, next)));
        }
        let time = lead.stamp(now, self.first_stamp);
        self.first_stamp = false;
        while let Some(session) = lead.ready.pop_front() {
            let Some(desk) = lead.desks.get_mut(&session) else { continue };
            desk.listed = false;
            let Some(request) = desk.queue.front().cloned() else { continue };
            let scene = Scene {
                tree,
                over: &lead.over,
                state: &self.state,
                opens: &lead.opens,
                limits: &self.limits,
                room: self.ledger.room(),
                time,
                next: InodeId { term: lead.term, index: next },
            };
            let verdict = match judge(&scene, session, &request.op) {
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

    fn record_own(&mut self, own: Own, now: Timestamp, next: Index) -> Verdict {
        let lead = self.lead.as_mut().expect("only a leader has records of its own");
        let time = lead.stamp(now, self.first_stamp);
        self.first_stamp = false;
        lead.over.add(next, own.session, &own.op, None, None);
        Verdict::Record(Stamped {
            session: own.session,
            seq: Seq::ZERO,
            lowest_kept: Seq::ZERO,
            refused: Vec::new(),
            time,
            op: own.op,
        })
    }

    /// The mount opens an inode. It counts from now on. Returns the record to wait for (0: none) before looking whether the
    /// inode exists; if it does not, [`Front::release`] it and answer [`Refusal::Stale`](rfs_model::Refusal::Stale).
    pub fn open(&mut self, session: SessionId, id: InodeId) -> Index {
        let Some(lead) = &mut self.lead else { return Index::ZERO };
        lead.opens.open(session, id);
        lead.over.still(id, |p| p.dies)
    }

    pub fn release(&mut self, session: SessionId, id: InodeId) {
        if let Some(lead) = &mut self.lead {
            lead.opens.release(session, id);
        }
    }

    fn desk(&self, session: SessionId) -> Option<&Desk> {
        self.lead.as_ref()?.desks.get(&session)
    }

    fn desk_mut(&mut self, session: SessionId) -> Option<&mut Desk> {
        self.lead.as_mut()?.desks.get_mut(&session)
    }
}

/// A request that opens an inode which its mount cannot have named yet.
fn opens_new(op: &Mutation) -> bool {
    matches!(op, Mutation::Make { open: true, as_id: InodeId::NIL, .. })
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

/// Applying, on every brick: each committed record once, in order, after the tree.
impl Front {
    /// An outcome is applied.
    ///
    /// # Errors
    /// [`Fault`]: the record contradicts the state; the brick must stop.
    ///
    /// # Panics
    /// When `index` is not above the one before.
    pub fn apply(&mut self, index: Index, stamped: &Stamped) -> Result<Applied, Fault> {
        let applied = self.state.apply(index, stamped)?;
        match &mut self.lead {
            Some(lead) => {
                lead.settle(&applied, orphans(&stamped.op));
                lead.applied(index);
            }
            None => self.ledger.charge(index, ledger::cost(&stamped.op)),
        }
        Ok(applied)
    }

    /// A record of kind [`Volume`](rfs_model::RecordKind::Volume) is applied.
    pub fn apply_volume(&mut self, index: Index, payload: Bytes) {
        self.state.apply_volume(index, payload);
        self.lead_applied(index);
    }

    /// A record that has no outcome is passed.
    pub fn skip(&mut self, index: Index) {
        self.state.skip(index);
        self.lead_applied(index);
    }

    fn lead_applied(&mut self, index: Index) {
        if let Some(lead) = &mut self.lead {
            lead.applied(index);
        }
    }
}

fn orphans(op: &Op) -> bool {
    matches!(op, Op::Unlink { fate: Fate::Orphan, .. } | Op::Rename { fate: Fate::Orphan, .. })
}

/// What reads and acknowledgements have to wait for.
impl Front {
    /// The newest pending record that touches the inode, entries of a directory included; 0: none.
    #[must_use]
    pub fn pending_on(&self, id: InodeId) -> Index {
        self.lead.as_ref().map_or(Index::ZERO, |l| l.over.last(id))
    }

    /// The newest pending record of one session that touches the inode: what its reads wait for; 0: none.
    #[must_use]
    pub fn pending_of(&self, session: SessionId, id: InodeId) -> Index {
        self.lead.as_ref().map_or(Index::ZERO, |l| l.over.last_of(session, id))
    }

    /// The pending record that sets the name; 0: none.
    #[must_use]
    pub fn pending_slot(&self, parent: InodeId, name: &Bytes) -> Index {
        self.lead.as_ref().map_or(Index::ZERO, |l| l.over.slot(parent, name))
    }

    /// The last request of the session that has arrived, and the next one to be admitted. A query that arrives now sees all
    /// before it once `next` is above what is `received` now, and those records are applied.
    #[must_use]
    pub fn progress(&self, session: SessionId) -> Option<Progress> {
        self.desk(session).map(|d| Progress { received: d.received(), next: d.next(), queued: d.queue.len() })
    }

    /// The session's last request such that it and all before it are done with and durable, given that the log is durable
    /// up to `durable`.
    #[must_use]
    pub fn durable_seq(&self, session: SessionId, durable: Index) -> Seq {
        self.desk(session).map_or(Seq::ZERO, |d| d.durable(durable, self.table(session)))
    }

    /// The index at which the session's requests up to `seq` are durable. `None`: the request is not admitted yet, ask again
    /// after [`Front::admit_next`].
    #[must_use]
    pub fn index_of(&self, session: SessionId, seq: Seq) -> Option<Index> {
        self.desk(session)?.index_of(seq, self.table(session))
    }

    /// A lock of somebody else in the way of `range`: `None` when there is none.
    #[must_use]
    pub fn get_lock(&self, id: InodeId, owner: LockOwner, range: LockRange) -> Option<LockRange> {
        self.state.locks.conflict(id, owner, range).map(|held| held.range)
    }

    /// As [`Front::get_lock`], in the form of [`Answer::Lock`](rfs_model::client::Answer::Lock).
    #[must_use]
    pub fn lock_answer(&self, id: InodeId, owner: LockOwner, range: LockRange) -> LockRange {
        self.get_lock(id, owner, range).unwrap_or(LockRange { kind: LockKind::Unlock, ..range })
    }

    fn table(&self, session: SessionId) -> Option<&Session> {
        self.state.sessions.get(session)
    }
}

/// Where a session stands at the leader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    pub received: Seq,
    pub next: Seq,
    /// Requests that wait to be admitted: stop reading from the connection when there are many.
    pub queued: usize,
}
