//! mknod, mkdir, symlink, link, create.

use std::rc::Rc;
use std::sync::Arc;

use bytes::Bytes;
use rfs_model::attr::FileKind;
use rfs_model::client::{Done, Mutation};
use rfs_model::{Attr, InodeId, Refusal};

use super::lease::now_ms;
use super::{Entry, Fs, Inode, Opened};
use crate::session::Failure;

/// How often what was found to exist may be gone when it is opened.
const TRIES: u32 = 64;

/// Who makes a request, as far as the volume cares.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    pub uid: u32,
    pub gid: u32,
    /// The thread, as this mount's pid namespace knows it; 0: it does not.
    pub thread: u32,
}

/// A new inode, as asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewNode {
    pub parent: u64,
    pub name: Bytes,
    pub kind: FileKind,
    /// Permission bits before the umask.
    pub mode: u32,
    pub umask: u32,
    pub rdev: u64,
    /// A symlink's target.
    pub target: Bytes,
    pub caller: Caller,
}

impl NewNode {
    /// As the leader is asked for it; `as_id`: nil, or an identity that is this mount's to give.
    pub(super) fn asked(&self, parent: InodeId, as_id: InodeId, open: bool) -> Mutation {
        Mutation::Make {
            parent,
            name: self.name.clone(),
            kind: self.kind,
            mode: self.mode & 0o7777,
            umask: self.umask,
            uid: self.caller.uid,
            gid: self.caller.gid,
            rdev: self.rdev,
            target: self.target.clone(),
            as_id,
            open,
        }
    }
}

impl Fs {
    /// Carries out what changes names in these directories. Afterwards the kernel asks for their attributes: the answer has
    /// brought them.
    pub(super) async fn change_names<const N: usize>(
        &self,
        op: Mutation,
        dirs: [&Arc<Inode>; N],
    ) -> Result<Done, Failure> {
        let doubts = dirs.map(|dir| dir.doubts());
        let asking = self.shared.leases().asking(dirs.map(|dir| dir.id), now_ms());
        let done = self.mutate(op).await;
        drop(asking);
        let told = done.map_or([None; 2], |done| [done.dir, done.to_dir]);
        for (dir, doubts) in dirs.into_iter().zip(doubts) {
            match told.into_iter().flatten().find(|attr| attr.id == dir.id) {
                Some(attr) => dir.tell_firmly(attr, self.moment(), doubts),
                None => dir.attributes_unknown(),
            }
        }
        done
    }

    async fn make_node(self: &Rc<Self>, node: &NewNode, open: bool) -> Result<Attr, Failure> {
        let parent = self.slot(node.parent, &node.name)?;
        self.about_to_name(&parent, &node.name);
        let Done { attr, .. } =
            self.change_names(node.asked(parent.id, InodeId::NIL, open), [&parent]).await?;
        attr.ok_or(Failure::Nonsense)
    }

    /// # Errors
    /// [`Failure`].
    pub async fn make(self: Rc<Self>, node: NewNode) -> Result<Entry, Failure> {
        let attr = self.make_node(&node, false).await?;
        let (entry, inode) = self.entry(node.parent, node.name, attr)?;
        inode.found_lacking(b"security.capability");
        if attr.kind == FileKind::Dir && self.shared.options().leases {
            self.shared.leases().made(&attr);
        }
        Ok(entry)
    }

    /// open(2) with `O_CREAT`, for a name that the kernel did not find.
    ///
    /// # Errors
    /// [`Failure`].
    pub async fn create(self: Rc<Self>, node: NewNode, flags: i32) -> Result<(Entry, Opened), Failure> {
        let mut tries = TRIES;
        loop {
            let made = match self.make_node(&node, true).await {
                Ok(attr) => return self.created(node, attr, flags),
                Err(failure) => failure,
            };
            if made != Refusal::Exists.into() || flags & libc::O_EXCL != 0 {
                return Err(made);
            }
            tries -= 1;
            match self.clone().open_found(&node, flags).await {
                // It went away meanwhile.
                Err(Failure::Refused(Refusal::NoEntry | Refusal::Stale)) if tries > 0 => {}
                other => return other,
            }
        }
    }

    fn created(&self, node: NewNode, attr: Attr, flags: i32) -> Result<(Entry, Opened), Failure> {
        let (entry, inode) = self.entry(node.parent, node.name, attr)?;
        inode.found_lacking(b"security.capability");
        inode.pages_are_of(attr.version);
        let opened = self.shared.hand_out(inode, flags, false);
        Ok((entry, opened))
    }

    async fn open_found(self: Rc<Self>, node: &NewNode, flags: i32) -> Result<(Entry, Opened), Failure> {
        let entry = self.clone().lookup(node.parent, node.name.clone()).await?;
        let number = entry.attr.id.number();
        match self.clone().open_told(number, flags, node.caller).await {
            Ok(opened) => Ok((entry, opened)),
            Err(failure) => {
                // The kernel is not told of it.
                self.shared.inodes().forget(number, 1);
                Err(failure)
            }
        }
    }

    /// # Errors
    /// [`Failure`].
    pub async fn link(self: Rc<Self>, number: u64, parent: u64, name: Bytes) -> Result<Entry, Failure> {
        let (inode, dir) = (self.inode(number)?, self.slot(parent, &name)?);
        self.shared.leases().naming(dir.id, &name);
        let op = Mutation::Link { id: inode.id, parent: dir.id, name: name.clone() };
        let done = self.change_names(op, [&dir]).await?;
        let attr = done.attr.ok_or(Failure::Nonsense)?;
        Ok(self.entry(parent, name, attr)?.0)
    }
}
