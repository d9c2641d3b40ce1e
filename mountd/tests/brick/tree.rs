//! A volume in memory, as far as mounts see it.

use std::collections::BTreeMap;

use bytes::Bytes;
use rfs_model::attr::{Attr, FileKind, Timestamp};
use rfs_model::client::{Answer, DirEntry, Done, Mutation, Query, SetTime, Statfs, WantAttr};
use rfs_model::op::{LockKind, LockRange};
use rfs_model::{Index, InodeId, Refusal, Term};

#[derive(Clone)]
struct Node {
    attr: Attr,
    data: Vec<u8>,
    names: BTreeMap<Bytes, InodeId>,
    xattrs: BTreeMap<Bytes, Bytes>,
}

/// Everything by identity. A clone is a brick that was cut off at that moment.
#[derive(Clone)]
pub struct Tree {
    nodes: BTreeMap<InodeId, Node>,
    index: u64,
    lock: Option<(u64, LockRange)>,
}

fn attr(id: InodeId, kind: FileKind, mode: u32, index: u64) -> Attr {
    let time = Timestamp { secs: 1_000_000 + index as i64, nanos: 7 };
    Attr::new(id, kind, mode, time, Index(index))
}

impl Default for Tree {
    fn default() -> Self {
        let root = Node {
            attr: attr(InodeId::ROOT, FileKind::Dir, 0o755, 1),
            data: Vec::new(),
            names: BTreeMap::new(),
            xattrs: BTreeMap::new(),
        };
        Self { nodes: BTreeMap::from([(InodeId::ROOT, root)]), index: 10, lock: None }
    }
}

impl Tree {
    fn node(&self, id: InodeId) -> Result<&Node, Refusal> {
        self.nodes.get(&id).ok_or(Refusal::Stale)
    }

    fn change(&mut self, id: InodeId) -> Result<&mut Node, Refusal> {
        let node = self.nodes.get_mut(&id).ok_or(Refusal::Stale)?;
        node.attr.version = Index(self.index);
        Ok(node)
    }

    fn child(&self, parent: InodeId, name: &Bytes) -> Result<InodeId, Refusal> {
        self.node(parent)?.names.get(name).copied().ok_or(Refusal::NoEntry)
    }

    /// The bytes of a file in the root.
    pub fn content(&self, name: &str) -> Vec<u8> {
        let id =
            self.child(InodeId::ROOT, &Bytes::copy_from_slice(name.as_bytes())).expect("the file is there");
        self.nodes[&id].data.clone()
    }

    pub fn mutate(&mut self, op: Mutation) -> Result<Done, Refusal> {
        self.index += 1;
        match op {
            Mutation::Make { parent, name, kind, mode, umask, uid, gid, target, as_id, .. } => {
                if self.child(parent, &name).is_ok() {
                    return Err(Refusal::Exists);
                }
                let fresh = InodeId { term: Term(1), index: Index(self.index) };
                let id = if as_id == InodeId::NIL { fresh } else { as_id };
                let mut attr = attr(id, kind, mode & !umask, self.index);
                (attr.uid, attr.gid, attr.size) = (uid, gid, target.len() as u64);
                let (names, xattrs) = (BTreeMap::new(), BTreeMap::new());
                self.nodes.insert(id, Node { attr, data: target.to_vec(), names, xattrs });
                self.change(parent)?.names.insert(name, id);
                self.done(id, 0)
            }
            Mutation::Write { id, offset, data } => self.write(id, offset, &data),
            Mutation::Append { id, data } => {
                let end = self.node(id)?.data.len() as u64;
                self.write(id, end, &data)
            }
            Mutation::SetAttr { id, want } => {
                self.set_attr(id, want)?;
                self.done(id, 0)
            }
            Mutation::Link { id, parent, name } => {
                if self.child(parent, &name).is_ok() {
                    return Err(Refusal::Exists);
                }
                self.change(parent)?.names.insert(name, id);
                self.change(id)?.attr.nlink += 1;
                self.done(id, 0)
            }
            Mutation::Unlink { parent, name, dir } => {
                let id = self.child(parent, &name)?;
                let node = self.node(id)?;
                match (dir, node.attr.kind == FileKind::Dir) {
                    (true, false) => return Err(Refusal::NotDirectory),
                    (false, true) => return Err(Refusal::IsDirectory),
                    _ if !node.names.is_empty() => return Err(Refusal::NotEmpty),
                    _ => {}
                }
                self.change(parent)?.names.remove(&name);
                self.done(id, 0)
            }
            Mutation::Rename { from, from_name, to, to_name, .. } => {
                let id = self.child(from, &from_name)?;
                self.change(from)?.names.remove(&from_name);
                self.change(to)?.names.insert(to_name, id);
                self.done(id, 0)
            }
            Mutation::SetXattr { id, name, value, .. } => {
                self.change(id)?.xattrs.insert(name, value);
                self.done(id, 0)
            }
            Mutation::RemoveXattr { id, name } => {
                self.change(id)?.xattrs.remove(&name).ok_or(Refusal::NoAttribute)?;
                self.done(id, 0)
            }
            Mutation::Allocate { id, .. } => self.done(id, 0),
            Mutation::Lease { id, version } => {
                let node = self.node(id)?;
                if node.attr.version == version { self.done(id, 0) } else { Err(Refusal::Stale) }
            }
            Mutation::Void {} => self.done(InodeId::NIL, 0),
            Mutation::Lock { id, owner, range } => self.take_lock(id, owner, range),
            Mutation::Unlock { id, owner } => {
                self.lock.take_if(|held| held.0 == owner);
                self.done(id, 0)
            }
        }
    }

