//! read, flush, fsync.

use std::rc::Rc;

use bytes::Bytes;

use super::Fs;
use crate::session::Failure;

impl Fs {
    /// Shorter than `len` only at the end of the file.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn read(self: Rc<Self>, handle: u64, offset: u64, len: u32) -> Result<Bytes, Failure> {
        let file = self.file(handle)?;
        file.inode.was_read();
        self.client.read(file.inode.id, offset, len).await
    }

    /// close(2) of one descriptor: everything written is committed, and whoever closes loses their fcntl locks.
    ///
    /// # Errors
    /// What a write that had returned ran into, until an fsync has told it; else [`Failure`].
    pub async fn flush(self: Rc<Self>, handle: u64, lock_owner: u64) -> Result<(), Failure> {
        let file = self.file(handle)?;
        let unlocked = self.unlock_all(&file.inode, lock_owner).await;
        if file.writes() || file.inode.is_unconfirmed() {
            self.client.settled(file.inode.last_write()).await?;
        }
        file.tell_closer()?;
        unlocked
    }

    /// Everything ordered before is durable on return.
    ///
    /// # Errors
    /// What a write to the file that had returned ran into, through whichever handle, once; else [`Failure`].
    pub async fn fsync(self: Rc<Self>, handle: u64) -> Result<(), Failure> {
        let file = self.file(handle)?;
        let synced = self.client.sync().await;
        // A refusal leaves no record to be synced, and may come after the word that all is durable.
        self.client.settled(file.inode.last_write()).await?;
        file.tell_syncer()?;
        synced
    }

    /// As [`Fs::fsync`], for a directory.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn fsyncdir(self: Rc<Self>) -> Result<(), Failure> {
        self.client.sync().await
    }
}
