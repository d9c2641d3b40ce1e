//! Without any one rule something breaks, or it is said why not.

use rfs_checker::mutants::MUTANTS;
use rfs_checker::replication::Replication;
use rfs_checker::rules::RULES;
use rfs_checker::search::{Options, Progress, search};

#[test]
fn every_rule_has_a_mutant() {
    let rules: Vec<_> = RULES.iter().map(|rule| rule.name).collect();
    let mutants: Vec<_> = MUTANTS.iter().map(|mutant| mutant.rule).collect();
    assert_eq!(mutants, rules);
}

#[test]
fn every_mutant_is_caught() {
    for mutant in MUTANTS {
        let options = Options { threads: 1, limit: usize::MAX };
        let found = search(&Replication::new(mutant.model(), mutant.live), options, &Progress::default());
        let caught = found.violation.is_some();
        assert_eq!(caught, mutant.spare.is_none(), "{}: {} states", mutant.rule, found.states);
    }
}
