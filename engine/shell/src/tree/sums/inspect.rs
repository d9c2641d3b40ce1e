//! What a file is besides its data: looked at by a scrub, compared with the other bricks, put right.
//!
//! A *seal* is a checksum over an inode's attributes, names and extended attributes at one version. It is kept among the sums
//! once the inode has been quiet, or another brick has had the same: from then on the brick itself can tell that something
//! was changed that no record changed.

use std::ops::Range;

use bytes::Bytes;
use rfs_model::codec::Encode;
use rfs_model::resync::Body;
use rfs_model::{FileKind, Index, InodeId, Timestamp, layout};

use super::blocks::Blocks;
use super::chunk::{BLOCK, BLOCKS, ChunkSums};
use crate::tree::apply::Dress;
use crate::tree::entry::{Entry, Place};
use crate::tree::handle::{Access, identity_at};
use crate::tree::layout::{ACL_ACCESS, ACL_DEFAULT, is_private_xattr};
use crate::tree::listing::names_of;
use crate::tree::moves::NewNode;
use crate::tree::resolve::orphan_place;
use crate::tree::{Fault, Tree};

/// Where a seal is kept among the chunks of its inode: the checksum and the version, in place of sums.
const SEAL: u64 = u64::MAX;
/// Extended attributes that are sent to another brick, bytes.
const XATTR_BYTES: usize = 512 * 1024;

/// What one brick says of an inode.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Look {
    pub id: InodeId,
    pub version: Index,
    pub digest: u32,
}
layout!(Look { id, version, digest });

/// All that a digest is of, and what it takes to make the inode anew.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InodeMeta {
    pub look: Look,
    pub body: Body,
    pub xattrs: Vec<(Bytes, Bytes)>,
}
layout!(InodeMeta { look, body, xattrs });

/// What a scrub found of one inode.
#[derive(Debug)]
pub struct Inspected {
    /// Digest 0, where it cannot be looked at.
    pub look: Look,
    pub kind: FileKind,
    /// It is not what was sealed, or is not there.
    pub wrong: bool,
    pub sealed: bool,
    /// Names that were put back.
    pub put_back: u32,
    /// One line for each thing that is wrong.
    pub lines: Vec<String>,
}

