//! A brick's disk: what was written, what of it is on the platter, and what a crash or a power cut leaves.

use std::collections::VecDeque;

use bytes::Bytes;
use rfs_core::consensus::api::LogSummary;
use rfs_core::testing::MemTree;
use rfs_model::codec::Decode;
use rfs_model::config::{ConfigEntry, ConfigRecord, Position};
use rfs_model::hard::HardState;
use rfs_model::op::Stamped;
use rfs_model::{Encode, Index, Record, RecordKind, Term};

use crate::rng::Rng;

/// The tree and what goes with it, at one index.
#[derive(Clone, Debug)]
pub struct Checkpoint {
    pub index: Index,
    pub tree: MemTree,
    /// Of [`rfs_core::admit::Front`]; empty: of a new volume.
    pub state: Bytes,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Disk {
    pub hard: HardState,
    /// The configuration that came with a full copy, until the hard state has it.
    pub noted: Option<ConfigEntry>,
    /// A hard state that is being written.
    pub saving: Option<HardState>,
    /// The record before the first one kept, and its header's checksum.
    pub base: Position,
    base_crc: u32,
    records: VecDeque<Record>,
    /// Everything up to here is on the platter.
    pub synced: Index,
    pub checkpoint: Checkpoint,
    /// The tree as the page cache shows it, and the last record in it.
    pub tree: MemTree,
    pub tree_at: Index,
    /// That record's header checksum, 0 where the tree comes from a checkpoint.
    pub tree_crc: u32,
    pub clean: bool,
    /// The boot of the machine in which the brick was started last.
    pub life_boot: u64,
}

/// The configuration in a record, if it is one.
#[must_use]
pub fn config_entry(record: &Record) -> Option<ConfigEntry> {
    let at = position(record);
    let config = (record.meta.kind == RecordKind::Config).then(|| ConfigRecord::from_all(&record.payload));
    config.map(|record| ConfigEntry { at, record: record.expect("a configuration of ours") })
}

#[must_use]
pub fn position(record: &Record) -> Position {
    Position::new(record.meta.term, record.meta.index)
}

impl Disk {
    /// What `volume create` leaves.
    #[must_use]
    pub fn genesis(bricks: &[rfs_model::NodeId]) -> Self {
        let entry = ConfigEntry::genesis(bricks);
        let term = entry.at.term;
        let first = Record::new(Index(1), term, RecordKind::Config, 0, entry.record.encoded().into());
        let chain = first.meta.crc();
        let volume =
            Record::new(Index(2), term, RecordKind::Volume, chain, Bytes::from_static(b"the volume"));
        let tree = MemTree::default();
        Self {
            hard: HardState::genesis(bricks),
            noted: None,
            saving: None,
            base: Position::ZERO,
            base_crc: 0,
            records: [first, volume].into(),
            synced: Index(2),
            checkpoint: Checkpoint { index: Index::ZERO, tree: tree.clone(), state: Bytes::new() },
            tree,
            tree_at: Index::ZERO,
            tree_crc: 0,
            clean: true,
            life_boot: 0,
        }
    }

    #[must_use]
    pub fn last(&self) -> Index {
        Index(self.base.index.0 + self.records.len() as u64)
    }

    #[must_use]
    pub fn last_position(&self) -> Position {
        self.records.back().map_or(self.base, position)
    }

    /// Header checksum of the last record.
    #[must_use]
    pub fn chain(&self) -> u32 {
        self.records.back().map_or(self.base_crc, |record| record.meta.crc())
    }

    #[must_use]
    pub fn get(&self, index: Index) -> Option<&Record> {
        let at = index.0.checked_sub(self.base.index.0 + 1)?;
        self.records.get(at as usize)
    }

    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index == self.base.index {
            return Some(self.base.term);
        }
        self.get(index).map(|record| record.meta.term)
    }

    #[must_use]
    pub fn range(&self, from: Index, upto: Index) -> Vec<Record> {
        (from.0..=upto.0).map_while(|index| self.get(Index(index)).cloned()).collect()
    }

    /// # Panics
    /// When the record does not chain to the last one.
    pub fn append(&mut self, record: Record) {
        assert_eq!(record.meta.index, self.last().next(), "appended out of turn");
        assert_eq!(record.meta.chain, self.chain(), "record {} does not chain", record.meta.index);
        self.records.push_back(record);
    }

