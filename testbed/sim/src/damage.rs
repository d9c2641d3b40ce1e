//! Records that cannot be read back, and what a start makes of them.

use rfs_model::{Index, Lineage, Record, RecordKind};

use crate::disk::Disk;

/// What is in a record's place instead of it.
#[derive(Clone, Debug)]
pub enum Damage {
    /// Some of its bytes are others.
    Bytes,
    /// Another record, written there by mistake.
    Other(Box<Record>),
}

/// Faults planted in how a log is read.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reading {
    /// A record's checksum is not looked at.
    pub trusts_bytes: bool,
    /// Nor whether it is the one that belongs there.
    pub trusts_places: bool,
}

impl Disk {
    /// The record's place holds something else from here on.
    pub fn damage(&mut self, index: Index, damage: Damage) {
        self.damage.insert(index, damage);
    }

    /// The first record from `from` to `upto` that cannot be read back.
    #[must_use]
    pub fn first_bad(&self, from: Index, upto: Index) -> Option<Index> {
        if self.damage.is_empty() || from > upto {
            return None;
        }
        self.damage.range(from..=upto).next().map(|(index, _)| *index)
    }

    /// Whether something that it should have cannot be read.
    #[must_use]
    pub fn is_damaged(&self) -> bool {
        self.unfit || !self.damage.is_empty() || self.last() < self.supply
    }

    /// As it lies on the platter.
    fn stored(&self, index: Index) -> Option<Record> {
        let record = self.get(index)?;
        Some(match self.damage.get(&index) {
            None => record.clone(),
            Some(Damage::Other(other)) => (**other).clone(),
            Some(Damage::Bytes) => {
                let mut payload = record.payload.to_vec();
                payload.iter_mut().rev().take(8).for_each(|byte| *byte ^= 0x55);
                Record { meta: record.meta, payload: payload.into() }
            }
        })
    }

    /// At a start: reads the log from the checkpoint on, and cuts it where it ends. Before that, the copy of the headers
    /// stands for what is damaged, but for configurations. Returns whether synced records are missing.
    pub fn scan(&mut self, reading: Reading) -> bool {
        let damaged: Vec<Index> = self.damage.keys().copied().collect();
        for index in damaged {
            let (Some(found), Some(crc)) = (self.stored(index), self.crc_at(index.prev())) else { continue };
            let place = found.meta.index == index && found.meta.chain == crc;
            let fits = (place || reading.trusts_places) && (found.verify().is_ok() || reading.trusts_bytes);
            let trusted = index <= self.checkpoint.index && found.meta.kind != RecordKind::Config;
            if fits {
                self.damage.remove(&index);
                let at = (index.0 - self.base.index.0 - 1) as usize;
                self.records[at] = found;
            } else if !trusted {
                if index <= self.synced {
                    self.supply = self.supply.max(self.synced);
                    // What is damaged is put away, not thrown away.
                    self.set_aside(index.prev(), Lineage(u32::MAX));
                }
                self.records.truncate((index.0 - self.base.index.0 - 1) as usize);
                self.damage.retain(|bad, _| *bad < index);
                self.synced = self.synced.min(index.prev());
                self.unfit |= self.last() < self.checkpoint.index;
                break;
            }
        }
        self.last() < self.supply
    }
}
