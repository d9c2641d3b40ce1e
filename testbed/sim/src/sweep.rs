//! Many histories, on all cores.

use std::cell::Cell;
use std::ops::Range;
use std::panic;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::run::{Outcome, run};
use crate::setup::Setup;

thread_local! {
    /// The history that this thread runs.
    static SEED: Cell<u64> = const { Cell::new(0) };
}

/// Failures are reported by whoever asked for the histories; where a panic cannot be caught, here.
pub fn quiet() {
    panic::set_hook(Box::new(|why| {
        if cfg!(panic = "abort") {
            eprintln!("seed {}: {why}", SEED.get());
        }
    }));
}

/// Runs one history, which is known as this thread's from here on.
#[must_use]
pub fn one(setup: Setup, print: bool) -> Outcome {
    SEED.set(setup.seed);
    run(setup, print)
}

/// Runs the seeds on all cores, in no order; `seen` is told of each, one at a time, and ends it all with `false`.
///
/// # Panics
/// When `seen` does.
pub fn sweep(
    seeds: Range<u64>,
    setup: impl Fn(u64) -> Setup + Sync,
    seen: impl FnMut(u64, Outcome) -> bool + Send,
) {
    let (next, seen) = (AtomicU64::new(seeds.start), Mutex::new(seen));
    let work = || {
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds.end {
                return;
            }
            let outcome = one(setup(seed), false);
            let mut seen = seen.lock().expect("nothing panics that holds it");
            if !seen(seed, outcome) {
                return next.store(seeds.end, Ordering::Relaxed);
            }
        }
    };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    std::thread::scope(|scope| (0..cores).for_each(|_| _ = scope.spawn(work)));
}
