//! Faults planted on purpose. Each must be caught, or an oracle or a kind of fault is missing.

use rfs_core::consensus::api::Mutations;
use rfs_model::hello::SeatClass;

use crate::run::run;
use crate::setup::{DriverMutants, Mutants, Setup, Weather};

/// One planted fault and where it is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    pub name: &'static str,
    pub mutants: Mutants,
    pub weather: Weather,
    pub bricks: usize,
    pub seats: &'static [SeatClass],
}

/// Those that no history has caught so far: a fault kind or an oracle is missing, or another rule covers for them.
pub const NOT_CAUGHT: [&str; 3] = ["demoted_serves", "suspicion_unsaved", "witness_answers_unsaved"];

const NONE: &[SeatClass] = &[];
const ONE: &[SeatClass] = &[SeatClass::PoolNode];

type Place = (Weather, usize, &'static [SeatClass]);

fn core(name: &'static str, (weather, bricks, seats): Place, core: Mutations) -> Planted {
    Planted { name, mutants: Mutants { core, ..Mutants::default() }, weather, bricks, seats }
}

fn driver(name: &'static str, (weather, bricks, seats): Place, driver: DriverMutants) -> Planted {
    Planted { name, mutants: Mutants { driver, ..Mutants::default() }, weather, bricks, seats }
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Planted> {
    use Weather::{Crashes, OnePowerCut, PowerCuts};
    let (c, d) = (Mutations::default(), DriverMutants::default());
    let mut all = vec![
        core("count_before_journaled", (Crashes, 1, NONE), Mutations { count_before_journaled: true, ..c }),
        core("durable_before_synced", (PowerCuts, 2, ONE), Mutations { durable_before_synced: true, ..c }),
        core("no_suspect_rule", (OnePowerCut, 2, ONE), Mutations { no_suspect_rule: true, ..c }),
        core("joint_by_new_alone", (OnePowerCut, 2, ONE), Mutations { joint_by_new_alone: true, ..c }),
        core("lease_ignores_hold", (Crashes, 3, ONE), Mutations { lease_ignores_hold: true, ..c }),
        core("witness_forgets", (Crashes, 2, ONE), Mutations { witness_forgets: true, ..c }),
        core("demoted_serves", (OnePowerCut, 2, NONE), Mutations { demoted_serves: true, ..c }),
        core("commit_old_terms", (Crashes, 4, NONE), Mutations { commit_old_terms: true, ..c }),
        core("speak_before_saved", (Crashes, 3, NONE), Mutations { speak_before_saved: true, ..c }),
    ];
    all.extend([
        driver(
            "witness_answers_unsaved",
            (Crashes, 2, ONE),
            DriverMutants { witness_answers_unsaved: true, ..d },
        ),
        driver("synced_too_early", (PowerCuts, 2, NONE), DriverMutants { synced_too_early: true, ..d }),
        driver(
            "power_cut_unnoticed",
            (OnePowerCut, 2, ONE),
            DriverMutants { power_cut_unnoticed: true, ..d },
        ),
        driver("suspicion_unsaved", (OnePowerCut, 2, ONE), DriverMutants { suspicion_unsaved: true, ..d }),
        driver("reply_when_proposed", (Crashes, 2, NONE), DriverMutants { reply_when_proposed: true, ..d }),
    ]);
    all
}

/// The history of a seed in which this fault is looked for.
#[must_use]
pub fn place(planted: &Planted, seed: u64) -> Setup {
    Setup {
        weather: planted.weather,
        bricks: planted.bricks,
        seats: planted.seats.to_vec(),
        ..Setup::of(seed, planted.mutants)
    }
}

/// The first seed from `from` on that catches a mutant, and what it says.
#[must_use]
pub fn hunt(planted: &Planted, from: u64, limit: u64) -> Option<(u64, String)> {
    (from..from + limit).find_map(|seed| run(place(planted, seed), false).failure.map(|why| (seed, why)))
}
