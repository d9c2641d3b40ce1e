//! The workers at work, inside the client.

use std::io;
use std::path::Path;
use std::time::Duration;

use super::generate::Stream;
use super::{Log, folder};

/// How long, and how fast.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Ends when this file exists, at the latest after [`Pace::most`] operations of each worker.
    pub most: u64,
    /// Between operations.
    pub pause: Duration,
}

/// Carries out every worker's stream below `top`, without its first `done` operations, until `stop` exists, but at
/// least one operation each: the one at which a power cut broke off may be there in part. Writes what
/// they did into the folder `logs`, in the end. The first error ends it all.
pub fn run(seed: u64, done: &[usize], top: &Path, logs: &Path, stop: &Path, pace: Pace) -> io::Result<()> {
    let workers: Vec<io::Result<()>> = std::thread::scope(|scope| {
        let one = |(worker, done): (u64, &usize)| {
            let done = *done;
            scope.spawn(move || work(seed, worker, done, top, logs, stop, pace))
        };
        let all: Vec<_> = (0..).zip(done).map(one).collect();
        all.into_iter().map(|w| w.join().unwrap_or_else(|_| Err(io::Error::other("panicked")))).collect()
    });
    workers.into_iter().collect()
}

fn work(
    seed: u64,
    worker: u64,
    done: usize,
    top: &Path,
    logs: &Path,
    stop: &Path,
    pace: Pace,
) -> io::Result<()> {
    let top = top.join(folder(worker));
    let mut log = Log::default();
    for (number, op) in (0..pace.most).zip(Stream::new(seed, worker)).skip(done) {
        let done = log.time(|| op.carry_out(&top, worker, number));
        done.map_err(|e| {
            io::Error::new(e.kind(), format!("worker {worker}, operation {number}, {op:?}: {e}"))
        })?;
        if stop.exists() {
            break;
        }
        std::thread::sleep(pace.pause);
    }
    log.save(&logs.join(folder(worker)))
}
