//! What the volume looks like as a file system: one verb a file. Nothing here knows FUSE; the verbs take numbers and names
//! and give attributes and data, so that they are tested without a mount.
//!
//! [`Fs`] lives on the network thread. [`Shared`] is what the kernel's requests may look at on their own thread.

mod ahead;
mod attrs;
mod calls;
mod data;
mod dirs;
mod handles;
mod inode;
mod inodes;
mod lease;
mod locks;
mod lost;
mod make;
mod names;
mod open;
mod privileges;
mod remove;
mod retries;
mod rows;
mod settle;
mod shared;
mod space;
mod trim;
mod write;
mod xattrs;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rfs_model::client::{Change, Done, Mutation};
use rfs_model::limits::NAME_BYTES;
use rfs_model::{Attr, Refusal};

use ahead::Touched;

pub use dirs::{Listed, OpenedDir};
pub use handles::{Handles, OpenFile};
pub use inode::Inode;
pub use inodes::Inodes;
pub use make::{Caller, NewNode};
pub use open::Opened;
pub use shared::{Invalidation, Options, Shared};
pub use trim::INODES;
pub use write::{Quick, WriteRequest};

use inode::Moment;

use crate::session::{Client, Failure, Push};

/// The file system of one mount.
pub struct Fs {
    client: Rc<Client>,
    shared: Arc<Shared>,
    dirs: RefCell<Handles<dirs::OpenDir>>,
    retries: retries::Retries,
}

/// What a name stands for, and for how long the kernel may believe that.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub attr: Attr,
    pub attr_ttl: Duration,
    pub entry_ttl: Duration,
}

impl Fs {
    #[must_use]
    pub fn new(client: Rc<Client>, shared: Arc<Shared>) -> Rc<Self> {
        Rc::new(Self { client, shared, dirs: RefCell::default(), retries: retries::Retries::default() })
    }

    #[must_use]
    pub fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    #[must_use]
    pub fn client(&self) -> &Rc<Client> {
        &self.client
    }

    /// As [`Client::mutate`]. What is known ahead of what it changes is forgotten.
    async fn mutate(&self, op: Mutation) -> Result<Done, Failure> {
        let touched = Touched::by(&op);
        let done = self.client.mutate(op).await;
        self.shared.ahead().changing(&touched);
        if let Ok(done) = &done {
            self.shared.leases().spare(done.spare);
        }
        done
    }

    fn inode(&self, number: u64) -> Result<Arc<Inode>, Failure> {
        self.shared.inodes().get(number).ok_or(Failure::Refused(Refusal::Stale))
    }

    fn moment(&self) -> Moment {
        (self.client.last(), self.shared.changes())
    }

    /// The handle, if it is of the present session.
    fn file(&self, handle: u64) -> Result<Arc<OpenFile>, Failure> {
        let file = self.shared.files().get(handle)?;
        if file.epoch == self.shared.epoch() { Ok(file) } else { Err(Failure::Expired) }
    }

    /// A directory, and a name in it that is not too long for any brick.
    fn slot(&self, dir: u64, name: &Bytes) -> Result<Arc<Inode>, Failure> {
        if name.len() > NAME_BYTES { Err(Refusal::NameTooLong.into()) } else { self.inode(dir) }
    }

    /// The kernel is about to be told what `name` in `parent` is.
    fn entry(&self, parent: u64, name: Bytes, attr: Attr) -> Result<(Entry, Arc<Inode>), Failure> {
        let Some(inode) = self.shared.remember(&attr, (parent, name)) else {
            tracing::error!("inodes {} and another one in use have the same number", attr.id);
            return Err(Refusal::Stale.into());
        };
        inode.size_told(attr.size);
        let entry = Entry { attr, attr_ttl: self.shared.attr_ttl(), entry_ttl: self.shared.entry_ttl() };
        Ok((entry, inode))
    }

    /// What the session says unasked. `shared` may be in use on other threads.
    pub fn pushed(shared: &Shared, push: Push) {
        let _news = shared.taking_news();
        match push {
            Push::Recall(dir) => shared.leases().give_back(dir),
            Push::Changes(changes) => changes.into_iter().for_each(|change| changed(shared, change)),
            Push::Lost => {
                shared.set_trusted(false);
                // What was asked for before is of another time.
                shared.count_change();
                shared.leases().lost();
                shared.ahead().drop_all();
                shared.inodes().doubt_all(false);
                shared.invalidate(Invalidation::All);
            }
            Push::Attached => shared.set_trusted(true),
            Push::Down(down) => shared.set_down(down),
            Push::Expired => {
                shared.next_epoch();
                shared.count_change();
                shared.leases().expired();
                shared.ahead().drop_all();
                shared.inodes().doubt_all(true);
                shared.invalidate(Invalidation::All);
            }
        }
    }
}

fn changed(shared: &Shared, change: Change) {
    shared.count_change();
    shared.ahead().news(&change);
    shared.leases().news(&change);
    match change {
        Change::Inode { id, offset, len } => {
            let Some(inode) = shared.inodes().by_id(id) else { return };
            // A write or an allocation has a range; what else changes attributes has none, or goes to the end.
            inode.grown_up();
            if len == 0 || len == u64::MAX {
                inode.attributes_unknown();
            }
            if len > 0 {
                inode.pages_unknown();
            }
            shared.invalidate(Invalidation::Inode { number: inode.number, offset, len });
        }
        Change::Entry { parent, name } => {
            let Some(parent) = shared.inodes().by_id(parent) else { return };
            if shared.options().cache_listings {
                parent.listing_is_old();
                shared.invalidate(Invalidation::Inode { number: parent.number, offset: 0, len: u64::MAX });
            }
            shared.invalidate(Invalidation::Entry { parent: parent.number, name });
        }
    }
}
