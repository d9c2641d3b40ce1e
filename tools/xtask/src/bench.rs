//! `cargo xtask bench`: the criterion benches of all packages, and how their results differ from earlier ones.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::run::{cargo, run, target_dir, targets};
use crate::table;

#[derive(Args)]
pub struct Options {
    /// Only benches whose names this regular expression finds
    filter: Option<String>,
    /// Keep the results under this name
    #[arg(long, value_name = "NAME", conflicts_with = "baseline")]
    save_baseline: Option<String>,
    /// Compare with the results that were kept under this name [default: with the run before]
    #[arg(long, value_name = "NAME")]
    baseline: Option<String>,
    /// Fail when a bench takes longer than in what it is compared with, for certain by more than so many percent
    #[arg(long, value_name = "PERCENT")]
    limit: Option<f64>,
    /// Print JSON instead of a table
    #[arg(long)]
    json: bool,
}

/// One bench's result; times in nanoseconds for one run.
#[derive(Debug, PartialEq)]
struct Row {
    name: String,
    median_ns: f64,
    throughput: Option<Throughput>,
    change: Option<Change>,
}

/// What a run gets through.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Throughput {
    Bytes(f64),
    Elements(f64),
}

/// Of the median, as a part of what it was: what it looks like, and where it is with 95 % confidence.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Change {
    seen: f64,
    from: f64,
    to: f64,
}

pub fn bench(options: &Options) -> Result<()> {
    let results = target_dir()?.join("criterion");
    let begun = SystemTime::now();
    let mut command = cargo();
    command.args(["bench", "--workspace", "--quiet"]);
    command.args(targets("bench")?.into_iter().flat_map(|(_, name)| ["--bench".to_owned(), name]));
    command.args(["--", "--noplot"]).args(&options.filter);
    for (flag, name) in
        [("--save-baseline", &options.save_baseline), ("--baseline-lenient", &options.baseline)]
    {
        command.args(name.iter().flat_map(|name| [flag, name]));
    }
    // The table, or JSON, is all that standard output gets.
    run(command.env("CRITERION_HOME", &results).stdout(std::io::stderr()))?;
    let mut rows = Vec::new();
    collect(&results, begun, &mut rows)?;
    rows.sort_by(|a, b| a.name.cmp(&b.name));
    ensure!(!rows.is_empty(), "no bench is called so");
    if let Some(name) = &options.baseline {
        ensure!(rows.iter().any(|row| row.change.is_some()), "no results are kept under '{name}'");
    }
    if options.json {
        println!("{}", Value::from(rows.iter().map(Row::json).collect::<Vec<_>>()));
    } else {
        let cells: Vec<_> = rows.iter().map(Row::cells).collect();
        table::print(&["bench", "median", "a second", "change", "for certain between"], &cells);
    }
    let slower = |row: &&Row| options.limit.is_some_and(|limit| row.is_slower_by(limit));
    let slower: Vec<&str> = rows.iter().filter(slower).map(|row| row.name.as_str()).collect();
    if slower.is_empty() { Ok(()) } else { bail!("slower than allowed: {}", slower.join(", ")) }
}

/// The results below `dir` that are newer than `begun`: criterion leaves a folder for each bench, however deep.
fn collect(dir: &Path, begun: SystemTime, rows: &mut Vec<Row>) -> Result<()> {
    let read = |path: PathBuf| -> Result<Option<Value>> {
        let Ok(modified) = fs::metadata(&path).and_then(|m| m.modified()) else { return Ok(None) };
        if modified < begun {
            return Ok(None);
        }
        let bytes = fs::read(&path)?;
        serde_json::from_slice(&bytes).with_context(|| path.display().to_string()).map(Some)
    };
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        if path.is_dir() {
            collect(&path, begun, rows)?;
        }
    }
    let result = (read(dir.join("new/benchmark.json"))?, read(dir.join("new/estimates.json"))?);
    if let (Some(bench), Some(estimates)) = result {
        let change = read(dir.join("change/estimates.json"))?;
        let row = Row::of(&bench, &estimates, change.as_ref());
        rows.push(row.with_context(|| format!("{} is not as criterion writes it", dir.display()))?);
    }
    Ok(())
}

impl Row {
    fn of(bench: &Value, estimates: &Value, change: Option<&Value>) -> Option<Row> {
        let throughput = &bench["throughput"];
        let bytes = throughput["Bytes"].as_f64().map(Throughput::Bytes);
        Some(Row {
            name: bench["full_id"].as_str()?.to_owned(),
            median_ns: estimates["median"]["point_estimate"].as_f64()?,
            throughput: bytes.or_else(|| throughput["Elements"].as_f64().map(Throughput::Elements)),
            change: change.and_then(Change::of),
        })
    }

