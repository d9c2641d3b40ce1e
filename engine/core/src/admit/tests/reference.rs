//! A file system for comparison: no log, no pending, no waiting; each request is carried out at once, in plain code that
//! shares no rule with admission but ACL inheritance (which has its own tables).

use std::collections::BTreeMap;

use bytes::Bytes;
use rfs_model::client::{Mutation, WantAttr};
use rfs_model::op::{LockKind, LockRange};
use rfs_model::{FileKind, InodeId, Refusal, SessionId};

use crate::acl::{self, Acl};

#[derive(Clone, Debug)]
pub(super) struct File {
    pub kind: FileKind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub data: Vec<u8>,
    pub names: BTreeMap<Bytes, InodeId>,
    pub xattrs: BTreeMap<Bytes, Bytes>,
}

pub(super) struct Reference {
    pub files: BTreeMap<InodeId, File>,
    pub opens: BTreeMap<(SessionId, InodeId), u32>,
    /// One entry for each locked byte (of the few that the test uses) and owner.
    locks: BTreeMap<(InodeId, u64, SessionId, u64), LockKind>,
    pub links: usize,
}

pub(super) type Reply = Result<(InodeId, u64), Refusal>;

impl Reference {
    pub fn new(links: usize) -> Self {
        let root = File {
            kind: FileKind::Dir,
            mode: 0o755,
            uid: 0,
            gid: 0,
            data: Vec::new(),
            names: BTreeMap::new(),
            xattrs: BTreeMap::new(),
        };
        let files = BTreeMap::from([(InodeId::ROOT, root)]);
        Self { files, opens: BTreeMap::new(), locks: BTreeMap::new(), links }
    }

    pub fn run(&mut self, session: SessionId, op: &Mutation, new: InodeId) -> Reply {
        match op {
            Mutation::Make { .. } => self.make(session, op, new),
            Mutation::Link { id, parent, name } => self.link(*id, *parent, name),
            Mutation::Unlink { parent, name, dir } => self.unlink(*parent, name, *dir),
            Mutation::Rename { .. } => self.rename(op),
            Mutation::Write { id, offset, data } => self.write(*id, Some(*offset), data),
            Mutation::Append { id, data } => self.write(*id, None, data),
            Mutation::SetAttr { id, want } => self.set_attr(*id, want),
            Mutation::SetXattr { id, name, value, flags } => self.set_xattr(*id, name, value, *flags),
            Mutation::RemoveXattr { id, name } => {
                let file = self.files.get_mut(id).ok_or(Refusal::Stale)?;
                file.xattrs.remove(name).map(|_| (*id, 0)).ok_or(Refusal::NoAttribute)
            }
            Mutation::Allocate { id, range } => {
                let data = self.data(*id)?;
                let end = (range.offset + range.len) as usize;
                if range.mode & 1 == 0 && data.len() < end {
                    data.resize(end, 0);
                }
                let to = end.min(data.len());
                if range.mode & 18 != 0 && (range.offset as usize) < to {
                    data[range.offset as usize..to].fill(0);
                }
                Ok((*id, 0))
            }
            Mutation::Lock { id, owner, range } => self.lock(*id, session, *owner, *range),
            Mutation::Unlock { id, owner } => {
                self.locks.retain(|(i, _, s, o), _| (*i, *s, *o) != (*id, session, *owner));
                Ok((*id, 0))
            }
            // It decides when others have their turn, and nothing else.
            Mutation::Lease { .. } | Mutation::Void {} => Ok((InodeId::NIL, 0)),
        }
    }

    fn dir(&mut self, id: InodeId) -> Result<&mut File, Refusal> {
        let file = self.files.get_mut(&id).ok_or(Refusal::Stale)?;
        if file.kind == FileKind::Dir { Ok(file) } else { Err(Refusal::NotDirectory) }
    }

    fn data(&mut self, id: InodeId) -> Result<&mut Vec<u8>, Refusal> {
        let file = self.files.get_mut(&id).ok_or(Refusal::Stale)?;
        match file.kind {
            FileKind::File => Ok(&mut file.data),
            FileKind::Dir => Err(Refusal::IsDirectory),
            _ => Err(Refusal::Invalid),
        }
    }

