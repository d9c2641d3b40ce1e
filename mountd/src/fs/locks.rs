//! fcntl and flock locks: ordered by the leader, known to all mounts. As with NFS, a flock is a lock of the whole file.

use std::rc::Rc;
use std::time::Duration;

use rfs_model::Refusal;
use rfs_model::client::{Answer, Mutation, Query};
use rfs_model::op::{LockKind, LockRange};

use super::{Fs, Inode};
use crate::session::Failure;

/// A refused waiter asks again at least this often.
const ASK_AGAIN: Duration = Duration::from_millis(200);

/// How much longer than an answer a lock is waited for: the locks of a mount that died are free after 60 s, and whoever
/// waits for one of them is to get it.
const OUTLIVES: Duration = Duration::from_secs(70);

impl Fs {
    /// The lock that stands in the way of `range`; of kind `Unlock` when none does.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn get_lock(
        self: Rc<Self>,
        number: u64,
        owner: u64,
        range: LockRange,
    ) -> Result<LockRange, Failure> {
        let id = self.inode(number)?.id;
        match self.client.ask(Query::GetLock { id, owner, range }).await? {
            Answer::Lock { range } => Ok(range),
            _ => Err(Failure::Nonsense),
        }
    }

    /// Takes, changes or frees a lock. On return, everything written through the session before is committed, and what the
    /// kernel holds of the file is as new as the lock.
    ///
    /// # Errors
    /// [`Refusal::Locked`] when it may not `wait`, [`Failure::StillLocked`] when it has waited for too long; else
    /// [`Failure`].
    pub async fn set_lock(
        self: Rc<Self>,
        number: u64,
        owner: u64,
        range: LockRange,
        wait: bool,
    ) -> Result<(), Failure> {
        let inode = self.inode(number)?;
        let deadline = self.client.patience().deadline().map(|deadline| deadline + OUTLIVES);
        loop {
            let lock = Mutation::Lock { id: inode.id, owner, range };
            match self.mutate(lock).await {
                Ok(_) => break,
                Err(Failure::Refused(Refusal::Locked)) if wait => {}
                Err(failure) => return Err(failure),
            }
            if deadline.is_some_and(|deadline| self.client.patience().now() >= deadline) {
                return Err(Failure::StillLocked);
            }
            self.client.lock_freed(ASK_AGAIN).await;
        }
        if range.kind != LockKind::Unlock {
            inode.locked_by(owner);
            self.refresh(&inode).await?;
        }
        Ok(())
    }

    /// Makes the kernel drop what it holds of the file, unless it is of the present version.
    async fn refresh(&self, inode: &Inode) -> Result<(), Failure> {
        let Answer::Attr { attr } = self.client.ask(Query::GetAttr { id: inode.id }).await? else {
            return Err(Failure::Nonsense);
        };
        self.drop_older(inode, &attr).await
    }

    /// All locks of one owner on one inode end, if there are any.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn unlock_all(&self, inode: &Inode, owner: u64) -> Result<(), Failure> {
        if !inode.unlocked_by(owner) {
            return Ok(());
        }
        self.mutate(Mutation::Unlock { id: inode.id, owner }).await.map(drop)
    }
}
