//! `cargo xtask measure`: figures of rfs as a whole, on machines made of namespaces, with release binaries.

mod failover;
mod heal;

use std::path::PathBuf;

use anyhow::{Context, Result, ensure};
use clap::Subcommand;
use rfs_cluster::binaries;

use crate::run::{cargo, run, target_dir};

#[derive(Subcommand)]
pub enum Measure {
    /// How long a writer and a reader wait when the leader's machine goes
    Failover(failover::Options),
    /// How soon and how fast a brick gets what it missed
    Heal(heal::Options),
    /// Clone, copy, build and a database on the mount, with faults; then the bricks are compared
    RealWork {
        /// All of it, not a part: takes many minutes
        #[arg(long)]
        full: bool,
    },
}

pub fn measure(what: Measure) -> Result<()> {
    ensure!(rustix::process::geteuid().is_root(), "hosts are made of namespaces and mounts: run it as root");
    let programs = release_binaries()?;
    binaries::take_from(&programs);
    match what {
        Measure::Failover(options) => failover::measure(&options),
        Measure::Heal(options) => heal::measure(&options),
        Measure::RealWork { full } => real_work(&programs, full),
    }
}

/// The folder with release binaries: the one that `RFS_BIN` names, or they are built now.
pub fn release_binaries() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("RFS_BIN") {
        return PathBuf::from(given).canonicalize().context("RFS_BIN");
    }
    let packages = ["-p", "rfs-engine", "-p", "rfs-mountd", "-p", "rfs-tools", "--bins"];
    run(cargo().args(["build", "--release", "--quiet"]).args(packages))?;
    Ok(target_dir()?.join("release"))
}

/// The tests that do what people do; they check more than they measure.
fn real_work(programs: &std::path::Path, full: bool) -> Result<()> {
    let mut command = cargo();
    command.args(["test", "--quiet", "-p", "rfs-cluster", "--test", "cluster", "--"]);
    command.args(["programs::", "--nocapture", "--test-threads", "1"]);
    command.env("RFS_BIN", programs);
    if full {
        command.env("RFS_FULL", "1");
    }
    run(&mut command)
}

/// How busy the machine is, beside each figure: the kernel's load over the last minute.
pub fn machine_load() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().and_then(|word| word.parse().ok()).unwrap_or(f64::NAN)
}
