//! Leadership and the mounts' comings and goings.

use bytes::Bytes;
use rfs_model::hello::OpenInode;
use rfs_model::{Index, InodeId, Op, Seq, SessionId, Term};

use super::desk::{Desk, Life};
use super::front::Front;
use super::lead::{Lead, Own};
use crate::sessions::Session;

/// Bytes of a mount's host name that are kept.
const HOST_BYTES: usize = 255;

/// Whether a mount may attach.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attach {
    /// The session exists.
    Ready,
    /// Its first record is on the way. Welcome the mount when [`crate::admit::Applied::session`] says that it is applied, and better only
    /// when it is *durable*: a session that a power loss takes back is refused as expired.
    Opening,
    /// It was welcomed once and does not exist any more, or it is ending.
    Expired,
    /// The volume has as many sessions as it can have.
    Full,
    /// This brick does not lead.
    NotLeading,
}

/// Leading.
impl Front {
    /// Starts to admit: this brick leads in `term`, and its own first record of that term is applied, hence its whole log.
    /// The sessions' clocks start anew at `now_ms`.
    pub fn lead(&mut self, term: Term, now_ms: u64) {
        self.first_stamp = true;
        self.lead = Some(Lead::new(term, now_ms, &self.state));
    }

    /// An operator has begun the lineage that this brick leads in, with the record at `first`. A session of an older one may
    /// have had answers that this one knows nothing of: then it ends, and the mount's files with it (`ESTALE`).
    pub fn lineage_began(&mut self, first: Index) {
        self.lineage = first;
    }

    /// Whether a session comes from an abandoned lineage, and had answers there that are not in this one. A request that left
    /// no record looks the same: better one mount too many than writes that vanish without a word.
    pub(super) fn is_abandoned(&self, session: SessionId, lowest_kept: Seq) -> bool {
        let newest = self.table(session).and_then(Session::newest);
        let before = newest.is_none_or(|newest| newest < self.lineage);
        self.lineage > Index::ZERO && before && self.desk(session).is_some_and(|desk| desk.lacks(lowest_kept))
    }

    /// Ends leadership: all that is volatile goes. Mounts send again what is unanswered.
    pub fn reset(&mut self) {
        self.lead = None;
    }

    /// Whether the session exists in the replicated state.
    #[must_use]
    pub fn has(&self, session: SessionId) -> bool {
        self.table(session).is_some()
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
            lead.recalls.attached(session);
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
        lead.own.push_back(Own {
            session,
            op: Op::SessionOpen { name: host.slice(..host.len().min(HOST_BYTES)) },
        });
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
        if self.is_abandoned(session, lowest_kept) {
            return self.close(session);
        }
        let Some(lead) = &mut self.lead else { return };
        if let Some(desk) = lead.desks.get_mut(&session) {
            desk.heard_ms = lead.clock_ms;
            // A mount never lets go of what it has not sent yet.
            desk.keep_from(lowest_kept.min(desk.received().next()));
        }
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
}