    /// Cuts the log; what is cut does not come back.
    pub fn cut(&mut self, after: Index) {
        assert!(after >= self.base.index, "cut at {after}, before the base {}", self.base.index);
        assert!(after >= self.checkpoint.index, "cut at {after}, below the checkpoint");
        self.records.truncate((after.0 - self.base.index.0) as usize);
        self.synced = self.synced.min(after);
    }

    /// Lets go of the records up to `base`.
    pub fn trim(&mut self, base: Index) {
        while self.base.index < base
            && let Some(first) = self.records.pop_front()
        {
            (self.base, self.base_crc) = (position(&first), first.meta.crc());
        }
    }

    /// Replaces log and tree by a copy.
    pub fn install(&mut self, at: Position, crc: u32, copy: Checkpoint, config: ConfigEntry) {
        self.noted = Some(config);
        (self.base, self.base_crc) = (at, crc);
        self.records.clear();
        self.synced = at.index;
        (self.tree, self.tree_at, self.tree_crc) = (copy.tree.clone(), copy.index, crc);
        self.checkpoint = copy;
    }

    /// At a start: a copy came, and the hard state does not know its configuration.
    pub fn adopt_noted(&mut self) {
        if let Some(config) = self.noted.take()
            && (self.hard.config.record.is_joint() || self.hard.config.at.index <= self.base.index)
        {
            self.hard.config = config;
        }
    }

    /// Of the record at `index`, the base included.
    #[must_use]
    pub fn crc_at(&self, index: Index) -> Option<u32> {
        if index == self.base.index {
            return Some(self.base_crc);
        }
        self.get(index).map(|record| record.meta.crc())
    }

    /// The process dies; a state that was being written is there or is not.
    pub fn crash(&mut self, rng: &mut Rng) {
        if let Some(hard) = self.saving.take()
            && rng.one_in(2)
        {
            self.hard = hard;
        }
    }

    /// The machine dies: any end of what was not synced is gone, from the tree too.
    pub fn power_cut(&mut self, rng: &mut Rng) {
        self.crash(rng);
        let kept = rng.within(self.synced.0, self.last().0);
        self.cut(Index(kept));
        let shown =
            rng.within(self.checkpoint.index.0, self.tree_at.0.min(kept).max(self.checkpoint.index.0));
        self.forget_effects();
        for index in self.checkpoint.index.0 + 1..=shown {
            let record = self.get(Index(index)).expect("it was kept").clone();
            if let Some(stamped) = outcome(&record) {
                self.tree.apply(record.meta.index, &stamped).expect("it was applied before");
            }
            self.shows(&record);
        }
    }

    /// Notes the newest record in the tree.
    pub fn shows(&mut self, record: &Record) {
        (self.tree_at, self.tree_crc) = (record.meta.index, record.meta.crc());
    }

    /// The tree is as the checkpoint has it.
    pub fn forget_effects(&mut self) {
        (self.tree, self.tree_at, self.tree_crc) = (self.checkpoint.tree.clone(), self.checkpoint.index, 0);
    }

    /// Whether the newest record in the tree is one of the log's.
    #[must_use]
    pub fn explains_tree(&self) -> bool {
        self.tree_crc == 0 || self.crc_at(self.tree_at) == Some(self.tree_crc)
    }

    #[must_use]
    pub fn summary(&self) -> LogSummary {
        let mut runs: Vec<(Index, Term)> = Vec::new();
        for record in &self.records {
            if runs.last().is_none_or(|(_, term)| *term != record.meta.term) {
                runs.push((record.meta.index, record.meta.term));
            }
        }
        let mut configs: Vec<ConfigEntry> = self.records.iter().filter_map(config_entry).collect();
        // The newest one before the log, where the log has none any more.
        if self.hard.config.at.index <= self.base.index {
            configs.insert(0, self.hard.config.clone());
        }
        let genesis = if self.base.index == Index::ZERO { Index(2).min(self.last()) } else { Index::ZERO };
        LogSummary {
            base: self.base,
            runs,
            last: self.last(),
            configs,
            synced: self.synced.max(genesis),
            committed: self.checkpoint.index.max(genesis),
        }
    }
}

/// The outcome in a record, if it is one.
#[must_use]
pub fn outcome(record: &Record) -> Option<Stamped> {
    let op = record.meta.kind == RecordKind::Op;
    op.then(|| Stamped::from_all(&record.payload).expect("an outcome of ours"))
}
