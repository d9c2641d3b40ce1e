//! Figures of cuts of one brick.

use std::io;

use super::{Failure, Figures};
use crate::site::{LiveCut, Plan, one_brick};

/// Cuts of one volume: the work would fill its disks in time.
const PER_VOLUME: usize = 8;

/// Carries out `cuts` of one brick each; `step` is called after each of them. Panics as [`one_brick`] does.
pub fn run_one(plan: &Plan, cuts: u64, step: impl Fn(&Figures)) -> io::Result<Figures> {
    let mut figures = Figures::default();
    let mut each = |cut: &LiveCut| {
        let number = figures.cuts;
        figures.cuts += 1;
        figures.of_one_brick += 1;
        figures.unflushed += cut.tally.unflushed as u64;
        figures.lost += cut.tally.lost as u64;
        figures.torn += cut.tally.torn as u64;
        figures.operations_checked += cut.operations as u64;
        figures.slowest_ms = figures.slowest_ms.max(u64::try_from(cut.took.as_millis()).unwrap_or(u64::MAX));
        if !cut.wrong.is_empty() {
            figures.losses += 1;
            let what = [format!("{} lost {:?}", cut.server, cut.losses)];
            let what = what.into_iter().chain(cut.wrong.iter().cloned()).collect();
            figures.failures.push(Failure { cut: number, what });
        }
        step(&figures);
    };
    for (n, first) in (0..cuts).step_by(PER_VOLUME).enumerate() {
        let plan = Plan { seed: plan.seed + n as u64, ..*plan };
        one_brick(&plan, (cuts - first).min(PER_VOLUME as u64), &mut each)?;
    }
    Ok(figures)
}
