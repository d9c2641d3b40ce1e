//! New inodes.

use std::sync::Arc;

use bytes::Bytes;
use rfs_model::{FileKind, Index, Op, Timestamp};
use rustix::io::Errno;

use crate::tree::entry::{Entry, Place};
use crate::tree::handle::Handle;
use crate::tree::layout::{ACL_ACCESS, ACL_DEFAULT};
use crate::tree::moves::NewNode;
use crate::tree::times::Times;
use crate::tree::{Fault, Tree};

/// The attributes that an inode is born with: absolute, whatever the kernel made it inherit.
#[derive(Clone, Copy, Debug)]
pub(in crate::tree) struct Dress<'a> {
    pub(in crate::tree) kind: FileKind,
    pub(in crate::tree) mode: u32,
    pub(in crate::tree) uid: u32,
    pub(in crate::tree) gid: u32,
    pub(in crate::tree) acl_access: &'a Bytes,
    pub(in crate::tree) acl_default: &'a Bytes,
}

impl Dress<'_> {
    /// `may_inherit`: the inode may have ACLs that the kernel gave it, or that an earlier life of this record did.
    pub(in crate::tree) fn put_on(&self, handle: &Handle, may_inherit: bool) -> Result<(), Errno> {
        let stat = handle.stat()?;
        if stat.st_uid != self.uid || stat.st_gid != self.gid {
            handle.chown(Some(self.uid), Some(self.gid))?;
        }
        if self.kind == FileKind::Symlink {
            return Ok(());
        }
        if may_inherit {
            handle.remove_xattr(ACL_ACCESS)?;
            if self.kind == FileKind::Dir {
                handle.remove_xattr(ACL_DEFAULT)?;
            }
        }
        if handle.stat()?.st_mode & 0o7777 != self.mode & 0o7777 {
            handle.chmod(self.mode)?;
        }
        for (name, value) in [(ACL_ACCESS, self.acl_access), (ACL_DEFAULT, self.acl_default)] {
            if !value.is_empty() {
                handle.set_xattr(name, value)?;
            }
        }
        Ok(())
    }
}

impl Tree {
    pub(super) fn make(&mut self, index: Index, time: Timestamp, op: &Op) -> Result<(), Fault> {
        let Op::Make { id, parent, name, kind, mode, uid, gid, rdev, target, acl_access, acl_default } = op
        else {
            unreachable!("called for Make only");
        };
        let place = Place::new(*parent, name);
        let new = NewNode { id: *id, kind: *kind, mode: *mode, rdev: *rdev, target };
        let handle = self.make_node(&place, &new)?;
        let dress = Dress { kind: *kind, mode: *mode, uid: *uid, gid: *gid, acl_access, acl_default };
        let inherits = self.has_default_acl(*parent, *kind)?;
        self.step()?;
        dress
            .put_on(&handle, inherits)
            .map_err(|e| Fault::system("set the attributes of", self.display(&place), e))?;
        let size = (*kind == FileKind::File).then_some(0);
        let entry = Entry { kind: *kind, version: index, ctime: time, places: vec![place], size };
        self.index.put(*id, Arc::new(entry));
        self.set_later(*id, Times { atime: Some(time), mtime: Some(time) });
        Ok(())
    }

    fn has_default_acl(&self, parent: rfs_model::InodeId, kind: FileKind) -> Result<bool, Fault> {
        if kind == FileKind::Symlink {
            return Ok(false);
        }
        let acl = self.dir(parent)?.xattr(ACL_DEFAULT);
        let acl = acl.map_err(|e| Fault::system("read the default ACL of", self.path_of(parent), e))?;
        Ok(acl.is_some())
    }
}
