//! What only a leader knows: requests that wait, what proposed records touch, who has what open, who was heard when.
//! It is dropped when leadership ends.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rfs_model::op::{LEASE, LockOwner};
use rfs_model::{Index, InodeId, Op, SessionId, Term, Timestamp};

use super::desk::{Desk, Life};
use super::opens::Opens;
use super::overlay::Overlay;
use super::recalls::{Recalls, TICK_MS};
use super::state::{Applied, Replicated, SessionEvent};

/// A session that has been silent for so long, while a leader exists, has ended.
pub const EXPIRY_MS: u64 = 60_000;
/// A clock that went back by more than this since the last leader was set on purpose.
const SKEW_SECS: i64 = 10;

/// A record of the leader's own.
#[derive(Clone, Debug)]
pub(super) struct Own {
    pub session: SessionId,
    pub op: Op,
}

#[derive(Clone, Debug)]
pub(super) struct Lead {
    pub term: Term,
    pub over: Overlay,
    pub opens: Opens,
    pub desks: BTreeMap<SessionId, Desk>,
    /// Sessions whose first request can be judged, in turn.
    pub ready: VecDeque<SessionId>,
    /// Sessions that wait for a record to be applied.
    waiting: BTreeSet<(Index, SessionId)>,
    pub own: VecDeque<Own>,
    pub recalls: Recalls,
    /// Of the newest record.
    pub time: Timestamp,
    /// The sessions' clock, and what the caller's clock said at the last tick.
    pub clock_ms: u64,
    ticked_ms: u64,
    /// All orphans are to be looked at: sessions have not all told yet.
    reap_all: bool,
    /// Orphans to be looked at.
    reap: BTreeSet<InodeId>,
}

impl Lead {
    pub fn new(term: Term, now_ms: u64, state: &Replicated) -> Self {
        let mut opens = Opens::default();
        let mut desks = BTreeMap::new();
        for (id, session) in state.sessions().iter() {
            opens.expect(id);
            desks.insert(id, Desk::new(Life::Open, Some(session), 0));
        }
        Self {
            term,
            over: Overlay::default(),
            opens,
            desks,
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            own: VecDeque::new(),
            recalls: Recalls::default(),
            time: state.time(),
            clock_ms: 0,
            ticked_ms: now_ms,
            reap_all: true,
            reap: BTreeSet::new(),
        }
    }

    /// The time of the next record: the clock's, and never before that of an earlier record of this leader.
    pub fn stamp(&mut self, now: Timestamp, first: bool) -> Timestamp {
        let set_back = first && self.time.secs.saturating_sub(now.secs) > SKEW_SECS;
        self.time = if set_back { now } else { self.time.max(now) };
        self.time
    }

    pub fn tick(&mut self, now_ms: u64) {
        self.clock_ms += now_ms.saturating_sub(self.ticked_ms).min(TICK_MS);
        self.ticked_ms = self.ticked_ms.max(now_ms);
        for (id, session) in self.recalls.overdue(self.clock_ms) {
            let owner = LockOwner { session, owner: LEASE };
            self.own.push_back(Own { session: SessionId::NIL, op: Op::Unlock { id, owner } });
        }
    }

    /// Sessions that have been silent for too long; their ends are on the way when this returns.
    pub fn expire(&mut self) -> Vec<SessionId> {
        let clock = self.clock_ms;
        let silent = |d: &Desk| {
            matches!(d.life, Life::Open | Life::Leaving) && clock.saturating_sub(d.heard_ms) >= EXPIRY_MS
        };
        let gone: Vec<SessionId> = self.desks.iter().filter(|(_, d)| silent(d)).map(|(id, _)| *id).collect();
        for id in &gone {
            if let Some(desk) = self.desks.get_mut(id) {
                desk.clear_queue();
                desk.life = Life::Leaving;
            }
            self.leave_if_idle(*id);
        }
        gone
    }

    /// Proposes the end of a session that leaves and has nothing more to admit.
    pub fn leave_if_idle(&mut self, id: SessionId) {
        if let Some(desk) = self.desks.get_mut(&id)
            && desk.life == Life::Leaving
            && desk.queue.is_empty()
        {
            desk.life = Life::Closing;
            self.own.push_back(Own { session: id, op: Op::SessionClose {} });
        }
    }

