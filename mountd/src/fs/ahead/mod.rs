//! Entries that the leader has told before the kernel asked for them.
//!
//! A program that looks at one file of a directory after the other asks one question each, and each takes a way there and
//! back. So when several names of a directory have been found one after the other, the mount asks for those that follow, with
//! their attributes, as for a listing; lookups are answered from that for a moment. What is told to the kernel that way it
//! believes as if it had been asked for: until there is news of it, which the leader pushes.
//!
//! What is here was true when it was told, and is dropped when anybody, this mount included, changes it. Names that are not
//! there are never answered from here (ADR 14).

mod contents;
mod quick;

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rfs_model::attr::FileKind;
use rfs_model::client::{Change, DirEntry, Mutation};
use rfs_model::{Attr, InodeId};

pub use contents::Contents;

/// How long an entry may wait for the kernel's question.
const KEPT: Duration = Duration::from_secs(1);
/// Entries of all directories together.
const ENTRIES: usize = 8192;
/// Directories whose lookups are counted.
const DIRS: usize = 256;
/// So many names of a directory are found one after the other before others are asked for, at first and at the most.
const PATIENCE: u32 = 4;
const MOST_PATIENCE: u32 = 4096;
/// A listing of which less than one in so many was used was not worth it.
const WORTH: usize = 8;

/// What this mount knows of names that the kernel has not asked for.
#[derive(Debug, Default)]
pub struct Ahead {
    table: Mutex<Table>,
    /// Nothing is there: most changes need not look.
    holds: AtomicBool,
    contents: Contents,
    /// Changes that this mount has asked for.
    changes: AtomicU64,
}

/// How many changes this mount had asked for at some time. What is asked for then may be told as long as there are no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asked(u64);

#[derive(Debug, Default)]
struct Table {
    dirs: HashMap<InodeId, Dir>,
    /// Where an inode is, to find it by news of it. Each is in one place: files with several links are not kept.
    places: HashMap<InodeId, (InodeId, Bytes)>,
}

#[derive(Debug)]
struct Dir {
    entries: HashMap<Bytes, Attr>,
    told: Instant,
    /// Names found by questions since the last listing.
    found: u32,
    patience: u32,
    /// Of the last listing.
    given: usize,
    used: usize,
    /// It was looked at whether that was worth it.
    judged: bool,
    asking: bool,
}

impl Dir {
    fn new(now: Instant) -> Self {
        let (entries, told) = (HashMap::new(), now);
        let (patience, given, used, judged, asking) = (PATIENCE, 0, 0, false, false);
        Self { entries, told, found: 0, patience, given, used, judged, asking }
    }

    fn judge(&mut self) {
        let wasted = self.used * WORTH < self.given;
        self.patience = if wasted { (self.patience * 4).min(MOST_PATIENCE) } else { PATIENCE };
    }
}

