//! open, release.

use std::rc::Rc;
use std::sync::Arc;

use rfs_model::Attr;
use rfs_model::client::{Mutation, SetTime, WantAttr};

use super::privileges::without_set_id;
use super::{Caller, Fs, Inode, Invalidation, OpenFile, Shared};
use crate::session::Failure;

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

impl Shared {
    /// The last use of a handle. Who answers to the leader for it is to be told: nobody, if its session is over.
    ///
    /// # Errors
    /// [`Failure::BadHandle`].
    pub fn close(&self, handle: u64) -> Result<Option<Arc<Inode>>, Failure> {
        let file = self.files().remove(handle)?;
        if file.appends() {
            file.inode.appender_left();
        }
        file.inode.grown_up();
        Ok((file.epoch == self.epoch()).then(|| file.inode.clone()))
    }

    /// The file is open at the leader, or will be; the kernel gets a handle.
    ///
    /// Appends bypass the page cache, since only the leader knows where they end up. So does who reads what is appended to
    /// here: the kernel takes its own guess where an append has ended for the file's size.
    pub(super) fn hand_out(&self, inode: Arc<Inode>, flags: i32, keep_pages: bool) -> Opened {
        let file = OpenFile::new(inode, flags, self.epoch());
        let direct = flags & libc::O_DIRECT != 0;
        let appends = file.appends();
        if appends {
            file.inode.appender_came();
        }
        let bypass_pages = self.options().direct_io || direct || file.inode.size_is_guessed();
        let handle = self.files().insert(Arc::new(file));
        Opened { handle, keep_pages, bypass_pages, parallel_writes: direct && !appends }
    }

    /// Whether a close of one descriptor, by this owner of locks, has nothing to wait for and nothing to tell.
    #[must_use]
    pub fn closes_at_once(&self, handle: u64, lock_owner: u64) -> bool {
        let idle = |file: &OpenFile| {
            !file.writes() && !file.inode.is_unconfirmed() && !file.inode.may_have_locked(lock_owner)
        };
        let file = self.files().get(handle);
        file.is_ok_and(|file| file.epoch == self.epoch() && idle(&file) && file.tell_closer().is_ok())
    }
}

impl Fs {
    /// What the program reads through the new handle is at least as new as this call: on return the kernel holds nothing
    /// that is older, the file's size included, which it would believe for a while.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn open(self: Rc<Self>, number: u64, flags: i32, caller: Caller) -> Result<Opened, Failure> {
        let held = self.hold(number, flags, caller).await;
        self.answers(caller.thread, &held);
        let (inode, attr) = held?;
        self.retried(caller.thread, inode.id);
        if let Err(failure) = self.drop_older(&inode, &attr).await {
            self.client.release(inode.id);
            return Err(failure);
        }
        let keep_pages = self.shared.trusted();
        Ok(self.shared.hand_out(inode, flags, keep_pages))
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
        Ok(self.shared.hand_out(inode, flags, false))
    }

    /// Opens the file at the leader. Returns its attributes as they were then, but for what a truncation makes of them.
    async fn hold(&self, number: u64, flags: i32, caller: Caller) -> Result<(Arc<Inode>, Attr), Failure> {
        let inode = self.inode(number)?;
        // Who opens it to write, or past the page cache, does not read all of it from its beginning.
        let reads = flags & (libc::O_ACCMODE | libc::O_TRUNC | libc::O_DIRECT) == libc::O_RDONLY;
        let unless = (reads && !self.shared.options().direct_io).then(|| inode.read_version());
        let mut attr = self.open_at_leader(caller.thread, inode.id, unless).await?;
        if flags & libc::O_TRUNC != 0 {
            if let Err(failure) = self.truncate(&inode, attr.mode, caller).await {
                self.client.release(inode.id);
                return Err(failure);
            }
            attr.size = 0;
            inode.size_told(0);
        }
        Ok((inode, attr))
    }

    /// Makes the kernel drop what it holds of a file, unless that is of this version, and believe in no smaller size.
    ///
    /// It would ask for the size at its next read; but it does not take the answer when it was told of another change while
    /// that was on its way, and goes on with the size that it had.
    ///
    /// # Errors
    /// [`Failure`].
    pub(super) async fn drop_older(&self, inode: &Inode, attr: &Attr) -> Result<(), Failure> {
        if inode.pages() == attr.version {
            return Ok(());
        }
        let (number, size) = (inode.number, attr.size);
        let last = if size > inode.least_size() { self.byte(inode, size - 1).await? } else { None };
        self.shared.invalidate(Invalidation::Inode { number, offset: 0, len: u64::MAX });
        let grow = last.map(|last| Invalidation::Grow { number, size, last });
        self.client.patience().within(self.shared.carried_out(grow)).await?;
        if last.is_some() {
            inode.size_grown(size);
        }
        // Not before: who opens it meanwhile must not believe that this has happened.
        inode.pages_are_of(attr.version);
        Ok(())
    }

    /// `None`: the file has become shorter.
    async fn byte(&self, inode: &Inode, offset: u64) -> Result<Option<u8>, Failure> {
        Ok(self.client.read(inode.id, offset, 1).await?.first().copied())
    }

    /// Without its own set-id bits and capabilities, as the kernel would have it had it done this itself.
    async fn truncate(&self, inode: &Inode, mode: u32, caller: Caller) -> Result<(), Failure> {
        let stripped = without_set_id(mode);
        if caller.uid != 0 {
            self.strip_capability(inode).await?;
        }
        let want = WantAttr {
            size: Some(0),
            mtime: Some(SetTime::Now),
            mode: (caller.uid != 0 && stripped != mode).then_some(stripped),
            ..WantAttr::default()
        };
        self.mutate(Mutation::SetAttr { id: inode.id, want }).await.map(drop)
    }

    /// Somebody has closed a file a moment ago, in the session of this epoch.
    pub fn closed(self: &Rc<Self>, inode: Arc<Inode>, epoch: u64) {
        if epoch != self.shared.epoch() {
            return;
        }
        if !inode.is_unconfirmed() {
            return self.client.release(inode.id);
        }
        let fs = self.clone();
        tokio::task::spawn_local(async move {
            let settled = fs.client.settled(inode.last_write()).await;
            if settled.is_ok() && epoch == fs.shared.epoch() {
                fs.client.release(inode.id);
            }
        });
    }

    /// The last use of a handle. `flock_owner`: who had locked the whole file with flock(2) through it.
    ///
    /// # Errors
    /// [`Failure::BadHandle`].
    pub async fn release(self: Rc<Self>, handle: u64, flock_owner: Option<u64>) -> Result<(), Failure> {
        let Some(inode) = self.shared.close(handle)? else { return Ok(()) };
        self.closed(inode.clone(), self.shared.epoch());
        if let Some(owner) = flock_owner {
            let _ = self.unlock_all(&inode, owner).await;
        }
        Ok(())
    }
}
