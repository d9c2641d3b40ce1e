//! The client at work for a while.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use rfs_cluster::{Cluster, MOUNT, Spawned, wait};

use super::CLIENT;
use crate::check::History;
use crate::device::program;
use crate::work::WORKERS;

const ENDS: Duration = Duration::from_secs(90);

/// Which operations.
#[derive(Clone, Debug)]
pub struct Stretch {
    pub seed: u64,
    /// How many of each worker's stream the tree has already.
    pub done: Vec<usize>,
    /// Where each worker's stream ends, at the latest.
    pub most: u64,
}

impl Stretch {
    /// From the beginning, on a new volume.
    #[must_use]
    pub fn all(seed: u64, most: u64) -> Stretch {
        Stretch { seed, done: (0..WORKERS).map(|_| 0).collect(), most }
    }
}

/// Work that goes on.
#[derive(Debug)]
pub struct Stint {
    stretch: Stretch,
    process: Spawned,
    logs: PathBuf,
    stop: PathBuf,
}

impl Stint {
    pub fn start(cluster: &Cluster, stretch: Stretch) -> io::Result<Stint> {
        let logs = cluster.folder().join("logs");
        let own = cluster.folder().join("bin/rfs-powercut");
        fs::create_dir_all(&logs)?;
        if !own.exists() {
            // A file that was open to be written may still be, in a child that another thread is about to start, and cannot be
            // run then: so no copy, where there is a way.
            let program = program();
            fs::hard_link(&program, &own).or_else(|_| fs::copy(&program, &own).map(drop))?;
        }
        let stop = logs.join("stop");
        let _ = fs::remove_file(&stop);
        let paths = [&logs, &stop].map(|p| p.display().to_string());
        let numbers = [stretch.seed, stretch.most].map(|n| n.to_string());
        let done: Vec<String> = stretch.done.iter().map(usize::to_string).collect();
        let mut argv = vec!["rfs-powercut", "work", &numbers[0], MOUNT, &paths[0], &paths[1], &numbers[1]];
        argv.extend(done.iter().map(String::as_str));
        let process = cluster[CLIENT].spawn("work", &argv);
        Ok(Stint { stretch, process, logs, stop })
    }

    /// Lets it go on for so long, or to its end.
    pub fn last(&mut self, long: Duration) {
        wait::poll(long, || self.process.ended());
    }

    /// Ends it. Panics when an operation has failed. Returns what was done since the beginning of the streams; what was
    /// done before this stint has no times.
    pub fn end(mut self) -> io::Result<History> {
        fs::write(&self.stop, "")?;
        let code = self.process.wait(ENDS);
        assert_eq!(code, 0, "the work failed: {}", self.process.output());
        History::load(self.stretch.seed, &self.logs, &self.stretch.done)
    }
}
