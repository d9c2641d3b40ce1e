//! Histories without planted faults pass; with one, they are caught; the same seed is the same history.

use std::io::Write;

use rfs_sim::mutants::{self, Planted};
use rfs_sim::sweep::{quiet, sweep};
use rfs_sim::{Mutants, Setup, run, run_seed};

/// Seeds in which a planted fault has to be found.
const HUNT: u64 = 1_000;

/// Ends the tests with a word that the harness, whose panic hook is off, does not swallow.
fn fail(why: std::fmt::Arguments<'_>) -> ! {
    let _ = writeln!(std::io::stderr(), "{why}");
    std::process::exit(1);
}

#[test]
fn two_thousand_histories_pass() {
    quiet();
    sweep(
        0..2_000,
        |seed| Setup::of(seed, Mutants::default()),
        |seed, outcome| {
            if let Some(why) = outcome.failure {
                fail(format_args!("{why}\n    cargo xtask sim --seed {seed}"));
            }
            true
        },
    );
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
        fail(format_args!("not caught in {HUNT} seeds: {missed:?}"));
    }
}
