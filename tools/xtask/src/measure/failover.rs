//! How long programs wait when the leader's machine goes: a writer, one that waits for the disk, and a reader.

use std::fmt;
use std::time::Duration;

use anyhow::{Result, ensure};
use clap::{Args, ValueEnum};
use rfs_cluster::{Load, MOUNT, Replica, Signal, Summary, wait};
use serde_json::json;

use super::machine_load;
use crate::table;

#[derive(Args)]
pub struct Options {
    /// How often each kind of fault happens
    #[arg(long, default_value_t = 10)]
    rounds: usize,
    /// Only this kind
    #[arg(long)]
    kind: Option<Kind>,
    /// Print every round as JSON
    #[arg(long)]
    json: bool,
    /// Keep going after a missed target, and exit 0
    #[arg(long)]
    lenient: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// SIGTERM
    Graceful,
    /// SIGKILL
    Kill,
    /// The network of the machine falls silent
    Cut,
}

impl Kind {
    const ALL: [Kind; 3] = [Kind::Graceful, Kind::Kill, Kind::Cut];

    /// The longest wait that is aimed at, ms.
    fn target_ms(self) -> u64 {
        match self {
            Kind::Graceful => 200,
            Kind::Kill => 500,
            Kind::Cut => 3000,
        }
    }

    /// How long the machine stays away.
    fn lasts(self) -> Duration {
        Duration::from_secs(if self == Kind::Cut { 5 } else { 2 })
    }

    fn happens(self, r: &Replica, victim: &str) {
        match self {
            Kind::Graceful => r.cluster[victim].stop_brickd_gracefully(),
            Kind::Kill => drop(r.cluster[victim].stop_brickd(Signal::KILL)),
            Kind::Cut => r.cluster.cut(victim),
        }
    }

    fn ends(self, r: &Replica, victim: &str) {
        match self {
            Kind::Graceful | Kind::Kill => r.cluster[victim].start_brickd(),
            Kind::Cut => r.cluster.uncut(victim),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Graceful => "graceful stop",
            Kind::Kill => "kill -9",
            Kind::Cut => "silent cut",
        })
    }
}

/// What one round was like for each of [`PROGRAMS`].
struct Round {
    kind: Kind,
    load: f64,
    programs: [Summary; 3],
}

const PROGRAMS: [&str; 3] = ["write", "write+fdatasync", "open+read"];

pub fn measure(options: &Options) -> Result<()> {
    let r = Replica::two();
    r.mount("client");
    let mut rounds = Vec::new();
    for kind in Kind::ALL.into_iter().filter(|k| options.kind.is_none_or(|only| only == *k)) {
        for n in 0..options.rounds {
            r.settled();
            let round = play(&r, kind, n);
            eprintln!("{}", round.line());
            if options.json {
                println!("{}", round.json());
            }
            rounds.push(round);
        }
    }
    r.settled();
    r.trees_equal();
    if !options.json {
        report(&rounds);
    }
    let missed = rounds.iter().filter(|round| !round.good()).count();
    ensure!(options.lenient || missed == 0, "{missed} of {} rounds missed their target", rounds.len());
    Ok(())
}

fn play(r: &Replica, kind: Kind, n: usize) -> Round {
    let client = &r.cluster["client"];
    let file = |what: &str| format!("{MOUNT}/{what}-{kind:?}-{n}");
    let mut writer = Load::overwriter(client, &file("plain"), false);
    let mut synced = Load::overwriter(client, &file("synced"), true);
    let mut reader = Load::prober(client, &file("plain"));
    let victim = r.leader();
    kind.happens(r, victim);
    for load in [&mut writer, &mut synced, &mut reader] {
        load.goes_on(Duration::from_secs(30));
    }
    wait::last(kind.lasts());
    let load = machine_load();
    let programs = [writer.stop(), synced.stop(), reader.stop()];
    kind.ends(r, victim);
    Round { kind, load, programs }
}

impl Round {
    fn longest_ms(&self) -> u64 {
        self.programs.iter().map(|p| p.longest_ms).max().unwrap_or(0)
    }

    fn good(&self) -> bool {
        self.longest_ms() <= self.kind.target_ms() && self.programs.iter().all(|p| p.error.is_none())
    }

    fn line(&self) -> String {
        let each = PROGRAMS.iter().zip(&self.programs).map(|(what, p)| {
            let error = p.error.as_ref().map(|e| format!(" ({e})")).unwrap_or_default();
            format!("{what} {} ms{error}", p.longest_ms)
        });
        format!("{}: {}; load {:.1}", self.kind, each.collect::<Vec<_>>().join(", "), self.load)
    }

    fn json(&self) -> serde_json::Value {
        let each = PROGRAMS.iter().zip(&self.programs);
        let programs: Vec<_> = each
            .map(|(what, p)| json!({"what": what, "operations": p.lines, "longest_ms": p.longest_ms, "error": p.error}))
            .collect();
        json!({"fault": self.kind.to_string(), "load": self.load, "good": self.good(), "programs": programs})
    }
}

fn report(rounds: &[Round]) {
    let mut rows = Vec::new();
    for kind in Kind::ALL {
        let these: Vec<&Round> = rounds.iter().filter(|r| r.kind == kind).collect();
        if these.is_empty() {
            continue;
        }
        for (n, what) in PROGRAMS.iter().enumerate() {
            let programs: Vec<&Summary> = these.iter().filter_map(|r| r.programs.get(n)).collect();
            rows.push(row(kind, what, &programs, &these));
        }
    }
    let heading =
        ["fault", "program", "rounds", "median ms", "worst ms", "target ms", "over", "errors", "load"];
    table::print(&heading, &rows);
}

fn row(kind: Kind, what: &str, programs: &[&Summary], rounds: &[&Round]) -> Vec<String> {
    let mut waits: Vec<u64> = programs.iter().map(|p| p.longest_ms).collect();
    waits.sort_unstable();
    let median = waits.get(waits.len() / 2).copied().unwrap_or(0);
    let over = waits.iter().filter(|ms| **ms > kind.target_ms()).count();
    let errors = programs.iter().filter(|p| p.error.is_some()).count();
    let load = rounds.iter().map(|r| r.load).fold(0.0, f64::max);
    vec![
        kind.to_string(),
        what.to_owned(),
        programs.len().to_string(),
        median.to_string(),
        waits.last().copied().unwrap_or(0).to_string(),
        kind.target_ms().to_string(),
        over.to_string(),
        errors.to_string(),
        format!("{load:.1}"),
    ]
}
