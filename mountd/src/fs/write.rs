//! write: taken into the retained window, and done as far as the program is concerned.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rfs_model::client::{Answer, Done, Mutation, Query};

use super::ahead::Touched;
use super::lease::now_ms;
use super::{Fs, Inode, Invalidation, OpenFile, Shared};
use crate::session::Failure;
use crate::session::credit::Share;
use crate::session::window::Waiter;

/// One write, as the kernel asks for it.
#[derive(Clone, Debug)]
pub struct WriteRequest {
    pub handle: u64,
    pub offset: u64,
    pub data: Bytes,
    /// The file's flags at present: `O_APPEND`, `O_SYNC`, `O_DSYNC`, `O_DIRECT`.
    pub flags: i32,
    /// The kernel writes back a page that a program has mapped; the handle is a guess.
    pub from_mapping: bool,
    /// What the file may do that others may not has to go first: the writer may not give it that.
    pub strips: bool,
}

/// A change of a file that may return as soon as it is in the window: most of them are writes.
pub struct Quick {
    pub op: Mutation,
    pub credit: Share,
    pub waiter: Waiter,
    pub inode: Arc<Inode>,
    /// The session in which it returns.
    pub epoch: u64,
    /// The directory, if the file is made in it.
    pub birth_in: Option<Arc<Inode>>,
}

impl Quick {
    /// Whether it is a part of how a file comes to be that the leader has yet to confirm.
    #[must_use]
    pub fn makes_a_file(&self) -> bool {
        self.inode.is_unconfirmed()
    }

    #[must_use]
    pub fn data_bytes(&self) -> usize {
        self.op.data_bytes()
    }
}

impl WriteRequest {
    fn appends(&self) -> bool {
        self.flags & libc::O_APPEND != 0 && !self.from_mapping
    }

    fn must_wait(&self) -> bool {
        self.flags & (libc::O_SYNC | libc::O_DSYNC | libc::O_DIRECT) != 0 && !self.from_mapping
    }

    fn durable(&self) -> bool {
        self.flags & (libc::O_SYNC | libc::O_DSYNC) != 0 && !self.from_mapping
    }

    fn op(&self, file: &OpenFile) -> Mutation {
        let (id, data) = (file.inode.id, self.data.clone());
        if self.appends() {
            Mutation::Append { id, data }
        } else {
            Mutation::Write { id, offset: self.offset, data }
        }
    }

    /// Called on the kernel's own thread: `None` when the write has to wait for something.
    ///
    /// # Errors
    /// What an earlier write through the handle ran into, or [`Failure::BadHandle`].
    pub fn quick(&self, shared: &Arc<Shared>) -> Result<Option<Quick>, Failure> {
        let file = shared.files().get(self.handle)?;
        if file.epoch != shared.epoch() {
            return Err(Failure::Expired);
        }
        file.tell_writer()?;
        if file.inode.is_in_doubt(now_ms) {
            return Ok(None);
        }
        if self.must_wait() || shared.is_down() || self.strips && !file.inode.is_unprivileged() {
            return Ok(None);
        }
        let Some(credit) = shared.credit().try_take(self.data.len()) else { return Ok(None) };
        let waiter = self.waiter(shared.clone(), file.clone());
        self.grows(&file);
        let (op, inode, epoch) = (self.op(&file), file.inode.clone(), file.epoch);
        shared.ahead().changing(&Touched::by(&op));
        Ok(Some(Quick { op, credit, waiter, inode, epoch, birth_in: None }))
    }

    /// The write returns without an error: the kernel takes its end for one that the file has.
    fn grows(&self, file: &OpenFile) {
        if self.appends() {
            file.inode.grown_up();
        } else {
            file.inode.size_grown(self.offset + self.data.len() as u64);
        }
    }

    /// Hears how a write that has returned ended.
    fn waiter(&self, shared: Arc<Shared>, file: Arc<OpenFile>) -> Waiter {
        let (offset, len, appends) = (self.offset, self.data.len() as u64, self.appends());
        Box::new(move |result| {
            let number = file.inode.number;
            match result {
                Ok(Done { offset: at, spare, .. }) if appends && at != offset => {
                    shared.leases().spare(spare);
                    file.inode.append_misplaced();
                    shared.invalidate(Invalidation::Inode { number, offset: 0, len: u64::MAX });
                }
                Ok(Done { spare, .. }) => shared.leases().spare(spare),
                Err(why) => {
                    tracing::error!(
                        "inode {}: {len} bytes at {offset} were not written: {why}",
                        file.inode.id
                    );
                    file.fail(why);
                    let (offset, len) = if appends { (0, u64::MAX) } else { (offset, len) };
                    shared.invalidate(Invalidation::Inode { number, offset, len });
                }
            }
        })
    }
}

impl Fs {
    /// Puts what has returned already into the window.
    pub fn submit(self: &Rc<Self>, quick: Quick) {
        let Quick { op, credit, waiter, inode, epoch, birth_in } = quick;
        if epoch == self.shared.epoch() {
            let seq = self.client.submit(op, credit, waiter);
            [Some(&inode), birth_in.as_ref()].into_iter().flatten().for_each(|inode| inode.wrote(seq));
        } else {
            waiter(Err(Failure::Expired));
        }
        if let Some(dir) = birth_in {
            self.shared.leases().submitted(dir.id);
        }
    }

    /// A write that waits: for room in the window, to be committed (`O_DIRECT`), or to be durable (`O_SYNC`).
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn write(self: Rc<Self>, request: WriteRequest) -> Result<(), Failure> {
        let file = self.file(request.handle)?;
        if file.inode.is_in_doubt(now_ms) {
            self.client.settled(file.inode.last_write()).await?;
            file.tell_closer()?;
        }
        if request.strips {
            self.strip(&file.inode).await?;
        }
        let op = request.op(&file);
        if !request.must_wait() {
            let waiter = request.waiter(self.shared.clone(), file.clone());
            let touched = Touched::by(&op);
            let seq = self.client.enqueue(op, waiter).await?;
            self.shared.ahead().changing(&touched);
            file.inode.wrote(seq);
            request.grows(&file);
            return Ok(());
        }
        let done = self.mutate(op).await?;
        if request.appends() && done.offset != request.offset {
            let number = file.inode.number;
            file.inode.append_misplaced();
            self.shared.invalidate(Invalidation::Inode { number, offset: 0, len: u64::MAX });
        }
        if request.durable() {
            let seq = self.client.last();
            return match self.client.ask(Query::Sync { seq }).await? {
                Answer::Done => Ok(()),
                _ => Err(Failure::Nonsense),
            };
        }
        Ok(())
    }
}
