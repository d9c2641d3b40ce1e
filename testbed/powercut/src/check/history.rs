//! What was done, and what of it must, may and cannot be there after a cut.

use std::io;
use std::path::Path;

use crate::work::generate::Stream;
use crate::work::{Done, Log, Op, folder};

/// Everything that the workers of a recording did.
#[derive(Debug)]
pub struct History {
    pub workers: Vec<Vec<Step>>,
}

/// One operation and its times.
#[derive(Clone, Debug)]
pub struct Step {
    pub op: Op,
    pub begun_ns: u64,
    pub ended_ns: u64,
}

/// How many of a worker's operations must be there, and how many may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    pub least: usize,
    pub most: usize,
}

impl History {
    /// Of the logs in a folder, which lack the first `done` operations of each worker: those were done before all times.
    pub fn load(seed: u64, logs: &Path, done: &[usize]) -> io::Result<History> {
        let worker = |(worker, done): (u64, &usize)| {
            let before = std::iter::repeat_n(Done { begun_ns: 0, ended_ns: 0 }, *done);
            let times = before.chain(Log::load(&logs.join(folder(worker)))?.done);
            let step = |(op, d): (Op, Done)| Step { op, begun_ns: d.begun_ns, ended_ns: d.ended_ns };
            Ok(Stream::new(seed, worker).zip(times).map(step).collect())
        };
        Ok(History { workers: (0..).zip(done).map(worker).collect::<io::Result<_>>()? })
    }

    /// Writes the logs into a folder.
    pub fn save(&self, to: &Path) -> io::Result<()> {
        for (worker, steps) in (0..).zip(&self.workers) {
            let done = steps.iter().map(|s| Done { begun_ns: s.begun_ns, ended_ns: s.ended_ns }).collect();
            Log { done }.save(&to.join(folder(worker)))?;
        }
        Ok(())
    }

    /// Operations that make everything durable, and had returned by then.
    #[must_use]
    pub fn fsyncs(&self, at_ns: u64) -> usize {
        self.durable(at_ns).count()
    }

    fn durable(&self, at_ns: u64) -> impl Iterator<Item = &Step> {
        self.workers.iter().flatten().filter(move |s| s.ended_ns <= at_ns && s.op.is_durable())
    }

    /// What each worker's folder may be after everything lost power at that time. One mount did it all, so an fsync
    /// covers everything that had returned, to any worker, when it began; and itself.
    #[must_use]
    pub fn windows(&self, at_ns: u64) -> Vec<Window> {
        let covered = self.durable(at_ns).map(|s| s.begun_ns).max().unwrap_or(0);
        let of = |steps: &Vec<Step>| {
            let returned = steps.partition_point(|s| s.ended_ns <= covered);
            let own =
                steps.iter().rposition(|s| s.ended_ns <= at_ns && s.op.is_durable()).map_or(0, |n| n + 1);
            let most = steps.partition_point(|s| s.begun_ns <= at_ns);
            Window { least: returned.max(own), most }
        };
        self.workers.iter().map(of).collect()
    }

    /// The same when nobody lost what was acknowledged: everything that had returned is there.
    #[must_use]
    pub fn acknowledged(&self, at_ns: u64) -> Vec<Window> {
        let of = |steps: &Vec<Step>| Window {
            least: steps.partition_point(|s| s.ended_ns <= at_ns),
            most: steps.partition_point(|s| s.begun_ns <= at_ns),
        };
        self.workers.iter().map(of).collect()
    }

    /// Whether these beginnings, one for each worker, fit together: nothing is there without what had returned before it
    /// began.
    #[must_use]
    pub fn is_prefix(&self, lengths: &[usize]) -> bool {
        let last_begun =
            self.workers.iter().zip(lengths).filter_map(|(steps, n)| steps.get(n.checked_sub(1)?));
        let latest = last_begun.map(|s| s.begun_ns).max().unwrap_or(0);
        let mut first_missing = self.workers.iter().zip(lengths).filter_map(|(steps, n)| steps.get(*n));
        first_missing.all(|s| s.ended_ns > latest)
    }
}
