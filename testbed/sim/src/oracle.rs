//! What must never happen, whatever does.

use std::collections::BTreeMap;

use rfs_model::{Index, Lineage, Term};

/// A record's identity: the checksum of its header, which chains to all before it.
type Crc = u32;

#[derive(Debug, Default)]
pub struct Oracle {
    /// What was said to be committed at each index.
    committed: BTreeMap<Index, (Crc, Term)>,
    leaders: BTreeMap<Term, usize>,
    /// Everything up to here was said to be durable.
    pub durable: Index,
    /// The client that was told that it has the lock, and has not given it back.
    lock: Option<usize>,
    /// So many machines lost power that what was committed and not durable may be gone.
    pub lossy: bool,
    /// The newest lineage that an operator has begun.
    pub lineage: Lineage,
    /// What was committed and is not part of that lineage.
    abandoned: BTreeMap<(Index, Crc), ()>,
    /// It was abandoned after clients may have been told of it.
    pub forsaken: bool,
    /// Sums over the tree at some indexes.
    trees: BTreeMap<Index, u64>,
}

impl Oracle {
    #[must_use]
    pub fn new() -> Self {
        Self { durable: Index(2), ..Self::default() }
    }

    /// # Panics
    /// When another brick leads, or led, in the same term.
    pub fn leads(&mut self, term: Term, brick: usize) -> bool {
        let new = !self.leaders.contains_key(&term);
        let leader = *self.leaders.entry(term).or_insert(brick);
        assert_eq!(leader, brick, "two leaders in term {term}");
        new
    }

    /// An operator begins a lineage, without what was committed from `from` on.
    pub fn begin_lineage(&mut self, lineage: Lineage, from: Index) {
        self.lineage = self.lineage.max(lineage);
        let lost = self.committed.split_off(&from);
        self.forsaken |= !lost.is_empty();
        self.abandoned.extend(lost.into_iter().map(|(index, (crc, _))| ((index, crc), ())));
        self.trees.retain(|index, _| *index < from);
        self.durable = self.durable.min(from.prev());
        if self.forsaken {
            self.lock = None;
        }
    }

    /// An operator has overruled the votes.
    #[must_use]
    pub fn was_overruled(&self) -> bool {
        self.lineage > Lineage(0)
    }

    /// Whether what a brick of this lineage says counts.
    #[must_use]
    pub fn counts(&self, lineage: Lineage) -> bool {
        lineage >= self.lineage
    }

    /// What was committed and abandoned.
    pub fn abandoned(&self) -> impl Iterator<Item = (Index, Crc)> {
        self.abandoned.keys().copied()
    }

    /// A brick's tree at an index. Returns whether it was compared with another one's.
    ///
    /// # Panics
    /// When that one's was another tree.
    pub fn tree(&mut self, brick: usize, index: Index, sum: u64) -> bool {
        match self.trees.insert(index, sum) {
            Some(other) => {
                assert_eq!(other, sum, "brick {brick}'s tree at {index} is not the others'");
                true
            }
            None => false,
        }
    }

    /// A client is told that it has the lock.
    ///
    /// # Panics
    /// When another one has it.
    pub fn locks(&mut self, client: usize) {
        let holder = self.lock.filter(|holder| *holder != client && !self.lossy);
        assert_eq!(holder, None, "client {client} gets a lock that another has");
        self.lock = Some(client);
    }

    /// A client gives it back.
    pub fn unlocks(&mut self, client: usize) {
        self.lock = self.lock.filter(|holder| *holder != client);
    }

    /// The newest record that any brick holds to be committed.
    #[must_use]
    pub fn highest(&self) -> Index {
        self.committed.last_key_value().map_or(Index::ZERO, |(index, _)| *index)
    }

    /// What a read that begins now must see.
    #[must_use]
    pub fn promised(&self) -> Index {
        if self.lossy { self.durable } else { self.highest() }
    }

    /// What of it a read must still see at its end.
    #[must_use]
    pub fn still_promised(&self, promised: Index) -> Index {
        if self.lossy { promised.min(self.durable) } else { promised }
    }

    /// A brick holds this record to be committed. Returns how many others it contradicts, where the rules allow that.
    ///
    /// # Panics
    /// When another record was committed at the index, and the rules promise that it stays.
    pub fn commits(&mut self, brick: usize, lineage: Lineage, (index, crc, term): (Index, Crc, Term)) -> u64 {
        if !self.counts(lineage) {
            if self.committed.get(&index).is_none_or(|known| known.0 != crc) {
                self.forsaken |= self.abandoned.insert((index, crc), ()).is_none();
            }
            return 0;
        }
        self.abandoned.remove(&(index, crc));
        let known = *self.committed.entry(index).or_insert((crc, term));
        if known.0 == crc {
            return 0;
        }
        let may = self.lossy && index > self.durable;
        assert!(
            may,
            "brick {brick} commits {index} of term {term}, but that of term {} was committed (durable: {})",
            known.1, self.durable
        );
        if known.1 > term {
            // A brick that does not know yet.
            return 0;
        }
        let lost = self.committed.split_off(&index).len() as u64;
        self.trees.retain(|at, _| *at < index);
        self.committed.insert(index, (crc, term));
        lost
    }

    /// `crc`: of the leader's record, if its log still holds it.
    ///
    /// # Panics
    /// When it is not the record that was committed.
    pub fn is_durable(&mut self, lineage: Lineage, upto: Index, crc: Option<Crc>) {
        if !self.counts(lineage) {
            return;
        }
        let known = self.committed.get(&upto).map(|(crc, _)| *crc);
        assert!(known.is_some() && (crc.is_none() || crc == known), "{upto} is said to be durable");
        self.durable = self.durable.max(upto);
    }

    /// All that was committed, and not taken back, in order.
    pub fn all(&self) -> impl Iterator<Item = (Index, Crc)> {
        self.committed.iter().map(|(index, (crc, _))| (*index, *crc))
    }
}