    fn names_of(&self, id: InodeId) -> usize {
        self.files.values().flat_map(|f| f.names.values()).filter(|n| **n == id).count()
    }

    fn make(&mut self, session: SessionId, op: &Mutation, new: InodeId) -> Reply {
        let Mutation::Make { parent, name, kind, mode, umask, uid, gid, target, open, .. } = op else {
            return Err(Refusal::Broken);
        };
        let dir = self.dir(*parent)?;
        if dir.names.contains_key(name) {
            return Err(Refusal::Exists);
        }
        dir.names.insert(name.clone(), new);
        let sticky_group = dir.mode & 0o2000 != 0;
        let gid = if sticky_group { dir.gid } else { *gid };
        let mut file = File {
            kind: *kind,
            mode: *mode | if sticky_group && *kind == FileKind::Dir { 0o2000 } else { 0 },
            uid: *uid,
            gid,
            data: target.to_vec(),
            names: BTreeMap::new(),
            xattrs: BTreeMap::new(),
        };
        let default = dir.xattrs.get(acl::DEFAULT).cloned();
        match default {
            _ if *kind == FileKind::Symlink => file.mode = 0o777,
            None => file.mode &= !umask,
            Some(value) => {
                let (own, mode) = Acl::parse(&value).unwrap().unwrap().inherit(file.mode);
                file.mode = mode;
                if let Some(own) = own {
                    file.xattrs.insert(Bytes::from_static(acl::ACCESS), own.to_bytes());
                }
                if *kind == FileKind::Dir {
                    file.xattrs.insert(Bytes::from_static(acl::DEFAULT), value);
                }
            }
        }
        self.files.insert(new, file);
        if *open {
            *self.opens.entry((session, new)).or_default() += 1;
        }
        Ok((new, 0))
    }

    fn link(&mut self, id: InodeId, parent: InodeId, name: &Bytes) -> Reply {
        if self.dir(parent)?.names.contains_key(name) {
            return Err(Refusal::Exists);
        }
        let kind = self.files.get(&id).ok_or(Refusal::Stale)?.kind;
        match self.names_of(id) {
            _ if kind == FileKind::Dir => Err(Refusal::NotPermitted),
            0 => Err(Refusal::NoEntry),
            n if n >= self.links => Err(Refusal::TooManyLinks),
            _ => {
                self.dir(parent)?.names.insert(name.clone(), id);
                Ok((id, 0))
            }
        }
    }

    fn unlink(&mut self, parent: InodeId, name: &Bytes, dir: bool) -> Reply {
        let id = *self.dir(parent)?.names.get(name).ok_or(Refusal::NoEntry)?;
        let victim = &self.files[&id];
        match (victim.kind == FileKind::Dir, dir) {
            (true, false) => return Err(Refusal::IsDirectory),
            (false, true) => return Err(Refusal::NotDirectory),
            (true, true) if !victim.names.is_empty() => return Err(Refusal::NotEmpty),
            _ => {}
        }
        self.dir(parent)?.names.remove(name);
        self.bury(id);
        Ok((id, 0))
    }

    /// An inode without a name and without a holder is no more.
    pub fn bury(&mut self, id: InodeId) {
        let held = self.opens.keys().any(|(_, i)| *i == id);
        let dir = self.files.get(&id).is_some_and(|f| f.kind == FileKind::Dir);
        if self.names_of(id) == 0 && (dir || !held) {
            self.files.remove(&id);
            self.locks.retain(|(i, ..), _| *i != id);
        }
    }

    fn contains(&self, top: InodeId, id: InodeId) -> bool {
        top == id || self.files.get(&top).is_some_and(|f| f.names.values().any(|n| self.contains(*n, id)))
    }

