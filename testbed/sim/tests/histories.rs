//! Histories without planted faults pass; with one, they are caught; the same seed is the same history.

use std::io::Write;

use rfs_sim::mutants::{self, Planted};
use rfs_sim::{run, run_seed};

/// Seeds in which a planted fault has to be found.
const HUNT: u64 = 400;

/// Ends the tests with a word that the harness, whose panic hook is off, does not swallow.
fn fail(why: std::fmt::Arguments<'_>) -> ! {
    let _ = writeln!(std::io::stderr(), "{why}");
    std::process::exit(1);
}

fn quiet() {
    std::panic::set_hook(Box::new(|_| {}));
}

fn passes(seed: u64) {
    if let Some(why) = run_seed(seed).failure {
        fail(format_args!("{why}\n    cargo run -p rfs-sim -- --seed {seed}"));
    }
}

#[test]
fn a_thousand_histories_pass() {
    quiet();
    let half = |first: u64| move || (first..first + 500).for_each(passes);
    let other = std::thread::spawn(half(500));
    half(0)();
    other.join().expect("a failure ends the process");
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
