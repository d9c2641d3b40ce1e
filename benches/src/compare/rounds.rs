//! All works, on all systems by turns, several times.

use std::path::Path;
use std::time::Instant;

use super::meter::{Cost, Reading, forget_peaks};
use super::record::Recording;
use super::systems::{Kind, Seat, System};
use super::work::{Amounts, Done, Place, Work};
use crate::disk::Disk;
use crate::machine::Memory;
use crate::placement::Placement;
use crate::progress::Progress;

pub struct Plan<'a> {
    pub works: &'a [Work],
    pub seats: &'a [Seat],
    pub rounds: u32,
    pub placement: Placement,
    pub memory: Memory,
    pub disk: Disk,
    pub amounts: Amounts,
    /// Where perf's recordings go, if there are to be any.
    pub record: Option<&'a Path>,
}

/// One work, once, on one system.
#[derive(Clone, Debug)]
pub struct One {
    pub work: &'static str,
    pub seat: Seat,
    pub system: Kind,
    pub done: Done,
    /// Seconds from its end until every copy had it.
    pub lag_s: f64,
    pub cost: Cost,
}

pub fn all(systems: &[Box<dyn System>], plan: &Plan<'_>) -> Vec<One> {
    let fits = |work: &Work| systems.iter().filter(|s| work.fits(&***s)).count() as u64;
    let each: u64 = plan.works.iter().map(fits).sum();
    let progress = Progress::new(each * plan.seats.len() as u64 * u64::from(plan.rounds));
    let mut runs = Vec::new();
    for seat in plan.seats {
        for round in 0..plan.rounds {
            for (n, work) in plan.works.iter().enumerate() {
                // Nobody is always the first, or always behind the same one.
                let turn = (round as usize + n) % systems.len();
                for system in systems[turn..].iter().chain(&systems[..turn]).filter(|s| work.fits(&***s)) {
                    progress.begins(&format!(
                        "{} of {}: {} on {}",
                        round + 1,
                        plan.rounds,
                        work.name,
                        system.kind().name()
                    ));
                    runs.push(one(work, &**system, *seat, round, plan));
                    progress.ended();
                }
            }
        }
    }
    runs
}

fn one(work: &Work, system: &dyn System, seat: Seat, round: u32, plan: &Plan<'_>) -> One {
    let place = Place { system, seat, amounts: plan.amounts, round };
    work.prepare(&place);
    // What others have left to write is not this one's.
    rustix::fs::sync();
    plan.placement.apply(system.cluster(), |host| host == system.host(seat));
    forget_peaks(system);
    let folder = plan.record.map(|dir| dir.join(system.kind().name()).join(work.name));
    let recording = folder.map(|folder| Recording::start(system, &folder));
    let before = Reading::of(system);
    let done = work.run(&place);
    let ended = Instant::now();
    system.settle();
    let lag_s = ended.elapsed().as_secs_f64();
    if let Some(recording) = recording {
        recording.end();
    }
    let cost = before.until_now(system);
    One { work: work.name, seat, system: system.kind(), done, lag_s, cost }
}
