//! Random histories: faults, then quiet, then it must converge. A failing run prints its seed.

use rfs_model::Index;

use super::net::{Net, SEAT};
use crate::consensus::api::{Input, Mutations};

/// Which faults a history may have, hence what it must keep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Weather {
    /// Processes die, links fail: everything committed is kept.
    Kills,
    /// One machine at a time loses power while all is well, and others are killed meanwhile: the same.
    OnePowerLoss,
    /// One disk at a time is replaced by an empty one while all is well, and others are killed meanwhile: the same.
    NewDisk,
    /// Machines lose power at any time, all at once too: everything durable is kept.
    PowerLosses,
}

struct Chaos {
    net: Net,
    weather: Weather,
    ticket: u64,
    witness: bool,
    /// Who lost power since all was well.
    lost: Option<usize>,
}

impl Chaos {
    fn new(bricks: usize, witness: bool, weather: Weather, seed: u64, mutations: Mutations) -> Self {
        let mut net = Net::new(bricks, witness, seed);
        net.mutations = mutations;
        (0..bricks).for_each(|n| {
            if let Some(core) = &mut net.bricks[n].core {
                core.mutate(mutations);
            }
        });
        net.oracle.may_lose_unsynced = weather == Weather::PowerLosses;
        Self { net, weather, ticket: 0, witness, lost: None }
    }

    fn pick(&mut self, below: usize) -> usize {
        self.net.random.within((0, below as u64 - 1)) as usize
    }

    fn some_brick(&mut self) -> usize {
        self.pick(self.net.bricks.len())
    }

    fn act(&mut self) {
        let n = self.some_brick();
        let runs = self.net.bricks[n].core.is_some();
        match self.pick(100) {
            0..40 => self.work(),
            40..50 => self.read(n),
            50..58 if runs => self.net.kill(n),
            58..76 if !runs => self.net.start(n),
            76..80 if runs => self.power_loss(n),
            80..83 => self.cut(n),
            83..87 => self.net.cut.clear(),
            87..90 => self.net.loss = [0, 0, 5, 20][self.pick(4)],
            90..92 if self.witness => self.flip_witness(),
            92..94 if runs => {
                let paused = &mut self.net.bricks[n].paused;
                *paused = !*paused;
            }
            94..96 if runs => self.net.step(n, Input::Leave),
            96..98 => self.checkpoint(n),
            _ => {}
        }
        for n in 0..self.net.bricks.len() {
            if self.net.bricks[n].left.is_some() && self.net.bricks[n].core.is_some() {
                self.net.exit(n);
            }
        }
        if self.net.healthy() && self.net.settled() {
            self.lost = None;
        }
    }

    fn work(&mut self) {
        if let Some(leader) = self.net.leader() {
            let index = self.net.propose(leader);
            if let (Some(index), 0) = (index, self.pick(3)) {
                self.net.fsync(leader, index);
            }
        }
    }

    fn read(&mut self, n: usize) {
        if self.net.bricks[n].core.is_some() && !self.net.bricks[n].paused {
            self.ticket += 1;
            self.net.read(n, self.ticket);
        }
    }

    fn power_loss(&mut self, n: usize) {
        let all = self.pick(3) == 0;
        match self.weather {
            Weather::Kills => {}
            Weather::OnePowerLoss => {
                if self.lost.is_none() && self.net.settled() && self.net.bricks.len() > 1 {
                    self.lost = Some(n);
                    self.net.power_loss(n);
                }
            }
            Weather::NewDisk => {
                if self.lost.is_none() && self.net.settled() && self.spares_one() {
                    self.lost = Some(n);
                    self.net.new_disk(n);
                }
            }
            Weather::PowerLosses if all => {
                (0..self.net.bricks.len()).for_each(|n| self.net.power_loss(n));
            }
            Weather::PowerLosses => self.net.power_loss(n),
        }
    }

    /// Whether the others can take one brick out of S.
    fn spares_one(&self) -> bool {
        let Some(core) = self.net.leader().and_then(|leader| self.net.core(leader)) else { return false };
        let config = core.config().record.target();
        config.in_sync.len() > 2 || config.seat.is_some()
    }