    fn rename(&mut self, op: &Mutation) -> Reply {
        let Mutation::Rename { from, from_name, to, to_name, flags } = op else {
            return Err(Refusal::Broken);
        };
        self.dir(*from)?;
        self.dir(*to)?;
        let id = *self.dir(*from)?.names.get(from_name).ok_or(Refusal::NoEntry)?;
        let other = self.dir(*to)?.names.get(to_name).copied();
        match (*flags, other) {
            (1, Some(_)) => return Err(Refusal::Exists),
            (2, None) => return Err(Refusal::NoEntry),
            _ => {}
        }
        if self.contains(id, *to) {
            return Err(Refusal::Invalid);
        }
        if other == Some(id) {
            return Ok((id, 0));
        }
        let is_dir = |s: &Self, i: InodeId| s.files[&i].kind == FileKind::Dir;
        match other {
            Some(other) if *flags == 2 => {
                if self.contains(other, *from) {
                    return Err(Refusal::Invalid);
                }
                self.dir(*from)?.names.insert(from_name.clone(), other);
                self.dir(*to)?.names.insert(to_name.clone(), id);
            }
            _ => {
                if let Some(other) = other {
                    match (is_dir(self, id), is_dir(self, other)) {
                        (true, false) => return Err(Refusal::NotDirectory),
                        (false, true) => return Err(Refusal::IsDirectory),
                        _ if !self.files[&other].names.is_empty() => return Err(Refusal::NotEmpty),
                        _ => {}
                    }
                }
                self.dir(*from)?.names.remove(from_name);
                self.dir(*to)?.names.insert(to_name.clone(), id);
                if let Some(other) = other {
                    self.bury(other);
                }
            }
        }
        Ok((id, 0))
    }

    fn write(&mut self, id: InodeId, offset: Option<u64>, bytes: &[u8]) -> Reply {
        let data = self.data(id)?;
        let offset = offset.map_or(data.len(), |o| o as usize);
        if !bytes.is_empty() {
            data.resize(data.len().max(offset + bytes.len()), 0);
            data[offset..offset + bytes.len()].copy_from_slice(bytes);
        }
        Ok((id, offset as u64))
    }

    fn set_attr(&mut self, id: InodeId, want: &WantAttr) -> Reply {
        if let Some(size) = want.size {
            self.data(id)?.resize(size as usize, 0);
        }
        let file = self.files.get_mut(&id).ok_or(Refusal::Stale)?;
        if let Some(mode) = want.mode {
            if file.kind == FileKind::Symlink {
                return Err(Refusal::NotSupported);
            }
            file.mode = mode;
            if let Some(list) = file.xattrs.get_mut(acl::ACCESS) {
                *list = Acl::parse(list).unwrap().unwrap().with_mode(mode).to_bytes();
            }
        }
        file.uid = want.uid.unwrap_or(file.uid);
        file.gid = want.gid.unwrap_or(file.gid);
        Ok((id, 0))
    }

    fn set_xattr(&mut self, id: InodeId, name: &Bytes, value: &Bytes, flags: u32) -> Reply {
        let file = self.files.get_mut(&id).ok_or(Refusal::Stale)?;
        let list = name == acl::DEFAULT;
        match file.kind {
            FileKind::Dir => {}
            FileKind::File if !list => {}
            FileKind::Symlink if list => return Err(Refusal::NotSupported),
            _ => return Err(Refusal::NotPermitted),
        }
        match (flags, file.xattrs.contains_key(name)) {
            (1, true) => Err(Refusal::Exists),
            (2, false) => Err(Refusal::NoAttribute),
            _ => {
                file.xattrs.insert(name.clone(), value.clone());
                Ok((id, 0))
            }
        }
    }

    fn lock(&mut self, id: InodeId, session: SessionId, owner: u64, range: LockRange) -> Reply {
        self.files.get(&id).ok_or(Refusal::Stale)?;
        let bytes = range.start..=range.end;
        let clash = self.locks.iter().any(|((i, byte, s, o), kind)| {
            let exclusive = *kind == LockKind::Exclusive || range.kind == LockKind::Exclusive;
            *i == id && bytes.contains(byte) && (*s, *o) != (session, owner) && exclusive
        });
        if clash && range.kind != LockKind::Unlock {
            return Err(Refusal::Locked);
        }
        for byte in bytes {
            match range.kind {
                LockKind::Unlock => self.locks.remove(&(id, byte, session, owner)),
                kind => self.locks.insert((id, byte, session, owner), kind),
            };
        }
        Ok((id, 0))
    }
}
