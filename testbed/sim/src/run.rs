//! One seed: a history with faults, then quiet, in which everything must become well.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rfs_model::Index;

use crate::setup::{Mutants, Setup};
use crate::stats::Stats;
use crate::world::World;

/// How long it may take after the last fault until all bricks are in S, microseconds.
const WELL_US: u64 = 10_000_000;
/// The longest leave.
const LEAVE_US: u64 = 10_000_000;

/// An operator's patience with bricks that cannot decide anything.
const RESCUE_US: u64 = 5_000_000;

/// What came of a seed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    pub stats: Stats,
    /// A sum over everything that happened.
    pub sum: u64,
    /// Why it failed.
    pub failure: Option<String>,
}

/// Runs one seed.
#[must_use]
pub fn run(setup: Setup, print: bool) -> Outcome {
    let mut world = World::new(setup, print);
    let ended = catch_unwind(AssertUnwindSafe(|| history(&mut world)));
    let failure = ended.err().map(|why| match why.downcast::<String>() {
        Ok(text) => *text,
        Err(why) => why.downcast::<&str>().map_or_else(|_| "a panic".to_owned(), |text| (*text).to_owned()),
    });
    if let Some(failure) = &failure {
        world.out.say(format_args!("FAILED: {failure}"));
        if print {
            println!("{}", world.show());
        }
    }
    let mut stats = world.out.stats.clone();
    stats.simulated_us = world.out.now;
    Outcome { stats, sum: world.out.history.sum(), failure }
}

/// The seed without mutants.
#[must_use]
pub fn run_seed(seed: u64) -> Outcome {
    run(Setup::of(seed, Mutants::default()), false)
}

fn history(world: &mut World) {
    let end = world.out.setup.faults_us.1;
    world.run(end);
    world.out.say(format_args!("the faults are over"));
    become_well(world);
    finish(world);
    check(world);
}

/// Those that were leaving when quiet came finish that, and come back.
fn become_well(world: &mut World) {
    world.calm_down();
    let mut limit = world.out.now + WELL_US;
    let mut leaving = true;
    let mut rescue = world.out.now + RESCUE_US;
    while !world.settled() {
        if leaving {
            // Who is leaving may take its time for it.
            leaving = world.bricks.iter().any(crate::brick::Brick::is_leaving);
            limit = world.out.now + WELL_US;
            assert!(
                world.out.now < world.out.setup.faults_us.1 + 1_000_000 + LEAVE_US + WELL_US,
                "a leave has no end"
            );
        }
        assert!(world.out.now < limit, "not well within {} s", WELL_US / 1_000_000);
        world.run(20_000);
        world.calm_down();
        if world.out.now >= rescue {
            rescue = world.out.now + RESCUE_US;
            if world.rescue() {
                limit = world.out.now + WELL_US;
            }
        }
    }
}

/// Clients finish what they began; all bricks come to one index.
fn finish(world: &mut World) {
    world.clients.iter_mut().for_each(|client| client.quiet = true);
    let limit = world.out.now + WELL_US;
    let done = |world: &World| world.clients.iter().all(crate::client::Client::is_done) && world.settled();
    while !done(world) {
        assert!(world.out.now < limit, "clients wait for ever");
        world.run(20_000);
        world.calm_down();
    }
}

fn check(world: &mut World) {
    world.check_abandoned();
    let lossy = world.out.oracle.lossy;
    let first = &world.bricks[0];
    for (n, brick) in world.bricks.iter().enumerate() {
        assert_eq!(brick.disk.last_position(), first.disk.last_position(), "the ends of the logs");
        for (index, crc) in world.out.oracle.all().filter(|(index, _)| *index >= brick.disk.base.index) {
            if index > Index::ZERO {
                assert_eq!(brick.disk.crc_at(index), Some(crc), "brick {n}, record {index}");
            }
        }
        assert!(brick.disk.tree == first.disk.tree, "the trees of bricks 0 and {n} differ");
        world.clients.iter().for_each(|client| client.check(&brick.disk.tree, lossy));
    }
    let snapshot = |n: usize| world.bricks[n].process.as_ref().map(|p| p.front.snapshot());
    assert!((0..world.bricks.len()).all(|n| snapshot(n) == snapshot(0)), "sessions differ");
}
