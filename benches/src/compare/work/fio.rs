//! Reading and writing at random, by fio.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rfs_cluster::Ran;
use serde::Deserialize;

use super::{Done, Place};
use crate::fio::report::Run;

/// How a file is accessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pattern {
    Write,
    Read,
    /// Seven reads to three writes.
    Mix,
}

/// One job.
#[derive(Clone, Copy, Debug)]
pub struct Fio {
    pub pattern: Pattern,
    pub jobs: u32,
    pub direct: bool,
    /// fsync after so many writes, 0: never.
    pub fsync: u32,
}

impl Fio {
    pub const fn of(pattern: Pattern) -> Fio {
        Fio { pattern, jobs: 1, direct: false, fsync: 0 }
    }

    /// Files of one size are shared by the jobs that come after each other.
    fn file(place: &Place<'_>) -> String {
        place.path("random.$jobnum")
    }

    fn mib(&self, place: &Place<'_>) -> u64 {
        (place.amounts.random_mib / u64::from(self.jobs)).max(1)
    }

    fn argv(&self, place: &Place<'_>, began: &Path) -> Vec<String> {
        let rw = match self.pattern {
            Pattern::Write => "randwrite",
            Pattern::Read => "randread",
            Pattern::Mix => "randrw",
        };
        let mut argv: Vec<String> =
            ["fio", "--output-format=json", "--name=job", "--ioengine=psync", "--bs=4k"]
                .into_iter()
                // What is cached is decided here: by a remount.
                .chain(["--group_reporting=1", "--invalidate=0", "--time_based=1", "--rwmixread=70"])
                .map(str::to_owned)
                .collect();
        argv.extend([
            format!("--filename_format={}", Fio::file(place)),
            format!("--size={}M", self.mib(place)),
            format!("--rw={rw}"),
            format!("--numjobs={}", self.jobs),
            format!("--direct={}", u8::from(self.direct)),
            format!("--fsync={}", self.fsync),
            format!("--runtime={}", place.amounts.seconds),
            // fio sends what the command says to a file of its own.
            format!("--exec_prerun=sh -c 'date +%s%N >> {}'", began.display()),
        ]);
        argv
    }

    /// Its files are there and full.
    pub fn prepare(&self, place: &Place<'_>) {
        let blocks = format!("count={}", self.mib(place));
        for job in 0..self.jobs {
            let file = Fio::file(place).replace("$jobnum", &job.to_string());
            let there = place.host().run(&["stat", "-c", "%s", &file]).stdout;
            if there.trim().parse() != Ok(self.mib(place) << 20) {
                let of = format!("of={file}");
                let argv = ["dd", "if=/dev/urandom", &of, "bs=1M", &blocks, "status=none"];
                place.host().run_within(&argv, LIMIT).ok();
            }
        }
    }

    /// From the first job's beginning until fio is gone: its own times leave out the close, in which much may be left to do.
    pub fn run(&self, place: &Place<'_>) -> Done {
        let began = place.system.cluster().folder().join("began");
        let _ = std::fs::remove_file(&began);
        let argv = self.argv(place, &began);
        let argv: Vec<&str> = argv.iter().map(String::as_str).collect();
        let ran = place.host().run_within(&argv, LIMIT);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let stamps = std::fs::read_to_string(&began).unwrap_or_else(|e| panic!("{e}: {ran}"));
        let first = stamps.lines().filter_map(|l| l.parse().ok()).min().map(Duration::from_nanos);
        let first = first.unwrap_or_else(|| panic!("no job began: {ran}"));
        Done { seconds: now.saturating_sub(first).as_secs_f64(), ..of(&ran) }
    }
}

const LIMIT: Duration = Duration::from_secs(900);

/// The part of fio's report that tells of the CPU.
#[derive(Deserialize)]
struct Cpu {
    jobs: Vec<Share>,
}

#[derive(Deserialize)]
struct Share {
    usr_cpu: f64,
    sys_cpu: f64,
    /// Milliseconds, of one job.
    job_runtime: f64,
}

#[track_caller]
fn of(ran: &Ran) -> Done {
    assert!(ran.success(), "{ran}");
    // It says a word of its own before the report.
    let report = &ran.stdout[ran.stdout.find('{').unwrap_or(0)..];
    let parsed =
        serde_json::from_str::<Run>(report).and_then(|r| Ok((r, serde_json::from_str::<Cpu>(report)?)));
    let (run, cpu) = parsed.unwrap_or_else(|e| panic!("{e}: {ran}"));
    let cpu_s = cpu.jobs.iter().map(|j| (j.usr_cpu + j.sys_cpu) / 100.0 * j.job_runtime / 1000.0).sum();
    let (ops, bytes) = run.total();
    let (p50_us, p99_us) = run.latency();
    Done { seconds: 0.0, ops, bytes, cpu_s, p50_us, p99_us }
}
