//! Leases on directories: what must hold, what must be possible, and what breaks without each rule.

use rfs_checker::dirlease::models::{MODELS, named};
use rfs_checker::dirlease::mutants::MUTANTS;
use rfs_checker::dirlease::rules::RULES;
use rfs_checker::dirlease::{GOALS, Model};
use rfs_checker::search::{Found, Options, Progress, search};

/// A change of these is a change of the model: `docs/testing/model.md` has them too.
const STATES: &[(&str, usize)] =
    &[("dir-leases", 1_319_362), ("dir-patience", 342_994), ("dir-lookups", 126_094), ("dir-again", 514_570)];

fn explore(model: &Model, threads: usize) -> Found {
    search(model, Options { threads, limit: usize::MAX }, &Progress::default())
}

#[test]
fn every_state_within_the_small_bounds_keeps_the_promises() {
    let mut states = Vec::new();
    for named in MODELS {
        let found = explore(&named.model(false), 2);
        assert!(found.violation.is_none(), "{}: {:?}", named.name, found.violation);
        states.push((named.name, found.states));
    }
    assert_eq!(states, STATES);
}

#[test]
fn what_must_be_possible_is_possible() {
    let model = named("dir-leases").expect("it is in the table").model(false);
    for goal in GOALS {
        let found = explore(&Model { goal: Some(*goal), ..model }, 1);
        assert!(found.violation.is_some(), "{goal:?} is out of reach");
    }
}

#[test]
fn every_rule_has_a_mutant() {
    let rules: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
    let mutants: Vec<_> = MUTANTS.iter().map(|mutant| mutant.rule).collect();
    assert_eq!(mutants, rules);
}

#[test]
fn every_mutant_is_caught() {
    for mutant in MUTANTS {
        let found = explore(&mutant.model(), 1);
        assert_eq!(
            found.violation.is_some(),
            mutant.spare.is_none(),
            "{}: {:?}",
            mutant.rule,
            found.violation
        );
    }
}
