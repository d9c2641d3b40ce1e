//! What came of it.

mod plot;
mod text;

use serde::Serialize;

use super::rounds::{One, Plan};
use super::systems::{Kind, Seat, System};
use super::work::{Amounts, Unit, Work};

pub use text::list;

/// As `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Report {
    pub rounds: u32,
    pub placement: &'static str,
    pub memory: &'static str,
    pub disk: &'static str,
    pub amounts: Amounts,
    pub systems: Vec<About>,
    pub rows: Vec<Row>,
}

#[derive(Debug, Serialize)]
pub struct About {
    pub system: Kind,
    pub version: String,
    pub promises: &'static str,
}

/// One work at one seat.
#[derive(Debug, Serialize)]
pub struct Row {
    pub work: &'static str,
    pub seat: Seat,
    pub unit: Unit,
    pub done: &'static str,
    pub cold: bool,
    pub gate: Option<f64>,
    pub aim: Option<f64>,
    pub cells: Vec<Cell>,
}

/// One work on one system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Cell {
    pub system: Kind,
    /// In the row's unit, over the time until every copy had it.
    pub median: f64,
    pub min: f64,
    pub max: f64,
    /// Medians of the rest.
    pub lag_ms: f64,
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
    /// CPU seconds of all processes, the measuring program's too: of 1,000 operations, and of a GiB.
    pub cpu_s_per_1000: f64,
    pub cpu_s_per_gib: Option<f64>,
    pub wire_bytes: u64,
    pub memory_bytes: u64,
}

impl Report {
    pub fn new(systems: &[Box<dyn System>], plan: &Plan<'_>, runs: &[One]) -> Report {
        let about = |s: &dyn System| About { system: s.kind(), version: s.version(), promises: s.promises() };
        let pairs = plan.seats.iter().flat_map(|seat| plan.works.iter().map(move |work| (*seat, work)));
        Report {
            rounds: plan.rounds,
            placement: plan.placement.words(),
            memory: plan.memory.words(),
            disk: plan.disk.words(),
            amounts: plan.amounts,
            systems: systems.iter().map(|s| about(&**s)).collect(),
            rows: pairs.map(|(seat, work)| row(seat, work, systems, runs)).collect(),
        }
    }
}

fn row(seat: Seat, work: &Work, systems: &[Box<dyn System>], runs: &[One]) -> Row {
    let of = |kind: Kind| runs.iter().filter(move |r| (r.work, r.seat, r.system) == (work.name, seat, kind));
    let cells = systems.iter().filter_map(|s| {
        let all: Vec<&One> = of(s.kind()).collect();
        (!all.is_empty()).then(|| cell(work.unit, s.kind(), &all))
    });
    let Work { name, unit, done, cold, gate, aim, .. } = *work;
    // Without a brick in between there is nothing that a gate could be about.
    Row { work: name, seat, unit, done, cold, gate, aim, cells: cells.collect() }
}

fn cell(unit: Unit, system: Kind, runs: &[&One]) -> Cell {
    let all = |what: &dyn Fn(&One) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(|r| what(r)).collect();
        values.sort_by(f64::total_cmp);
        values
    };
    let median = |what: &dyn Fn(&One) -> f64| middle(&all(what));
    let known = |what: &dyn Fn(&One) -> Option<f64>| {
        runs.iter().all(|r| what(r).is_some()).then(|| median(&|r| what(r).unwrap_or_default()))
    };
    let values = all(&|r| value(unit, r));
    let cpu = |r: &One| r.cost.cpu_s + r.done.cpu_s;
    let bytes = runs.iter().all(|r| r.done.bytes > 0);
    Cell {
        system,
        median: middle(&values),
        min: values[0],
        max: values[values.len() - 1],
        lag_ms: median(&|r| r.lag_s * 1e3),
        p50_us: known(&|r| r.done.p50_us),
        p99_us: known(&|r| r.done.p99_us),
        cpu_s_per_1000: median(&|r| cpu(r) / r.done.ops.max(1) as f64 * 1e3),
        cpu_s_per_gib: bytes.then(|| median(&|r| cpu(r) / r.done.bytes as f64 * (1u64 << 30) as f64)),
        wire_bytes: median(&|r| r.cost.wire_bytes as f64) as u64,
        memory_bytes: median(&|r| r.cost.memory_bytes as f64) as u64,
    }
}

