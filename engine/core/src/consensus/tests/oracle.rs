//! What must never happen, whatever does.

use std::collections::BTreeMap;

use rfs_model::config::Position;
use rfs_model::{Index, Lineage, NodeId, Term};

use super::disk::{Disk, Rec};

#[derive(Debug, Default)]
pub struct Oracle {
    /// What was said to be committed at each index.
    pub committed: BTreeMap<Index, Rec>,
    leaders: BTreeMap<Term, NodeId>,
    /// Everything up to here was said to be durable.
    pub durable: Index,
    pub highest: Index,
    /// An operator has begun another lineage: what an older one commits beside it counts for nothing.
    pub forked: bool,
    /// The lineage of what each brick committed last.
    lineages: BTreeMap<NodeId, Lineage>,
    /// Unsynced records may legitimately vanish once more bricks lost power than a quorum bears.
    pub may_lose_unsynced: bool,
}

impl Oracle {
    pub fn leads(&mut self, term: Term, brick: NodeId) {
        let leader = *self.leaders.entry(term).or_insert(brick);
        assert_eq!(leader, brick, "two leaders in term {term}");
    }

    /// A brick says that everything up to `upto` is committed, and has this log.
    pub fn commits(&mut self, who: NodeId, disk: &Disk, upto: Index) {
        let known = if self.may_lose_unsynced { Index::ZERO } else { self.highest };
        for index in disk.checkpoint.0.min(known.0) + 1..=upto.0 {
            self.commit_one(who, disk.get(Index(index)));
        }
        let lineage = disk.get(upto).at.term.lineage();
        let before = self.lineages.insert(who, lineage).unwrap_or_default();
        assert!(before <= lineage, "{who} commits in lineage {} after {}", lineage.0, before.0);
        self.highest = self.highest.max(upto);
    }

    fn commit_one(&mut self, who: NodeId, rec: &Rec) {
        let index = rec.at.index;
        match self.committed.get(&index) {
            Some(known) if known == rec => {}
            Some(known) if self.forked && known.at.term.lineage() > rec.at.term.lineage() => {}
            Some(known) if self.forked && known.at.term.lineage() < rec.at.term.lineage() => {
                self.committed.split_off(&index);
                self.highest = index;
                self.committed.insert(index, rec.clone());
            }
            Some(known) => {
                let lost = self.may_lose_unsynced && index > self.durable && known.at.term < rec.at.term;
                assert!(lost, "{who} commits {rec:?}, but {known:?} was committed");
                self.committed.split_off(&index);
                self.highest = index;
                self.committed.insert(index, rec.clone());
            }
            None => {
                self.committed.insert(index, rec.clone());
            }
        }
    }

    /// Everything committed is in this log.
    pub fn has_all(&self, disk: &Disk) {
        for (index, rec) in &self.committed {
            assert!(disk.last() >= *index, "the log ends at {}, but {rec:?} was committed", disk.last());
            assert_eq!(disk.get(*index), rec);
        }
    }

    pub fn position(&self, index: Index) -> Option<Position> {
        self.committed.get(&index).map(|rec| rec.at)
    }
}
