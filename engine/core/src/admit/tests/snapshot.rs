//! The snapshot's layout is frozen, and hostile bytes do nothing worse than being refused.

use bytes::Bytes;
use rfs_model::client::Mutation;
use rfs_model::op::{LockKind, LockRange};
use rfs_model::{FileKind, Index, InodeId, Refusal};

use super::rig::*;
use crate::admit::{Front, Limits};
use crate::testing::Rng;

/// Version 1, as made by [`sample`].
const GOLDEN: &str = concat!(
    "010700000000000000e803000000000000000000000106000000766f6c756d6501000000000000000000000100000000",
    "000000030100000000000000000000010000000000000003020202020202020202020202020202020400000000000000",
    "010500000000000000ffffffffffffffff4d000000020000000101010101010101010101010101010100000000010000",
    "000000000004000000030000000000000001000000000000000100000000000000030000000000000000010400000000",
    "000000010000000000000001000000000000000300000000000000000005000000000000000202050000000000000001",
    "000000000000000100000000000000030000000000000000000202020202020202020202020202020200000000010000",
    "00000000000100000006000000000000000100000000000000010000000000000003000000000000000000",
);

/// Two sessions, results of each kind, a lock, an orphan, a volume's state.
fn sample() -> Front {
    let mut rig = Rig::new();
    let f = rig.file(InodeId::ROOT, "f");
    rig.front.open(B, f);
    rig.call(A, append(f, "abc")).unwrap();
    let refused = rig.call(A, make(InodeId::ROOT, "f", FileKind::Dir));
    assert_eq!(refused.map(drop), Err(Refusal::Exists));
    rig.call(A, unlink(InodeId::ROOT, "f")).unwrap();
    let range = LockRange { kind: LockKind::Shared, start: 5, end: u64::MAX, pid: 77 };
    rig.call(B, Mutation::Lock { id: f, owner: 4, range }).unwrap();
    rig.front.apply_volume(Index(rig.log.len() as u64 + 1), Bytes::from_static(b"volume"));
    rig.front
}

#[test]
fn the_layout_is_frozen() {
    let front = sample();
    let hex: String = front.snapshot().iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(hex, GOLDEN);
    let bytes = Bytes::from(front.snapshot());
    let back = Front::restore(Limits::default(), &bytes).unwrap();
    assert_eq!(back.state(), front.state());
}

#[test]
fn hostile_bytes_are_refused_or_harmless() {
    let good = sample().snapshot();
    for len in 0..good.len() {
        assert!(Front::restore(Limits::default(), &Bytes::copy_from_slice(&good[..len])).is_err(), "{len}");
    }
    let mut rng = Rng::new(1);
    let mut taken = 0;
    for _ in 0..20_000 {
        let mut bad = good.clone();
        for _ in 0..=rng.below(3) {
            let at = rng.below(bad.len() as u64) as usize;
            bad[at] = *rng.pick(&[0, 1, 2, 127, 255, bad[at] ^ 1]);
        }
        if let Ok(front) = Front::restore(Limits::default(), &bad.into()) {
            taken += 1;
            let again = Bytes::from(front.snapshot());
            assert_eq!(Front::restore(Limits::default(), &again).unwrap().state(), front.state());
        }
    }
    assert!((1..20_000).contains(&taken), "{taken}");
}
