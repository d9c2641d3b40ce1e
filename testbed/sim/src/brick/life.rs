//! The beginning and the end of a brick's process, and of its machine's power.

use rfs_core::admit::{Front, Limits};
use rfs_core::consensus::Consensus;
use rfs_core::consensus::api::{Start, Timing, Trust};
use rfs_model::Index;

use super::{Brick, Machine, Process};
use crate::disk::Disk;
use crate::outside::{Outside, node};

impl Brick {
    /// As `volume create` left it.
    #[must_use]
    pub fn new(disk: Disk, out: &mut Outside) -> Self {
        let machine = Machine {
            boot: 1,
            uptime_us: out.rng.within(1_000_000, 1_000_000_000),
            wall_secs: 1_700_000_000,
            full_until: 0,
            slow_until: 0,
            frozen_until: 0,
        };
        Self { disk, process: None, machine }
    }

    /// Starts the process on what is on the disk.
    pub fn start(&mut self, n: usize, out: &mut Outside) {
        self.disk.adopt_noted();
        let start = self.begin(u64::MAX, out);
        let seed = out.rng.draw();
        let now = out.now + self.machine.uptime_us;
        let (hard, summary) = (self.disk.hard.clone(), self.disk.summary());
        let committed = if start == Start::Clean { summary.committed } else { Index::ZERO };
        let mut core = Consensus::new(now, node(n), hard, summary, start, Timing::default(), seed);
        core.mutate(out.setup.mutants.core);
        let state = &self.disk.checkpoint.state;
        let front = if state.is_empty() {
            Front::new(Limits::default())
        } else {
            Front::restore(Limits::default(), state).expect("a snapshot of ours")
        };
        let torn = start != Start::Clean;
        self.process = Some(Process::new(core, front, committed, self.disk.chain(), torn));
        out.say(format_args!("brick {n} starts: {start:?}, log to {}", self.disk.last()));
    }

    /// A start that ends before the core is made, after so many of its writes.
    pub fn begin_and_die(&mut self, writes: u64, out: &Outside) {
        self.begin(writes, out);
    }

    /// Judges the last life and begins a new one, which takes two writes: that the brick is suspect is stored before it
    /// counts as running in this boot.
    fn begin(&mut self, writes: u64, out: &Outside) -> Start {
        let start = match (self.disk.clean, self.disk.life_boot == self.machine.boot) {
            (true, _) => Start::Clean,
            (false, true) => Start::SameBoot,
            (false, false) if out.setup.mutants.driver.power_cut_unnoticed => Start::SameBoot,
            (false, false) => Start::Suspect,
        };
        let forgets = out.setup.mutants.driver.suspicion_unsaved;
        if start == Start::Suspect && self.disk.hard.trust == Trust::Sound && !forgets && writes > 0 {
            self.disk.hard.trust = Trust::Suspect;
        }
        if writes > 1 || forgets && writes > 0 {
            (self.disk.clean, self.disk.life_boot) = (false, self.machine.boot);
        }
        start
    }

    /// The process is gone; what was written stays.
    pub fn crash(&mut self, out: &mut Outside) {
        self.process = None;
        self.machine.frozen_until = 0;
        self.disk.crash(&mut out.rng);
    }

    /// The machine is gone, and boots again later.
    pub fn power_cut(&mut self, out: &mut Outside) {
        self.process = None;
        self.disk.power_cut(&mut out.rng);
        self.machine.boot += 1;
        self.machine.frozen_until = 0;
        self.machine.uptime_us = out.rng.within(1_000_000, 1_000_000_000);
    }
}
