//! Extended attributes.

use std::rc::Rc;

use bytes::Bytes;
use rfs_model::Refusal;
use rfs_model::client::{Answer, Mutation, Query};

use super::{Fs, Inode};
use crate::session::Failure;

/// Names that belong to rfs itself.
const HIDDEN: &[u8] = b"trusted.rfs.";

fn visible(name: &[u8]) -> Result<(), Failure> {
    if name.starts_with(HIDDEN) { Err(Refusal::NotSupported.into()) } else { Ok(()) }
}

impl Fs {
    /// # Errors
    /// [`Failure`].
    pub async fn get_xattr(self: Rc<Self>, number: u64, name: Bytes) -> Result<Bytes, Failure> {
        let inode = self.inode(number)?;
        if name.starts_with(HIDDEN) {
            return Err(Refusal::NoAttribute.into());
        }
        match self.client.ask(Query::GetXattr { id: inode.id, name: name.clone() }).await {
            Ok(Answer::Data { data }) => Ok(data),
            Ok(_) => Err(Failure::Nonsense),
            Err(Failure::Refused(Refusal::NoAttribute)) => {
                self.remember_lack(&inode, &name);
                Err(Refusal::NoAttribute.into())
            }
            Err(failure) => Err(failure),
        }
    }

    /// Only while somebody would tell us that this is no longer so.
    fn remember_lack(&self, inode: &Inode, name: &[u8]) {
        if self.shared.trusted() {
            inode.found_lacking(name);
        }
    }

    /// All names, each with a zero byte behind it.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn list_xattrs(self: Rc<Self>, number: u64) -> Result<Vec<u8>, Failure> {
        let id = self.inode(number)?.id;
        let Answer::Names { names } = self.client.ask(Query::ListXattr { id }).await? else {
            return Err(Failure::Nonsense);
        };
        let mut list = Vec::new();
        for name in names.iter().filter(|name| !name.starts_with(HIDDEN)) {
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
    ) -> Result<(), Failure> {
        visible(&name)?;
        let inode = self.inode(number)?;
        inode.attributes_unknown();
        let result = self.client.mutate(Mutation::SetXattr { id: inode.id, name, value, flags }).await;
        inode.attributes_unknown();
        result.map(drop)
    }

    /// # Errors
    /// [`Failure`].
    pub async fn remove_xattr(self: Rc<Self>, number: u64, name: Bytes) -> Result<(), Failure> {
        visible(&name)?;
        let inode = self.inode(number)?;
        self.client.mutate(Mutation::RemoveXattr { id: inode.id, name }).await.map(drop)
    }
}
