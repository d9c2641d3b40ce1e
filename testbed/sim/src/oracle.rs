//! What must never happen, whatever does.

use std::collections::BTreeMap;

use rfs_model::{Index, Term};

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
    pub fn commits(&mut self, brick: usize, index: Index, crc: Crc, term: Term) -> u64 {
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
        self.committed.insert(index, (crc, term));
        lost
    }

    /// `crc`: of the leader's record, if its log still holds it.
    ///
    /// # Panics
    /// When it is not the record that was committed.
    pub fn is_durable(&mut self, upto: Index, crc: Option<Crc>) {
        let known = self.committed.get(&upto).map(|(crc, _)| *crc);
        assert!(known.is_some() && (crc.is_none() || crc == known), "{upto} is said to be durable");
        self.durable = self.durable.max(upto);
    }

    /// All that was committed, and not taken back, in order.
    pub fn all(&self) -> impl Iterator<Item = (Index, Crc)> {
        self.committed.iter().map(|(index, (crc, _))| (*index, *crc))
    }
}
