//! What admission gives back.

use rfs_model::client::Done;
use rfs_model::op::Stamped;
use rfs_model::{Refusal, Seq, SessionId};

use super::view::{Fault, TreeView};
use crate::sessions::Outcome;

/// What is to be done next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Propose it, at exactly the index that was passed in. [`crate::admit::Front::apply`] gives the answer, or, for data
    /// that is answered at its commit, [`Outcome::of`].
    Record(Stamped),
    /// Answer at once: refused, or a success that changes nothing.
    Answer { session: SessionId, seq: Seq, outcome: Outcome },
}

impl Outcome {
    /// The answer as the mount gets it, with the attributes as of now. An inode that is gone since has none.
    ///
    /// # Errors
    /// [`Fault`] of the tree.
    pub fn answer(self, tree: &dyn TreeView) -> Result<Result<Done, Refusal>, Fault> {
        Ok(match self {
            Self::Refused { why } => Err(why),
            Self::Done { id, offset, attr } => {
                let attr = if attr { tree.attr(id)? } else { None };
                Ok(Done { id, offset, attr, dir: None, to_dir: None, spare: rfs_model::InodeId::NIL })
            }
        })
    }
}
