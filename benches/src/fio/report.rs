//! What fio says, and what is shown of it.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::catalog::Job;

/// The result of `rfs-benches fio`, as `--json` prints it.
#[derive(Debug, Serialize)]
pub struct Report {
    pub directory: PathBuf,
    /// Version of fio.
    pub fio: String,
    pub runtime_s: u32,
    pub size: String,
    pub rows: Vec<Row>,
}

/// One direction of one job.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    pub job: &'static str,
    /// `read`, `write`, `sync` or `create`.
    pub kind: &'static str,
    /// Operations a second.
    pub per_s: f64,
    /// `None` where operations have no size.
    pub mb_per_s: Option<f64>,
    pub p50_us: f64,
    pub p99_us: f64,
    pub max_us: f64,
    pub durability: &'static str,
}

impl Row {
    /// Titles, and whether the column holds numbers.
    pub const HEAD: [(&'static str, bool); 8] = [
        ("JOB", false),
        ("", false),
        ("OPS/S", true),
        ("MB/S", true),
        ("P50 US", true),
        ("P99 US", true),
        ("MAX US", true),
        ("DONE MEANS", false),
    ];

    pub fn cells(&self) -> [String; 8] {
        let short = |value: f64| if value < 10.0 { format!("{value:.1}") } else { format!("{value:.0}") };
        [
            self.job.to_owned(),
            self.kind.to_owned(),
            short(self.per_s),
            self.mb_per_s.map_or_else(|| "-".to_owned(), short),
            short(self.p50_us),
            short(self.p99_us),
            short(self.max_us),
            self.durability.to_owned(),
        ]
    }
}

/// The part of fio's JSON that counts.
#[derive(Debug, Deserialize)]
pub struct Run {
    jobs: Vec<Measured>,
}

#[derive(Debug, Deserialize)]
struct Measured {
    read: Direction,
    write: Direction,
    sync: Sync,
}

#[derive(Debug, Deserialize)]
struct Direction {
    total_ios: u64,
    io_bytes: u64,
    iops: f64,
    /// Bytes a second.
    bw_bytes: f64,
    clat_ns: Latency,
}

#[derive(Debug, Deserialize)]
struct Sync {
    total_ios: u64,
    lat_ns: Latency,
}

/// Nanoseconds.
#[derive(Debug, Default, Deserialize)]
struct Latency {
    max: f64,
    #[serde(default)]
    percentile: BTreeMap<String, f64>,
}

impl Latency {
    fn us(&self, percentile: &str) -> f64 {
        self.percentile.get(percentile).copied().unwrap_or_default() / 1000.0
    }
}

impl Run {
    /// Operations and bytes, reads and writes together.
    pub fn total(&self) -> (u64, u64) {
        let both = self.jobs.iter().flat_map(|m| [&m.read, &m.write]);
        both.fold((0, 0), |(ios, bytes), d| (ios + d.total_ios, bytes + d.io_bytes))
    }

    /// Microseconds that half of the operations took at most, and 99 of 100; of the kind of which there were most.
    pub fn latency(&self) -> (Option<f64>, Option<f64>) {
        let both = self.jobs.iter().flat_map(|m| [&m.read, &m.write]);
        let most = both.filter(|d| d.total_ios > 0).max_by_key(|d| d.total_ios);
        let us = |percentile| most.map(|d| d.clat_ns.us(percentile));
        (us("50.000000"), us("99.000000"))
    }
}

/// A row for each direction in which something happened. A job of several processes reports as one group.
pub fn rows(job: &Job, run: &Run) -> Vec<Row> {
    run.jobs.iter().flat_map(|measured| of(job, measured)).collect()
}

fn of(job: &Job, measured: &Measured) -> Vec<Row> {
    let mut rows = Vec::new();
    for (kind, d, durability) in [("write", &measured.write, job.durability), ("read", &measured.read, READ)]
    {
        if d.total_ios > 0 {
            let kind = if job.counts_files { "create" } else { kind };
            let durability = if job.counts_files { job.durability } else { durability };
            let mb_per_s = (!job.counts_files).then_some(d.bw_bytes / 1e6);
            rows.push(row(job, kind, d.iops, mb_per_s, &d.clat_ns, durability));
        }
    }
    if measured.sync.total_ios > 0 {
        let per_s = per_write(measured, measured.sync.total_ios);
        rows.push(row(job, "sync", per_s, None, &measured.sync.lat_ns, job.durability));
    }
    rows
}

const READ: &str = "read() returned";

/// fio gives no rate of syncs; they run as long as the writes do.
fn per_write(measured: &Measured, syncs: u64) -> f64 {
    if measured.write.total_ios == 0 {
        return 0.0;
    }
    measured.write.iops * syncs as f64 / measured.write.total_ios as f64
}

fn row(
    job: &Job,
    kind: &'static str,
    per_s: f64,
    mb_per_s: Option<f64>,
    latency: &Latency,
    durability: &'static str,
) -> Row {
    let (p50_us, p99_us) = (latency.us("50.000000"), latency.us("99.000000"));
    Row { job: job.name, kind, per_s, mb_per_s, p50_us, p99_us, max_us: latency.max / 1000.0, durability }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fio::catalog::chosen;

    const SAID: &str = r#"{"fio version": "fio-3.33", "jobs": [{"jobname": "x", "error": 0,
        "read": {"total_ios": 0, "io_bytes": 0, "iops": 0.0, "bw_bytes": 0, "clat_ns": {"max": 0}},
        "write": {"total_ios": 200, "io_bytes": 819200, "iops": 100.0, "bw_bytes": 409600,
            "clat_ns": {"max": 114650, "percentile": {"50.000000": 28032, "99.000000": 99000}}},
        "sync": {"total_ios": 25, "lat_ns": {"max": 2000000, "percentile": {"50.000000": 1000000}}}}]}"#;

    #[test]
    fn writes_and_their_syncs_are_rows_of_their_own() {
        let job = chosen(&["card-rand-write-4k-fsync8".into()]).unwrap()[0];
        let rows = rows(&job, &serde_json::from_str(SAID).unwrap());
        let seen: Vec<_> = rows.iter().map(|r| (r.kind, r.per_s, r.mb_per_s, r.p50_us, r.max_us)).collect();
        assert_eq!(
            seen,
            [("write", 100.0, Some(0.4096), 28.032, 114.65), ("sync", 12.5, None, 1000.0, 2000.0)]
        );
        assert!(rows.iter().all(|r| r.durability.contains("eighth")));
    }

    #[test]
    fn creates_have_no_bandwidth() {
        let job = chosen(&["create-close".into()]).unwrap()[0];
        let rows = rows(&job, &serde_json::from_str(SAID).unwrap());
        assert_eq!((rows[0].kind, rows[0].mb_per_s), ("create", None));
    }
}
