//! Operations on attributes, and looking.

use rustix::io::Errno;

use super::op::{Kind, Op, Seen, When};
use super::tree::{Body, Model, Number, SET_GID};

const SET_UID: u32 = 0o4000;
const GROUP_RUNS: u32 = 0o010;

impl Model {
    pub(super) fn about_attrs(&mut self, op: &Op) -> Result<Seen, Errno> {
        match op {
            Op::Chmod { path, mode } => self.chmod(path, *mode),
            Op::Chown { path, uid, gid } => self.chown(path, *uid, *gid),
            Op::SetTimes { path, atime, mtime } => self.set_times(path, *atime, *mtime),
            Op::SetXattr { path, name, value, create, replace } => {
                self.set_xattr(path, name, value, *create, *replace)
            }
            Op::GetXattr { path, name } => {
                let number = self.at(path)?;
                self.node(number).xattrs.get(*name).cloned().map(Seen::Bytes).ok_or(Errno::NODATA)
            }
            Op::RemoveXattr { path, name } => {
                let number = self.may_have(path, name)?;
                self.node_mut(number).xattrs.remove(*name).map(|_| Seen::Done).ok_or(Errno::NODATA)
            }
            Op::Look { path } => self.at(path).map(|n| Seen::Look(self.node(n).look())),
            Op::ReadLink { path } => self.read_link(path),
            Op::List { path } => self.list(path),
            op => unreachable!("{op:?}"),
        }
    }

    fn chmod(&mut self, path: &str, mode: u32) -> Result<Seen, Errno> {
        let number = self.at(path)?;
        if self.node(number).kind() == Kind::Symlink {
            // chmod() follows, and there is nothing.
            return Err(Errno::NOENT);
        }
        self.node_mut(number).mode = mode;
        Ok(Seen::Done)
    }

    /// The kernel takes privileges from programs that get another owner.
    fn chown(&mut self, path: &str, uid: u32, gid: u32) -> Result<Seen, Errno> {
        let number = self.at(path)?;
        let node = self.node_mut(number);
        (node.uid, node.gid) = (uid, gid);
        if !node.is_dir() {
            node.mode &= !SET_UID;
            if node.mode & GROUP_RUNS != 0 {
                node.mode &= !SET_GID;
            }
        }
        Ok(Seen::Done)
    }

    fn set_times(
        &mut self,
        path: &str,
        atime: Option<(i64, u32)>,
        mtime: Option<(i64, u32)>,
    ) -> Result<Seen, Errno> {
        if atime.is_none() && mtime.is_none() {
            // The kernel does not even look for the name.
            return Ok(Seen::Done);
        }
        let number = self.at(path)?;
        let node = self.node_mut(number);
        if let Some((s, ns)) = atime {
            node.atime = When::Exactly(s, ns);
        }
        if let Some((s, ns)) = mtime {
            node.mtime = When::Exactly(s, ns);
        }
        Ok(Seen::Done)
    }

    /// Only files and directories have attributes of users.
    fn may_have(&self, path: &str, name: &str) -> Result<Number, Errno> {
        let number = self.at(path)?;
        let has = matches!(self.node(number).kind(), Kind::File | Kind::Dir);
        if name.starts_with("user.") && !has { Err(Errno::PERM) } else { Ok(number) }
    }

    fn set_xattr(
        &mut self,
        path: &str,
        name: &str,
        value: &[u8],
        create: bool,
        replace: bool,
    ) -> Result<Seen, Errno> {
        let number = self.may_have(path, name)?;
        let xattrs = &mut self.node_mut(number).xattrs;
        match xattrs.contains_key(name) {
            true if create => Err(Errno::EXIST),
            false if replace => Err(Errno::NODATA),
            _ => {
                xattrs.insert(name.to_owned(), value.to_vec());
                Ok(Seen::Done)
            }
        }
    }

    fn read_link(&mut self, path: &str) -> Result<Seen, Errno> {
        let number = self.at(path)?;
        let node = self.node_mut(number);
        node.atime = When::Any;
        match &node.body {
            Body::Symlink(to) => Ok(Seen::Bytes(to.clone().into_bytes())),
            _ => Err(Errno::INVAL),
        }
    }

    fn list(&mut self, path: &str) -> Result<Seen, Errno> {
        let number = self.at(path)?;
        if !self.node(number).is_dir() {
            return Err(Errno::NOTDIR);
        }
        self.node_mut(number).atime = When::Any;
        let names = self.names(number).iter();
        Ok(Seen::Names(names.map(|(name, of)| (name.clone(), self.node(*of).kind())).collect()))
    }
}
