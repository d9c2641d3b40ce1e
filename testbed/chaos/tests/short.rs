//! A short run in all tests: real processes, all kinds of faults; then lies about it, each of which must be found out.

use std::path::Path;
use std::time::Duration;

use rfs_chaos::check::check;
use rfs_chaos::nemesis::Kind;
use rfs_chaos::plant::PLANTS;
use rfs_chaos::report::summary;
use rfs_chaos::run::{Options, Shape, run};

/// Without those that end a mount: that can hang, which is open (docs/testing/chaos.md).
const KINDS: [Kind; 7] =
    [Kind::Kill, Kind::Term, Kind::Stop, Kind::MountStop, Kind::Cut, Kind::OneWay, Kind::Clock];

#[test]
fn chaos_for_less_than_a_minute() {
    let folder = tempfile::Builder::new().prefix("rfs-chaos-").tempdir().unwrap();
    let options = Options {
        time: Duration::from_secs(25),
        seed: 5,
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
    assert!(summary.faults.len() >= 4, "{:?}", summary.faults);
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
