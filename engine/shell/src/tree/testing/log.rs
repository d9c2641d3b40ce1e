//! Records without a journal.

use rfs_model::op::Stamped;
use rfs_model::{Index, Op, Seq, SessionId, Term, Timestamp};

use crate::tree::{Each, Fault, Replay};

/// The term of all records.
pub const TERM: Term = Term(3);

/// The clock of the record at an index.
#[must_use]
pub fn time(index: Index) -> Timestamp {
    Timestamp { secs: 1_000 + index.0 as i64, nanos: (index.0 * 7_919 % 1_000_000_000) as u32 }
}

/// An outcome as the record at `index` has it.
#[must_use]
pub fn stamped(index: Index, op: Op) -> Stamped {
    Stamped {
        session: SessionId::NIL,
        seq: Seq::ZERO,
        lowest_kept: Seq::ZERO,
        refused: Vec::new(),
        time: time(index),
        op,
    }
}

/// A log in memory: record `i` is `ops[i - 1]`. It is read from the one after `after` to `through`.
#[derive(Clone, Debug)]
pub struct Log<'a> {
    pub ops: &'a [Op],
    pub after: Index,
    pub through: Index,
}

impl Replay for Log<'_> {
    fn replay(&mut self, each: &mut Each<'_>) -> Result<(), Fault> {
        (self.after.0 + 1..=self.through.0).try_for_each(|i| {
            let index = Index(i);
            each(index, &stamped(index, self.ops[i as usize - 1].clone()))
        })
    }
}
