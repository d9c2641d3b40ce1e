//! The suite fsx: files under random operations, of which each read is checked. Leaders may die meanwhile.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rfs_cluster::trial::HEALS;
use rfs_cluster::{Signal, Spawned, wait};

use crate::bench::Bench;

/// What is asked for beside reads and writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// All but mappings.
    Calls,
    /// Mappings too.
    Mapped,
}

impl Mix {
    fn config(self) -> String {
        let mapped = if self == Self::Mapped { 6 } else { 0 };
        format!(
            "flen = 1048576\n[weights]\nclose_open = 1\ninvalidate = {}\nmapread = {mapped}\nmapwrite = {mapped}\n\
             read = 10\nwrite = 10\ntruncate = 5\nfsync = 0.1\nfdatasync = 0.1\nposix_fallocate = 2\npunch_hole = 2\n\
             sendfile = 2\nposix_fadvise = 1\ncopy_file_range = 2\n",
            mapped / 6
        )
    }
}

/// Programs at a time, each with a file of its own: one alone does nothing but wait for answers.
const FILES: u64 = 4;

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub mix: Mix,
    /// Of all files together; a multiple of their number.
    pub operations: u64,
    /// The first file's; the others count up from it.
    pub seed: u64,
    /// The leader is killed each time this has passed, and started again.
    pub kills: Option<Duration>,
    /// Longest that it may take.
    pub limit: Duration,
}

/// How it went.
#[derive(Clone, Debug)]
pub struct Ran {
    pub kills: u64,
    pub seconds: f64,
    /// What fsx said where it found something.
    pub wrong: Vec<String>,
}

/// Runs it in a fresh directory of the mount.
///
/// # Errors
/// The suite is missing.
pub fn run(bench: &Bench, name: &str, run: Run) -> Result<Ran> {
    let program = bench.install("fsx")?;
    let config = bench.folder().join(format!("{name}.toml"));
    fs::write(&config, run.mix.config()).context("write fsx's configuration")?;
    let (program, config) = (program.display().to_string(), config.display().to_string());
    let (operations, artifacts) =
        ((run.operations / FILES).to_string(), bench.folder().display().to_string());
    let place = bench.fresh(name);
    let begun = Instant::now();
    let start = |n: u64| {
        let (seed, file) = ((run.seed + n).to_string(), format!("{place}/{n}"));
        let argv = [&program, "-f", &config, "-N", &operations, "-S", &seed, "-P", &artifacts, &file];
        bench.client().spawn(&format!("{name}-{n}"), &argv)
    };
    let mut all: Vec<Spawned> = (0..FILES).map(start).collect();
    let mut kills = 0;
    while !ended_within(&mut all, run.kills.unwrap_or(run.limit)) && begun.elapsed() < run.limit {
        kill_leader(bench);
        kills += 1;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let wrong = all.iter_mut().zip(run.seed..).filter_map(|(fsx, seed)| match fsx.ended() {
        Some(0) => None,
        Some(code) => Some(format!("exit code {code}, seed {seed}\n{}", fsx.output())),
        None => Some(format!("seed {seed} still runs after {:?}\n{}", run.limit, fsx.output())),
    });
    Ok(Ran { kills, seconds, wrong: wrong.collect() })
}

/// Whether all have come to their end, well or not.
fn ended_within(all: &mut [Spawned], within: Duration) -> bool {
    wait::holds_within(within, || all.iter_mut().all(|fsx| fsx.ended().is_some()))
}

/// Its process dies; when the other brick leads, it comes back and is healed.
fn kill_leader(bench: &Bench) {
    let leader = bench.replica.leader().to_owned();
    let host = &bench.replica.cluster[&*leader];
    host.stop_brickd(Signal::KILL);
    let other = &bench.replica.cluster[bench.replica.other(&leader)];
    rfs_cluster::until("the other brick leads", HEALS, || {
        other.tools(&["heal-status"]).stdout.contains("leader")
    });
    host.start_brickd();
    bench.replica.healed(Duration::from_secs(120));
}
