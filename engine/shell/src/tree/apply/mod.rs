//! Carrying an outcome out: plain system calls in the log's order, nothing synced. A failure is never an operation's
//! result: the record is committed, so the brick is wrong.

mod attrs;
mod data;
mod make;
mod names;
mod slow;

use rfs_model::op::Stamped;
use rfs_model::{Index, Op, SetAttr, Term, Timestamp};

pub(super) use make::Dress;
pub use slow::{Leftover, Prelude};

use super::times::Times;
use super::{Fault, Tree};

/// What an applied record leaves to be done.
#[derive(Debug, Default)]
#[must_use]
pub struct Applied {
    /// A big file that has died: its blocks are freed when this is run, on any thread, at any time.
    pub leftover: Option<Leftover>,
}

impl Tree {
    /// Carries out the record at `index`. Answers of the tree show it from then on; some of it reaches the disk's cache with
    /// [`Tree::end_batch`] only, and the disk with a checkpoint.
    ///
    /// # Errors
    /// [`Fault::Record`]: the brick must stop.
    ///
    /// # Panics
    /// When `index` is not above the applied one.
    pub fn apply(&mut self, index: Index, term: Term, stamped: &Stamped) -> Result<Applied, Fault> {
        self.pass(index, term);
        if let Some(problem) = stamped.problem() {
            let fault = Box::new(Fault::Nonsense(problem));
            return Err(Fault::Record { index, op: op_name(&stamped.op), fault });
        }
        self.carry_out(index, stamped).map_err(|fault| Fault::Record {
            index,
            op: op_name(&stamped.op),
            fault: Box::new(fault),
        })
    }

    /// Moves the applied index over a record that does not touch the tree (a leader's first, a configuration, the volume's
    /// state).
    ///
    /// # Panics
    /// When `index` is not above the applied one.
    pub fn pass(&mut self, index: Index, term: Term) {
        assert!(index > self.applied, "record {index} after {}", self.applied);
        assert!(term >= self.term, "term {term} after {}", self.term);
        (self.applied, self.term) = (index, term);
    }

    fn carry_out(&mut self, index: Index, stamped: &Stamped) -> Result<Applied, Fault> {
        let time = stamped.time;
        let leftover = match &stamped.op {
            Op::Write { id, offset, data } => {
                self.write(*id, *offset, data)?;
                None
            }
            other => {
                self.flush()?;
                // By a record of its own a leader makes others what it is: there may be nothing to remove.
                self.carry_out_other(index, time, other, !stamped.session.is_nil())?
            }
        };
        self.keep_books(index, time, &stamped.op)?;
        Ok(Applied { leftover })
    }

    fn carry_out_other(
        &mut self,
        index: Index,
        time: Timestamp,
        op: &Op,
        strict: bool,
    ) -> Result<Option<Leftover>, Fault> {
        match op {
            Op::Make { .. } => self.make(index, time, op)?,
            Op::Link { id, parent, name } => self.link(*id, *parent, name)?,
            Op::Unlink { id, parent, name, fate } => return self.unlink(*id, *parent, name, *fate),
            Op::Rename { id, from, from_name, to, to_name, replaced, fate } => {
                return self.rename(*id, (*from, from_name), (*to, to_name), *replaced, *fate);
            }
            Op::Exchange { id, from, from_name, other, to, to_name } => {
                self.exchange((*id, *from, from_name), (*other, *to, to_name))?;
            }
            Op::SetAttr { id, set } => self.set_attr(*id, set)?,
            Op::SetXattr { id, name, value } => self.set_xattr(*id, name, value)?,
            Op::RemoveXattr { id, name } => self.remove_xattr(*id, name, strict)?,
            Op::Allocate { id, range } => self.allocate(*id, *range)?,
            Op::Reap { id } => return self.reap(*id),
            Op::Write { .. } => unreachable!("handled by the caller"),
            Op::Lock { .. }
            | Op::Unlock { .. }
            | Op::SessionOpen { .. }
            | Op::SessionClose {}
            | Op::Compare { .. } => {}
        }
        Ok(None)
    }

    /// Version, ctime and mtime of all that the record has changed and that still exists.
    fn keep_books(&mut self, index: Index, time: Timestamp, op: &Op) -> Result<(), Fault> {
        for touched in rfs_core::converge::touched(op, time) {
            let exists = self.index.update(touched.id, |entry| {
                entry.version = index;
                entry.ctime = time;
            })?;
            if exists {
                let mtime = touched.mtime.or_else(|| resized(op).then_some(time));
                self.set_later(touched.id, Times { atime: None, mtime });
            }
        }
        self.keep_sizes()
    }
}

/// A new size without a new mtime: the kernel sets one, so it must be the record's.
pub(super) fn resized(op: &Op) -> bool {
    matches!(op, Op::SetAttr { set: SetAttr { size: Some(_), mtime: None, .. }, .. })
}

/// What people call the operation.
pub(super) fn op_name(op: &Op) -> &'static str {
    match op {
        Op::Make { .. } => "make",
        Op::Link { .. } => "link",
        Op::Unlink { .. } => "unlink",
        Op::Rename { .. } => "rename",
        Op::Exchange { .. } => "exchange",
        Op::Write { .. } => "write",
        Op::SetAttr { .. } => "setattr",
        Op::SetXattr { .. } => "setxattr",
        Op::RemoveXattr { .. } => "removexattr",
        Op::Allocate { .. } => "fallocate",
        Op::Reap { .. } => "reap",
        Op::Lock { .. } | Op::Unlock { .. } => "lock",
        Op::SessionOpen { .. } | Op::SessionClose {} => "session",
        Op::Compare { .. } => "compare",
    }
}
