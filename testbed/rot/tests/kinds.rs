//! The short form of `cargo xtask rot`: each kind once.

use clap::ValueEnum;
use rfs_rot::{Bench, Kind, Noticed, Outcome, table};

#[test]
fn what_rots_is_noticed_and_repaired_or_refused() {
    let bench = Bench::new();
    let rounds: Vec<_> = Kind::value_variants().iter().map(|kind| bench.round(*kind, 1)).collect();
    println!("{}", table::table(&rounds));
    for round in rounds {
        assert!(
            !matches!(round.outcome, Outcome::Wrong(_)),
            "{round:?}: {}",
            Bench::replay(round.kind, round.seed)
        );
        assert!(round.noticed != Noticed::Never || round.kind.may_be_harmless(), "{round:?}");
    }
}
