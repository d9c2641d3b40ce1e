//! How the bricks are, told each second: who lives, and how much room there is.

use std::collections::BTreeMap;

use rfs_core::admit::Room;
use rfs_model::client::Statfs;
use rfs_model::{Index, NodeId};

use super::wire::{Info, ShellMessage};
use super::{Inner, TreeState};
use crate::journal::Stats;

const INTERVAL_US: u64 = 1_000_000;
/// Of each brick's disk, kept for the log and the index, and so that removing always works.
const RESERVE_BYTES: u64 = 192 * 1024 * 1024;
/// The same on a small disk: a part of it.
const RESERVE_SHARE: u64 = 20;
const RESERVE_INODES: u64 = 64;

/// What the bricks said last, and how fast they apply.
#[derive(Default)]
pub(crate) struct Infos {
    of: BTreeMap<NodeId, Info>,
    last_us: u64,
    pace: BTreeMap<NodeId, Pace>,
}

/// Progress of a brick's tree between the last two looks at it.
#[derive(Clone, Copy, Default)]
struct Pace {
    applied: Index,
    at_us: u64,
    bytes_per_s: u64,
}

impl Infos {
    pub fn of(&self, node: NodeId) -> Option<&Info> {
        self.of.get(&node)
    }

    pub fn gone(&mut self, node: NodeId) {
        self.of.remove(&node);
        self.pace.remove(&node);
    }

    /// Bytes of the records that the brick applied in the last second.
    pub fn bytes_per_s(&self, node: NodeId) -> u64 {
        self.pace.get(&node).map_or(0, |p| p.bytes_per_s)
    }

    /// `bytes_after`: of the records behind an index.
    fn look(&mut self, node: NodeId, applied: Index, now_us: u64, bytes_after: impl Fn(Index) -> u64) {
        let pace = self.pace.entry(node).or_insert(Pace { applied, at_us: now_us, bytes_per_s: 0 });
        let passed = now_us.saturating_sub(pace.at_us);
        let bytes = bytes_after(pace.applied).saturating_sub(bytes_after(applied));
        if let Some(bytes_per_s) = bytes.saturating_mul(1_000_000).checked_div(passed) {
            *pace = Pace { applied, at_us: now_us, bytes_per_s };
        }
    }
}

impl Inner {
    pub(super) fn tick_info(&mut self, now_us: u64) {
        if now_us.saturating_sub(self.infos.last_us) < INTERVAL_US {
            return;
        }
        self.infos.last_us = now_us;
        self.report_own_room();
        let own = self.applied();
        let bytes_after = |index| self.journal.bytes_after(index);
        self.infos.look(self.me, own, now_us, bytes_after);
        for peer in self.core.bricks() {
            self.infos.look(peer.brick, peer.applied, now_us, bytes_after);
        }
        let peers: Vec<NodeId> = self.links.keys().copied().collect();
        peers.into_iter().for_each(|peer| self.tell_info(peer));
    }

    fn own_info(&self) -> Option<Info> {
        let TreeState::Ready(tree) = &self.tree else { return None };
        let statfs = self.without_log(tree.statfs().ok()?);
        Some(Info { pid: std::process::id(), applied: tree.applied(), statfs, doubts: tree.doubts() as u64 })
    }

    /// The log is on the same disk: until it has the size that it keeps, each byte of data takes another one there.
    fn without_log(&self, statfs: Statfs) -> Statfs {
        let block = u64::from(statfs.block.max(1));
        let growth = self.options.retain_bytes.saturating_sub(self.journal_stats().bytes) / block;
        let available = statfs.available - growth.min(statfs.available / 2);
        Statfs { available, ..statfs }
    }

    pub(super) fn tell_info(&self, peer: NodeId) {
        let info = self.own_info().unwrap_or(Info { pid: std::process::id(), ..Info::default() });
        self.send(peer, &ShellMessage::Info { info });
    }

    pub(super) fn info_from(&mut self, from: NodeId, info: Info) {
        self.infos.of.insert(from, info);
        if info.statfs.block > 0 {
            self.front.report_room(from, info.applied, room_of(&info.statfs));
        }
    }

    pub(super) fn report_own_room(&mut self) {
        if let Some(info) = self.own_info() {
            self.front.report_room(self.me, info.applied, room_of(&info.statfs));
        }
    }

    pub(super) fn config_committed(&mut self) {
        let in_sync = self.core.config().record.target().in_sync.clone();
        tracing::info!(in_sync = ?in_sync, config = %self.core.config().at.index, "configuration");
        self.front.retain_rooms(&in_sync);
    }

    /// Sizes as mounts see them: of the brick with the least space, our own included, and of the one with the fewest inodes.
    pub(super) fn statfs(&self) -> Option<Statfs> {
        let own = self.own_info()?.statfs;
        let in_sync = &self.core.config().record.target().in_sync;
        let others =
            in_sync.iter().filter_map(|b| self.infos.of(*b)).map(|i| i.statfs).filter(|s| s.block > 0);
        least_of(others.chain([own]))
    }

    pub(crate) fn journal_stats(&self) -> Stats {
        self.journal.stats()
    }
}

fn least_of(all: impl Iterator<Item = Statfs> + Clone) -> Option<Statfs> {
    let least = all.clone().min_by_key(|s| u64::from(s.block).saturating_mul(s.available))?;
    let block = u64::from(least.block.max(1));
    let available = (room_of(&least).bytes / block).min(least.available);
    let with_inodes = all.filter(|s| s.files > 0).min_by_key(|s| s.files_free).unwrap_or(least);
    let files_free = if with_inodes.files > 0 { room_of(&with_inodes).inodes } else { 0 };
    Some(Statfs { available, files: with_inodes.files, files_free, ..least })
}

/// What may be given away of a disk.
fn room_of(statfs: &Statfs) -> Room {
    let block = u64::from(statfs.block);
    let reserve = RESERVE_BYTES.min(statfs.blocks.saturating_mul(block) / RESERVE_SHARE);
    Room {
        bytes: statfs.available.saturating_mul(block).saturating_sub(reserve),
        // File systems without a fixed number of inodes (btrfs) say 0 of 0.
        inodes: if statfs.files == 0 { u64::MAX } else { statfs.files_free.saturating_sub(RESERVE_INODES) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reserve_stays() {
        let full = Statfs {
            block: 4096,
            blocks: 1 << 20,
            available: 10,
            files: 100,
            files_free: 64,
            ..Statfs::default()
        };
        assert_eq!(room_of(&full), Room { bytes: 0, inodes: 0 });
        let roomy = Statfs { available: 1 << 19, files: 0, ..full };
        assert_eq!(room_of(&roomy), Room { bytes: (2 << 30) - RESERVE_BYTES, inodes: u64::MAX });
    }
}