fn value(unit: Unit, run: &One) -> f64 {
    let seconds = run.done.seconds + run.lag_s;
    match unit {
        Unit::MiB => run.done.bytes as f64 / (1u64 << 20) as f64 / seconds,
        Unit::Ops => run.done.ops as f64 / seconds,
        Unit::Whole => seconds,
    }
}

/// Of sorted values; the lower of the two in the middle.
fn middle(sorted: &[f64]) -> f64 {
    sorted[(sorted.len() - 1) / 2]
}

impl Row {
    pub fn cell(&self, system: Kind) -> Option<&Cell> {
        self.cells.iter().find(|c| c.system == system)
    }

    /// How many times as fast the one is as the other.
    pub fn times(&self, fast: Kind, than: Kind) -> Option<f64> {
        let (fast, than) = (self.cell(fast)?.median, self.cell(than)?.median);
        Some(if self.unit == Unit::Whole { than / fast } else { fast / than })
    }

    /// What CPU time rfs takes, as a share of what GlusterFS takes.
    pub fn cpu_share(&self) -> Option<f64> {
        let share = self.cell(Kind::Rfs)?.cpu_s_per_1000 / self.cell(Kind::Gluster)?.cpu_s_per_1000;
        share.is_finite().then_some(share)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compare::meter::Cost;
    use crate::compare::work::Done;

    fn run(system: Kind, seconds: f64, lag_s: f64) -> One {
        let done = Done { seconds, ops: 100, bytes: 100 << 20, cpu_s: 1.0, p50_us: None, p99_us: Some(5.0) };
        let cost = Cost { cpu_s: 1.0, wire_bytes: 7, memory_bytes: 9 };
        One { work: "w", seat: Seat::Client, system, done, lag_s, cost }
    }

    #[test]
    fn the_median_counts_and_the_lag_belongs_to_it() {
        let runs = [run(Kind::Rfs, 9.0, 1.0), run(Kind::Rfs, 0.5, 0.5), run(Kind::Rfs, 1.0, 1.0)];
        let all: Vec<&One> = runs.iter().collect();
        let ops = cell(Unit::Ops, Kind::Rfs, &all);
        assert_eq!((ops.median, ops.min, ops.max), (50.0, 10.0, 100.0));
        assert_eq!((ops.p50_us, ops.p99_us), (None, Some(5.0)));
        assert_eq!((ops.cpu_s_per_1000, ops.cpu_s_per_gib), (20.0, Some(2.0 * 10.24)));
        assert_eq!(cell(Unit::MiB, Kind::Rfs, &all).median, 50.0);
        assert_eq!(cell(Unit::Whole, Kind::Rfs, &all).median, 2.0);
    }

    #[test]
    fn fast_is_more_a_second_and_less_of_seconds() {
        let (rfs, gluster) = (run(Kind::Rfs, 1.0, 0.0), run(Kind::Gluster, 4.0, 0.0));
        let row = |unit| Row {
            work: "w",
            seat: Seat::Client,
            unit,
            done: "",
            cold: false,
            gate: None,
            aim: None,
            cells: vec![cell(unit, Kind::Rfs, &[&rfs]), cell(unit, Kind::Gluster, &[&gluster])],
        };
        for unit in [Unit::Ops, Unit::MiB, Unit::Whole] {
            assert_eq!(row(unit).times(Kind::Rfs, Kind::Gluster), Some(4.0), "{unit:?}");
            assert_eq!(row(unit).times(Kind::Rfs, Kind::Plain), None);
        }
    }
}
