//! The clock that all processes of the machine share, suspended or not, whatever their wall clocks show.

use rustix::time::{ClockId, clock_gettime};

/// Microseconds of CLOCK_BOOTTIME.
pub type Micros = u64;

/// The time.
#[must_use]
pub fn now() -> Micros {
    let time = clock_gettime(ClockId::Boottime);
    time.tv_sec.unsigned_abs() * 1_000_000 + time.tv_nsec.unsigned_abs() / 1000
}

/// As seconds, for messages.
#[must_use]
pub fn seconds(micros: Micros) -> f64 {
    micros as f64 / 1e6
}