    /// Puts a session that has something to admit, and waits for nothing, in the list.
    pub fn list(&mut self, id: SessionId) {
        if let Some(desk) = self.desks.get_mut(&id)
            && !desk.listed
            && desk.life != Life::Opening
            && desk.waits_for == Index::ZERO
            && !desk.waits_for_lease
            && !desk.queue.is_empty()
        {
            desk.listed = true;
            self.ready.push_back(id);
        }
    }

    /// The session's first request waits for a record to be applied.
    pub fn wait(&mut self, id: SessionId, index: Index) {
        if let Some(desk) = self.desks.get_mut(&id) {
            desk.waits_for = index;
            self.waiting.insert((index, id));
        }
    }

    /// The session's first request waits for the end of a lease, which its holder is to give back.
    pub fn wait_for_lease(&mut self, id: SessionId, dir: InodeId, holder: SessionId) {
        if let Some(desk) = self.desks.get_mut(&id) {
            desk.waits_for_lease = true;
            self.recalls.wait(dir, holder, id, self.clock_ms);
        }
    }

    fn lease_ended(&mut self, dir: InodeId) {
        for id in self.recalls.ended(dir) {
            if let Some(desk) = self.desks.get_mut(&id) {
                desk.waits_for_lease = false;
            }
            self.list(id);
        }
    }

    /// Everything up to `index` is applied to the tree and the replicated state.
    pub fn applied(&mut self, index: Index) {
        self.over.applied(index);
        while let Some((at, id)) = self.waiting.first().copied()
            && at <= index
        {
            self.waiting.pop_first();
            if let Some(desk) = self.desks.get_mut(&id)
                && desk.waits_for == at
            {
                desk.waits_for = Index::ZERO;
                self.list(id);
            }
        }
    }

    /// What a record changed for its session.
    pub fn settle(&mut self, applied: &Applied, orphaned: Option<InodeId>) {
        self.reap.extend(orphaned);
        applied.freed.iter().for_each(|id| self.lease_ended(*id));
        if let Some((session, seq, _)) = applied.answer
            && let Some(desk) = self.desks.get_mut(&session)
        {
            desk.applied(seq);
        }
        match applied.session {
            Some(SessionEvent::Opened(id)) => {
                if let Some(desk) = self.desks.get_mut(&id) {
                    desk.life = Life::Open;
                    desk.heard_ms = self.clock_ms;
                }
                self.list(id);
            }
            Some(SessionEvent::Closed(id)) => {
                self.desks.remove(&id);
                self.opens.forget(id);
            }
            None => {}
        }
    }

    /// Orphans that nobody has open any more go, once every session has told what it holds.
    fn queue_reaps(&mut self, orphans: &BTreeSet<InodeId>) {
        self.reap.extend(self.opens.take_freed());
        if !self.opens.complete() {
            self.reap_all = true;
        } else if self.reap_all {
            self.reap_all = false;
            self.reap.extend(orphans);
        }
        if self.reap_all || self.reap.is_empty() {
            self.reap.clear();
            return;
        }
        for id in std::mem::take(&mut self.reap) {
            self.own.push_back(Own { session: SessionId::NIL, op: Op::Reap { id } });
        }
    }

    /// The next of the leader's own records. What was to be reaped may have been opened again, or be on its way out already.
    pub fn next_own(&mut self, orphans: &BTreeSet<InodeId>) -> Option<Own> {
        self.queue_reaps(orphans);
        while let Some(own) = self.own.pop_front() {
            match own.op {
                Op::Reap { id } if !self.is_free(id, orphans) => {}
                _ => return Some(own),
            }
        }
        None
    }

    fn is_free(&self, id: InodeId, orphans: &BTreeSet<InodeId>) -> bool {
        let alive = orphans.contains(&id) && self.over.still(id, |p| p.dies) == Index::ZERO;
        alive && !self.opens.may_be_open(id)
    }
}
