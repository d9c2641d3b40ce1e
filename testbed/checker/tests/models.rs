//! The small bounds of every model hold, and are as large as they were.

use rfs_checker::models::MODELS;
use rfs_checker::replication::Replication;
use rfs_checker::search::{Options, Progress, search};

/// A change of these is a change of the model: `docs/testing/model.md` has them too.
const STATES: &[(&str, usize)] = &[
    ("two+witness", 166_751),
    ("growth", 2_390),
    ("three", 3_465),
    ("three-changes", 1_129),
    ("seat-moves", 8_901),
    ("leases", 141_318),
    ("leases-changes", 179_212),
    ("leases-three", 70_887),
    ("power", 215_908),
    ("power-changes", 161_063),
    ("power-three", 119_830),
    ("turning-power", 58_052),
    ("new-disk", 11_351),
];

#[test]
fn every_state_within_the_small_bounds_keeps_the_promises() {
    let mut states = Vec::new();
    for named in MODELS {
        let options = Options { threads: 2, limit: usize::MAX };
        let found = search(&Replication::new(named.model(false), named.live), options, &Progress::default());
        assert!(found.violation.is_none(), "{}: {:?}", named.name, found.violation);
        assert!(found.complete);
        states.push((named.name, found.states));
    }
    assert_eq!(states, STATES);
}
