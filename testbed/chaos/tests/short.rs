//! A short run in all tests: real processes, all kinds of faults; then lies about it, each of which must be found out.

use std::path::Path;
use std::time::Duration;

use rfs_chaos::check::check;
use rfs_chaos::nemesis::Kind;
use rfs_chaos::plant::PLANTS;
use rfs_chaos::report::summary;
use rfs_chaos::run::{Options, Shape, run};

/// Without those that need a whole disk's writes, or wait for room on one.
const KINDS: [Kind; 10] = [
    Kind::Kill,
    Kind::Term,
    Kind::Stop,
    Kind::MountKill,
    Kind::MountTerm,
    Kind::MountStop,
    Kind::Cut,
    Kind::OneWay,
    Kind::Disk,
    Kind::Clock,
];

/// The schedule of this one has a disk swapped and mounts ended in its first rounds.
const SEED: u64 = 237;

#[test]
fn chaos_for_less_than_a_minute() {
    let folder = tempfile::Builder::new().prefix("rfs-chaos-").tempdir().unwrap();
    let options = Options {
        time: Duration::from_secs(28),
        seed: SEED,
        shape: Shape::Two,
        kinds: KINDS.to_vec(),
        patient: false,
        folder: folder.path().to_owned(),
        program: Path::new(env!("CARGO_BIN_EXE_rfs-chaos")).to_owned(),
    };
    let outcome = run(&options, &|_| ()).unwrap();
    let summary = summary(&options, &outcome);
    println!("{summary}");
    assert!(summary.violations.is_empty(), "kept: {}", folder.keep().display());
    for kind in [Kind::Disk, Kind::MountKill, Kind::MountTerm] {
        assert!(summary.faults.contains_key(kind.word()), "{:?}", summary.faults);
    }
    for (word, tally) in &summary.operations {
        assert!(tally.acked > 0, "{word} never succeeded");
    }
    for plant in PLANTS {
        let mut history = outcome.history.clone();
        assert!(plant.tell(&mut history), "no place for '{}'", plant.name);
        let found = check(&history);
        assert!(found.iter().any(|v| v.rule == plant.rule), "'{}' was not found out: {found:?}", plant.name);
    }
}
