//! One brick: its disk, and its process while it runs. What the process does with the core's effects is what the daemon's
//! shard does, in the same order.

mod apply;
mod drive;
mod journal;
mod leases;
mod life;
mod mounts;
mod process;
mod reads;
mod turn;

pub use process::{End, Process};

use crate::clock::Clock;
use crate::disk::Disk;
use crate::outside::Outside;

/// See the module.
pub struct Brick {
    pub disk: Disk,
    pub process: Option<Process>,
    pub machine: Machine,
}

/// The time of day when a history begins, seconds.
pub const WALL_SECS: i64 = 1_700_000_000;

/// The machine under a brick.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Counts the boots of the kernel.
    pub boot: u64,
    pub clock: Clock,
    /// Added to the simulator's time: the time of day, seconds.
    pub wall_secs: i64,
    /// Until then nothing more fits on the disk.
    pub full_until: u64,
    /// Until then syncs take long.
    pub slow_until: u64,
    /// Until then the process is stopped (SIGSTOP, a paused virtual machine).
    pub frozen_until: u64,
}

/// A process at work.
pub struct Running<'a> {
    pub n: usize,
    pub disk: &'a mut Disk,
    pub p: &'a mut Process,
    pub machine: &'a mut Machine,
    pub out: &'a mut Outside,
}

impl Brick {
    /// Whether it was told to leave and still runs.
    #[must_use]
    pub fn is_leaving(&self) -> bool {
        self.process.as_ref().is_some_and(|p| p.leaving)
    }

    /// The process at work, if it runs.
    pub fn running<'a>(&'a mut self, n: usize, out: &'a mut Outside) -> Option<Running<'a>> {
        let p = self.process.as_mut()?;
        Some(Running { n, disk: &mut self.disk, p, machine: &mut self.machine, out })
    }
}
