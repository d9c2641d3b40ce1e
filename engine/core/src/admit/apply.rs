//! Committed records into the replicated state.

use bytes::Bytes;
use rfs_model::op::{Fate, Stamped};
use rfs_model::{Index, InodeId, Op};

use super::front::Front;
use super::ledger;
use super::state::Applied;
use super::view::Fault;

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
                lead.settle(&applied, orphaned(&stamped.op));
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

fn orphaned(op: &Op) -> Option<InodeId> {
    match op {
        Op::Unlink { id, fate: Fate::Orphan, .. } => Some(*id),
        Op::Rename { replaced, fate: Fate::Orphan, .. } => Some(*replaced),
        _ => None,
    }
}
