//! The two clocks: one for intervals, which goes on while the machine sleeps and is not set by anybody, and one for stamps.

use rfs_model::Timestamp;
use rustix::time::{ClockId, clock_gettime};

/// Microseconds since the machine was booted, suspended time included (CLOCK_BOOTTIME): leases must not outlive a pause.
#[must_use]
pub fn boottime_us() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * 1_000_000 + now.tv_nsec as u64 / 1_000
}

/// The wall clock.
#[must_use]
pub fn now() -> Timestamp {
    let now = clock_gettime(ClockId::Realtime);
    Timestamp { secs: now.tv_sec, nanos: now.tv_nsec as u32 }
}

/// Identity of this boot of the machine: what tells a process that died from a machine that lost power.
///
/// # Errors
/// When /proc is not there.
pub fn boot_id() -> std::io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}