impl Tree {
    /// Looks at an inode, and puts names back that lead to it no more; `None` when there is no such inode.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn inspect(&self, id: InodeId) -> Result<Option<Inspected>, Fault> {
        let Some(entry) = self.index.get(id)? else { return Ok(None) };
        let (mut lines, mut put_back) = (Vec::new(), 0);
        let places = if id == InodeId::ROOT { Vec::new() } else { entry.places.clone() };
        for place in &places {
            match self.look_at_name(id, &entry, place) {
                Ok(Name::Right) => {}
                Ok(Name::PutBack) => put_back += 1,
                Ok(Name::Wrong(why)) => lines.push(format!("{}: {why}", self.display(place))),
                Err(e) => lines.push(e.to_string()),
            }
        }
        let none = Look { id, version: entry.version, digest: 0 };
        let seal = self.seal(id, entry.version)?;
        let look = self.look(id);
        let wrong = match &look {
            Ok(Some(look)) => seal.is_some_and(|seal| seal != look.digest),
            Ok(None) => false,
            Err(e) => {
                lines.push(format!("{}: {e}", self.path_of(id)));
                true
            }
        };
        let look = look.ok().flatten().unwrap_or(none);
        Ok(Some(Inspected { look, kind: entry.kind, wrong, sealed: seal.is_some(), put_back, lines }))
    }

    /// One's own view of an inode, to be compared; `None` when there is no such inode.
    ///
    /// # Errors
    /// [`Fault`], also when the inode is not where it should be.
    pub fn look(&self, id: InodeId) -> Result<Option<Look>, Fault> {
        Ok(self.meta(id)?.map(|meta| meta.look))
    }

    /// All about an inode but its data.
    ///
    /// # Errors
    /// As [`Tree::look`].
    pub fn meta(&self, id: InodeId) -> Result<Option<InodeMeta>, Fault> {
        let (Some(entry), Some(attr)) = (self.index.get(id)?, self.attr(id)?) else { return Ok(None) };
        let target = self.readlink(id)?.unwrap_or_default();
        let size = if attr.kind == FileKind::File { attr.size } else { 0 };
        let mut xattrs = Vec::new();
        for name in self.xattr_names(id)?.unwrap_or_default() {
            let value = self.xattr(id, &name)?.unwrap_or_default();
            xattrs.push((name, value));
        }
        let body = Body {
            mode: attr.mode,
            uid: attr.uid,
            gid: attr.gid,
            rdev: attr.rdev,
            size,
            atime: attr.mtime,
            mtime: attr.mtime,
            target,
        };
        let mut bytes = Vec::new();
        entry.kind.encode(&mut bytes);
        body.encode(&mut bytes);
        xattrs.encode(&mut bytes);
        entry.places.encode(&mut bytes);
        let look = Look { id, version: entry.version, digest: crc32fast::hash(&bytes).max(1) };
        Ok(Some(InodeMeta { look, body, xattrs }))
    }

    /// The digest that an inode had at this version.
    fn seal(&self, id: InodeId, version: Index) -> Result<Option<u32>, Fault> {
        let Some(sums) = self.index.sums_of(id, SEAL)? else { return Ok(None) };
        let at =
            u64::from(sums.get(1).unwrap_or_default()) << 32 | u64::from(sums.get(2).unwrap_or_default());
        Ok(sums.get(0).filter(|_| at == version.0))
    }

    /// What is known of some chunks of a file, for another brick to compare.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn known_sums(&self, id: InodeId, chunks: Range<u64>) -> Result<Vec<(u64, Bytes)>, Fault> {
        let mut out = Vec::new();
        for chunk in chunks {
            if let Some(sums) = self.index.sums_of(id, chunk)? {
                out.push((chunk, sums.to_value().into()));
            }
        }
        Ok(out)
    }

    /// The blocks whose sums here are others, of a file that is in the same version here. Both bricks believe theirs.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn differing(&self, id: InodeId, version: Index, chunks: &[(u64, Bytes)]) -> Result<Vec<u64>, Fault> {
        let mut out = Vec::new();
        if self.version(id)? != Some(version) {
            return Ok(out);
        }
        for (chunk, theirs) in chunks.iter().filter(|(chunk, _)| *chunk < SEAL / BLOCKS) {
            let (Ok(theirs), Some(ours)) = (ChunkSums::from_value(theirs), self.index.sums_of(id, *chunk)?)
            else {
                continue;
            };
            let both = theirs.known & ours.known & !(theirs.rotten | ours.rotten);
            let known = (0..BLOCKS as u32).filter(|bit| both >> bit & 1 == 1);
            let other = known.filter(|bit| theirs.get(*bit) != ours.get(*bit));
            out.extend(other.map(|bit| chunk * BLOCKS + u64::from(bit)));
        }
        Ok(out)
    }

    /// Whether this brick knows what the inode must be in that version.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn is_sealed(&self, look: &Look) -> Result<bool, Fault> {
        Ok(self.seal(look.id, look.version)?.is_some())
    }

    /// Takes a digest for right: the inode has been quiet since it was applied, or another brick has the same.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn set_seal(&self, look: &Look) -> Result<(), Fault> {
        let current = self.index.get(look.id)?.is_some_and(|entry| entry.version == look.version);
        if !current || look.digest == 0 || self.seal(look.id, look.version)?.is_some() {
            return Ok(());
        }
        self.index.change_sums(look.id, SEAL, |sums| {
            sums.set(0, look.digest);
            sums.set(1, (look.version.0 >> 32) as u32);
            sums.set(2, look.version.0 as u32);
        })
    }

    /// Makes an inode what another brick has, if that is what was sealed here, or if it is gone here. Its data is then to be
    /// had block by block. Returns whether it did.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn restore(&self, meta: &InodeMeta) -> Result<bool, Fault> {
        let id = meta.look.id;
        let Some(entry) = self.index.get(id)?.filter(|entry| entry.version == meta.look.version) else {
            return Ok(false);
        };
        let seal = self.seal(id, entry.version)?;
        let gone = id != InodeId::ROOT && self.look(id).is_err() && self.is_gone(id, &entry)?;
        if seal.is_some_and(|seal| seal != meta.look.digest) || seal.is_none() && !gone {
            return Ok(false);
        }
        if gone {
            let times = self.times_above(&entry.places)?;
            self.make_again(id, &entry, meta)?;
            times.into_iter().try_for_each(|(dir, mtime)| self.put_back_time(dir, mtime))?;
        }
        self.dress_as(id, &entry, meta)?;
        Ok(self.look(id)?.is_some_and(|look| look.digest == meta.look.digest))
    }

    /// The times of the directories of some names: what repairs a name is no change of them.
    fn times_above(&self, places: &[Place]) -> Result<Vec<(InodeId, Timestamp)>, Fault> {
        let mut out = Vec::new();
        for place in places {
            let wrong = |e| Fault::system("stat", self.path_of(place.parent), e);
            let stat = self.dir(place.parent)?.stat().map_err(wrong)?;
            out.push((place.parent, Timestamp { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 }));
        }
        Ok(out)
    }

    fn put_back_time(&self, dir: InodeId, mtime: Timestamp) -> Result<(), Fault> {
        let set = self.dir(dir)?.set_times(None, Some(mtime));
        set.map_err(|e| Fault::system("set the times of", self.path_of(dir), e))
    }

    fn is_gone(&self, id: InodeId, entry: &Entry) -> Result<bool, Fault> {
        let places = if entry.places.is_empty() { vec![orphan_place(id)] } else { entry.places.clone() };
        for place in &places {
            if self.occupant(place)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// An inode that is lost: empty, all its blocks to be had from elsewhere.
    fn make_again(&self, id: InodeId, entry: &Entry, meta: &InodeMeta) -> Result<(), Fault> {
        self.forget(id);
        let body = &meta.body;
        let new = NewNode { id, kind: entry.kind, mode: body.mode, rdev: body.rdev, target: &body.target };
        let first = entry.places.first().cloned().unwrap_or_else(|| orphan_place(id));
        self.make_node(&first, &new)?;
        for place in entry.places.iter().skip(1) {
            self.link_entry(id, &first, place)?;
        }
        if entry.kind == FileKind::File && body.size > 0 {
            let mut all = Blocks::default();
            all.add(0..body.size.div_ceil(BLOCK));
            self.rot(id, all, "lost with their file")?;
        }
        Ok(())
    }

    fn dress_as(&self, id: InodeId, entry: &Entry, meta: &InodeMeta) -> Result<(), Fault> {
        let (body, none) = (&meta.body, Bytes::new());
        let wrong = |e| Fault::system("repair the attributes of", self.path_of(id), e);
        let handle = self.handle(id, entry, Access::Write)?;
        let acl = |wanted: &[u8]| {
            meta.xattrs
                .iter()
                .find(|(name, _)| *name == wanted)
                .map_or_else(|| none.clone(), |(_, v)| v.clone())
        };
        let (access, default) = (acl(ACL_ACCESS), acl(ACL_DEFAULT));
        let dress = Dress {
            kind: entry.kind,
            mode: body.mode,
            uid: body.uid,
            gid: body.gid,
            acl_access: &access,
            acl_default: &default,
        };
        dress.put_on(&handle, true).map_err(wrong)?;
        if entry.kind == FileKind::File {
            let size = handle.stat().map_err(wrong)?.st_size as u64;
            if size != body.size {
                rustix::fs::ftruncate(handle.fd(), body.size).map_err(wrong)?;
            }
        }
        for name in handle.xattr_names().map_err(wrong)?.iter().filter(|name| !is_private_xattr(name)) {
            if !meta.xattrs.iter().any(|(wanted, _)| *wanted == *name) {
                handle.remove_xattr(name).map_err(wrong)?;
            }
        }
        for (name, value) in meta.xattrs.iter().filter(|(name, _)| !is_private_xattr(name)) {
            if *name != ACL_ACCESS && *name != ACL_DEFAULT {
                handle.set_xattr(name, value).map_err(wrong)?;
            }
        }
        handle.set_times(None, Some(body.mtime)).map_err(wrong)
    }

    /// Whether a name leads to the inode; one that was changed within its directory is changed back.
    fn look_at_name(&self, id: InodeId, entry: &Entry, place: &Place) -> Result<Name, Fault> {
        match self.occupant(place)? {
            Some(Some(found)) if found == id => return Ok(Name::Right),
            Some(found) if self.is_foreign(place, found)? => {
                let times = self.times_above(std::slice::from_ref(place))?;
                self.clear_foreign(place)?;
                times.into_iter().try_for_each(|(dir, mtime)| self.put_back_time(dir, mtime))?;
                // It may be this very inode, without its identity: nobody may go on with it.
                self.forget(id);
                return Ok(Name::Wrong("another file stood there, and was set aside"));
            }
            Some(_) => return Ok(Name::Wrong("another file stands there")),
            None => {}
        }
        let dir = self.dir(place.parent)?;
        let wrong = |e| Fault::system("list", self.path_of(place.parent), e);
        let times = self.times_above(std::slice::from_ref(place))?;
        let mut from = None;
        for name in names_of(place.parent, dir.scan().map_err(wrong)?).map_err(wrong)? {
            let name = name.map_err(wrong)?;
            let here = identity_at(dir.fd(), &name).map_err(wrong)? == Some(Some(id));
            if here && !entry.has(place.parent, &name) {
                from = Some(Place { parent: place.parent, name });
                break;
            }
        }
        let mut others = entry.places.iter().filter(|other| *other != place);
        match (
            from,
            others.find(|other| matches!(self.occupant(other), Ok(Some(Some(found))) if found == id)),
        ) {
            (Some(from), _) => self.move_entry(id, &from, place, false)?,
            (None, Some(other)) if entry.kind != FileKind::Dir => self.link_entry(id, other, place)?,
            _ => {
                // An open handle must not make it look as if it were there.
                self.forget(id);
                return Ok(Name::Wrong("the name is gone"));
            }
        }
        times.into_iter().try_for_each(|(dir, mtime)| self.put_back_time(dir, mtime))?;
        let (brick, path) = (self.path.display(), self.display(place));
        tracing::warn!("rot: {brick}{path}: the name was gone, and was put back");
        Ok(Name::PutBack)
    }

    /// Whether a meta fits a frame.
    #[must_use]
    pub fn is_sendable(meta: &InodeMeta) -> bool {
        meta.xattrs.iter().map(|(name, value)| name.len() + value.len()).sum::<usize>() <= XATTR_BYTES
    }
}

enum Name {
    Right,
    PutBack,
    Wrong(&'static str),
}
