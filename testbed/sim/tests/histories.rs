//! Histories without planted faults pass; with one, they are caught; the same seed is the same history.

use std::io::Write;

use rfs_sim::mutants::{self, Planted};
use rfs_sim::sweep::{quiet, sweep};
use rfs_sim::{Mutants, Setup, run, run_seed, table};

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

/// Each planted fault is caught where the table says; without it, and without the kind that catches it, all is well.
#[test]
fn planted_faults_are_caught() {
    quiet();
    for planted in mutants::all() {
        let (kind, name, seed) = (planted.kind.name(), planted.name, planted.seed);
        let fails =
            |planted: &Planted, kind| run(mutants::place(planted, seed, kind), false).failure.is_some();
        if !fails(&planted, true) {
            fail(format_args!(
                "{name} is not caught by a {kind} in seed {seed}: '--mutant all' looks for another"
            ));
        }
        if fails(&planted, false) {
            fail(format_args!("{name} is caught in seed {seed} without a {kind}"));
        }
        if fails(&planted.without_fault(), true) {
            fail(format_args!("seed {seed} fails without {name}, too: kind {kind}"));
        }
    }
}

#[test]
fn planted_faults_that_need_no_fault_are_caught() {
    quiet();
    let fails =
        |mutants, leases| (0..8).find_map(|seed| run(mutants::calm(seed, mutants, leases), false).failure);
    for (name, mutants, leases) in mutants::needing_no_fault() {
        if let Some(why) = fails(Mutants::default(), leases) {
            fail(format_args!("a calm history fails without {name}, too: {why}"));
        }
        if fails(mutants, leases).is_none() {
            fail(format_args!("{name} is not caught"));
        }
    }
}

#[test]
fn the_documentation_has_the_table() {
    let page = include_str!("../../../docs/testing/simulator.md");
    assert!(
        page.contains(&table::markdown()),
        "docs/testing/simulator.md: put in what 'cargo xtask sim --table' prints"
    );
}

/// Seeds that failed once, each with what it was: another history since, but one in which much comes together.
#[test]
fn what_failed_once_passes() {
    quiet();
    let lines = include_str!("../seeds.txt").lines().filter(|line| !line.starts_with('#'));
    for line in lines {
        let seed = line.split_whitespace().next().and_then(|word| word.parse().ok());
        let Some(seed) = seed else { fail(format_args!("seeds.txt: no seed in '{line}'")) };
        if let Some(why) = run_seed(seed).failure {
            fail(format_args!("{why}\n    cargo xtask sim --seed {seed}"));
        }
    }
}
