//! Waiting for a condition, with a deadline. The only place that sleeps.

use std::time::{Duration, Instant};

const PAUSE: Duration = Duration::from_millis(10);

/// Polls until `probe` gives something or `within` is over; it is asked at least once.
pub fn poll<T>(within: Duration, mut probe: impl FnMut() -> Option<T>) -> Option<T> {
    let end = Instant::now() + within;
    loop {
        if let Some(found) = probe() {
            return Some(found);
        }
        if Instant::now() >= end {
            return None;
        }
        std::thread::sleep(PAUSE);
    }
}

/// Whether the condition becomes true in time.
pub fn holds_within(within: Duration, mut condition: impl FnMut() -> bool) -> bool {
    poll(within, || condition().then_some(())).is_some()
}

/// Waits for a condition. Returns how long it took; panics, saying `what`, when it does not become true in time.
#[track_caller]
pub fn until(what: &str, within: Duration, condition: impl FnMut() -> bool) -> Duration {
    let start = Instant::now();
    assert!(holds_within(within, condition), "not within {within:?}: {what}");
    start.elapsed()
}

/// Lets time pass for its own sake: how long a fault lasts, how long load runs. Never to wait for something to happen.
pub fn last(long: Duration) {
    std::thread::sleep(long);
}
