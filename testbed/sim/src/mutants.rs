//! Faults planted on purpose. Each must be caught, or an oracle or a kind of fault is missing.

use rfs_core::consensus::api::Mutations;
use rfs_model::hello::SeatClass;

use crate::kind::Kinds;
use crate::setup::{DriverMutants, Mutants, Setup, Weather};
use crate::sweep::sweep;

/// One planted fault and where it is looked for.
#[derive(Clone, Copy, Debug)]
pub struct Planted {
    pub name: &'static str,
    pub mutants: Mutants,
    pub weather: Weather,
    pub bricks: usize,
    pub seats: &'static [SeatClass],
    pub ambushes: bool,
}

impl Planted {
    /// The same place, with nothing planted.
    #[must_use]
    pub fn without_fault(&self) -> Self {
        Self { mutants: Mutants::default(), ..*self }
    }
}

const NONE: &[SeatClass] = &[];
const ONE: &[SeatClass] = &[SeatClass::PoolNode];

/// Faults by chance alone, and with ambushes.
const CHANCE: bool = false;
const AMBUSH: bool = true;

type Place = (Weather, usize, &'static [SeatClass], bool);

fn core(name: &'static str, place: Place, core: Mutations) -> Planted {
    at(name, place, Mutants { core, ..Mutants::default() })
}

fn driver(name: &'static str, place: Place, driver: DriverMutants) -> Planted {
    at(name, place, Mutants { driver, ..Mutants::default() })
}

fn at(name: &'static str, (weather, bricks, seats, ambushes): Place, mutants: Mutants) -> Planted {
    Planted { name, mutants, weather, bricks, seats, ambushes }
}

/// All of them.
#[must_use]
pub fn all() -> Vec<Planted> {
    let mut all = in_the_core();
    all.extend(in_the_driver());
    all
}

fn in_the_core() -> Vec<Planted> {
    use Weather::{Crashes, OnePowerCut, PowerCuts};
    let m = Mutations::default();
    vec![
        core(
            "count_before_journaled",
            (Crashes, 1, NONE, CHANCE),
            Mutations { count_before_journaled: true, ..m },
        ),
        core(
            "durable_before_synced",
            (PowerCuts, 2, ONE, CHANCE),
            Mutations { durable_before_synced: true, ..m },
        ),
        core("no_suspect_rule", (OnePowerCut, 2, ONE, CHANCE), Mutations { no_suspect_rule: true, ..m }),
        core("joint_by_new_alone", (Crashes, 2, ONE, AMBUSH), Mutations { joint_by_new_alone: true, ..m }),
        core("lease_ignores_hold", (Crashes, 3, ONE, CHANCE), Mutations { lease_ignores_hold: true, ..m }),
        core("witness_forgets", (Crashes, 2, ONE, CHANCE), Mutations { witness_forgets: true, ..m }),
        core("demoted_serves", (Crashes, 2, ONE, AMBUSH), Mutations { demoted_serves: true, ..m }),
        core("commit_old_terms", (Crashes, 4, NONE, CHANCE), Mutations { commit_old_terms: true, ..m }),
        core("speak_before_saved", (Crashes, 3, NONE, AMBUSH), Mutations { speak_before_saved: true, ..m }),
    ]
}

fn in_the_driver() -> Vec<Planted> {
    use Weather::{Crashes, OnePowerCut, PowerCuts};
    let m = DriverMutants::default();
    let unsaved = DriverMutants { witness_answers_unsaved: true, ..m };
    vec![
        driver("witness_answers_unsaved", (Crashes, 2, ONE, AMBUSH), unsaved),
        driver(
            "synced_too_early",
            (PowerCuts, 2, NONE, CHANCE),
            DriverMutants { synced_too_early: true, ..m },
        ),
        driver(
            "power_cut_unnoticed",
            (OnePowerCut, 2, ONE, CHANCE),
            DriverMutants { power_cut_unnoticed: true, ..m },
        ),
        driver(
            "suspicion_unsaved",
            (OnePowerCut, 2, ONE, AMBUSH),
            DriverMutants { suspicion_unsaved: true, ..m },
        ),
        driver(
            "reply_when_proposed",
            (Crashes, 2, NONE, CHANCE),
            DriverMutants { reply_when_proposed: true, ..m },
        ),
        driver("only_noop_begins", (Crashes, 2, ONE, CHANCE), DriverMutants { only_noop_begins: true, ..m }),
        driver(
            "refuses_without_lease",
            (Crashes, 3, NONE, AMBUSH),
            DriverMutants { refuses_without_lease: true, ..m },
        ),
        driver(
            "cut_forgets_batch",
            (Crashes, 3, NONE, AMBUSH),
            DriverMutants { cut_forgets_batch: true, ..m },
        ),
    ]
}

/// The history of a seed in which this fault is looked for.
#[must_use]
pub fn place(planted: &Planted, seed: u64) -> Setup {
    Setup {
        weather: planted.weather,
        bricks: planted.bricks,
        seats: planted.seats.to_vec(),
        kinds: Kinds::ALL,
        pace_us: 12_000,
        ..Setup::of(seed, planted.mutants)
    }
}

/// The first seed from `from` on that catches a mutant, and what it says.
#[must_use]
pub fn hunt(planted: &Planted, from: u64, limit: u64) -> Option<(u64, String)> {
    let mut first: Option<(u64, String)> = None;
    sweep(
        from..from + limit,
        |seed| place(planted, seed),
        |seed, outcome| {
            if let Some(why) = outcome.failure
                && first.as_ref().is_none_or(|(first, _)| seed < *first)
            {
                first = Some((seed, why));
            }
            // Others that run now may be of a lower seed; none begins.
            first.is_none()
        },
    );
    first
}
