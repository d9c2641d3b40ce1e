//! Inodes that the kernel knows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use rfs_model::attr::FileKind;
use rfs_model::{Attr, InodeId, Timestamp};

use super::inode::Inode;
use super::names::{Names, Place};

/// More than these are not told from each other.
const MANY_PLACES: usize = 64;

#[derive(Debug)]
struct Row {
    inode: Arc<Inode>,
    /// How often the kernel was told of it, less how often it forgot.
    lookups: u64,
    /// Where the kernel may have it cached.
    places: Vec<Place>,
    /// The time of its last change when it was certainly at all its places.
    changed: Timestamp,
}

impl Row {
    fn new(id: InodeId) -> Row {
        let changed = Timestamp { secs: 0, nanos: 0 };
        Row { inode: Arc::new(Inode::new(id)), lookups: 0, places: Vec::new(), changed }
    }
}

/// All inodes that the kernel may name. As large as the kernel's own cache, since it says when it forgets.
#[derive(Debug)]
pub struct Inodes {
    rows: HashMap<u64, Row>,
    names: Names,
}

impl Default for Inodes {
    fn default() -> Self {
        let root = Row { lookups: 1, ..Row::new(InodeId::ROOT) };
        Self { rows: HashMap::from([(InodeId::ROOT.number(), root)]), names: Names::default() }
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

    /// The kernel is about to be told that an inode is there. `None`: another inode that is still in use has the same number.
    pub fn remember(&mut self, attr: &Attr, place: Place) -> Option<Arc<Inode>> {
        let number = attr.id.number();
        let row = self.rows.entry(number).or_insert_with(|| {
            let row = Row::new(attr.id);
            // The kernel has no pages of it, and this size.
            row.inode.pages_are_of(attr.version);
            row
        });
        if row.inode.id != attr.id {
            return None;
        }
        row.lookups += 1;
        if row.places.is_empty() || row.places == [place.clone()] {
            row.changed = attr.ctime;
        }
        let inode = row.inode.clone();
        let before = self.names.tell(place.clone(), number);
        if before != Some(number) {
            row.places.push(place.clone());
            if let Some(before) = before {
                self.leave(before, &place);
            }
        }
        Some(inode)
    }

    fn leave(&mut self, number: u64, place: &Place) {
        if let Some(row) = self.rows.get_mut(&number)
            && let Some(at) = row.places.iter().position(|known| known == place)
        {
            row.places.swap_remove(at);
        }
    }

    /// Other places where the kernel may have the inode that is found here, and that it may have left since. None where there
    /// are very many: files with so many links are not what workers take from each other.
    #[must_use]
    pub fn doubtful(&self, attr: &Attr, here: &Place) -> Vec<Place> {
        let row = self.rows.get(&attr.id.number()).filter(|row| row.inode.id == attr.id);
        // Of a directory the kernel itself knows that it is in one place.
        let row = row.filter(|row| row.changed != attr.ctime && attr.kind != FileKind::Dir);
        let row = row.filter(|row| row.places.len() <= MANY_PLACES);
        row.map(|row| row.places.iter().filter(|place| *place != here).cloned().collect()).unwrap_or_default()
    }

    /// What the kernel was told is there.
    #[must_use]
    pub fn at(&self, place: &Place) -> Option<Arc<Inode>> {
        self.get(self.names.at(place)?)
    }

    /// See [`Names::telling`].
    #[must_use]
    pub fn telling(&self, place: &Place) -> u64 {
        self.names.telling(place)
    }

    /// The kernel has dropped a name, as it had been told by then.
    pub fn dropped(&mut self, place: &Place, telling: u64) {
        if let Some(number) = self.names.dropped(place, telling) {
            self.leave(number, place);
        }
    }

    /// The kernel is about to take a name away itself, since that was done.
    pub fn removed(&mut self, place: &Place) -> Option<u64> {
        let number = self.names.removed(place)?;
        self.leave(number, place);
        Some(number)
    }

    /// The kernel is about to move what it has at `from`.
    pub fn moved(&mut self, from: &Place, to: Place) {
        let moved = self.removed(from);
        self.removed(&to);
        if let Some(row) = moved.and_then(|number| self.rows.get_mut(&number)) {
            self.names.tell(to.clone(), row.inode.number);
            row.places.push(to);
        }
    }

    pub fn forget(&mut self, number: u64, lookups: u64) {
        if number == InodeId::ROOT.number() {
            return;
        }
        let Some(row) = self.rows.get_mut(&number) else { return };
        row.lookups = row.lookups.saturating_sub(lookups);
        if row.lookups == 0
            && let Some(row) = self.rows.remove(&number)
        {
            row.places.iter().for_each(|place| self.names.forget(place, number));
        }
    }

    /// See [`Names::tell_absent`].
    pub fn note_absent(&mut self, place: Place, until: Instant) -> bool {
        self.names.tell_absent(place, until, Instant::now())
    }

    /// Everything that the kernel may have cached and is to drop: inodes, and names in directories.
    #[must_use]
    pub fn cached(&mut self) -> (Vec<u64>, Vec<Place>) {
        let mut names: Vec<Place> = self.rows.values().flat_map(|row| row.places.iter().cloned()).collect();
        names.extend(self.names.take_absent());
        (self.rows.keys().copied().collect(), names)
    }

    /// Nothing is known of any inode any more. `expired`: not even that writes and locks of ours are under way.
    pub fn doubt_all(&self, expired: bool) {
        for row in self.rows.values() {
            row.inode.attributes_unknown();
            row.inode.pages_unknown();
            row.inode.listing_is_old();
            if expired {
                row.inode.forget_session();
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rfs_model::{Index, Term};

    use super::*;

    fn id(term: u64, index: u64) -> InodeId {
        InodeId { term: Term(term), index: Index(index) }
    }

    fn place(name: &'static [u8]) -> Place {
        (1, Bytes::from_static(name))
    }

    /// A file that was last changed at some second.
    fn file(id: InodeId, secs: i64) -> Attr {
        let time = Timestamp { secs, nanos: 0 };
        Attr {
            id,
            kind: FileKind::File,
            mode: 0o644,
            nlink: 1,
            uid: 0,
            gid: 0,
            rdev: 0,
            size: 0,
            blocks: 0,
            atime: time,
            mtime: time,
            ctime: time,
            version: Index(1),
        }
    }

    #[test]
    fn another_place_is_doubted_after_a_change_until_the_kernel_has_dropped_it() {
        let mut inodes = Inodes::default();
        let id = id(1, 7);
        inodes.remember(&file(id, 1), place(b"a"));
        assert_eq!(inodes.doubtful(&file(id, 2), &place(b"a")), []);
        assert_eq!(inodes.doubtful(&file(id, 2), &place(b"b")), [place(b"a")]);
        inodes.remember(&file(id, 2), place(b"b"));
        assert_eq!(inodes.doubtful(&file(id, 2), &place(b"b")), [place(b"a")], "still");
        inodes.dropped(&place(b"a"), inodes.telling(&place(b"a")));
        assert_eq!(inodes.doubtful(&file(id, 2), &place(b"b")), []);
    }

    #[test]
    fn links_that_nobody_changed_are_not_doubted() {
        let mut inodes = Inodes::default();
        inodes.remember(&file(id(1, 7), 1), place(b"a"));
        inodes.remember(&file(id(1, 7), 1), place(b"b"));
        assert_eq!(inodes.doubtful(&file(id(1, 7), 1), &place(b"a")), []);
    }

    #[test]
    fn what_this_mount_moves_is_in_one_place() {
        let mut inodes = Inodes::default();
        let (moved, replaced) = (id(1, 7), id(1, 8));
        inodes.remember(&file(moved, 1), place(b"a"));
        inodes.remember(&file(replaced, 1), place(b"b"));
        inodes.moved(&place(b"a"), place(b"b"));
        assert_eq!(inodes.doubtful(&file(moved, 2), &place(b"b")), []);
        assert_eq!(inodes.doubtful(&file(replaced, 2), &place(b"c")), []);
        inodes.removed(&place(b"b"));
        assert_eq!(inodes.doubtful(&file(moved, 3), &place(b"c")), []);
    }

    #[test]
    fn an_inode_lives_as_long_as_the_kernel_remembers_it() {
        let mut inodes = Inodes::default();
        let number = id(1, 7).number();
        inodes.remember(&file(id(1, 7), 1), place(b"a")).unwrap();
        inodes.remember(&file(id(1, 7), 1), place(b"b")).unwrap();
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
        inodes.remember(&file(id(1, 7), 1), place(b"a")).unwrap();
        assert!(inodes.remember(&file(twin, 1), place(b"a")).is_none());
        assert!(inodes.by_id(twin).is_none());
    }
}
