//! Inodes that the kernel knows.

use std::sync::Arc;
use std::time::Instant;

use bytes::Bytes;
use rfs_model::attr::FileKind;
use rfs_model::{Attr, InodeId};

use super::inode::Inode;
use super::names::{Kept, Names, Place};
use super::rows::{Row, Rows};
use super::trim::{INODES, LOOKS, Trim};

/// More than these are not told from each other.
const MANY_PLACES: usize = 64;

/// All inodes that the kernel may name. As large as the kernel's own cache, since it says when it forgets, and is asked to when
/// there are too many.
#[derive(Debug)]
pub struct Inodes {
    rows: Rows,
    names: Names,
    trim: Trim,
}

impl Default for Inodes {
    fn default() -> Self {
        Self::new(INODES)
    }
}

fn place((dir, name): &Kept) -> Place {
    (*dir, Bytes::copy_from_slice(name))
}

fn is_at((dir, name): &Kept, place: &Place) -> bool {
    *dir == place.0 && **name == *place.1
}

impl Inodes {
    /// `limit`: the kernel is asked to forget some when there are more; 0: never.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        let mut rows = Rows::default();
        let mut root = Row::new(InodeId::ROOT);
        root.lookups = 1;
        rows.insert(InodeId::ROOT.number(), root, false);
        Self { rows, names: Names::default(), trim: Trim::new(limit) }
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.rows.len()
    }

    /// Somebody wants to make use of it.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<Arc<Inode>> {
        let row = self.rows.get(number)?;
        row.used.set(true);
        Some(row.inode.clone())
    }

    #[must_use]
    pub fn by_id(&self, id: InodeId) -> Option<Arc<Inode>> {
        let row = self.rows.get(id.number())?;
        (row.inode.id == id).then(|| row.inode.clone())
    }

    /// The kernel is about to be told that an inode is there. `None`: another inode that is still in use has the same number.
    pub fn remember(&mut self, attr: &Attr, place: Place) -> Option<Arc<Inode>> {
        let number = attr.id.number();
        match self.rows.get(number) {
            Some(row) => row.used.set(true),
            None => {
                let row = Row::new(attr.id);
                // The kernel has no pages of it, and this size.
                row.inode.pages_are_of(attr.version);
                // The kernel keeps directories that somebody stands in, or has mounted something on.
                self.rows.insert(number, row, attr.kind != FileKind::Dir);
            }
        }
        let row = self.rows.get_mut(number).filter(|row| row.inode.id == attr.id)?;
        row.lookups += 1;
        if row.places.iter().all(|kept| is_at(kept, &place)) {
            row.changed = attr.ctime;
        }
        let inode = row.inode.clone();
        let (news, before) = self.names.tell(&place, number);
        if let Some(kept) = news {
            row.places.push(kept);
            if let Some(before) = before {
                self.leave(before, &place);
            }
        }
        Some(inode)
    }

    /// The kernel has been told of an inode, and there are too many: it is to be asked to forget these now. Those that it was
    /// told of first come first, unless they were used again since their last turn; none that is open.
    #[must_use]
    pub fn too_many(&mut self) -> Vec<u64> {
        let wanted = self.trim.told(self.rows.len());
        if wanted == 0 {
            return Vec::new();
        }
        let mut found = Vec::with_capacity(wanted);
        for _ in 0..LOOKS.min(self.rows.in_line()) {
            if found.len() == wanted {
                break;
            }
            let Some(number) = self.rows.next() else { break };
            found.extend(
                self.rows.get(number).filter(|row| !row.used.take() && row.is_idle()).map(|_| number),
            );
        }
        self.trim.asked(found.len());
        found
    }

    /// Where the kernel may have it cached, unless it is in use meanwhile.
    #[must_use]
    pub fn idle_places(&self, number: u64) -> Vec<Place> {
        let row = self.rows.get(number).filter(|row| row.is_idle());
        row.map(|row| row.places.iter().map(place).collect()).unwrap_or_default()
    }

    fn leave(&mut self, number: u64, place: &Place) {
        if let Some(row) = self.rows.get_mut(number)
            && let Some(at) = row.places.iter().position(|kept| is_at(kept, place))
        {
            row.places.swap_remove(at);
        }
    }

    /// Other places where the kernel may have the inode that is found here, and that it may have left since. None where there
    /// are very many: files with so many links are not what workers take from each other.
    #[must_use]
    pub fn doubtful(&self, attr: &Attr, here: &Place) -> Vec<Place> {
        let row = self.rows.get(attr.id.number()).filter(|row| row.inode.id == attr.id);
        // Of a directory the kernel itself knows that it is in one place.
        let row = row.filter(|row| row.changed != attr.ctime && attr.kind != FileKind::Dir);
        let row = row.filter(|row| row.places.len() <= MANY_PLACES);
        let others = |row: &Row| row.places.iter().filter(|kept| !is_at(kept, here)).map(place).collect();
        row.map(others).unwrap_or_default()
    }

    /// What the kernel was told is there.
    #[must_use]
    pub fn at(&self, place: &Place) -> Option<Arc<Inode>> {
        self.rows.get(self.names.at(place)?).map(|row| row.inode.clone())
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
    #[allow(clippy::needless_pass_by_value, reason = "the name is the caller's no longer")]
    pub fn moved(&mut self, from: &Place, to: Place) {
        let moved = self.removed(from);
        self.removed(&to);
        if let Some(row) = moved.and_then(|number| self.rows.get_mut(number)) {
            row.places.extend(self.names.tell(&to, row.inode.number).0);
        }
    }

    pub fn forget(&mut self, number: u64, lookups: u64) {
        if number == InodeId::ROOT.number() {
            return;
        }
        let Some(row) = self.rows.get_mut(number) else { return };
        row.lookups = row.lookups.saturating_sub(lookups);
        if row.lookups == 0
            && let Some(row) = self.rows.remove(number)
        {
            self.trim.forgotten();
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
        let mut names: Vec<Place> =
            self.rows.iter().flat_map(|(_, row)| row.places.iter().map(place)).collect();
        names.extend(self.names.take_absent());
        (self.rows.iter().map(|(number, _)| number).collect(), names)
    }

    /// Nothing is known of any inode any more. `expired`: not even that writes and locks of ours are under way.
    pub fn doubt_all(&self, expired: bool) {
        for (_, row) in self.rows.iter() {
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
    use rfs_model::{Index, Term, Timestamp};

    use super::*;
    use crate::fs::OpenFile;

    fn id(term: u64, index: u64) -> InodeId {
        InodeId { term: Term(term), index: Index(index) }
    }

    fn place(name: &'static [u8]) -> Place {
        (1, Bytes::from_static(name))
    }

    /// A file that was last changed at some second.
    fn file(id: InodeId, secs: i64) -> Attr {
        let time = Timestamp { secs, nanos: 0 };
        Attr::new(id, FileKind::File, 0o644, time, Index(1))
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

    /// A table with so many files in it, that were told in the order of their numbers, and the numbers.
    fn files(limit: usize, count: u64) -> (Inodes, Vec<u64>) {
        let mut inodes = Inodes::new(limit);
        let ids = (2..2 + count).map(|index| id(1, index));
        let numbers = ids.map(|id| add(&mut inodes, id)).collect();
        (inodes, numbers)
    }

    fn add(inodes: &mut Inodes, id: InodeId) -> u64 {
        let name = Bytes::from(id.number().to_string());
        inodes.remember(&file(id, 1), (1, name)).unwrap().number
    }

    /// What the kernel is asked to forget while `times` are told of nothing new.
    fn asked(inodes: &mut Inodes, times: usize) -> Vec<u64> {
        (0..times).flat_map(|_| inodes.too_many()).collect()
    }

    #[test]
    fn the_kernel_is_asked_to_forget_what_it_was_told_of_first_and_not_what_is_used() {
        let (mut inodes, numbers) = files(800, 801);
        drop(inodes.get(numbers[1]));
        let open = OpenFile::new(inodes.get(numbers[3]).unwrap(), libc::O_RDONLY, 0);
        let broken = OpenFile::new(inodes.by_id(id(1, 2 + 4)).unwrap(), libc::O_WRONLY, 0);
        broken.fail(crate::session::Failure::Expired);
        drop(broken);
        let batch = inodes.too_many();
        assert_eq!(batch.len(), 1 + 801 - 700, "down to seven eighths");
        assert_eq!(batch[..3], [numbers[0], numbers[2], numbers[5]]);
        assert!(batch.is_sorted());
        assert_eq!(inodes.idle_places(open.inode.number), []);
        assert_eq!(inodes.idle_places(batch[0]), [(1, Bytes::from(batch[0].to_string()))]);
        // All others have their turn before the same ones have it again, and once is the one that was used among them.
        let rest = asked(&mut inodes, 100_000);
        let first = |number: &u64| rest.iter().position(|asked| asked == number);
        assert!(first(&numbers[800]) < first(&batch[0]) && first(&numbers[1]) > first(&numbers[800]));
        assert_eq!((first(&numbers[3]), first(&numbers[4])), (None, None));
        drop(open);
        assert!(asked(&mut inodes, 1_000_000).contains(&numbers[3]));
    }

    #[test]
    fn directories_are_not_asked_for() {
        let mut inodes = Inodes::new(8);
        for index in 2..100 {
            let dir = Attr { kind: FileKind::Dir, ..file(id(1, index), 1) };
            inodes.remember(&dir, (1, Bytes::from(index.to_string()))).unwrap();
        }
        assert!(asked(&mut inodes, 1000).is_empty());
        let number = add(&mut inodes, id(1, 100));
        assert!(asked(&mut inodes, 100_000).iter().all(|asked| *asked == number));
    }

    #[test]
    fn a_kernel_that_forgets_when_asked_is_never_far_above_the_limit() {
        let (mut inodes, mut most, mut asked) = (Inodes::new(8000), 0, 0);
        for index in 2..100_000 {
            let number = add(&mut inodes, id(1, index));
            // As programs do: each file is written after it was made.
            let _ = inodes.get(number);
            most = most.max(inodes.count());
            for number in inodes.too_many() {
                inodes.forget(number, 1);
                asked += 1;
            }
        }
        assert!(most <= 9000, "{most}");
        assert!(asked + inodes.count() == 100_000 - 1 && inodes.count() > 6000, "{asked} of them");
    }
}
