//! Data and attributes of what lives, set again in the log's order. Each outcome is absolute, so the last record that
//! touches a byte, a size or an attribute decides it, whatever of them the crash left.

use rfs_core::converge::{Plan, touched};
use rfs_model::op::Stamped;
use rfs_model::{Op, Timestamp};

use crate::tree::apply::{Dress, op_name, resized};
use crate::tree::handle::Access;
use crate::tree::planted::Planted;
use crate::tree::times::Times;
use crate::tree::{Fault, Tree};

/// Times that are held back at the most: those of the last records of a very long log would do, but not in memory.
const HELD_TIMES: usize = 16 * 1024;

impl Tree {
    pub(super) fn redo(&mut self, plan: &Plan, stamped: &Stamped) -> Result<(), Fault> {
        let (op, time) = (&stamped.op, stamped.time);
        if let Op::Compare { ids } = op {
            self.doubt(ids)?;
        }
        if let Op::Make { id, .. } = op
            && !plan.dead().contains(id)
            && !self.has_fault(Planted::BirthNotRedone)
        {
            self.dress_again(op, time)?;
        }
        if plan.redoes(stamped) {
            tracing::trace!(op = op_name(op), "redone");
            self.redo_inside(op)?;
        }
        if self.times.get_mut().len() > HELD_TIMES {
            self.end_batch()?;
        }
        for touched in touched(op, time) {
            let mtime = touched.mtime.or_else(|| resized(op).then_some(time));
            let mtime = mtime.filter(|_| !self.has_fault(Planted::TimesNotSet));
            if mtime.is_some() && !plan.dead().contains(&touched.id) {
                self.set_later(touched.id, Times { atime: None, mtime });
            }
        }
        Ok(())
    }

    fn redo_inside(&self, op: &Op) -> Result<(), Fault> {
        if self.left_out(op) {
            return Ok(());
        }
        if let Op::Write { id, offset, data } = op {
            return self.write(*id, *offset, data);
        }
        self.flush()?;
        match op {
            Op::SetAttr { id, set } => self.set_attr(*id, set),
            Op::SetXattr { id, name, value } => self.set_xattr(*id, name, value),
            Op::RemoveXattr { id, name } => self.remove_xattr(*id, name, false),
            Op::Allocate { id, range } => self.allocate(*id, *range),
            _ => Ok(()),
        }
    }

    fn left_out(&self, op: &Op) -> bool {
        match op {
            Op::Write { .. } => self.has_fault(Planted::DataNotRedone),
            Op::SetAttr { set, .. } => set.size.is_some() && self.has_fault(Planted::SizesNotRedone),
            Op::RemoveXattr { .. } => self.has_fault(Planted::XattrsNotRemoved),
            _ => false,
        }
    }

    fn dress_again(&self, op: &Op, time: Timestamp) -> Result<(), Fault> {
        let Op::Make { id, kind, mode, uid, gid, acl_access, acl_default, .. } = op else { return Ok(()) };
        let entry = self.known("set the attributes of", *id)?;
        let handle = self.handle(*id, &entry, Access::Read)?;
        let dress = Dress { kind: *kind, mode: *mode, uid: *uid, gid: *gid, acl_access, acl_default };
        self.step()?;
        dress
            .put_on(&handle, true)
            .map_err(|e| Fault::system("set the attributes of", self.path_of(*id), e))?;
        self.set_later(*id, Times { atime: Some(time), mtime: Some(time) });
        Ok(())
    }
}
