//! New inodes and hard links.

use bytes::Bytes;
use rfs_model::{Attr, FileKind, InodeId, Op, Refusal};

use super::names::check_new;
use super::scene::{Judged, Ruling, Scene, Stop, blocks};
use super::view::{Fault, Room};
use crate::acl::{self, Acl};
use crate::sessions::Outcome;

const SETGID: u32 = 0o2000;
const MODE_BITS: u32 = 0o7777;

/// [`Mutation::Make`](rfs_model::client::Mutation::Make).
pub(super) struct Make<'a> {
    pub parent: InodeId,
    pub name: &'a Bytes,
    pub kind: FileKind,
    pub mode: u32,
    pub umask: u32,
    pub uid: u32,
    pub gid: u32,
    pub rdev: u64,
    pub target: &'a Bytes,
    pub as_id: InodeId,
}

impl Make<'_> {
    pub fn judge(&self, scene: &Scene<'_>) -> Judged {
        check_new(self.parent, self.name, scene.limits)?;
        self.check_fields(scene)?;
        let parent = scene.own_dir(self.parent)?;
        let occupant = scene.child(self.parent, self.name)?;
        let id = self.identity(scene, occupant.map(|a| a.id))?;
        if occupant.is_some() {
            return Err(Refusal::Exists.into());
        }
        let charge = Room { inodes: 1, ..blocks(4096) };
        scene.must_have_room(charge)?;
        let born = self.inherit(scene, &parent)?;
        let device = matches!(self.kind, FileKind::CharDevice | FileKind::BlockDevice);
        let op = Op::Make {
            id,
            parent: self.parent,
            name: self.name.clone(),
            kind: self.kind,
            mode: born.mode,
            uid: self.uid,
            gid: born.gid,
            rdev: if device { self.rdev } else { 0 },
            target: self.target.clone(),
            acl_access: born.acl_access,
            acl_default: born.acl_default,
        };
        let size = self.target.len() as u64;
        Ok(Ruling { op, kind: Some(self.kind), size: Some(size), charge })
    }

    fn check_fields(&self, scene: &Scene<'_>) -> Judged<()> {
        let symlink = self.kind == FileKind::Symlink;
        if symlink == self.target.is_empty() || self.target.contains(&0) {
            return Err(Refusal::Invalid.into());
        }
        if self.target.len() > scene.limits.symlink_bytes {
            return Err(Refusal::NameTooLong.into());
        }
        if self.uid == u32::MAX || self.gid == u32::MAX {
            return Err(Refusal::Invalid.into());
        }
        Ok(())
    }

    /// The new inode's identity: this record's, or the one that the mount was told before the record was lost. If that one
    /// exists, the request was carried out already, whatever has happened to its name since.
    fn identity(&self, scene: &Scene<'_>, occupant: Option<InodeId>) -> Judged<InodeId> {
        if self.as_id == InodeId::NIL {
            return Ok(scene.next);
        }
        if self.as_id >= scene.next || !self.as_id.is_believable() {
            return Err(Refusal::Invalid.into());
        }
        let exists = occupant == Some(self.as_id)
            || match scene.inode(self.as_id) {
                Ok(_) => true,
                Err(Stop::Refused(_)) => false,
                Err(other) => return Err(other),
            };
        if exists {
            return Err(Stop::Nothing(Outcome::Done { id: self.as_id, offset: 0, attr: true }));
        }
        Ok(self.as_id)
    }

    /// Mode, group and ACLs after umask, the parent's default list and its setgid bit.
    fn inherit(&self, scene: &Scene<'_>, parent: &Attr) -> Judged<Born> {
        let setgid = parent.mode & SETGID != 0;
        let gid = if setgid { parent.gid } else { self.gid };
        if self.kind == FileKind::Symlink {
            return Ok(Born { mode: 0o777, gid, acl_access: Bytes::new(), acl_default: Bytes::new() });
        }
        let dir = self.kind == FileKind::Dir;
        let asked = self.mode & MODE_BITS | if dir && setgid { SETGID } else { 0 };
        let Some(default) = self.default_list(scene)? else {
            let mode = asked & !(self.umask & 0o777);
            return Ok(Born { mode, gid, acl_access: Bytes::new(), acl_default: Bytes::new() });
        };
        let (access, mode) = default.inherit(asked);
        let acl_access = access.map(|a| a.to_bytes()).unwrap_or_default();
        let acl_default = if dir { default.to_bytes() } else { Bytes::new() };
        Ok(Born { mode, gid, acl_access, acl_default })
    }

    fn default_list(&self, scene: &Scene<'_>) -> Result<Option<Acl>, Fault> {
        let value = scene.tree.xattr(self.parent, acl::DEFAULT)?.unwrap_or_default();
        Acl::parse(&value).map_err(|e| Fault(format!("default ACL of {}: {e}", self.parent)))
    }
}

struct Born {
    mode: u32,
    gid: u32,
    acl_access: Bytes,
    acl_default: Bytes,
}

/// [`Mutation::Link`](rfs_model::client::Mutation::Link).
pub(super) fn link(scene: &Scene<'_>, id: InodeId, parent: InodeId, name: &Bytes) -> Judged {
    check_new(parent, name, scene.limits)?;
    scene.own_dir(parent)?;
    if scene.child(parent, name)?.is_some() {
        return Err(Refusal::Exists.into());
    }
    let inode = scene.settled(id)?;
    if inode.kind == FileKind::Dir {
        return Err(Refusal::NotPermitted.into());
    }
    if inode.nlink == 0 {
        return Err(Refusal::NoEntry.into());
    }
    if inode.nlink >= scene.limits.links {
        return Err(Refusal::TooManyLinks.into());
    }
    let charge = blocks(4096);
    scene.must_have_room(charge)?;
    Ok(Ruling { charge, ..Ruling::free(Op::Link { id, parent, name: name.clone() }) })
}
