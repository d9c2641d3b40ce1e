//! The front of one replica set's state machine: requests in, outcomes out, and the replicated state that goes with them.

use bytes::Bytes;
use rfs_model::{DecodeError, Index, NodeId, SessionId};

use super::desk::Desk;
use super::lead::Lead;
use super::ledger::Ledger;
use super::limits::Limits;
use super::state::Replicated;
use super::view::Room;
use crate::sessions::Session;

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
    pub(super) limits: Limits,
    pub(super) state: Replicated,
    pub(super) ledger: Ledger,
    pub(super) lead: Option<Lead>,
    /// The first record of the lineage, where an operator has begun one.
    pub(super) lineage: Index,
    /// No record of this leader has been stamped yet.
    pub(super) first_stamp: bool,
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
        Self { limits, state, ledger: Ledger::default(), lead: None, lineage: Index::ZERO, first_stamp: true }
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

    pub(super) fn desk(&self, session: SessionId) -> Option<&Desk> {
        self.lead.as_ref()?.desks.get(&session)
    }

    pub(super) fn desk_mut(&mut self, session: SessionId) -> Option<&mut Desk> {
        self.lead.as_mut()?.desks.get_mut(&session)
    }

    pub(super) fn table(&self, session: SessionId) -> Option<&Session> {
        self.state.sessions.get(session)
    }
}
