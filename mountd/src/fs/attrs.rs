//! lookup, getattr, setattr, readlink, statfs.

use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rfs_model::client::{Answer, Mutation, Query, SetTime, Statfs, WantAttr};
use rfs_model::{Attr, InodeId, Timestamp};

use super::{Entry, Fs};
use crate::session::Failure;

impl Fs {
    /// # Errors
    /// [`Failure`].
    pub async fn lookup(self: Rc<Self>, parent: u64, name: Bytes) -> Result<Entry, Failure> {
        let attr = self.find(parent, &name).await?;
        Ok(self.entry(parent, name, attr)?.0)
    }

    /// What a name stands for. The kernel is not told.
    pub(super) async fn find(&self, parent: u64, name: &Bytes) -> Result<Attr, Failure> {
        let dir = self.slot(parent, name)?;
        match self.client.ask(Query::Lookup { parent: dir.id, name: name.clone() }).await? {
            Answer::Attr { attr } => Ok(attr),
            _ => Err(Failure::Nonsense),
        }
    }

    /// As [`Fs::find`]; where one name of a directory is found after the other, those that follow are asked for, too.
    pub(super) async fn find_on(self: &Rc<Self>, parent: u64, name: &Bytes) -> Result<Attr, Failure> {
        let attr = self.find(parent, name).await?;
        let dir = self.inode(parent)?.id;
        if self.shared.may_look_ahead() && self.shared.ahead().found(dir, Instant::now()) {
            tokio::task::spawn_local(self.clone().look_ahead(dir, name.clone()));
        }
        Ok(attr)
    }

    /// A listing may tell of what this mount has asked to change since: then it is of no use.
    async fn look_ahead(self: Rc<Self>, dir: InodeId, after: Bytes) {
        let (last, asked) = (self.client.last(), self.shared.ahead().asked());
        let answer = self.client.ask(Query::ReadDir { id: dir, after, plus: true }).await;
        let entries = match answer {
            Ok(Answer::Dir { entries, .. }) if self.client.last() == last && self.shared.may_look_ahead() => {
                entries
            }
            _ => Vec::new(),
        };
        self.shared.ahead().told(dir, entries, Instant::now(), asked);
    }

    /// Of a directory the kernel asks after each listing, since that might have changed its atime, and after each name that came
    /// or went: the answer is what the leader told last, until there is news of it, for as long as the kernel might have
    /// believed that.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn getattr(self: Rc<Self>, number: u64) -> Result<(Attr, Duration), Failure> {
        let inode = self.inode(number)?;
        if inode.is_bearing() {
            self.client.settled(inode.last_write()).await?;
        }
        let (moment, ttl, doubts) = (self.moment(), self.shared.attr_ttl_of(inode.id), inode.doubts());
        if let Some(known) = inode.told(moment, ttl) {
            return Ok(known);
        }
        match self.client.ask(Query::GetAttr { id: inode.id }).await? {
            Answer::Attr { attr } => {
                inode.tell_firmly(attr, moment, doubts);
                inode.size_told(attr.size);
                Ok((attr, self.shared.attr_ttl_of(inode.id)))
            }
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
            inode.grown_up();
        }
        if want == WantAttr::default() {
            return self.getattr(number).await;
        }
        inode.attributes_unknown();
        // What is made there may inherit something else from now on.
        self.shared.leases().give_back(inode.id);
        let done = self.mutate(Mutation::SetAttr { id: inode.id, want }).await?;
        inode.attributes_unknown();
        match done.attr {
            Some(attr) => {
                inode.size_told(attr.size);
                Ok((attr, self.shared.attr_ttl()))
            }
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

/// What a change makes of attributes, for a program to see until the leader tells.
pub(super) fn changed_by(attr: &mut Attr, want: &WantAttr, now: Timestamp) {
    let time = |want: SetTime| match want {
        SetTime::Now => now,
        SetTime::At { time } => time,
    };
    attr.mode = want.mode.map_or(attr.mode, |mode| mode & 0o7777);
    attr.uid = want.uid.unwrap_or(attr.uid);
    attr.gid = want.gid.unwrap_or(attr.gid);
    attr.atime = want.atime.map_or(attr.atime, time);
    attr.mtime = want.mtime.map_or(attr.mtime, time);
    attr.ctime = now;
}
