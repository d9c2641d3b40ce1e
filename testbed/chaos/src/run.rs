//! One run: a cluster, its clients, the nemesis, and the judgement.

mod clients;
mod cluster;
mod logs;

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rfs_cluster::{BRICK, Host, MOUNT, Replica, holds_within, tree};

use crate::check::{self, Rule, Violation};
use crate::clock::now;
use crate::history::{History, read_track};
use crate::look::{Place, look};
use crate::nemesis::{Field, KINDS, Kind, Nemesis, Schedule};
use crate::report::Progress;
use crate::work;

use clients::Clients;
pub use cluster::Shape;

/// What is to be run.
#[derive(Clone, Debug)]
pub struct Options {
    pub time: Duration,
    pub seed: u64,
    pub shape: Shape,
    /// Of the faults, only these; none is peace.
    pub kinds: Vec<Kind>,
    /// Where histories and logs go: a folder that all hosts see (not below `/run`, `/mnt` or `/data`).
    pub folder: PathBuf,
    /// Clients wait for locks, which takes a minute when a mount has died with one.
    pub patient: bool,
    /// This program, which the clients are.
    pub program: PathBuf,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub history: History,
    pub violations: Vec<Violation>,
    /// From the end of the last fault until the volume was healthy.
    pub healed: Duration,
    pub took: Duration,
}

/// All kinds of faults.
#[must_use]
pub fn all_kinds() -> Vec<Kind> {
    KINDS.map(|(kind, _)| kind).to_vec()
}

/// Runs it.
///
/// # Errors
/// Histories cannot be written or read. What the volume does wrong is in the outcome.
pub fn run(options: &Options, watch: &dyn Fn(&Progress)) -> Result<Outcome> {
    let begun = Instant::now();
    fs::create_dir_all(&options.folder).with_context(|| options.folder.display().to_string())?;
    let (replica, field) = cluster::build(options)?;
    let nemesis = Nemesis::new(&replica, field.clone());
    nemesis.settle(&|| ());
    let mut clients = Clients::start(options, &replica, &field)?;
    let progress = Progress::new(options.time, &options.folder);
    let tick = || watch(&progress.now(&nemesis.spells()));
    for round in Schedule::new(options.seed, field.clone(), &options.kinds) {
        if progress.over() {
            break;
        }
        nemesis.round(&round, &tick);
    }
    let healed = nemesis.settle(&tick);
    let mut violations = clients.stop();
    let places = places(&replica, &field, &mut violations);
    violations.extend(trees(&replica));
    keep_lines(options, &replica)?;
    violations.extend(nemesis.found());
    let tracks = clients.names().iter().map(|(name, host)| read_track(name, host, &options.history_of(name)));
    let history = History { tracks: tracks.collect::<Result<_>>()?, spells: nemesis.spells(), places };
    fs::write(options.folder.join("nemesis.json"), serde_json::to_vec_pretty(&history.spells)?)?;
    fs::write(options.folder.join("places.json"), serde_json::to_vec(&history.places)?)?;
    violations.extend(logs::collect(&replica, &history, &options.folder)?);
    violations.extend(check::check(&history));
    Ok(Outcome { history, violations, healed, took: begun.elapsed() })
}

impl Options {
    fn history_of(&self, client: &str) -> PathBuf {
        self.folder.join(format!("{client}.jsonl"))
    }
}

/// What each mount and each brick shows at the end.
fn places(replica: &Replica, field: &Field, found: &mut Vec<Violation>) -> Vec<Place> {
    let mut places = Vec::new();
    for client in &field.clients {
        match from_mount(&replica.cluster[client.as_str()]) {
            Ok(place) => places.push(place),
            Err(why) => found.push(Violation::new(Rule::NotHealed, now(), format!("{client}: {why}"))),
        }
    }
    for brick in &replica.bricks {
        let folder = replica.cluster[brick.as_str()].path(BRICK).join(work::FOLDER);
        match look(&format!("brick of {brick}"), &folder) {
            Ok(place) => places.push(place),
            Err(why) => found.push(Violation::new(Rule::NotHealed, now(), format!("{brick}: {why}"))),
        }
    }
    places
}

/// The file of lines, for whoever looks into a violation.
fn keep_lines(options: &Options, replica: &Replica) -> Result<()> {
    for brick in &replica.bricks {
        let file = replica.cluster[brick.as_str()].path(BRICK).join(work::FOLDER).join(work::files::LINES);
        if file.exists() {
            fs::copy(&file, options.folder.join(format!("lines-{brick}")))?;
        }
    }
    Ok(())
}

/// By a process of the host: it may hang.
fn from_mount(host: &Host) -> Result<Place> {
    let folder = format!("{MOUNT}/{}", work::FOLDER);
    let ran = host.run_within(&["rfs-chaos", "look", host.name(), &folder], Duration::from_secs(120));
    serde_json::from_str(&ran.stdout).with_context(|| ran.to_string())
}

/// All bricks hold the same, once the last records are applied.
fn trees(replica: &Replica) -> Vec<Violation> {
    let Some((first, others)) = replica.bricks.split_first() else { return Vec::new() };
    let path = |host: &str| replica.cluster[host].path(BRICK);
    let mut found = Vec::new();
    for other in others {
        let mut last = Vec::new();
        let same = holds_within(Duration::from_secs(30), || {
            last = tree::differences(&path(first), &path(other)).unwrap_or_else(|e| vec![e.to_string()]);
            last.is_empty()
        });
        if !same {
            let text = format!("the trees of {first} and {other} differ:\n{}", last.join("\n"));
            found.push(Violation::new(Rule::Differ, now(), text));
        }
    }
    found
}
