//! A brick's disk: what was written, what of it is on the platter, and what a crash or a power cut leaves.

use std::collections::{BTreeMap, VecDeque};

use bytes::Bytes;
use rfs_core::consensus::api::LogSummary;
use rfs_core::testing::MemTree;
use rfs_model::codec::Decode;
use rfs_model::config::{ConfigEntry, ConfigRecord, Position};
use rfs_model::hard::{HardState, Trust};
use rfs_model::op::Stamped;
use rfs_model::{Encode, Index, Lineage, Record, RecordKind, Term};

use crate::aside::Aside;
use crate::damage::Damage;
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
    pub(crate) base_crc: u32,
    pub(crate) records: VecDeque<Record>,
    /// Everything up to here is on the platter.
    pub synced: Index,
    pub checkpoint: Checkpoint,
    /// The tree as the page cache shows it, and the last record in it.
    pub tree: MemTree,
    pub tree_at: Index,
    /// That record's header checksum, 0 where the tree comes from a checkpoint.
    pub tree_crc: u32,
    /// Records whose place holds something else, as the platter has it; the log's end was torn there too.
    pub(crate) damage: BTreeMap<Index, Damage>,
    /// Synced records up to here were lost by damage; others have them.
    pub supply: Index,
    /// A copy is being received: the tree is wiped.
    pub resyncing: bool,
    /// The log must be committed up to here before the tree, which came as a copy, is recovered.
    pub floor: Index,
    /// The log or the tree cannot be used: the brick begins anew once another one leads.
    pub unfit: bool,
    /// What another lineage abandoned, kept for the operator.
    pub aside: Aside,
    /// Header checksums of the records that the log has let go of: the tree shows what they did.
    pub(crate) gone: BTreeMap<Index, u32>,
    /// An operator has promoted the brick while its tree showed more than its log held.
    pub promoted_short: bool,
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
        Self {
            records: [first, volume].into(),
            synced: Index(2),
            clean: true,
            ..Self::blank(HardState::genesis(bricks), Aside::default())
        }
    }

    /// Of a brick whose disk is empty. `hard` says what it knows nevertheless.
    #[must_use]
    pub fn blank(hard: HardState, aside: Aside) -> Self {
        let tree = MemTree::default();
        Self {
            hard,
            noted: None,
            saving: None,
            base: Position::ZERO,
            base_crc: 0,
            records: VecDeque::new(),
            synced: Index::ZERO,
            checkpoint: Checkpoint { index: Index::ZERO, tree: tree.clone(), state: Bytes::new() },
            tree,
            tree_at: Index::ZERO,
            tree_crc: 0,
            damage: BTreeMap::new(),
            supply: Index::ZERO,
            resyncing: false,
            floor: Index::ZERO,
            unfit: false,
            aside,
            gone: BTreeMap::new(),
            promoted_short: false,
            clean: false,
            life_boot: 0,
        }
    }

    /// Empties a brick that cannot be used: it begins again like one with a new disk, and keeps its term and its vote.
    pub fn begin_blank(&mut self) {
        // An operator may have abandoned what only this brick has.
        self.set_aside(Index::ZERO, Lineage(u32::MAX));
        let hard = HardState { trust: Trust::Blank, ..self.hard.clone() };
        *self = Self { life_boot: self.life_boot, ..Self::blank(hard, std::mem::take(&mut self.aside)) };
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
        self.damage.retain(|index, _| *index <= after);
        self.synced = self.synced.min(after);
    }

    /// Header checksums of all records up to `index`, in the log or before it.
    #[must_use]
    pub fn crcs_upto(&self, index: Index) -> BTreeMap<Index, u32> {
        let kept = self.records.iter().map(|record| (record.meta.index, record.meta.crc()));
        let mut all = self.gone.clone();
        all.extend(kept.take_while(|(at, _)| *at <= index));
        all
    }

    /// Lets go of the records up to `base`.
    pub fn trim(&mut self, base: Index) {
        while self.base.index < base
            && let Some(first) = self.records.pop_front()
        {
            (self.base, self.base_crc) = (position(&first), first.meta.crc());
            self.gone.insert(first.meta.index, first.meta.crc());
        }
        let base = self.base.index;
        self.damage.retain(|index, _| *index > base);
    }

    /// A copy begins to come: what was there is wiped.
    pub fn wipe(&mut self) {
        let tree = MemTree::default();
        self.resyncing = true;
        self.gone.clear();
        (self.tree, self.tree_at, self.tree_crc) = (tree.clone(), Index::ZERO, 0);
        self.checkpoint = Checkpoint { index: Index::ZERO, tree, state: Bytes::new() };
    }

    /// Replaces log and tree by a copy. `shown` is the tree as it was read, with effects up to `floor`.
    pub fn install(&mut self, copy: Copy) {
        self.noted = Some(copy.config);
        self.gone = copy.gone;
        (self.base, self.base_crc) = (copy.at, copy.crc);
        self.records.clear();
        self.damage.clear();
        self.synced = copy.at.index;
        (self.tree, self.tree_at, self.tree_crc) = (copy.shown, copy.floor, copy.floor_crc);
        self.checkpoint = copy.checkpoint;
        self.supply = Index::ZERO;
        (self.resyncing, self.floor) = (false, copy.floor);
    }

    /// At a start: a copy came, and the hard state does not know its configuration.
    pub fn adopt_noted(&mut self) {
        if let Some(config) = self.noted.take()
            && (self.hard.config.record.is_joint() || self.hard.config.at <= self.base)
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

    /// The machine dies: any end of what was not synced is gone from the log; of the tree's changes since the checkpoint,
    /// any beginning is there, and of what follows (`holes`) any that the file system could have written without the rest.
    /// With `torn`, half a record is left behind the end.
    pub fn power_cut(&mut self, rng: &mut Rng, holes: bool, torn: bool) {
        self.crash(rng);
        if self.unfit {
            return;
        }
        let kept = Index(rng.within(self.synced.0, self.last().0));
        let next = kept.next();
        let half = (torn && next <= self.last() && next > self.synced).then_some(next);
        if self.resyncing {
            return self.cut(kept.max(self.base.index));
        }
        let most = self.tree_at.0.min(self.last().0).max(self.checkpoint.index.0);
        let sure = Index(rng.within(self.checkpoint.index.0, most));
        let upto = if holes { Index(most) } else { sure };
        let records = self.range(self.checkpoint.index.next(), upto);
        self.forget_effects();
        let mut tree = std::mem::take(&mut self.tree);
        for record in &records {
            let index = record.meta.index;
            // Without a fault of this kind nothing is shown that the log lacks.
            let lost = if holes { index > sure && rng.one_in(3) } else { index > kept };
            if !lost && show(&mut tree, record, index <= sure) {
                (self.tree_at, self.tree_crc) = (index, record.meta.crc());
            }
        }
        self.tree = tree;
        self.cut(half.unwrap_or(kept));
        if let Some(index) = half {
            self.damage(index, Damage::Bytes);
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
        if self.last() == Index::ZERO {
            return LogSummary::empty();
        }
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

/// A full copy of a brick, as it is installed.
#[derive(Clone, Debug)]
pub struct Copy {
    pub at: Position,
    pub crc: u32,
    pub checkpoint: Checkpoint,
    /// Header checksums of the records before it that the giver's log no longer holds, and of those that it does.
    pub gone: BTreeMap<Index, u32>,
    pub config: ConfigEntry,
    /// The tree as it was read while it changed, up to this record.
    pub shown: MemTree,
    pub floor: Index,
    pub floor_crc: u32,
}

/// Shows a record's effects in the tree, unless (and only where it is not `sure`) they need what is not there. Returns
/// whether they did not.
pub fn show(tree: &mut MemTree, record: &Record, sure: bool) -> bool {
    let Some(stamped) = outcome(record) else { return true };
    if sure {
        tree.apply(record.meta.index, &stamped).expect("it was applied before");
        return true;
    }
    tree.try_apply(record.meta.index, &stamped)
}

/// The outcome in a record, if it is one.
#[must_use]
pub fn outcome(record: &Record) -> Option<Stamped> {
    let op = record.meta.kind == RecordKind::Op;
    op.then(|| Stamped::from_all(&record.payload).expect("an outcome of ours"))
}
