//! A machine's own clock, which runs fast or slow.

/// The most that a clock is off, parts in a million. A lease of 200 ms by a slow clock ends before a hold of 250 ms by a fast
/// one as long as (1 - d) / (1 + d) is at least 200 / 250: up to d = 11 %.
pub const DRIFT_PPM: i64 = 100_000;

/// CLOCK_BOOTTIME of one machine, in microseconds.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    since: u64,
    shown: u64,
    rate_ppm: i64,
}

impl Clock {
    /// Shows `shown` at the true time `now`.
    #[must_use]
    pub fn new(now: u64, shown: u64, rate_ppm: i64) -> Self {
        Self { since: now, shown, rate_ppm }
    }

    #[must_use]
    pub fn at(&self, now: u64) -> u64 {
        let passed = i128::from(now - self.since);
        self.shown + (passed * i128::from(1_000_000 + self.rate_ppm) / 1_000_000) as u64
    }

    /// Runs at another rate from here on.
    pub fn set_rate(&mut self, now: u64, rate_ppm: i64) {
        *self = Self::new(now, self.at(now), rate_ppm);
    }

    #[must_use]
    pub fn rate_ppm(&self) -> i64 {
        self.rate_ppm
    }
}
