//! The pool's own state: who is in it, and where its volumes are. It grants no authority: a wrong copy can only fail to find
//! someone.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::hello::BrickPlace;
use crate::ids::{NodeId, VolumeId};

/// 32 random bytes that all daemons of a pool know, with which they prove to each other that they belong to it.
#[derive(Clone, PartialEq, Eq)]
pub struct PoolSecret([u8; 32]);

impl PoolSecret {
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    #[must_use]
    pub const fn bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for PoolSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PoolSecret(..)")
    }
}

impl Serialize for PoolSecret {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        let hex: String = self.0.iter().map(|b| format!("{b:02x}")).collect();
        s.serialize_str(&hex)
    }
}

impl<'de> Deserialize<'de> for PoolSecret {
    fn deserialize<D: serde::Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        let text = String::deserialize(d)?;
        parse_hex(&text)
            .map(Self)
            .ok_or_else(|| serde::de::Error::custom("a pool secret is 64 hexadecimal digits"))
    }
}

fn parse_hex(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    let mut out = [0; 32];
    for (byte, pair) in out.iter_mut().zip(text.as_bytes().chunks(2)) {
        *byte = u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()?;
    }
    Some(out)
}

/// A machine of the pool. Entries compare by version first: the greater one is the newer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct NodeEntry {
    pub version: u64,
    /// A tombstone: the node was detached.
    pub removed: bool,
    /// What people call it.
    pub name: String,
    /// `host:port` to try, best first. Hints: whoever answers is asked for its uuid.
    pub addresses: Vec<String>,
}

/// A volume of the pool. Entries compare by version first: the greater one is the newer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VolumeEntry {
    pub version: u64,
    /// A tombstone: the volume was deleted.
    pub removed: bool,
    pub name: String,
    /// In the order of `volume create`.
    pub bricks: Vec<BrickPlace>,
}

/// Every entry has a version; the higher one wins, and deletions are tombstones. Of two entries with one version (two
/// nodes changed it while they did not see each other) the greater wins, so that all nodes end up with the same one.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PoolState {
    #[serde(default)]
    pub nodes: BTreeMap<NodeId, NodeEntry>,
    #[serde(default)]
    pub volumes: BTreeMap<VolumeId, VolumeEntry>,
}

impl PoolState {
    /// Takes over what is newer in `other`; true when anything was.
    pub fn merge(&mut self, other: &Self) -> bool {
        let nodes = merge_entries(&mut self.nodes, &other.nodes);
        let volumes = merge_entries(&mut self.volumes, &other.volumes);
        nodes || volumes
    }

    /// Equal states have equal digests; used to notice that two nodes should exchange.
    #[must_use]
    pub fn digest(&self) -> u32 {
        let json = serde_json::to_vec(self).expect("a pool state has string keys");
        crc32fast::hash(&json)
    }

    /// Nodes that were not detached.
    pub fn live_nodes(&self) -> impl Iterator<Item = (NodeId, &NodeEntry)> {
        self.nodes.iter().filter(|(_, entry)| !entry.removed).map(|(id, entry)| (*id, entry))
    }

    /// Volumes that were not deleted.
    pub fn live_volumes(&self) -> impl Iterator<Item = (VolumeId, &VolumeEntry)> {
        self.volumes.iter().filter(|(_, entry)| !entry.removed).map(|(id, entry)| (*id, entry))
    }

    #[must_use]
    pub fn volume_named(&self, name: &str) -> Option<(VolumeId, &VolumeEntry)> {
        self.live_volumes().find(|(_, entry)| entry.name == name)
    }
}

fn merge_entries<K: Ord + Copy, E: Ord + Clone>(ours: &mut BTreeMap<K, E>, theirs: &BTreeMap<K, E>) -> bool {
    let mut changed = false;
    for (id, entry) in theirs {
        if ours.get(id).is_none_or(|known| known < entry) {
            ours.insert(*id, entry.clone());
            changed = true;
        }
    }
    changed
}

#[cfg(test)]
mod tests {
    use super::*;

    fn node(name: &str, version: u64, removed: bool) -> NodeEntry {
        NodeEntry { name: name.into(), addresses: vec![], version, removed }
    }

    fn pool(entries: &[(u8, NodeEntry)]) -> PoolState {
        let nodes = entries.iter().map(|(id, entry)| (NodeId([*id; 16]), entry.clone())).collect();
        PoolState { nodes, ..PoolState::default() }
    }

    #[test]
    fn the_higher_version_wins_whichever_side_merges() {
        // (ours, theirs, what both end up with)
        let table = [
            (node("a", 1, false), node("b", 2, false), node("b", 2, false)),
            (node("a", 2, false), node("b", 1, true), node("a", 2, false)),
            (node("a", 1, false), node("a", 2, true), node("a", 2, true)),
            (node("a", 2, false), node("b", 2, false), node("b", 2, false)),
            (node("z", 2, false), node("b", 2, true), node("b", 2, true)),
        ];
        for (ours, theirs, want) in table {
            let (a, b) = (pool(&[(1, ours)]), pool(&[(1, theirs)]));
            let (mut ab, mut ba) = (a.clone(), b.clone());
            ab.merge(&b);
            ba.merge(&a);
            assert_eq!(ab, pool(&[(1, want)]));
            assert_eq!(ab, ba);
            assert_eq!(ab.digest(), ba.digest());
            assert!(!ab.merge(&b) && !ab.merge(&a), "a second merge changes nothing");
        }
    }

    #[test]
    fn merging_keeps_what_only_one_side_has() {
        let mut a = pool(&[(1, node("a", 1, false))]);
        assert!(a.merge(&pool(&[(2, node("b", 1, false))])));
        assert_eq!(a.live_nodes().count(), 2);
    }
}
