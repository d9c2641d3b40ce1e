//! Load that runs inside a host while faults happen.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::Host;
use crate::spawned::Spawned;
use crate::wait::until;

/// What a load went through.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Written, or seen by the last read.
    pub lines: u64,
    /// Lines that a returned fsync covers.
    pub durable: u64,
    /// The longest time that one operation took.
    pub longest_ms: u64,
    /// Which one that was.
    pub longest_op: String,
    /// The first error; the load ends with it.
    pub error: Option<String>,
}

impl Summary {
    /// No error, and no wait beyond `most_ms`. Prints the longest one.
    #[track_caller]
    pub fn calm(&self, what: &str, most_ms: u64) -> &Summary {
        println!("{what}: longest wait {} ms (at most {most_ms}), {}", self.longest_ms, self.longest_op);
        assert_eq!(self.error, None, "{what}");
        assert!(self.longest_ms <= most_ms, "{what}: {} took {} ms", self.longest_op, self.longest_ms);
        self
    }

    /// The file that the lines make.
    #[must_use]
    pub fn text(&self) -> String {
        numbered(self.lines)
    }
}

/// `0` to `lines - 1`, a line each.
#[must_use]
pub fn numbered(lines: u64) -> String {
    (0..lines).map(|n| format!("{n}\n")).collect()
}

/// A running load.
#[derive(Debug)]
pub struct Load {
    process: Spawned,
    stop: PathBuf,
}

impl Load {
    /// Appends a numbered line to a file each 10 ms and fsyncs every tenth.
    #[track_caller]
    pub fn writer(host: &Host, file: &str) -> Load {
        Load::start(host, "append", file)
    }

    /// Reads a writer's file each 10 ms, and fails when it is ever wrong or shorter than before.
    #[track_caller]
    pub fn reader(host: &Host, file: &str) -> Load {
        Load::start(host, "reread", file)
    }

    /// Writes one block of a file each 10 ms; with `sync`, durably.
    #[track_caller]
    pub fn overwriter(host: &Host, file: &str, sync: bool) -> Load {
        Load::start(host, if sync { "overwrite-sync" } else { "overwrite" }, file)
    }

    /// Opens and reads that block each 10 ms, past all caches, and fails when it ever shows an older state than before.
    #[track_caller]
    pub fn prober(host: &Host, file: &str) -> Load {
        Load::start(host, "probe", file)
    }

    fn start(host: &Host, what: &str, file: &str) -> Load {
        let name = format!("{what}{}", file.replace('/', "-"));
        let stop = host.folder().join(format!("{name}.stop"));
        let _ = fs::remove_file(&stop);
        let argv = ["rfs-testload", what, file, stop.to_str().expect("a plain path")];
        let mut load = Load { process: host.spawn(&name, &argv), stop };
        until(&format!("{what} {file} gets going"), Duration::from_secs(30), || {
            load.progress() >= 2 || load.over()
        });
        load
    }

    fn over(&mut self) -> bool {
        self.process.ended().is_some()
    }

    /// The last number that it told: lines fsynced by a writer, lines seen by a reader.
    #[must_use]
    pub fn progress(&self) -> u64 {
        let output = self.process.output();
        let numbers = output.lines().rev().filter_map(|l| l.split_once(' ')?.1.parse().ok());
        numbers.take(1).next().unwrap_or(0)
    }

    /// Waits until it has made that many steps more, so that it is known to go on.
    #[track_caller]
    pub fn goes_on(&mut self, within: Duration) {
        let start = self.progress();
        until("the load goes on", within, || self.progress() >= start + 20 || self.over());
    }

    /// Ends it and tells how it was.
    #[track_caller]
    #[must_use]
    pub fn stop(mut self) -> Summary {
        fs::write(&self.stop, "").expect("write the stop file");
        self.process.wait(Duration::from_secs(90));
        let output = self.process.output();
        let last = output.lines().last().unwrap_or_default();
        serde_json::from_str(last).unwrap_or_else(|e| panic!("{e}: {output}"))
    }
}