    fn take_lock(&mut self, id: InodeId, owner: u64, range: LockRange) -> Result<Done, Refusal> {
        match (&self.lock, range.kind) {
            (Some((holder, _)), _) if *holder != owner => return Err(Refusal::Locked),
            (_, LockKind::Unlock) => self.lock = None,
            _ => self.lock = Some((owner, range)),
        }
        self.done(id, 0)
    }

    /// Somebody else's lock, and its end.
    pub fn set_foreign_lock(&mut self, held: bool) {
        let range = LockRange { kind: LockKind::Exclusive, start: 0, end: u64::MAX, pid: 1 };
        self.lock = held.then_some((u64::MAX, range));
    }

    fn done(&self, id: InodeId, offset: u64) -> Result<Done, Refusal> {
        let of_record = InodeId { term: Term(1), index: Index(self.index) };
        let spare = if id == of_record { InodeId::NIL } else { of_record };
        Ok(Done { id, offset, attr: self.nodes.get(&id).map(|node| node.attr), spare, ..Done::default() })
    }

    fn write(&mut self, id: InodeId, offset: u64, data: &[u8]) -> Result<Done, Refusal> {
        let node = self.change(id)?;
        let (start, end) = (offset as usize, offset as usize + data.len());
        node.data.resize(node.data.len().max(end), 0);
        node.data[start..end].copy_from_slice(data);
        node.attr.size = node.data.len() as u64;
        self.done(id, offset)
    }

    fn set_attr(&mut self, id: InodeId, want: WantAttr) -> Result<(), Refusal> {
        let now = Timestamp { secs: 2_000_000, nanos: 0 };
        let node = self.change(id)?;
        node.attr.mode = want.mode.unwrap_or(node.attr.mode);
        node.attr.uid = want.uid.unwrap_or(node.attr.uid);
        node.attr.gid = want.gid.unwrap_or(node.attr.gid);
        if let Some(size) = want.size {
            node.data.resize(size as usize, 0);
            node.attr.size = size;
        }
        if let Some(time) = want.mtime {
            node.attr.mtime = match time {
                SetTime::Now => now,
                SetTime::At { time } => time,
            };
        }
        Ok(())
    }

    pub fn query(&self, op: Query) -> Option<Result<Answer, Refusal>> {
        Some(match op {
            Query::Release { .. } => return None,
            Query::Lookup { parent, name } => self.child(parent, &name).and_then(|id| self.attr(id)),
            Query::GetAttr { id } => self.attr(id),
            Query::Open { id, unless } => self.node(id).map(|node| {
                let wanted = unless.is_some_and(|version| version != node.attr.version);
                let data = if wanted { node.data.clone().into() } else { Bytes::new() };
                Answer::Opened { attr: node.attr, data }
            }),
            Query::Read { id, offset, len } => self.node(id).map(|node| {
                let from = node.data.get(offset as usize..).unwrap_or_default();
                Answer::Data { data: Bytes::copy_from_slice(&from[..from.len().min(len as usize)]) }
            }),
            Query::ReadLink { id } => {
                self.node(id).map(|node| Answer::Data { data: Bytes::copy_from_slice(&node.data) })
            }
            Query::ReadDir { id, after, plus } => self.node(id).map(|node| self.list(node, &after, plus)),
            Query::GetXattr { id, name } => self.node(id).and_then(|node| {
                let value = node.xattrs.get(&name).cloned().ok_or(Refusal::NoAttribute)?;
                Ok(Answer::Data { data: value })
            }),
            Query::ListXattr { id } => {
                self.node(id).map(|node| Answer::Names { names: node.xattrs.keys().cloned().collect() })
            }
            Query::Statfs {} => {
                Ok(Answer::Statfs { statfs: Statfs { block: 4096, name_bytes: 255, ..Statfs::default() } })
            }
            Query::Seek { id, offset, data } => self.node(id).and_then(|node| {
                let end = node.data.len() as u64;
                if offset >= end {
                    Err(Refusal::NoData)
                } else {
                    Ok(Answer::Offset { offset: if data { offset } else { end } })
                }
            }),
            Query::GetLock { range, .. } => {
                Ok(Answer::Lock { range: LockRange { kind: LockKind::Unlock, ..range } })
            }
            Query::Sync { .. } | Query::Renew {} => Ok(Answer::Done),
            Query::ReadIndex { .. } => Ok(Answer::ReadAt { index: Index(self.index) }),
        })
    }

    fn attr(&self, id: InodeId) -> Result<Answer, Refusal> {
        self.node(id).map(|node| Answer::Attr { attr: node.attr })
    }

    /// Two entries at a time, so that every listing goes on somewhere.
    fn list(&self, node: &Node, after: &Bytes, plus: bool) -> Answer {
        let behind = node.names.iter().filter(|(name, _)| *name > after);
        let entry = |(name, id): (&Bytes, &InodeId)| {
            let attr = self.nodes[id].attr;
            DirEntry { name: name.clone(), id: *id, kind: attr.kind, attr: plus.then_some(attr) }
        };
        let entries: Vec<DirEntry> = behind.clone().take(2).map(entry).collect();
        Answer::Dir { end: behind.count() <= 2, entries }
    }
}