    fn cut(&mut self, n: usize) {
        let other = self.some_brick();
        match self.pick(4) {
            0 => self.net.isolate(n),
            1 => self.net.cut.extend([(n, other), (other, n)]),
            2 => self.net.cut.extend([(n, SEAT), (SEAT, n)]),
            _ => self.net.cut.extend([(n, other)]),
        }
    }

    fn flip_witness(&mut self) {
        if self.net.witness.is_some() { self.net.stop_witness() } else { self.net.start_witness() }
    }

    fn checkpoint(&mut self, n: usize) {
        let brick = &mut self.net.bricks[n];
        brick.disk.checkpoint = brick.disk.checkpoint.max(brick.applied.min(brick.disk.synced));
    }

    fn quiet(&mut self) {
        self.net.cut.clear();
        self.net.loss = 0;
        if self.witness && self.net.witness.is_none() {
            self.net.start_witness();
        }
        for n in 0..self.net.bricks.len() {
            self.net.bricks[n].paused = false;
            if self.net.bricks[n].left.is_some() && self.net.bricks[n].core.is_some() {
                self.net.exit(n);
            }
            if self.net.bricks[n].core.is_none() {
                self.net.start(n);
            }
        }
    }

    /// Those that were leaving when quiet came finish that, and come back.
    fn settle(&mut self) {
        for _ in 0..60 {
            self.net.run(500);
            self.quiet();
        }
        self.net.until(1, "all is well", Net::settled);
        if let Some(leader) = self.net.leader() {
            let index = self.net.propose(leader).unwrap_or(Index::ZERO);
            self.net.until(1_000, "a last commit", |net| net.oracle.highest >= index);
        }
        self.net.until(1_000, "all is the same", Net::settled);
        for brick in &self.net.bricks {
            self.net.oracle.has_all(&brick.disk);
        }
    }
}

fn history(bricks: usize, witness: bool, weather: Weather, seed: u64, mutations: Mutations) {
    let mut chaos = Chaos::new(bricks, witness, weather, seed, mutations);
    chaos.net.run(2_500);
    for _ in 0..250 {
        chaos.act();
        let pause = [0, 1, 3, 20, 100, 700][chaos.pick(6)];
        chaos.net.run(pause);
    }
    chaos.quiet();
    chaos.settle();
}

const SHAPES: [(usize, bool); 6] = [(1, false), (2, false), (2, true), (3, false), (4, false), (4, true)];
const WEATHERS: [Weather; 4] =
    [Weather::Kills, Weather::OnePowerLoss, Weather::NewDisk, Weather::PowerLosses];

fn seeds(seeds: std::ops::Range<u64>) {
    for seed in seeds {
        for (bricks, witness) in SHAPES {
            for weather in WEATHERS {
                let run = || history(bricks, witness, weather, seed, Mutations::default());
                let ended = std::panic::catch_unwind(run);
                assert!(ended.is_ok(), "{bricks} bricks, witness {witness}, {weather:?}, seed {seed}");
            }
        }
    }
}

/// `RFS_SEEDS=1000..100000` takes an hour.
#[test]
#[allow(clippy::disallowed_methods, reason = "a longer run is asked for from outside")]
fn faults_then_quiet_then_it_converges() {
    let range = std::env::var("RFS_SEEDS").ok();
    let ends = range.as_deref().and_then(|r| r.split_once(".."));
    let (from, to) = ends.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?))).unwrap_or((0, 8));
    seeds(from..to);
}

/// Histories until one is caught; the mutant's seed.
fn caught(mutations: Mutations, limit: u64) -> Option<u64> {
    let all = || SHAPES.iter().flat_map(|shape| WEATHERS.map(|weather| (*shape, weather)));
    (0..limit).find(|seed| {
        all().any(|((bricks, witness), weather)| {
            let run = || history(bricks, witness, weather, *seed, mutations);
            std::panic::catch_unwind(run).is_err()
        })
    })
}

#[test]
fn mutants_are_caught() {
    let none = Mutations::default();
    let mutants = [
        ("count_before_journaled", Mutations { count_before_journaled: true, ..none }),
        ("durable_before_synced", Mutations { durable_before_synced: true, ..none }),
        ("no_suspect_rule", Mutations { no_suspect_rule: true, ..none }),
        ("joint_by_new_alone", Mutations { joint_by_new_alone: true, ..none }),
    ];
    for (name, mutations) in mutants {
        assert!(caught(mutations, 20).is_some(), "{name}");
    }
}