impl Ahead {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no holder panics")
    }

    fn held(&self) -> Option<MutexGuard<'_, Table>> {
        self.holds.load(Ordering::SeqCst).then(|| self.table())
    }

    /// For [`Ahead::told`] and [`Ahead::tell_contents`].
    #[must_use]
    pub fn asked(&self) -> Asked {
        Asked(self.changes.load(Ordering::SeqCst))
    }

    /// Data of files that were opened a moment ago.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// All that a file held when it was asked for.
    pub fn tell_contents(&self, id: InodeId, data: Bytes, asked: Asked) {
        self.contents.tell(id, data, Instant::now(), || self.asked() != asked);
    }

    /// What a name stands for, if that was told a moment ago. It is not kept: the kernel keeps it.
    pub fn take(&self, parent: InodeId, name: &Bytes, now: Instant) -> Option<Attr> {
        let mut table = self.held()?;
        let dir = table.dirs.get_mut(&parent)?;
        if now.saturating_duration_since(dir.told) > KEPT {
            table.empty(parent);
            return None;
        }
        let attr = dir.entries.remove(name)?;
        dir.used += 1;
        table.places.remove(&attr.id);
        Some(attr)
    }

    /// A name was found by a question. True when the names that follow are worth a listing, which then is to be asked for and
    /// to end with [`Ahead::told`].
    pub fn found(&self, parent: InodeId, now: Instant) -> bool {
        let mut table = self.table();
        if table.dirs.len() >= DIRS && !table.dirs.contains_key(&parent) {
            table.clear();
        }
        let dir = table.dirs.entry(parent).or_insert_with(|| Dir::new(now));
        if now.saturating_duration_since(dir.told) > KEPT && !dir.asking {
            // Not one after the other.
            (dir.told, dir.found) = (now, 0);
        }
        dir.found += 1;
        if dir.found >= PATIENCE && !std::mem::replace(&mut dir.judged, true) {
            dir.judge();
        }
        if dir.asking || dir.found < PATIENCE || dir.found < dir.patience {
            return false;
        }
        dir.asking = true;
        true
    }

    /// The listing has come; empty where it is of no use.
    pub fn told(&self, parent: InodeId, mut entries: Vec<DirEntry>, now: Instant, asked: Asked) {
        let mut table = self.table();
        // Before it is looked whether there was a change: who makes one then looks here.
        self.holds.store(true, Ordering::SeqCst);
        if self.asked() != asked {
            entries.clear();
        }
        if table.places.len() + entries.len() > ENTRIES {
            table.clear();
        }
        table.empty(parent);
        let Table { dirs, places } = &mut *table;
        let dir = dirs.entry(parent).or_insert_with(|| Dir::new(now));
        (dir.told, dir.found, dir.used, dir.judged, dir.asking) = (now, 0, 0, false, false);
        let alone = |attr: &Attr| attr.kind == FileKind::Dir || attr.nlink == 1;
        for DirEntry { name, attr, .. } in entries {
            if let Some(attr) = attr.filter(alone) {
                dir.entries.insert(name.clone(), attr);
                places.insert(attr.id, (parent, name));
            }
        }
        dir.given = dir.entries.len();
    }

    /// Somebody else has changed something.
    pub fn news(&self, change: &Change) {
        if let Change::Inode { id, .. } = change {
            self.contents.forget(*id);
        }
        let Some(mut table) = self.held() else { return };
        match change {
            Change::Inode { id, .. } => table.drop_inode(*id),
            Change::Entry { parent, name } => table.drop_name(*parent, name),
        }
    }

    /// This mount asks for this change, or has: to be called before the program hears of it.
    pub fn changing(&self, touched: &Touched) {
        if touched.is_nothing() {
            return;
        }
        self.changes.fetch_add(1, Ordering::SeqCst);
        touched.ids.iter().flatten().for_each(|id| self.contents.forget(*id));
        let Some(mut table) = self.held() else { return };
        touched.ids.iter().flatten().for_each(|id| table.drop_inode(*id));
        for (parent, name) in touched.names.iter().flatten() {
            table.drop_inode(*parent);
            table.drop_name(*parent, name);
        }
    }

    /// The inode is no more what it was told to be.
    pub fn drop_inode(&self, id: InodeId) {
        self.contents.forget(id);
        if let Some(mut table) = self.held() {
            table.drop_inode(id);
        }
    }

    pub fn drop_all(&self) {
        self.contents.forget_all();
        if let Some(mut table) = self.held() {
            table.clear();
        }
    }
}

impl Table {
    fn drop_name(&mut self, parent: InodeId, name: &Bytes) {
        if let Some(attr) = self.dirs.get_mut(&parent).and_then(|dir| dir.entries.remove(name)) {
            self.places.remove(&attr.id);
        }
    }

    fn drop_inode(&mut self, id: InodeId) {
        if let Some((parent, name)) = self.places.remove(&id)
            && let Some(dir) = self.dirs.get_mut(&parent)
        {
            dir.entries.remove(&name);
        }
    }

    fn empty(&mut self, parent: InodeId) {
        let Some(dir) = self.dirs.get_mut(&parent) else { return };
        for (_, attr) in dir.entries.drain() {
            self.places.remove(&attr.id);
        }
    }

    /// Listings that are on their way find their directories gone, and fill them again.
    fn clear(&mut self) {
        self.dirs.clear();
        self.places.clear();
    }
}

/// What a request of this mount changes of names and attributes.
#[derive(Debug, Default)]
pub struct Touched {
    ids: [Option<InodeId>; 1],
    names: [Option<(InodeId, Bytes)>; 2],
}

impl Touched {
    #[must_use]
    pub fn by(op: &Mutation) -> Self {
        use Mutation::{
            Allocate, Append, Lease, Link, Lock, Make, RemoveXattr, Rename, SetAttr, SetXattr, Unlink,
            Unlock, Void, Write,
        };
        match op {
            Make { parent, name, .. } | Unlink { parent, name, .. } => {
                Self { names: [Some((*parent, name.clone())), None], ..Self::default() }
            }
            Link { id, parent, name } => {
                Self { ids: [Some(*id)], names: [Some((*parent, name.clone())), None] }
            }
            Rename { from, from_name, to, to_name, .. } => {
                let names = [Some((*from, from_name.clone())), Some((*to, to_name.clone()))];
                Self { names, ..Self::default() }
            }
            Write { id, .. }
            | Append { id, .. }
            | SetAttr { id, .. }
            | SetXattr { id, .. }
            | RemoveXattr { id, .. }
            | Allocate { id, .. } => Self { ids: [Some(*id)], ..Self::default() },
            Lease { .. } | Lock { .. } | Unlock { .. } | Void {} => Self::default(),
        }
    }

