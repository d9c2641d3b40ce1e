//! Recovery after a crash: the tree holds everything up to the checkpoint and any part of what came after; this makes it
//! the fold of the log, wherever the crash hit, crashes in here included.
//!
//! The plan and the order of its steps are [`rfs_core::converge`]'s; here they are carried out. Three passes: one over the
//! log to fold its names, one over the touched names on disk, one over the log again to redo data and attributes.
//! Nothing on disk says how far recovery came: until the next checkpoint the index there is the old one, and recovery
//! starts over.

mod bench;
mod discover;
mod redo;
mod settle;
mod sweep;

use std::collections::{HashMap, HashSet};

use rfs_core::converge::{PlaceError, Plan, place};
use rfs_model::op::Stamped;
use rfs_model::{Index, InodeId, Term};

use super::planted::Planted;
use super::{Fault, Place, Tree};

pub(super) use discover::aside_place;

/// What is called with each record: its index and its outcome.
pub type Each<'a> = dyn FnMut(Index, &Stamped) -> Result<(), Fault> + 'a;

/// The records to converge over, read from the log as often as asked.
pub trait Replay {
    /// Calls `each` with the outcomes of all records after the checkpoint up to the end that is being converged to, in
    /// order. Records that do not touch the tree may be left out.
    ///
    /// # Errors
    /// Those of `each`, at once; [`Fault::Log`] when the log cannot be read.
    fn replay(&mut self, each: &mut Each<'_>) -> Result<(), Fault>;
}

/// What recovery has done.
#[derive(Debug, Default)]
pub struct Converged {
    /// Outcomes in the log after the checkpoint.
    pub records: u64,
    /// Inodes found aside that no record explains: effects of records that every log has lost. Those that the index knows
    /// are back at their places; the others are in limbo, and [`Tree::leftovers`] gives them up.
    pub strays: Vec<InodeId>,
}

/// Recovery at work.
struct Recovery<'a> {
    tree: &'a mut Tree,
    plan: &'a Plan,
    /// Slots that the plan fills, by inode.
    wanted: HashMap<InodeId, Vec<Place>>,
    /// Orphans that stay.
    keep: HashSet<InodeId>,
    /// Directories that exist on disk, so that their slots can be looked at.
    dirs: HashSet<InodeId>,
}

impl Tree {
    /// Makes the tree the fold of the log up to `through`, after which it is at that index and a checkpoint is due: only
    /// that makes the result durable. `log` is read twice.
    ///
    /// # Errors
    /// [`Fault::Lost`] when the tree lacks what its checkpoint promised: it must be copied from another brick.
    /// [`Fault::InTheWay`], [`Fault::Short`], [`Fault::Log`], [`Fault::System`], [`Fault::Index`].
    ///
    /// # Panics
    /// When `through` is before the checkpoint, or the log gives a record outside what is converged over.
    pub fn converge(&mut self, through: Index, term: Term, log: &mut dyn Replay) -> Result<Converged, Fault> {
        let base = self.checkpoint()?;
        assert!(self.applied == base.index, "records were applied before recovery");
        assert!(through >= base.index, "recovery to {through}, before the checkpoint {}", base.index);
        if through < base.floor {
            return Err(Fault::Short { floor: base.floor, end: through });
        }
        let (mut plan, mut records) = (Plan::new(), 0);
        log.replay(&mut |index, stamped| {
            assert!(index > base.index && index <= through, "record {index} is not to be converged over");
            records += 1;
            plan.fold(index, stamped);
            Ok(())
        })?;
        self.settling.get_mut().recovering = true;
        let sweep = self.index.notes()?.sweep;
        let kept = match sweep {
            Some(from) if !self.has_fault(Planted::NotSwept) => self.claim_changed(from, &mut plan)?,
            _ => Vec::new(),
        };
        let strays = self.make_names_true(&plan)?;
        if let Some(from) = sweep {
            for (id, times) in kept {
                if self.index.get(id)?.is_some() {
                    self.set_later(id, times);
                }
            }
            self.doubt_changed(from, &plan)?;
        }
        log.replay(&mut |_, stamped| self.redo(&plan, stamped))?;
        self.end_batch()?;
        if sweep.is_some() {
            self.cut_to_size()?;
        }
        self.settling.get_mut().recovering = false;
        self.applied = through;
        self.term = self.term.max(term);
        Ok(Converged { records, strays })
    }

    fn make_names_true(&mut self, plan: &Plan) -> Result<Vec<InodeId>, Fault> {
        let mut recovery = Recovery::begin(self, plan)?;
        recovery.discover()?;
        let keep = recovery.keep.clone();
        let strays = place(plan, &|id| keep.contains(&id), &mut recovery).map_err(|e| match e {
            PlaceError::Missing(id) => Fault::Lost { id },
            PlaceError::Bench(fault) => fault,
        })?;
        recovery.house_orphans()?;
        recovery.settle()?;
        self.found.clear();
        self.return_strays(&strays)?;
        Ok(strays)
    }
}
