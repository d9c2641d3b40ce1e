//! The side that has the tree.

use bytes::Bytes;
use rfs_model::resync::{Item, PIECE_BYTES};
use rfs_model::{Index, InodeId};

use super::copy::{Copy, Lent};
use crate::tree::store::{Checkpoint, Snapshot};
use crate::tree::sums::Checked;
use crate::tree::{Entry, Fault, Tree};

/// Index entries that are read at a time.
const PAGE: usize = 256;

/// What a copying thread asks of the thread that owns the tree.
pub trait Lender {
    /// [`Tree::lend`].
    ///
    /// # Errors
    /// Its faults; [`Fault::Copy`] when the owner is gone.
    fn lend(&mut self, id: InodeId) -> Result<Option<Lent>, Fault>;

    /// [`Tree::check_copied`].
    ///
    /// # Errors
    /// Its faults; [`Fault::Copy`] when the owner is gone.
    fn check(&mut self, id: InodeId, offset: u64, data: Bytes) -> Result<Checked, Fault>;

    /// [`Tree::applied`], asked for when all has been read.
    ///
    /// # Errors
    /// [`Fault::Copy`] when the owner is gone.
    fn applied(&mut self) -> Result<Index, Fault>;
}

/// A copy being read; may run on any thread. The log after its checkpoint must be kept until the other brick has it.
pub struct Source {
    snapshot: Snapshot,
    checkpoint: Checkpoint,
    after: Option<InodeId>,
    inodes: u64,
    bytes: u64,
}

impl Tree {
    /// A copy of the last checkpoint that is done.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn copy_source(&self) -> Result<Source, Fault> {
        let snapshot = self.index.snapshot()?;
        let checkpoint = snapshot.checkpoint()?;
        Ok(Source { snapshot, checkpoint, after: None, inodes: 0, bytes: 0 })
    }
}

impl Source {
    /// The checkpoint that is copied.
    #[must_use]
    pub fn at(&self) -> Index {
        self.checkpoint.index
    }

    /// Inodes that the checkpoint has.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn total(&self) -> Result<u64, Fault> {
        self.snapshot.len()
    }

    /// The whole copy, item by item, in this thread.
    ///
    /// # Errors
    /// [`Fault`], also those of `lender` and `send`, at once.
    pub fn run(
        &mut self,
        lender: &mut dyn Lender,
        send: &mut dyn FnMut(Item) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        self.head()?.into_iter().try_for_each(&mut *send)?;
        loop {
            let page = self.page()?;
            if page.is_empty() {
                break;
            }
            for (id, entry) in page {
                let lent = lender.lend(id)?;
                let mut copy = Copy::new(id, &entry, lent)?;
                while let Some(item) = copy.next()? {
                    let Item::Data { id, offset, data } = item else {
                        send(item)?;
                        continue;
                    };
                    let Checked { data, rotten } = lender.check(id, offset, data)?;
                    send(Item::Data { id, offset, data })?;
                    rotten.into_iter().try_for_each(|block| send(Item::Rotten { id, block }))?;
                }
                self.bytes += copy.bytes();
            }
        }
        send(self.end(lender.applied()?))
    }

    /// The items before the first inode.
    fn head(&self) -> Result<Vec<Item>, Fault> {
        let Checkpoint { index, term, state, .. } = &self.checkpoint;
        let mut out = vec![Item::Begin { at: *index, term: *term, inodes: self.total()? }];
        let mut state: Bytes = state.clone();
        while !state.is_empty() {
            let data = state.split_to(state.len().min(PIECE_BYTES));
            out.push(Item::State { data });
        }
        Ok(out)
    }

    /// The next inodes; none at the end.
    fn page(&mut self) -> Result<Vec<(InodeId, Entry)>, Fault> {
        let page = self.snapshot.page(self.after, PAGE)?;
        self.inodes += page.len() as u64;
        self.after = page.last().map(|(id, _)| *id).or(self.after);
        Ok(page)
    }

    /// A tree that was itself copied and has not reached its floor must not be shown as if it had.
    fn end(&self, applied: Index) -> Item {
        let until = applied.max(self.checkpoint.floor);
        Item::End { until, inodes: self.inodes, bytes: self.bytes }
    }
}
