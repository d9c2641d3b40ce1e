//! fallocate, lseek.

use std::rc::Rc;

use rfs_model::Refusal;
use rfs_model::client::{Answer, Mutation, Query};
use rfs_model::op::Allocate;

use super::Fs;
use crate::session::Failure;

impl Fs {
    /// # Errors
    /// [`Failure`].
    pub async fn allocate(self: Rc<Self>, handle: u64, range: Allocate) -> Result<(), Failure> {
        let file = self.file(handle)?;
        file.inode.grown_up();
        self.mutate(Mutation::Allocate { id: file.inode.id, range }).await.map(drop)
    }

    /// `SEEK_DATA` and `SEEK_HOLE`; the kernel does the others itself.
    ///
    /// # Errors
    /// [`Failure`]; [`Refusal::NoData`] behind the last data.
    pub async fn seek(self: Rc<Self>, handle: u64, offset: i64, whence: i32) -> Result<i64, Failure> {
        let file = self.file(handle)?;
        let offset = u64::try_from(offset).map_err(|_| Refusal::NoData)?;
        let data = match whence {
            libc::SEEK_DATA => true,
            libc::SEEK_HOLE => false,
            _ => return Err(Refusal::Invalid.into()),
        };
        match self.client.ask(Query::Seek { id: file.inode.id, offset, data }).await? {
            Answer::Offset { offset } => i64::try_from(offset).map_err(|_| Failure::Nonsense),
            _ => Err(Failure::Nonsense),
        }
    }
}
