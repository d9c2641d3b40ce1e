//! What a brick keeps for the operator when another lineage has abandoned what it has.

use std::collections::{BTreeMap, BTreeSet};

use rfs_model::{Index, Lineage, Record};

use crate::disk::Disk;

/// See the module.
#[derive(Clone, Debug, Default)]
pub struct Aside {
    records: BTreeMap<Index, Vec<Record>>,
    /// Records that the log had let go of when its tree was put away, which shows what they did: their header checksums.
    shown: BTreeSet<(Index, u32)>,
}

impl Aside {
    /// Whether this record is kept, or a tree that shows it.
    #[must_use]
    pub fn has(&self, index: Index, crc: u32) -> bool {
        let kept = self.records.get(&index);
        let is = |record: &Record| record.meta.crc() == crc;
        kept.is_some_and(|kept| kept.iter().any(is)) || self.shown.contains(&(index, crc))
    }
}

impl Disk {
    /// Keeps what comes after `common` for the operator, where it was written in an older lineage; and the tree, where it
    /// shows what the log no longer holds.
    pub fn set_aside(&mut self, common: Index, lineage: Lineage) {
        let abandoned =
            self.records.iter().filter(|r| r.meta.index > common && r.meta.term.lineage() < lineage);
        for record in abandoned {
            let kept = self.aside.records.entry(record.meta.index).or_default();
            if !kept.contains(record) {
                kept.push(record.clone());
            }
        }
        let shown = self.gone.range(common.next()..).map(|(index, crc)| (*index, *crc));
        self.aside.shown.extend(shown);
    }

    /// Whether an abandoned record is in the log, in the tree, or put away.
    #[must_use]
    pub fn still_has(&self, index: Index, crc: u32) -> bool {
        self.crc_at(index) == Some(crc) || self.gone.get(&index) == Some(&crc) || self.aside.has(index, crc)
    }
}
