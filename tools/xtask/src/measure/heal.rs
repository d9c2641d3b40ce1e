//! How soon and how fast a brick gets what it missed, and how much more than that goes over the wire.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::Args;
use rfs_cluster::volume::{self, BrickStatus};
use rfs_cluster::{MOUNT, Replica, Signal, holds_within};
use serde_json::json;

use super::machine_load;
use crate::table;

#[derive(Args)]
pub struct Options {
    /// How long the brick is away while files are written
    #[arg(long, default_value_t = 60)]
    seconds: u64,
    /// How much is written at most, on average: beyond `log.retain-bytes` it would be another kind of heal
    #[arg(long, default_value_t = 48)]
    mib_per_s: u64,
    /// How often
    #[arg(long, default_value_t = 1)]
    rounds: usize,
    /// Print every round as JSON
    #[arg(long)]
    json: bool,
    /// Exit 0 after a missed target too
    #[arg(long)]
    lenient: bool,
}

const MIB: f64 = (1 << 20) as f64;

/// What /proc counts processor time in, per second: fixed by the kernel's interface.
const USER_HZ: u64 = 100;

/// Received by then, the brick gets more than greetings.
const BEGUN: u64 = 256 << 10;

struct Round {
    load: f64,
    /// What the files hold that were written meanwhile.
    missed: u64,
    /// Processor time of the brick's daemon and of the leader's in that time.
    cpu: [Duration; 2],
    /// Received by the brick from its start until it had all.
    wire: u64,
    /// From the start of the daemon.
    begins: Duration,
    /// From then until it had applied all that is committed.
    applies: Duration,
    /// From the start of the daemon until the volume is healthy.
    healthy: Duration,
}

pub fn measure(options: &Options) -> Result<()> {
    let r = Replica::two();
    r.mount("client");
    let mut rounds = Vec::new();
    for n in 0..options.rounds {
        r.settled();
        let round = play(&r, options, n)?;
        if options.json {
            println!("{}", round.json());
        }
        rounds.push(round);
        r.settled();
        r.trees_equal();
        if n + 1 < options.rounds {
            let remove = ["rm", "-r", &format!("{MOUNT}/mix-{n}")];
            r.cluster["client"].run_within(&remove, Duration::from_secs(600)).ok();
        }
    }
    if !options.json {
        report(&rounds);
    }
    let missed = rounds.iter().filter(|round| !round.good()).count();
    ensure!(options.lenient || missed == 0, "{missed} of {} rounds missed a target", rounds.len());
    Ok(())
}

fn play(r: &Replica, options: &Options, n: usize) -> Result<Round> {
    let away = r.follower();
    let leader = r.other(away);
    r.cluster[away].stop_brickd(Signal::KILL);
    let (seconds, rate) = (options.seconds.to_string(), options.mib_per_s.to_string());
    let argv = ["rfs-testload", "mix", &format!("{MOUNT}/mix-{n}"), &seconds, &rate];
    let within = Duration::from_secs(options.seconds * 4 + 60);
    let written = r.cluster["client"].run_within(&argv, within);
    eprintln!("written in {:.1} s", written.took.as_secs_f64());
    let written = written.ok();
    let missed: u64 = written.trim().parse().context("bytes written")?;
    let load = machine_load();
    let before = r.cluster.wire(away);
    let received = || r.cluster.wire(away).since(before).received;
    let leader_before = cpu(r, leader);
    let start = Instant::now();
    r.cluster[away].start_brickd();
    ensure!(holds_within(Duration::from_secs(20), || received() > BEGUN), "nothing is healed");
    let begins = start.elapsed();
    let all = || brick(r, leader, away).is_ok_and(|b| b.applied.is_some() && b.applied == b.committed);
    ensure!(holds_within(Duration::from_secs(600), all), "not healed: {}", r.status_text());
    let (applies, wire) = (start.elapsed().saturating_sub(begins), received());
    let cpu = [cpu(r, away), cpu(r, leader).saturating_sub(leader_before)];
    r.healed(Duration::from_secs(60));
    Ok(Round { load, missed, cpu, wire, begins, applies, healthy: start.elapsed() })
}

/// What `on` says of the brick of `host`.
fn brick(r: &Replica, on: &str, host: &str) -> Result<BrickStatus> {
    let status = volume::status(&r.cluster[on]).map_err(anyhow::Error::msg)?;
    let found = status.bricks.into_iter().find(|b| b.host() == host);
    found.with_context(|| format!("{on} does not list {host}"))
}

/// Processor time that the daemon of a host has used; see proc_pid_stat(5).
fn cpu(r: &Replica, host: &str) -> Duration {
    let ticks = |pid: u32| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        after_name.split_whitespace().skip(11).take(2).filter_map(|t| t.parse::<u64>().ok()).sum::<u64>()
    };
    let ticks: u64 = r.cluster[host].pids("rfs-brickd").into_iter().map(ticks).sum();
    Duration::from_millis(ticks * 1000 / USER_HZ)
}

impl Round {
    fn rate(&self) -> f64 {
        self.missed as f64 / MIB / self.applies.as_secs_f64()
    }

    fn wire_ratio(&self) -> f64 {
        self.wire as f64 / self.missed as f64
    }

    fn good(&self) -> bool {
        self.begins <= Duration::from_secs(2) && self.rate() >= 100.0 && self.wire_ratio() <= 1.1
    }

    fn json(&self) -> serde_json::Value {
        json!({
            "load": self.load, "missed_bytes": self.missed, "cpu_brick_s": self.cpu[0].as_secs_f64(), "cpu_leader_s": self.cpu[1].as_secs_f64(), "wire_bytes": self.wire,
            "begins_s": self.begins.as_secs_f64(), "applies_s": self.applies.as_secs_f64(),
            "healthy_s": self.healthy.as_secs_f64(), "mib_per_s": self.rate(), "wire_ratio": self.wire_ratio(),
            "good": self.good(),
        })
    }
}

fn report(rounds: &[Round]) {
    let row = |r: &Round| {
        vec![
            format!("{:.0}", r.missed as f64 / MIB),
            format!("{:.2}", r.begins.as_secs_f64()),
            format!("{:.1}", r.applies.as_secs_f64()),
            format!("{:.0}", r.rate()),
            format!("{:.3}", r.wire_ratio()),
            format!("{:.1}", r.healthy.as_secs_f64()),
            format!("{:.1}+{:.1}", r.cpu[0].as_secs_f64(), r.cpu[1].as_secs_f64()),
            format!("{:.1}", r.load),
        ]
    };
    let heading =
        ["missed MiB", "begins s", "applies s", "MiB/s", "wire/missed", "healthy s", "cpu s", "load"];
    table::print(&heading, &rounds.iter().map(row).collect::<Vec<_>>());
    println!("targets: begins <= 2 s, >= 100 MiB/s, wire/missed <= 1.1; cpu: of the brick + of the leader");
}
