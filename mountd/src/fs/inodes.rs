//! Inodes that the kernel knows, and what this mount knows of each.

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use rfs_model::{Index, InodeId, Seq};

/// Extended attributes whose absence is remembered: the kernel asks for them before writes and permission checks.
pub const ASKED_OFTEN: [&[u8]; 3] =
    [b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default"];

/// What this mount knows of one inode. Shared with open handles.
#[derive(Debug)]
pub struct Inode {
    pub number: u64,
    pub id: InodeId,
    /// This session's newest write to it; 0: none.
    last_write: AtomicU64,
    /// Bit n: it certainly has no `ASKED_OFTEN[n]`.
    absent: AtomicU8,
    /// The version that it had when all pages that the kernel may hold were dropped or found valid; 0: unknown.
    pages: AtomicU64,
    /// Owners that may hold locks on it by this session.
    lockers: Mutex<BTreeSet<u64>>,
}

impl Inode {
    fn new(id: InodeId) -> Self {
        Self {
            number: id.number(),
            id,
            last_write: AtomicU64::default(),
            absent: AtomicU8::default(),
            pages: AtomicU64::default(),
            lockers: Mutex::default(),
        }
    }

    pub fn wrote(&self, seq: Seq) {
        self.last_write.fetch_max(seq.0, Ordering::Relaxed);
    }

    #[must_use]
    pub fn last_write(&self) -> Seq {
        Seq(self.last_write.load(Ordering::Relaxed))
    }

    fn bit(name: &[u8]) -> u8 {
        ASKED_OFTEN.iter().position(|asked| *asked == name).map_or(0, |n| 1 << n)
    }

    /// True only when it is certain that the inode has no such attribute.
    #[must_use]
    pub fn lacks(&self, name: &[u8]) -> bool {
        self.absent.load(Ordering::Relaxed) & Self::bit(name) != 0
    }

    pub fn found_lacking(&self, name: &[u8]) {
        self.absent.fetch_or(Self::bit(name), Ordering::Relaxed);
    }

    /// Attributes may have been set.
    pub fn attributes_unknown(&self) {
        self.absent.store(0, Ordering::Relaxed);
    }

    /// The version of which all pages are that the kernel holds, and its size; 0: unknown.
    #[must_use]
    pub fn pages(&self) -> Index {
        Index(self.pages.load(Ordering::Relaxed))
    }

    /// The kernel holds nothing older.
    pub fn pages_are_of(&self, version: Index) {
        self.pages.store(version.0, Ordering::Relaxed);
    }

    pub fn pages_unknown(&self) {
        self.pages.store(0, Ordering::Relaxed);
    }

    pub fn locked_by(&self, owner: u64) {
        self.lockers.lock().expect("no holder panics").insert(owner);
    }

    /// True when this owner may have had locks.
    pub fn unlocked_by(&self, owner: u64) -> bool {
        self.lockers.lock().expect("no holder panics").remove(&owner)
    }

    /// The session has begun anew: what was true of the one before is not of this one.
    fn forget_session(&self) {
        self.last_write.store(0, Ordering::Relaxed);
        self.lockers.lock().expect("no holder panics").clear();
    }
}

#[derive(Debug)]
struct Row {
    inode: Arc<Inode>,
    /// How often the kernel was told of it, less how often it forgot.
    lookups: u64,
    /// Names under which the kernel may have it cached: parent's number, and name.
    places: Vec<(u64, Bytes)>,
}

/// All inodes that the kernel may name. As large as the kernel's own cache, since it says when it forgets.
#[derive(Debug)]
pub struct Inodes {
    rows: HashMap<u64, Row>,
}

impl Default for Inodes {
    fn default() -> Self {
        let inode = Arc::new(Inode::new(InodeId::ROOT));
        let root = Row { inode, lookups: 1, places: Vec::new() };
        Self { rows: HashMap::from([(InodeId::ROOT.number(), root)]) }
    }
}

impl Inodes {
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Inode>> {
        self.rows.get(&number).map(|row| row.inode.clone())
    }

    #[must_use]
    pub fn by_id(&self, id: InodeId) -> Option<Arc<Inode>> {
        self.get(id.number()).filter(|inode| inode.id == id)
    }

    /// The kernel is about to be told that `name` in `parent` is `id`. `None`: another inode that is still in use has the
    /// same number.
    pub fn remember(&mut self, id: InodeId, parent: u64, name: Bytes) -> Option<Arc<Inode>> {
        let new = || Row { inode: Arc::new(Inode::new(id)), lookups: 0, places: Vec::new() };
        let row = self.rows.entry(id.number()).or_insert_with(new);
        if row.inode.id != id {
            return None;
        }
        row.lookups += 1;
        if !row.places.iter().any(|place| place.0 == parent && place.1 == name) {
            row.places.push((parent, name));
        }
        Some(row.inode.clone())
    }

    pub fn forget(&mut self, number: u64, lookups: u64) {
        if number == InodeId::ROOT.number() {
            return;
        }
        if let Some(row) = self.rows.get_mut(&number) {
            row.lookups = row.lookups.saturating_sub(lookups);
            if row.lookups == 0 {
                self.rows.remove(&number);
            }
        }
    }

    /// Everything that the kernel may have cached: inodes, and names in directories.
    #[must_use]
    pub fn cached(&self) -> (Vec<u64>, Vec<(u64, Bytes)>) {
        let names = self.rows.values().flat_map(|row| row.places.iter().cloned()).collect();
        (self.rows.keys().copied().collect(), names)
    }

    /// Nothing is known of any inode any more. `expired`: not even that writes and locks of ours are under way.
    pub fn doubt_all(&self, expired: bool) {
        for row in self.rows.values() {
            row.inode.attributes_unknown();
            row.inode.pages_unknown();
            if expired {
                row.inode.forget_session();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::Term;

    use super::*;

    fn id(term: u64, index: u64) -> InodeId {
        InodeId { term: Term(term), index: Index(index) }
    }

    #[test]
    fn an_inode_lives_as_long_as_the_kernel_remembers_it() {
        let mut inodes = Inodes::default();
        let number = id(1, 7).number();
        inodes.remember(id(1, 7), 1, Bytes::from_static(b"a")).unwrap();
        inodes.remember(id(1, 7), 1, Bytes::from_static(b"b")).unwrap();
        inodes.forget(number, 1);
        assert!(inodes.by_id(id(1, 7)).is_some());
        inodes.forget(number, 1);
        assert!(inodes.get(number).is_none());
        inodes.forget(1, u64::MAX);
        assert!(inodes.get(1).is_some(), "the root stays");
    }

    #[test]
    fn two_inodes_of_one_number_are_not_mixed_up() {
        let mut inodes = Inodes::default();
        let twin = id(1 + (1 << 22), 7);
        assert_eq!(twin.number(), id(1, 7).number());
        inodes.remember(id(1, 7), 1, Bytes::new()).unwrap();
        assert!(inodes.remember(twin, 1, Bytes::new()).is_none());
        assert!(inodes.by_id(twin).is_none());
    }

    #[test]
    fn absence_is_believed_until_doubted() {
        let inode = Inode::new(InodeId::ROOT);
        inode.found_lacking(b"security.capability");
        inode.found_lacking(b"user.other");
        assert!(inode.lacks(b"security.capability"));
        assert!(!inode.lacks(b"system.posix_acl_access"));
        assert!(!inode.lacks(b"user.other"));
        inode.attributes_unknown();
        assert!(!inode.lacks(b"security.capability"));
    }
}
