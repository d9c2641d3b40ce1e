//! Faults planted on purpose. Each must be caught, or an oracle or a kind of fault is missing.

use rfs_core::consensus::api::Mutations;

use crate::run::run;
use crate::setup::{DriverMutants, Mutants, Setup};

/// Name and switch of each.
#[must_use]
pub fn all() -> Vec<(&'static str, Mutants)> {
    let core = |core: Mutations| Mutants { core, ..Mutants::default() };
    let driver = |driver: DriverMutants| Mutants { driver, ..Mutants::default() };
    let (c, d) = (Mutations::default(), DriverMutants::default());
    vec![
        ("count_before_journaled", core(Mutations { count_before_journaled: true, ..c })),
        ("durable_before_synced", core(Mutations { durable_before_synced: true, ..c })),
        ("no_suspect_rule", core(Mutations { no_suspect_rule: true, ..c })),
        ("joint_by_new_alone", core(Mutations { joint_by_new_alone: true, ..c })),
        ("lease_ignores_hold", core(Mutations { lease_ignores_hold: true, ..c })),
        ("witness_forgets", core(Mutations { witness_forgets: true, ..c })),
        ("demoted_serves", core(Mutations { demoted_serves: true, ..c })),
        ("commit_old_terms", core(Mutations { commit_old_terms: true, ..c })),
        ("speak_before_saved", core(Mutations { speak_before_saved: true, ..c })),
        ("witness_answers_unsaved", driver(DriverMutants { witness_answers_unsaved: true, ..d })),
        ("synced_too_early", driver(DriverMutants { synced_too_early: true, ..d })),
        ("power_cut_unnoticed", driver(DriverMutants { power_cut_unnoticed: true, ..d })),
        ("suspicion_unsaved", driver(DriverMutants { suspicion_unsaved: true, ..d })),
        ("reply_when_proposed", driver(DriverMutants { reply_when_proposed: true, ..d })),
    ]
}

/// The first seed from `from` on that catches a mutant, what it says, and how many were tried.
#[must_use]
pub fn hunt(mutants: Mutants, from: u64, limit: u64) -> Option<(u64, String)> {
    (from..from + limit).find_map(|seed| run(Setup::of(seed, mutants), false).failure.map(|why| (seed, why)))
}