    fn per_second(&self) -> Option<Throughput> {
        let runs = 1e9 / self.median_ns;
        Some(match self.throughput? {
            Throughput::Bytes(bytes) => Throughput::Bytes(bytes * runs),
            Throughput::Elements(count) => Throughput::Elements(count * runs),
        })
    }

    fn cells(&self) -> Vec<String> {
        let (seen, certain) = self.change.map_or_else(Default::default, |c| {
            (percent(c.seen), format!("{} and {}", percent(c.from), percent(c.to)))
        });
        let rate = self.per_second().map_or_else(String::new, |rate| match rate {
            Throughput::Bytes(bytes) => format!("{:.1} MiB", bytes / f64::from(1 << 20)),
            Throughput::Elements(count) => format!("{count:.0}"),
        });
        vec![self.name.clone(), time(self.median_ns), rate, seen, certain]
    }

    fn json(&self) -> Value {
        let (bytes, elements) = match self.per_second() {
            Some(Throughput::Bytes(n)) => (Some(n), None),
            Some(Throughput::Elements(n)) => (None, Some(n)),
            None => (None, None),
        };
        json!({
            "bench": self.name, "median_ns": self.median_ns, "bytes_per_s": bytes, "elements_per_s": elements,
            "change": self.change.map(|c| json!({"seen": c.seen, "from": c.from, "to": c.to})),
        })
    }

    fn is_slower_by(&self, limit_percent: f64) -> bool {
        self.change.is_some_and(|change| change.from * 100.0 > limit_percent)
    }
}

impl Change {
    fn of(estimates: &Value) -> Option<Change> {
        let median = &estimates["median"];
        let within = &median["confidence_interval"];
        Some(Change {
            seen: median["point_estimate"].as_f64()?,
            from: within["lower_bound"].as_f64()?,
            to: within["upper_bound"].as_f64()?,
        })
    }
}

fn percent(part: f64) -> String {
    format!("{:+.1} %", part * 100.0)
}

fn time(ns: f64) -> String {
    let units = [(1e9, "s"), (1e6, "ms"), (1e3, "µs")];
    let (size, unit) = units.into_iter().find(|(size, _)| ns >= *size).unwrap_or((1.0, "ns"));
    format!("{:.2} {unit}", ns / size)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(dir: &Path, file: &str, value: &Value) {
        let path = dir.join(file);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value.to_string()).unwrap();
    }

    fn median(value: f64, from: f64, to: f64) -> Value {
        let within = json!({"confidence_level": 0.95, "lower_bound": from, "upper_bound": to});
        json!({"median": {"point_estimate": value, "confidence_interval": within}})
    }

    #[test]
    fn results_of_this_run_are_found_and_shown() {
        let dir = tempfile::tempdir().unwrap();
        let begun = SystemTime::now() - std::time::Duration::from_secs(60);
        let id = json!({"full_id": "wire/encode/4KiB", "throughput": {"Bytes": 4096}});
        put(dir.path(), "wire_encode/4KiB/new/benchmark.json", &id);
        put(dir.path(), "wire_encode/4KiB/new/estimates.json", &median(2_000.0, 1.0, 1.0));
        put(dir.path(), "wire_encode/4KiB/change/estimates.json", &median(0.25, 0.125, 0.5));
        put(dir.path(), "wire_encode/4KiB/base/benchmark.json", &id);
        let mut rows = Vec::new();
        collect(dir.path(), begun, &mut rows).unwrap();
        let want = ["wire/encode/4KiB", "2.00 µs", "1953.1 MiB", "+25.0 %", "+12.5 % and +50.0 %"];
        assert_eq!(rows.iter().map(Row::cells).collect::<Vec<_>>(), [want]);
        assert!(rows[0].is_slower_by(12.0) && !rows[0].is_slower_by(13.0));
        let later = SystemTime::now() + std::time::Duration::from_secs(60);
        rows.clear();
        collect(dir.path(), later, &mut rows).unwrap();
        assert_eq!(rows, []);
    }

    #[test]
    fn a_bench_without_a_past_has_no_change() {
        let row = Row::of(&json!({"full_id": "chmod"}), &median(12.0, 1.0, 1.0), None).unwrap();
        assert_eq!(row.cells(), ["chmod", "12.00 ns", "", "", ""]);
        assert!(!row.is_slower_by(0.0));
        assert_eq!(Row::of(&json!({}), &json!({}), None), None);
    }
}
