//! A brick's disk: what was written, and what of it was synced.

use rfs_model::config::{ConfigEntry, Position};
use rfs_model::hard::HardState;
use rfs_model::{Index, Meta, NodeId, RecordKind};

use crate::consensus::api::LogSummary;
use crate::consensus::random::Random;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rec {
    pub at: Position,
    pub kind: RecordKind,
    pub config: Option<ConfigEntry>,
    /// What the record says.
    pub value: u64,
}

impl Rec {
    pub fn meta(&self) -> Meta {
        Meta { index: self.at.index, term: self.at.term, kind: self.kind, len: 0, payload_crc: 0, chain: 0 }
    }
}

#[derive(Clone, Debug)]
pub struct Disk {
    pub hard: HardState,
    /// Index 1 first. In memory; as much as `journaled` is in the page cache, as much as `synced` on the platter.
    pub log: Vec<Rec>,
    pub journaled: Index,
    pub synced: Index,
    /// The tree's checkpoint.
    pub checkpoint: Index,
    pub clean: bool,
}

impl Disk {
    pub fn genesis(bricks: &[NodeId]) -> Self {
        let entry = ConfigEntry::genesis(bricks);
        let volume = Position::new(entry.at.term, Index(2));
        let log = vec![
            Rec { at: entry.at, kind: RecordKind::Config, config: Some(entry), value: 0 },
            Rec { at: volume, kind: RecordKind::Volume, config: None, value: 0 },
        ];
        let hard = HardState::genesis(bricks);
        Self { hard, log, journaled: Index(2), synced: Index(2), checkpoint: Index(2), clean: true }
    }

    pub fn blank(bricks: &[NodeId]) -> Self {
        let hard = HardState::blank(bricks);
        let zero = Index::ZERO;
        Self { hard, log: vec![], journaled: zero, synced: zero, checkpoint: zero, clean: false }
    }

    pub fn last(&self) -> Index {
        Index(self.log.len() as u64)
    }

    pub fn get(&self, index: Index) -> &Rec {
        &self.log[index.0 as usize - 1]
    }

    pub fn range(&self, from: Index, upto: Index) -> Vec<Rec> {
        (from.0..=upto.0).map(|index| self.get(Index(index)).clone()).collect()
    }

    pub fn cut(&mut self, after: Index) {
        self.log.truncate(after.0 as usize);
        self.journaled = self.journaled.min(after);
        self.synced = self.synced.min(after);
    }

    /// The process dies: what was not written is gone.
    pub fn kill(&mut self) {
        self.cut(self.journaled);
    }

    /// The machine dies: any end of what was not synced is gone.
    pub fn power_loss(&mut self, random: &mut Random) {
        self.kill();
        let kept = random.within((self.synced.0, self.journaled.0));
        self.cut(Index(kept));
        self.synced = self.journaled;
    }

    pub fn summary(&self) -> LogSummary {
        let mut runs: Vec<(Index, rfs_model::Term)> = Vec::new();
        for rec in &self.log {
            if runs.last().is_none_or(|(_, term)| *term != rec.at.term) {
                runs.push((rec.at.index, rec.at.term));
            }
        }
        LogSummary {
            base: Position::ZERO,
            runs,
            last: self.last(),
            configs: self.log.iter().filter_map(|rec| rec.config.clone()).collect(),
            synced: self.synced,
            committed: self.checkpoint,
        }
    }
}
