//! Tables that line up.

use std::fmt::Write as _;

use super::{Cell, Report, Row};
use crate::compare::systems::{Kind, Seat};
use crate::compare::work::{Unit, Work};
use crate::table;

impl Report {
    pub fn text(&self) -> String {
        let mut seats: Vec<Seat> = self.rows.iter().map(|r| r.seat).collect();
        seats.dedup();
        let mut out = String::new();
        for seat in seats {
            let rows: Vec<&Row> = self.rows.iter().filter(|r| r.seat == seat).collect();
            let place =
                if seat == Seat::Client { "a machine without a brick" } else { "the machine of a brick" };
            let _ = writeln!(
                out,
                "On {place}, {}, {}, {}: median of {} (min-max)\n\n{}",
                self.placement,
                self.memory,
                self.disk,
                self.rounds,
                self.speeds(&rows)
            );
            let _ = writeln!(out, "{}", self.costs(&rows));
        }
        out + &self.notes()
    }

    fn speeds(&self, rows: &[&Row]) -> String {
        let kinds: Vec<Kind> = self.systems.iter().map(|s| s.system).collect();
        let mut head = vec![("WORK", false), ("UNIT", false)];
        head.extend(kinds.iter().map(|k| (k.name(), true)));
        head.extend([
            ("RFS/GLUSTERFS", true),
            ("GATE", true),
            ("RFS/PLAIN", true),
            ("LAG MS", true),
            ("DONE MEANS", false),
        ]);
        let lines: Vec<Vec<String>> = rows.iter().map(|row| speed(row, &kinds)).collect();
        table::text(&head, &lines)
    }

    /// What it takes of the machines.
    fn costs(&self, rows: &[&Row]) -> String {
        let kinds: Vec<Kind> = self.systems.iter().map(|s| s.system).collect();
        let mut head = vec![("WORK", false)];
        for title in ["CPU", "WIRE", "MEM"] {
            head.extend(kinds.iter().map(|_| (title, true)));
        }
        head.push(("CPU RFS/GLUSTERFS", true));
        let mut lines = vec![names(&kinds)];
        lines.extend(rows.iter().map(|row| cost(row, &kinds)));
        format!(
            "CPU: seconds of all processes, for 1,000 operations (MiB/s: for a GiB). WIRE: MiB between machines. MEM: MiB at the most, \
             all daemons together.\n{}",
            table::text(&head, &lines)
        )
    }

    fn notes(&self) -> String {
        let a = &self.amounts;
        let mut out = format!(
            "{} MiB in one file from its beginning to its end, {} MiB at random for {} s, {} files one by one, a tree of {} files.\n\
             A run ends when every copy has it: LAG is rfs's share of that. What a result means:\n",
            a.long_mib, a.random_mib, a.seconds, a.files, a.tree
        );
        for about in &self.systems {
            let _ = writeln!(out, "  {:<10} {}: {}", about.system.name(), about.version, about.promises);
        }
        out
    }
}

fn speed(row: &Row, kinds: &[Kind]) -> Vec<String> {
    let mut cells = vec![row.work.to_owned() + if row.cold { " *" } else { "" }, unit(row.unit).to_owned()];
    let cell = |kind: &Kind| row.cell(*kind).map_or_else(|| "-".to_owned(), |c| value(row.unit, c));
    cells.extend(kinds.iter().map(cell));
    let times = |than| row.times(Kind::Rfs, than).map_or_else(|| "-".to_owned(), |t| format!("{t:.2}"));
    let gate = row.gate.map_or_else(String::new, |gate| {
        let met = row.times(Kind::Rfs, Kind::Gluster).map(|t| if t >= gate { " ok" } else { " NO" });
        format!("{gate}{}", met.unwrap_or_default())
    });
    let lag = row.cell(Kind::Rfs).map_or_else(|| "-".to_owned(), |c| format!("{:.0}", c.lag_ms));
    cells.extend([times(Kind::Gluster), gate, times(Kind::Plain), lag, row.done.to_owned()]);
    cells
}

fn value(unit: Unit, cell: &Cell) -> String {
    let short = |v: f64| if unit == Unit::Whole { format!("{v:.2}") } else { format!("{v:.0}") };
    format!("{} ({}-{})", short(cell.median), short(cell.min), short(cell.max))
}

/// The second line of the head: whose.
fn names(kinds: &[Kind]) -> Vec<String> {
    let thrice = (0..3).flat_map(|_| kinds.iter().map(|k| k.name().to_owned()));
    std::iter::once(String::new()).chain(thrice).chain([String::new()]).collect()
}

fn cost(row: &Row, kinds: &[Kind]) -> Vec<String> {
    let mib = |bytes: u64| format!("{:.1}", bytes as f64 / (1u64 << 20) as f64);
    let cpu = |cell: &Cell| {
        let seconds = cell.cpu_s_per_gib.filter(|_| row.unit == Unit::MiB).unwrap_or(cell.cpu_s_per_1000);
        format!("{seconds:.2}")
    };
    let each = |what: &dyn Fn(&Cell) -> String| -> Vec<String> {
        kinds.iter().map(|k| row.cell(*k).map_or_else(|| "-".to_owned(), what)).collect()
    };
    let share = row.cpu_share().map_or_else(|| "-".to_owned(), |s| format!("{s:.2}"));
    let mut cells = vec![row.work.to_owned()];
    cells.extend(each(&cpu));
    cells.extend(each(&|cell| mib(cell.wire_bytes)));
    cells.extend(each(&|cell| mib(cell.memory_bytes)));
    cells.push(share);
    cells
}

pub fn unit(unit: Unit) -> &'static str {
    match unit {
        Unit::MiB => "MiB/s",
        Unit::Ops => "/s",
        Unit::Whole => "s",
    }
}

/// What there is to measure.
pub fn list(works: &[Work]) -> String {
    let number = |n: Option<f64>| n.map_or_else(String::new, |n| format!("{n}"));
    let line = |w: &Work| {
        let cold = if w.cold { "cold" } else { "" };
        vec![
            w.name.to_owned(),
            unit(w.unit).to_owned(),
            cold.to_owned(),
            number(w.gate),
            number(w.aim),
            w.done.to_owned(),
        ]
    };
    let head =
        [("WORK", false), ("UNIT", false), ("", false), ("GATE", true), ("AIM", true), ("DONE MEANS", false)];
    table::text(&head, &works.iter().map(line).collect::<Vec<_>>())
}
