//! open, release.

use std::rc::Rc;
use std::sync::Arc;

use rfs_model::Index;
use rfs_model::client::{Answer, Mutation, Query, SetTime, WantAttr};

use super::{Caller, Fs, Inode, Invalidation, OpenFile};
use crate::session::Failure;

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;
const GROUP_EXECUTES: u32 = 0o0010;

/// An open file, and how the kernel is to treat it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    pub handle: u64,
    /// What the kernel has of the file's data is still right.
    pub keep_pages: bool,
    /// Every read and write comes to us.
    pub bypass_pages: bool,
    /// Writes through this handle may run at the same time.
    pub parallel_writes: bool,
}

impl Fs {
    /// What the program reads through the new handle is at least as new as this call: on return the kernel holds nothing
    /// that is older, the file's size included, which it would believe for a while.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(self: Rc<Self>, number: u64, flags: i32, caller: Caller) -> Result<Opened, Failure> {
        let (inode, version) = self.hold(number, flags, caller).await?;
        if let Err(failure) = self.drop_older(&inode, version).await {
            self.client.release(inode.id);
            return Err(failure);
        }
        let keep_pages = self.shared.trusted();
        Ok(self.hand_out(inode, flags, keep_pages))
    }

    /// As [`Fs::open`], where the same answer brings the kernel the inode's attributes. Nothing may wait for the kernel
    /// here: it has locked the directory.
    pub(super) async fn open_told(
        self: Rc<Self>,
        number: u64,
        flags: i32,
        caller: Caller,
    ) -> Result<Opened, Failure> {
        let (inode, _) = self.hold(number, flags, caller).await?;
        Ok(self.hand_out(inode, flags, false))
    }

    /// Opens the file at the leader. Returns its version as it was then.
    async fn hold(&self, number: u64, flags: i32, caller: Caller) -> Result<(Arc<Inode>, Index), Failure> {
        let inode = self.inode(number)?;
        let Answer::Attr { attr } = self.client.ask(Query::Open { id: inode.id }).await? else {
            return Err(Failure::Nonsense);
        };
        if flags & libc::O_TRUNC != 0
            && let Err(failure) = self.truncate(&inode, attr.mode, caller).await
        {
            self.client.release(inode.id);
            return Err(failure);
        }
        Ok((inode, attr.version))
    }

    /// Makes the kernel drop what it holds of a file, unless that is of this version.
    ///
    /// # Errors
    /// [`Failure::TimedOut`].
    pub(super) async fn drop_older(&self, inode: &Inode, version: Index) -> Result<(), Failure> {
        if inode.pages() != version {
            let number = inode.number;
            self.shared.invalidate(Invalidation::Inode { number, offset: 0, len: u64::MAX });
            self.client.patience().within(self.shared.invalidated()).await?;
            // Not before: who opens it meanwhile must not believe that this has happened.
            inode.pages_are_of(version);
        }
        Ok(())
    }

    /// Without its own set-id bits, as the kernel would have it had it done this itself.
    async fn truncate(&self, inode: &Inode, mode: u32, caller: Caller) -> Result<(), Failure> {
        let group = if mode & GROUP_EXECUTES != 0 { SET_GROUP_ID } else { 0 };
        let stripped = mode & !(SET_USER_ID | group);
        let want = WantAttr {
            size: Some(0),
            mtime: Some(SetTime::Now),
            mode: (caller.uid != 0 && stripped != mode).then_some(stripped),
            ..WantAttr::default()
        };
        self.client.mutate(Mutation::SetAttr { id: inode.id, want }).await.map(drop)
    }

    /// The file is open at the leader; the kernel gets a handle.
    ///
    /// Appends bypass the page cache, since only the leader knows where they end up.
    pub(super) fn hand_out(&self, inode: Arc<Inode>, flags: i32, keep_pages: bool) -> Opened {
        let file = OpenFile::new(inode, flags, self.shared.epoch());
        let direct = flags & libc::O_DIRECT != 0;
        let appends = flags & libc::O_APPEND != 0 && file.writes();
        let bypass_pages = self.shared.options().direct_io || direct || appends;
        let handle = self.shared.files().insert(Arc::new(file));
        Opened { handle, keep_pages, bypass_pages, parallel_writes: direct && !appends }
    }

    /// The last use of a handle. `flock_owner`: who had locked the whole file with flock(2) through it.
    ///
    /// # Errors
    /// [`Failure::BadHandle`].
    pub async fn release(self: Rc<Self>, handle: u64, flock_owner: Option<u64>) -> Result<(), Failure> {
        let file = self.shared.files().remove(handle)?;
        if let Err(lost) = file.take_failure() {
            tracing::error!("inode {}: written data was lost: {lost}", file.inode.id);
        }
        if file.epoch != self.shared.epoch() {
            return Ok(());
        }
        self.client.release(file.inode.id);
        if let Some(owner) = flock_owner {
            let _ = self.unlock_all(&file.inode, owner).await;
        }
        Ok(())
    }
}
