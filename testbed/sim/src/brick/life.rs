//! The beginning and the end of a brick's process, and of its machine's power.

use rfs_core::admit::{Front, Limits};
use rfs_core::consensus::Consensus;
use rfs_core::consensus::api::{Start, Timing, Trust};
use rfs_model::Index;

use super::{Brick, Machine, Process};
use crate::damage::Reading;
use crate::disk::Disk;
use crate::kind::{Kind, Kinds};
use crate::outside::Outside;

impl Brick {
    /// As `volume create` left it.
    #[must_use]
    pub fn new(disk: Disk, out: &mut Outside) -> Self {
        let machine = Machine {
            boot: 1,
            clock: out.new_clock(),
            wall_secs: super::WALL_SECS,
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
        let now = self.machine.clock.at(out.now);
        let (hard, summary) = (self.disk.hard.clone(), self.disk.summary());
        let committed = if start == Start::Clean { summary.committed } else { Index::ZERO };
        let mut core = Consensus::new(now, out.node(n), hard, summary, start, timing(out), seed);
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

    /// Whether the brick can be started. One that cannot be used begins anew, empty, once another one leads.
    pub fn is_fit(&mut self, others_lead: bool, out: &mut Outside) -> bool {
        let driver = out.setup.mutants.driver;
        let reading = Reading { trusts_bytes: driver.trusts_bytes, trusts_places: driver.trusts_places };
        // Alone in S it would take what is left for all there is.
        let alone = self.disk.hard.config.record.configs().all(|config| config.in_sync.len() == 1);
        self.disk.unfit |= self.disk.scan(reading) && alone && !driver.rot_is_torn && out.names.len() > 1;
        self.disk.unfit |= self.disk.resyncing;
        if self.disk.unfit && others_lead {
            self.disk.begin_blank();
        }
        !self.disk.unfit
    }

    /// A start that ends before the core is made, after so many of its writes.
    pub fn begin_and_die(&mut self, writes: u64, out: &Outside) {
        self.begin(writes, out);
    }

    /// Judges the last life and begins a new one, which takes two writes: that the brick is suspect is stored before it
    /// counts as running in this boot.
    fn begin(&mut self, writes: u64, out: &Outside) -> Start {
        let driver = out.setup.mutants.driver;
        let reading = Reading { trusts_bytes: driver.trusts_bytes, trusts_places: driver.trusts_places };
        let damaged = self.disk.scan(reading) && !driver.rot_is_torn;
        let start = match (self.disk.clean, self.disk.life_boot == self.machine.boot) {
            _ if damaged => Start::Rotten,
            (true, _) => Start::Clean,
            (false, true) => Start::SameBoot,
            (false, false) if out.setup.mutants.driver.power_cut_unnoticed => Start::SameBoot,
            (false, false) => Start::Suspect,
        };
        let forgets = out.setup.mutants.driver.suspicion_unsaved;
        if start.is_suspect() && self.disk.hard.trust == Trust::Sound && !forgets && writes > 0 {
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
    pub fn power_cut(&mut self, kinds: Kinds, out: &mut Outside) {
        self.process = None;
        let (holes, torn) = (kinds.has(Kind::LostEffects), kinds.has(Kind::TornTail) && out.rng.one_in(2));
        self.disk.power_cut(&mut out.rng, holes, torn);
        self.machine.boot += 1;
        self.machine.frozen_until = 0;
        self.machine.clock = out.new_clock();
    }
}

/// The protocol's times, but for planted faults.
fn timing(out: &Outside) -> Timing {
    let (times, driver) = (Timing::default(), out.setup.mutants.driver);
    Timing {
        lease_us: if driver.lease_as_long_as_hold { times.hold_us } else { times.lease_us },
        resend_us: if driver.never_resends { u64::MAX / 4 } else { times.resend_us },
        ..times
    }
}
