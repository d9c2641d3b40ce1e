//! Operations on names.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::op::{Op, Seen, Target};
use super::tree::{Body, Model, Place};

impl Model {
    /// `None`: the operation is none of these.
    pub(super) fn naming(&mut self, op: &Op) -> Option<Result<Seen, Errno>> {
        let done = match op {
            Op::Create { path, mode } => self.make(path, Body::File(Vec::new()), *mode).map(drop),
            Op::Mkdir { path, mode } => self.make(path, Body::Dir(BTreeMap::new()), *mode).map(drop),
            Op::Fifo { path, mode } => self.make(path, Body::Fifo, *mode).map(drop),
            Op::Symlink { to, path } => self.make(path, Body::Symlink(to.clone()), 0).map(drop),
            Op::Link { from, to } => self.link(from, to),
            Op::Unlink { path } => self.unlink(path),
            Op::Rmdir { path } => self.rmdir(path),
            Op::Rename { from, to, target } => self.rename(from, to, *target),
            _ => return None,
        };
        Some(done.map(|()| Seen::Done))
    }

    fn link(&mut self, from: &str, to: &str) -> Result<(), Errno> {
        let number = self.at(from)?;
        let to = self.place(to)?;
        to.free()?;
        if self.node(number).is_dir() {
            return Err(Errno::PERM);
        }
        self.names_mut(to.dir).insert(to.name, number);
        self.node_mut(number).links += 1;
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> Result<(), Errno> {
        let place = self.place(path)?;
        let number = place.there()?;
        if self.node(number).is_dir() {
            return Err(Errno::ISDIR);
        }
        self.names_mut(place.dir).remove(&place.name);
        self.unlinked(number);
        Ok(())
    }

    fn rmdir(&mut self, path: &str) -> Result<(), Errno> {
        let place = self.place(path)?;
        let number = place.there()?;
        if !self.node(number).is_dir() {
            return Err(Errno::NOTDIR);
        }
        if !self.names(number).is_empty() {
            return Err(Errno::NOTEMPTY);
        }
        self.names_mut(place.dir).remove(&place.name);
        self.unlinked(number);
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str, target: Target) -> Result<(), Errno> {
        // The kernel walks to both directories before it looks for the names.
        self.parent(from).and(self.parent(to))?;
        let old = self.place(from)?;
        let number = old.there()?;
        let new = self.place(to)?;
        match target {
            Target::Refused => new.free()?,
            Target::Exchanged => drop(new.there()?),
            Target::Replaced => {}
        }
        if is_within(to, from) {
            return Err(Errno::INVAL);
        }
        if is_within(from, to) {
            return Err(if target == Target::Exchanged { Errno::INVAL } else { Errno::NOTEMPTY });
        }
        match new.found {
            // Two names of one inode stay as they are.
            Some(there) if there == number => Ok(()),
            Some(there) if target == Target::Exchanged => {
                self.names_mut(old.dir).insert(old.name, there);
                self.names_mut(new.dir).insert(new.name, number);
                Ok(())
            }
            Some(there) => self.replace(&old, &new, number, there),
            None => {
                self.move_to(&old, &new, number);
                Ok(())
            }
        }
    }

    fn replace(&mut self, old: &Place, new: &Place, number: usize, there: usize) -> Result<(), Errno> {
        match (self.node(number).is_dir(), self.node(there).is_dir()) {
            (true, false) => return Err(Errno::NOTDIR),
            (false, true) => return Err(Errno::ISDIR),
            (true, true) if !self.names(there).is_empty() => return Err(Errno::NOTEMPTY),
            _ => {}
        }
        self.move_to(old, new, number);
        self.unlinked(there);
        Ok(())
    }

    fn move_to(&mut self, old: &Place, new: &Place, number: usize) {
        self.names_mut(old.dir).remove(&old.name);
        self.names_mut(new.dir).insert(new.name.clone(), number);
    }
}

/// Whether `path` lies below `dir`.
fn is_within(path: &str, dir: &str) -> bool {
    path.strip_prefix(dir).is_some_and(|rest| rest.starts_with('/'))
}
