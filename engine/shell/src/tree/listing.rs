//! Directory listings in the order of names, kept while a directory is being read page by page: the tree's own changes
//! keep them exact, so that a directory that is emptied while it is listed is scanned once.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use bytes::Bytes;
use lru::LruCache;
use rfs_model::client::DirEntry;
use rfs_model::{Attr, FileKind, Index, InodeId};
use rustix::fs::Dir;
use rustix::io::Errno;

use super::entry::Place;
use super::layout::is_private;
use super::{Fault, Tree};

/// Names of one directory; the identity is read when it is first wanted.
type Names = BTreeMap<Box<[u8]>, Option<InodeId>>;
type Named = (Box<[u8]>, Option<InodeId>);

/// A directory whose own size is larger than this, in bytes, is better listed on a thread: some 3,000 names.
const LONG_DIR_BYTES: u64 = 128 * 1024;

pub(super) struct Listings {
    cache: LruCache<InodeId, Names>,
    names: usize,
    limit: usize,
}

impl Listings {
    pub(super) fn new(limit: usize) -> Self {
        Self { cache: LruCache::unbounded(), names: 0, limit }
    }

    fn insert(&mut self, dir: InodeId, names: Names) {
        self.forget(dir);
        self.names += names.len();
        self.cache.put(dir, names);
        while self.names > self.limit && self.cache.len() > 1 {
            if let Some((_, old)) = self.cache.pop_lru() {
                self.names -= old.len();
            }
        }
    }

    pub(super) fn forget(&mut self, dir: InodeId) {
        if let Some(old) = self.cache.pop(&dir) {
            self.names -= old.len();
        }
    }

    pub(super) fn add(&mut self, place: &Place, id: InodeId) {
        if let Some(names) = self.cache.peek_mut(&place.parent)
            && names.insert(place.name.clone(), Some(id)).is_none()
        {
            self.names += 1;
        }
    }

    pub(super) fn remove(&mut self, place: &Place) {
        if let Some(names) = self.cache.peek_mut(&place.parent)
            && names.remove(&*place.name).is_some()
        {
            self.names -= 1;
        }
    }

    /// Whether a name is there, where the directory is listed: `None` when it is not.
    pub(super) fn has(&self, dir: InodeId, name: &[u8]) -> Option<bool> {
        Some(self.cache.peek(&dir)?.contains_key(name))
    }

    fn page(&mut self, dir: InodeId, after: &[u8], max: usize) -> Option<Vec<Named>> {
        let from = if after.is_empty() { Bound::Unbounded } else { Bound::Excluded(after) };
        let names = self.cache.get(&dir)?;
        let range = names.range::<[u8], _>((from, Bound::Unbounded));
        Some(range.take(max).map(|(name, id)| (name.clone(), *id)).collect())
    }
}

/// How much one answer to a listing holds at the most. At least one entry is always given.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    pub entries: usize,
    /// Encoded size of the entries, about.
    pub bytes: usize,
}

/// A directory being scanned; may run on any thread.
#[derive(Debug)]
pub struct ListJob {
    dir: InodeId,
    version: Index,
    fd: OwnedFd,
    path: String,
}

/// A directory that was scanned.
#[derive(Debug)]
pub struct Listed {
    dir: InodeId,
    version: Index,
    names: Names,
}

impl ListJob {
    /// # Errors
    /// [`Fault::System`].
    pub fn run(self) -> Result<Listed, Fault> {
        let names = scan(self.dir, self.fd).map_err(|e| Fault::system("list", self.path, e))?;
        Ok(Listed { dir: self.dir, version: self.version, names })
    }
}

