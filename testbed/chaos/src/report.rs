//! How far a run is, and what came of it.

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::check::Violation;
use crate::clock::seconds;
use crate::history::{History, Spell};
use crate::run::{Options, Outcome};

/// Where a run stands.
#[derive(Clone, Debug)]
pub struct Progress {
    begun: Instant,
    time: Duration,
    folder: PathBuf,
    pub elapsed: Duration,
    pub faults: usize,
    /// Bytes of all histories; an operation is about [`EVENT_BYTES`].
    pub bytes: u64,
}

/// Of a line of a history, roughly.
pub const EVENT_BYTES: u64 = 95;

impl Progress {
    #[must_use]
    pub fn new(time: Duration, folder: &Path) -> Progress {
        let (begun, folder) = (Instant::now(), folder.to_owned());
        Progress { begun, time, folder, elapsed: Duration::ZERO, faults: 0, bytes: 0 }
    }

    /// The same, as of now.
    #[must_use]
    pub fn now(&self, spells: &[Spell]) -> Progress {
        let files = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let histories = files.filter(|f| f.path().extension().is_some_and(|e| e == "jsonl"));
        let bytes = histories.filter_map(|f| f.metadata().ok()).map(|m| m.len()).sum();
        Progress { elapsed: self.begun.elapsed(), faults: spells.len(), bytes, ..self.clone() }
    }

    /// Whether the time is up.
    #[must_use]
    pub fn over(&self) -> bool {
        self.begun.elapsed() >= self.time
    }
}

/// What became of the operations of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    pub done: u64,
    /// It succeeded.
    pub acked: u64,
    /// It was refused for a reason that its client may meet: a name that exists, a lock that is taken, a full disk.
    pub refused: u64,
    /// The answer was lost: it may have happened or not.
    pub unknown: u64,
    pub longest_ms: u64,
}

/// The table at the end.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    pub seed: u64,
    pub shape: String,
    pub minutes: f64,
    pub operations: BTreeMap<&'static str, Tally>,
    pub faults: BTreeMap<&'static str, u64>,
    pub longest_ms: u64,
    pub longest_op: String,
    pub heal_s: f64,
    pub trees_equal: bool,
    pub violations: Vec<Violation>,
}

const REFUSALS: [i32; 6] =
    [libc::EEXIST, libc::ENOENT, libc::ENOTEMPTY, libc::EAGAIN, libc::EACCES, libc::ENOSPC];

/// Counts.
#[must_use]
pub fn summary(options: &Options, outcome: &Outcome) -> Summary {
    let history = &outcome.history;
    let (operations, longest) = tally(history);
    let mut faults = BTreeMap::new();
    for spell in &history.spells {
        *faults.entry(spell.fault.kind.word()).or_default() += 1;
    }
    let differ = outcome.violations.iter().any(|v| v.rule == crate::check::Rule::Differ);
    Summary {
        seed: options.seed,
        shape: format!("{:?}", options.shape).to_lowercase(),
        minutes: outcome.took.as_secs_f64() / 60.0,
        operations,
        faults,
        longest_ms: longest.0,
        longest_op: longest.1,
        heal_s: outcome.healed.as_secs_f64(),
        trees_equal: !differ,
        violations: outcome.violations.clone(),
    }
}

fn tally(history: &History) -> (BTreeMap<&'static str, Tally>, (u64, String)) {
    let mut all: BTreeMap<&'static str, Tally> = BTreeMap::new();
    let mut longest = (0, String::new());
    for track in &history.tracks {
        for event in &track.events {
            let ms = (event.ended - event.begun) / 1000;
            let tally = all.entry(event.op.word()).or_default();
            tally.done += 1;
            match event.errno {
                None => tally.acked += 1,
                Some(errno) if REFUSALS.contains(&errno) => tally.refused += 1,
                Some(_) => tally.unknown += 1,
            }
            tally.longest_ms = tally.longest_ms.max(ms);
            let waits = matches!(event.op, crate::event::Op::Attach | crate::event::Op::Lock { .. });
            if ms > longest.0 && !waits {
                longest =
                    (ms, format!("{} of {} at {:.1} s", event.op.word(), track.client, seconds(event.begun)));
            }
        }
    }
    (all, longest)
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14}{:>10}{:>10}{:>9}{:>9}{:>12}",
            "", "done", "acked", "refused", "unknown", "longest ms"
        )?;
        for (word, t) in &self.operations {
            writeln!(
                f,
                "{word:<14}{:>10}{:>10}{:>9}{:>9}{:>12}",
                t.done, t.acked, t.refused, t.unknown, t.longest_ms
            )?;
        }
        let total: u64 = self.operations.values().map(|t| t.done).sum();
        let faults: u64 = self.faults.values().sum();
        let kinds: Vec<String> = self.faults.iter().map(|(kind, n)| format!("{n} {kind}")).collect();
        writeln!(
            f,
            "seed {}, shape {}, {:.1} minutes, {total} operations",
            self.seed, self.shape, self.minutes
        )?;
        writeln!(f, "{faults} faults: {}", kinds.join(", "))?;
        writeln!(f, "longest pause {} ms: {}", self.longest_ms, self.longest_op)?;
        let trees = if self.trees_equal { "equal" } else { "DIFFERENT" };
        writeln!(f, "healthy {:.1} s after the last fault, trees {trees}", self.heal_s)?;
        write!(f, "violations {}", self.violations.len())?;
        for violation in self.violations.iter().take(40) {
            write!(f, "\n  {violation}")?;
        }
        Ok(())
    }
}
