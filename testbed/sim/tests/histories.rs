//! Histories without planted faults pass; with one, they are caught; the same seed is the same history.

use rfs_sim::mutants::{self, Planted};
use rfs_sim::{run, run_seed};

/// Seeds in which a planted fault has to be found.
const HUNT: u64 = 400;

/// Seeds that found a fault in the core, and which.
const FOUND: [(u64, &str); 8] = [
    (50, "a leader's configuration was released from its log"),
    (176, "a leader's first record was released from its log"),
    (554, "a learner took its own abandoned record for the leader's durable one"),
    (620, "a full copy took the commit index back"),
    (1241, "the first word of commits did not cover what the tree showed"),
    (1371, "the same, a learner"),
    (706, "an answer to an earlier life's request for a read index was believed"),
    (846, "the same"),
];

fn quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}

fn passes(seed: u64, what: &str) {
    if let Some(why) = run_seed(seed).failure {
        eprintln!("{what}: {why}\n    cargo run -p rfs-sim -- --seed {seed}");
        std::process::exit(1);
    }
}

#[test]
fn a_thousand_histories_pass() {
    quiet();
    (0..1000).for_each(|seed| passes(seed, "a history fails"));
}

#[test]
fn seeds_that_found_faults_pass() {
    quiet();
    FOUND.iter().for_each(|(seed, what)| passes(*seed, what));
}

#[test]
fn the_same_seed_is_the_same_history() {
    quiet();
    for seed in 0..20 {
        assert!(run_seed(seed) == run_seed(seed), "seed {seed} differs from itself");
    }
    assert_ne!(run_seed(1).sum, run_seed(2).sum);
}

/// The fault is what is caught: the same history without it passes.
fn is_caught(planted: &Planted) -> Option<u64> {
    let (seed, _) = mutants::hunt(planted, 0, HUNT)?;
    run(mutants::place(&planted.without_fault(), seed), false).failure.is_none().then_some(seed)
}

#[test]
fn planted_faults_are_caught() {
    quiet();
    let missed: Vec<&str> = mutants::all()
        .iter()
        .filter(|planted| is_caught(planted).is_none())
        .map(|planted| planted.name)
        .collect();
    if !missed.is_empty() {
        eprintln!("not caught in {HUNT} seeds: {missed:?}");
        std::process::exit(1);
    }
}
