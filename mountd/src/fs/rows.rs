//! The table of inodes, and the order in which the kernel is asked to forget them.

use std::cell::Cell;
use std::collections::HashMap;
use std::sync::Arc;

use rfs_model::{InodeId, Timestamp};
use smallvec::SmallVec;

use super::inode::Inode;
use super::names::Kept;

/// No inode has this number.
const NOBODY: u64 = 0;
/// A table of fewer rows is not made smaller.
const SMALL: usize = 1024;

#[derive(Debug)]
pub struct Row {
    pub inode: Arc<Inode>,
    /// How often the kernel was told of it, less how often it forgot.
    pub lookups: u64,
    /// Where the kernel may have it cached: hardly ever more than one place.
    pub places: SmallVec<[Kept; 1]>,
    /// The time of its last change when it was certainly at all its places.
    pub changed: Timestamp,
    /// It was wanted again since its turn in the line.
    pub used: Cell<bool>,
    link: Option<Link>,
}

/// Whose neighbour it is in the line.
#[derive(Clone, Copy, Debug)]
struct Link {
    older: u64,
    newer: u64,
}

impl Row {
    pub fn new(id: InodeId) -> Row {
        Row {
            inode: Arc::new(Inode::new(id)),
            lookups: 0,
            places: SmallVec::new(),
            changed: Timestamp { secs: 0, nanos: 0 },
            used: Cell::default(),
            link: None,
        }
    }

    /// Nobody but the table has it: it is not open, and no request or write of it is under way.
    pub fn is_idle(&self) -> bool {
        Arc::strong_count(&self.inode) == 1 && !self.inode.lost.untold()
    }
}

/// Rows by number. Some of them stand in a line, from the one that came first to the one that came last.
#[derive(Debug)]
pub struct Rows {
    table: HashMap<u64, Row>,
    oldest: u64,
    newest: u64,
    in_line: usize,
}

impl Default for Rows {
    fn default() -> Self {
        Self { table: HashMap::new(), oldest: NOBODY, newest: NOBODY, in_line: 0 }
    }
}

impl Rows {
    pub fn len(&self) -> usize {
        self.table.len()
    }

    pub fn in_line(&self) -> usize {
        self.in_line
    }

    pub fn get(&self, number: u64) -> Option<&Row> {
        self.table.get(&number)
    }

    pub fn get_mut(&mut self, number: u64) -> Option<&mut Row> {
        self.table.get_mut(&number)
    }

    pub fn iter(&self) -> impl Iterator<Item = (u64, &Row)> {
        self.table.iter().map(|(number, row)| (*number, row))
    }

    /// A new row; `queues`: at the end of the line.
    pub fn insert(&mut self, number: u64, row: Row, queues: bool) {
        self.table.insert(number, row);
        if queues {
            self.join(number);
        }
    }

    pub fn remove(&mut self, number: u64) -> Option<Row> {
        self.leave(number);
        let row = self.table.remove(&number);
        slim(&mut self.table);
        row
    }

    /// The first in line, which goes to its end.
    pub fn next(&mut self) -> Option<u64> {
        let number = self.oldest;
        if self.in_line > 1 {
            self.leave(number);
            self.join(number);
        }
        (number != NOBODY).then_some(number)
    }

    fn join(&mut self, number: u64) {
        let older = self.newest;
        self.row(number).link = Some(Link { older, newer: NOBODY });
        match older {
            NOBODY => self.oldest = number,
            older => self.link(older).newer = number,
        }
        self.newest = number;
        self.in_line += 1;
    }

    fn leave(&mut self, number: u64) {
        let Some(Link { older, newer }) = self.table.get_mut(&number).and_then(|row| row.link.take()) else {
            return;
        };
        match older {
            NOBODY => self.oldest = newer,
            older => self.link(older).newer = newer,
        }
        match newer {
            NOBODY => self.newest = older,
            newer => self.link(newer).older = older,
        }
        self.in_line -= 1;
    }

    fn row(&mut self, number: u64) -> &mut Row {
        self.table.get_mut(&number).expect("who stands in the line has a row")
    }

    fn link(&mut self, number: u64) -> &mut Link {
        self.row(number).link.as_mut().expect("who stands in the line knows its neighbours")
    }
}

/// Gives memory back when three quarters of a map are empty: so much has come and gone before that this costs each a little.
pub fn slim<K: Eq + std::hash::Hash, V>(map: &mut HashMap<K, V>) {
    if map.capacity() > SMALL && map.len() < map.capacity() / 4 {
        map.shrink_to(map.capacity() / 2);
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::{Index, Term};

    use super::*;

    fn add(rows: &mut Rows, index: u64) -> u64 {
        let id = InodeId { term: Term(1), index: Index(index) };
        rows.insert(id.number(), Row::new(id), true);
        id.number()
    }

    #[test]
    fn the_line_goes_round_and_those_who_leave_it_are_not_missed() {
        let mut rows = Rows::default();
        assert_eq!(rows.next(), None);
        let [a, b, c] = [1, 2, 3].map(|index| add(&mut rows, index));
        assert_eq!([rows.next(), rows.next(), rows.next(), rows.next()], [a, b, c, a].map(Some));
        rows.remove(c);
        assert_eq!([rows.next(), rows.next(), rows.next()], [b, a, b].map(Some));
        let d = add(&mut rows, 4);
        rows.remove(a);
        assert_eq!([rows.next(), rows.next(), rows.next()], [b, d, b].map(Some));
        rows.remove(b);
        assert_eq!([rows.next(), rows.next()], [d, d].map(Some));
        rows.remove(d);
        assert_eq!((rows.next(), rows.in_line(), rows.len()), (None, 0, 0));
    }

    #[test]
    fn a_table_that_has_become_empty_is_small() {
        let mut rows = Rows::default();
        let numbers: Vec<u64> = (1..100_000).map(|index| add(&mut rows, index)).collect();
        numbers.into_iter().for_each(|number| drop(rows.remove(number)));
        assert!(rows.table.capacity() <= 2 * SMALL, "{}", rows.table.capacity());
    }
}