impl Tree {
    /// The scan of a directory that is long and has not been listed yet: to be run on a thread and given to
    /// [`Tree::listed`] before [`Tree::readdir`], which would scan it in place.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn list_job(&self, id: InodeId) -> Result<Option<ListJob>, Fault> {
        let Some(entry) = self.index.get(id)?.filter(|e| e.kind == FileKind::Dir) else { return Ok(None) };
        if self.listings.borrow().cache.contains(&id) {
            return Ok(None);
        }
        let handle = self.dir(id)?;
        let size = handle.stat().map_err(|e| Fault::system("stat", self.path_of(id), e))?.st_size;
        if (size as u64) < LONG_DIR_BYTES {
            return Ok(None);
        }
        let fd = handle.scan().map_err(|e| Fault::system("list", self.path_of(id), e))?;
        Ok(Some(ListJob { dir: id, version: entry.version, fd, path: self.path_of(id) }))
    }

    /// Takes a scan in, unless the directory has changed since it was begun.
    ///
    /// # Errors
    /// [`Fault::Index`].
    pub fn listed(&self, listed: Listed) -> Result<(), Fault> {
        if self.index.get(listed.dir)?.is_some_and(|entry| entry.version == listed.version) {
            self.listings.borrow_mut().insert(listed.dir, listed.names);
        }
        Ok(())
    }

    /// Entries in the order of their names' bytes from the first one greater than `after` (empty: from the first), and
    /// whether these are the last ones. `None` when `id` is not a directory that exists. What somebody put there by hand is
    /// left out.
    ///
    /// # Errors
    /// [`Fault`].
    pub fn readdir(
        &self,
        id: InodeId,
        after: &[u8],
        plus: bool,
        page: Page,
    ) -> Result<Option<(Vec<DirEntry>, bool)>, Fault> {
        if self.index.get(id)?.is_none_or(|entry| entry.kind != FileKind::Dir) {
            return Ok(None);
        }
        self.list(id)?;
        let max = page.entries.max(1);
        let (mut out, mut bytes, mut after) = (Vec::new(), 0, Box::from(after));
        loop {
            let wanted = max + 1 - out.len();
            let names = self.listings.borrow_mut().page(id, &after, wanted).unwrap_or_default();
            let last = names.len() < wanted;
            for (name, known) in names {
                bytes += name.len() + if plus { 136 } else { 22 };
                if out.len() == max || !out.is_empty() && bytes > page.bytes {
                    return Ok(Some((out, false)));
                }
                let place = Place { parent: id, name };
                out.extend(self.dir_entry(&place, known, plus)?);
                after = place.name;
            }
            if last {
                return Ok(Some((out, true)));
            }
        }
    }

    /// `None`: what has the name is no part of the volume.
    fn dir_entry(
        &self,
        place: &Place,
        known: Option<InodeId>,
        plus: bool,
    ) -> Result<Option<DirEntry>, Fault> {
        let id = match known {
            Some(id) => id,
            None => match self.identity_of(place)? {
                Some(id) => {
                    self.listings.borrow_mut().add(place, id);
                    id
                }
                None => {
                    self.listings.borrow_mut().remove(place);
                    return Ok(None);
                }
            },
        };
        let kind = self.known("list", id)?.kind;
        let attr = if plus { self.attr(id)? } else { None };
        let told = |attr| Ok::<_, Fault>(Attr { bare: self.bare_at(place)?, ..attr });
        let attr = attr.map(told).transpose()?;
        Ok(Some(DirEntry { name: Bytes::copy_from_slice(&place.name), id, kind, attr }))
    }

    /// Sees to it that the directory is listed.
    fn list(&self, id: InodeId) -> Result<(), Fault> {
        if self.listings.borrow().cache.contains(&id) {
            return Ok(());
        }
        let handle: Arc<_> = self.dir(id)?;
        let names = handle
            .scan()
            .and_then(|fd| scan(id, fd))
            .map_err(|e| Fault::system("list", self.path_of(id), e))?;
        self.listings.borrow_mut().insert(id, names);
        Ok(())
    }

    /// Whether a directory holds nothing that mounts see.
    pub(super) fn is_empty_dir(&self, id: InodeId) -> Result<bool, Fault> {
        if let Some(names) = self.listings.borrow().cache.peek(&id)
            && (names.is_empty() || names.values().any(Option::is_some))
        {
            return Ok(names.is_empty());
        }
        let wrong = |e| Fault::system("list", self.path_of(id), e);
        let fd = self.dir(id)?.scan().map_err(wrong)?;
        for name in names_of(id, fd).map_err(wrong)? {
            let place = Place { parent: id, name: name.map_err(wrong)? };
            if self.identity_of(&place)?.is_some() {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn scan(dir: InodeId, fd: OwnedFd) -> Result<Names, Errno> {
    names_of(dir, fd)?.map(|name| Ok((name?, None))).collect()
}

/// The names in an open directory, without those that are not the volume's.
pub(super) fn names_of(
    dir: InodeId,
    fd: OwnedFd,
) -> Result<impl Iterator<Item = Result<Box<[u8]>, Errno>>, Errno> {
    let shown = move |name: &[u8]| name != b"." && name != b".." && !is_private(dir, name);
    Ok(Dir::new(fd)?.filter_map(move |item| match item {
        Ok(entry) => {
            let name = entry.file_name().to_bytes();
            shown(name).then(|| Ok(name.into()))
        }
        Err(errno) => Some(Err(errno)),
    }))
}
