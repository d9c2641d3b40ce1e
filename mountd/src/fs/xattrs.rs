//! Extended attributes.

use std::rc::Rc;

use bytes::Bytes;
use rfs_model::attr::is_label;
use rfs_model::client::{Answer, Mutation, Query};
use rfs_model::{Attr, InodeId, Refusal};

use super::inode::Moment;
use super::{Caller, Fs, Inode};
use crate::session::Failure;

/// Names that belong to rfs itself.
const HIDDEN: &[u8] = b"trusted.rfs.";
/// Of the root: what this mount has asked of the leader, as JSON.
const REQUESTS: &[u8] = b"trusted.rfs.requests";
/// Of the root: how many inodes this mount knows.
const INODES: &[u8] = b"trusted.rfs.inodes";
/// Names that only root sees: the kernel lets nobody else read them, but leaves lists to us.
const TRUSTED: &[u8] = b"trusted.";

const ACL: &[u8] = b"system.posix_acl_access";

fn visible(name: &[u8]) -> Result<(), Failure> {
    if name.starts_with(HIDDEN) { Err(Refusal::NotSupported.into()) } else { Ok(()) }
}

/// It may have an extended attribute from now on, also where this mount has made it a moment ago.
fn has_one(inode: &Inode) {
    inode.grown_up();
    inode.attributes_unknown();
}

impl Fs {
    /// # Errors
    /// [`Failure`].
    pub async fn get_xattr(self: Rc<Self>, number: u64, name: Bytes) -> Result<Bytes, Failure> {
        let inode = self.inode(number)?;
        if name == REQUESTS && inode.id == InodeId::ROOT {
            return Ok(self.client.counts().json().into());
        }
        if name == INODES && inode.id == InodeId::ROOT {
            return Ok(self.shared.inodes().count().to_string().into());
        }
        if name.starts_with(HIDDEN) || is_label(&name) {
            return Err(Refusal::NoAttribute.into());
        }
        let doubts = inode.doubts();
        match self.client.ask(Query::GetXattr { id: inode.id, name: name.clone() }).await {
            Ok(Answer::Data { data }) => Ok(data),
            Ok(_) => Err(Failure::Nonsense),
            Err(Failure::Refused(Refusal::NoAttribute)) => {
                // Only while somebody would tell us that this is no longer so.
                if self.shared.trusted() && inode.doubts() == doubts {
                    inode.found_lacking(&name);
                }
                Err(Refusal::NoAttribute.into())
            }
            Err(failure) => Err(failure),
        }
    }

    /// The inode's attributes were asked for at that moment. They count if nobody else has changed anything since, and this mount
    /// neither; or not this inode, which it would have doubted then.
    pub(super) fn note_bare(&self, inode: &Inode, attr: &Attr, asked: Moment) {
        let (own, others) = self.moment();
        let untouched = own == asked.0 || inode.doubts() == 0;
        if self.shared.trusted() && others == asked.1 && untouched {
            inode.found_bare(attr.bare);
        }
    }

    /// All names that the caller may see, each with a zero byte behind it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_xattrs(self: Rc<Self>, number: u64, caller: Caller) -> Result<Vec<u8>, Failure> {
        let id = self.inode(number)?.id;
        let Answer::Names { names } = self.client.ask(Query::ListXattr { id }).await? else {
            return Err(Failure::Nonsense);
        };
        let mut list = Vec::new();
        let prefix = if caller.uid == 0 { HIDDEN } else { TRUSTED };
        for name in names.iter().filter(|name| !name.starts_with(prefix) && !is_label(name)) {
            list.extend_from_slice(name);
            list.push(0);
        }
        Ok(list)
    }

    /// # Errors
    /// [`Failure`].
    pub async fn set_xattr(
        self: Rc<Self>,
        number: u64,
        name: Bytes,
        value: Bytes,
        flags: u32,
        caller: Caller,
    ) -> Result<(), Failure> {
        visible(&name)?;
        let inode = self.inode(number)?;
        if name == ACL && caller.uid != 0 {
            self.strip_group_id(&inode, caller).await?;
        }
        has_one(&inode);
        // A default list that is set here is inherited by what is made from now on.
        self.shared.leases().give_back(inode.id);
        let result = self.mutate(Mutation::SetXattr { id: inode.id, name, value, flags }).await;
        has_one(&inode);
        result.map(drop)
    }

    /// # Errors
    /// [`Failure`].
    pub async fn remove_xattr(self: Rc<Self>, number: u64, name: Bytes) -> Result<(), Failure> {
        visible(&name)?;
        let inode = self.inode(number)?;
        let result = self.mutate(Mutation::RemoveXattr { id: inode.id, name }).await;
        inode.attributes_unknown();
        result.map(drop)
    }
}