    fn is_nothing(&self) -> bool {
        self.ids == [None] && self.names == [None, None]
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::{Index, Term, Timestamp};

    use super::*;

    const DIR: InodeId = InodeId::ROOT;

    fn entry(n: u64, nlink: u32) -> DirEntry {
        let time = Timestamp { secs: 0, nanos: 0 };
        let id = InodeId { term: Term(1), index: Index(n) };
        let attr = Attr { nlink, ..Attr::new(id, FileKind::File, 0o644, time, Index(1)) };
        DirEntry { name: name(n), id, kind: FileKind::File, attr: Some(attr) }
    }

    fn name(n: u64) -> Bytes {
        n.to_string().into()
    }

    fn filled(entries: impl IntoIterator<Item = u64>, now: Instant) -> Ahead {
        let ahead = Ahead::default();
        ahead.told(DIR, entries.into_iter().map(|n| entry(n, 1)).collect(), now, ahead.asked());
        ahead
    }

    #[test]
    fn names_found_one_after_the_other_are_worth_a_listing() {
        let (ahead, now) = (Ahead::default(), Instant::now());
        let asks: Vec<bool> = (0..6).map(|_| ahead.found(DIR, now)).collect();
        assert_eq!(asks, [false, false, false, true, false, false], "one listing at a time");
        ahead.told(DIR, vec![entry(1, 1)], now, ahead.asked());
        assert_eq!(ahead.take(DIR, &name(1), now).unwrap().id, entry(1, 1).id);
        assert!(ahead.take(DIR, &name(1), now).is_none(), "the kernel has it");
        let slow: Vec<bool> = (0..6).map(|n| ahead.found(DIR, now + (KEPT + KEPT) * n)).collect();
        assert!(!slow.contains(&true));
    }

    #[test]
    fn a_directory_whose_listings_are_not_used_is_left_alone_for_longer_and_longer() {
        let now = Instant::now();
        let ahead = filled(0..100, now);
        let until_asked = || (1..).find(|_| ahead.found(DIR, now)).unwrap();
        let mut waits = vec![];
        for _ in 0..3 {
            waits.push(until_asked());
            ahead.told(DIR, (0..100).map(|n| entry(n, 1)).collect(), now, ahead.asked());
        }
        assert_eq!(waits, [16, 64, 256]);
        (0..50).for_each(|n| assert!(ahead.take(DIR, &name(n), now).is_some()));
        assert_eq!(until_asked(), PATIENCE, "half of the last one was used");
    }

    #[test]
    fn what_changes_is_asked_for() {
        let now = Instant::now();
        let ahead = filled(1..9, now);
        let id = |n| entry(n, 1).id;
        ahead.news(&Change::Entry { parent: DIR, name: name(1) });
        ahead.news(&Change::Inode { id: id(2), offset: 0, len: 0 });
        ahead.changing(&Touched::by(&Mutation::Write { id: id(3), offset: 0, data: Bytes::new() }));
        ahead.changing(&Touched::by(&Mutation::Unlink { parent: DIR, name: name(4), dir: false }));
        let (from_name, to_name) = (name(5), name(6));
        ahead.changing(&Touched::by(&Mutation::Rename { from: DIR, from_name, to: DIR, to_name, flags: 0 }));
        ahead.drop_inode(id(7));
        let left: Vec<u64> = (1..9).filter(|n| ahead.take(DIR, &name(*n), now).is_some()).collect();
        assert_eq!(left, [8]);
    }

    #[test]
    fn nothing_is_kept_for_long_and_nothing_that_has_other_names() {
        let now = Instant::now();
        assert!(filled([1], now).take(DIR, &name(1), now + KEPT + KEPT).is_none());
        let ahead = Ahead::default();
        ahead.told(DIR, vec![entry(1, 2)], now, ahead.asked());
        assert!(ahead.take(DIR, &name(1), now).is_none());
    }

    #[test]
    fn there_is_a_bound() {
        let now = Instant::now();
        let ahead = filled(0..ENTRIES as u64, now);
        let other = InodeId { term: Term(1), index: Index(u64::MAX / 2) };
        ahead.told(other, vec![entry(1, 1)], now, ahead.asked());
        let table = ahead.table();
        assert_eq!((table.dirs.len(), table.places.len()), (1, 1));
    }
}
