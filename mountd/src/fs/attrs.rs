//! lookup, getattr, setattr, readlink, statfs.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rfs_model::Attr;
use rfs_model::client::{Answer, Mutation, Query, SetTime, Statfs, WantAttr};

use super::{Entry, Fs};
use crate::session::Failure;

impl Fs {
    /// # Errors
    /// [`Failure`].
    pub async fn lookup(self: Rc<Self>, parent: u64, name: Bytes) -> Result<Entry, Failure> {
        let dir = self.slot(parent, &name)?;
        match self.client.ask(Query::Lookup { parent: dir.id, name: name.clone() }).await? {
            Answer::Attr { attr } => Ok(self.entry(parent, name, attr)?.0),
            _ => Err(Failure::Nonsense),
        }
    }

    /// # Errors
    /// [`Failure`].
    pub async fn getattr(self: Rc<Self>, number: u64) -> Result<(Attr, Duration), Failure> {
        let inode = self.inode(number)?;
        match self.client.ask(Query::GetAttr { id: inode.id }).await? {
            Answer::Attr { attr } => Ok((attr, self.shared.attr_ttl())),
            _ => Err(Failure::Nonsense),
        }
    }

    /// # Errors
    /// [`Failure`].
    pub async fn setattr(
        self: Rc<Self>,
        number: u64,
        mut want: WantAttr,
    ) -> Result<(Attr, Duration), Failure> {
        let inode = self.inode(number)?;
        if want.size.is_some() {
            want.mtime.get_or_insert(SetTime::Now);
        }
        if want == WantAttr::default() {
            return self.getattr(number).await;
        }
        inode.attributes_unknown();
        let done = self.client.mutate(Mutation::SetAttr { id: inode.id, want }).await?;
        match done.attr {
            Some(attr) => Ok((attr, self.shared.attr_ttl())),
            None => self.getattr(number).await,
        }
    }

    /// # Errors
    /// [`Failure`].
    pub async fn readlink(self: Rc<Self>, number: u64) -> Result<Bytes, Failure> {
        let id = self.inode(number)?.id;
        match self.client.ask(Query::ReadLink { id }).await? {
            Answer::Data { data } => Ok(data),
            _ => Err(Failure::Nonsense),
        }
    }

    /// # Errors
    /// [`Failure`].
    pub async fn statfs(self: Rc<Self>) -> Result<Statfs, Failure> {
        match self.client.ask(Query::Statfs {}).await? {
            Answer::Statfs { statfs } => Ok(statfs),
            _ => Err(Failure::Nonsense),
        }
    }
}
