//! The models: what each is about, and how far it goes.

use crate::model::{Bounds, Model, Shape};
use crate::rules::Rules;

/// A model by its name.
#[derive(Clone, Copy, Debug)]
pub struct Named {
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    pub shape: Shape,
    /// Seconds: what the tests explore.
    pub small: Bounds,
    /// Whether each state of the small one is asked whether it can go on.
    pub live: bool,
    /// Minutes: `--full`.
    pub full: Bounds,
}

const SHAPE: Shape = Shape {
    bricks: 2,
    seats: 1,
    leases: false,
    growing: false,
    lazy_sync: false,
    lazy_journal: false,
    demotion: true,
    growth: true,
    moves: false,
    turning: false,
};

const BOUNDS: Bounds = Bounds {
    terms: 3,
    log: 6,
    data: 1,
    crashes: 0,
    powers: 0,
    witness_faults: 0,
    changes: 1,
    reads: 0,
    disks: 0,
};

/// All of them.
pub const MODELS: &[Named] = &[
    Named {
        name: "two+witness",
        about: "2 bricks and a witness: votes, commits, demotion, crashes of all",
        shape: Shape { lazy_journal: true, growth: false, ..SHAPE },
        small: Bounds { log: 5, crashes: 1, witness_faults: 1, ..BOUNDS },
        live: false,
        full: Bounds { terms: 4, log: 6, crashes: 1, witness_faults: 1, ..BOUNDS },
    },
    Named {
        name: "growth",
        about: "2 bricks and a witness: S shrinks and grows again, changes are turned back",
        shape: Shape { turning: true, ..SHAPE },
        small: Bounds { log: 6, data: 0, changes: 2, ..BOUNDS },
        live: true,
        full: Bounds { terms: 4, log: 8, changes: 3, crashes: 1, ..BOUNDS },
    },
    Named {
        name: "three",
        about: "3 bricks: votes, commits, crashes",
        shape: Shape { bricks: 3, demotion: false, growth: false, ..SHAPE },
        small: Bounds { log: 3, data: 0, changes: 0, crashes: 1, ..BOUNDS },
        live: true,
        full: Bounds { terms: 5, log: 4, changes: 0, crashes: 1, ..BOUNDS },
    },
    Named {
        name: "three-changes",
        about: "3 bricks: S goes to 2 with a witness, and back",
        shape: Shape { bricks: 3, ..SHAPE },
        small: Bounds { terms: 2, log: 5, data: 0, ..BOUNDS },
        live: true,
        full: Bounds { changes: 2, ..BOUNDS },
    },
    Named {
        name: "seat-moves",
        about: "2 bricks and 2 witnesses: the seat moves, witnesses crash and lose their registers",
        shape: Shape { seats: 2, moves: true, growth: false, ..SHAPE },
        small: Bounds { log: 5, data: 0, ..BOUNDS },
        live: true,
        full: Bounds { log: 7, data: 0, changes: 2, witness_faults: 1, ..BOUNDS },
    },
    Named {
        name: "leases",
        about: "2 bricks and a witness: promises, leases, reads, handing over, restarts",
        shape: Shape { leases: true, growth: false, ..SHAPE },
        small: Bounds { log: 3, changes: 0, crashes: 1, reads: 1, ..BOUNDS },
        live: false,
        full: Bounds { log: 4, changes: 0, crashes: 1, witness_faults: 1, reads: 1, ..BOUNDS },
    },
    Named {
        name: "leases-changes",
        about: "2 bricks and a witness: leases while S changes",
        shape: Shape { leases: true, growth: false, ..SHAPE },
        small: Bounds { terms: 4, data: 0, ..BOUNDS },
        live: false,
        full: Bounds { terms: 4, data: 0, crashes: 1, ..BOUNDS },
    },
    Named {
        name: "leases-three",
        about: "3 bricks: promises, leases, reads",
        shape: Shape { bricks: 3, leases: true, growth: false, demotion: false, ..SHAPE },
        small: Bounds { log: 3, data: 0, changes: 0, reads: 1, ..BOUNDS },
        live: false,
        full: Bounds { log: 3, changes: 0, crashes: 1, reads: 1, ..BOUNDS },
    },
    Named {
        name: "power",
        about: "2 bricks and a witness: power is lost twice, records are synced late",
        shape: Shape { lazy_sync: true, growth: false, ..SHAPE },
        small: Bounds { log: 4, powers: 2, changes: 0, ..BOUNDS },
        live: false,
        full: Bounds { terms: 4, log: 5, powers: 2, changes: 0, ..BOUNDS },
    },
    Named {
        name: "power-changes",
        about: "2 bricks and a witness: power is lost while S changes",
        shape: Shape { lazy_sync: true, lazy_journal: true, ..SHAPE },
        small: Bounds { log: 5, data: 0, powers: 1, ..BOUNDS },
        live: false,
        full: Bounds { data: 0, powers: 2, changes: 2, ..BOUNDS },
    },
    Named {
        name: "power-three",
        about: "3 bricks: power is lost twice",
        shape: Shape { bricks: 3, lazy_sync: true, demotion: false, growth: false, ..SHAPE },
        small: Bounds { log: 3, data: 0, powers: 1, changes: 0, ..BOUNDS },
        live: false,
        full: Bounds { terms: 4, log: 3, data: 0, powers: 2, changes: 0, ..BOUNDS },
    },
    Named {
        name: "turning-power",
        about: "2 bricks and a witness: S was one brick, and to grow; that is being turned back, and power is lost",
        shape: Shape {
            growing: true,
            lazy_sync: true,
            turning: true,
            demotion: false,
            growth: false,
            ..SHAPE
        },
        small: Bounds { terms: 3, data: 0, powers: 1, ..BOUNDS },
        live: false,
        full: Bounds { terms: 5, log: 8, data: 0, powers: 2, changes: 3, ..BOUNDS },
    },
    Named {
        name: "new-disk",
        about: "2 bricks and a witness: a brick comes back with an empty disk",
        shape: Shape { turning: true, ..SHAPE },
        small: Bounds { log: 5, data: 0, disks: 1, ..BOUNDS },
        live: true,
        full: Bounds { terms: 4, log: 7, data: 0, disks: 1, changes: 2, ..BOUNDS },
    },
];

impl Named {
    /// The model with all rules.
    #[must_use]
    pub fn model(&self, full: bool) -> Model {
        let bounds = if full { self.full } else { self.small };
        Model { shape: self.shape, bounds, rules: Rules::ALL }
    }
}

/// The model of that name.
#[must_use]
pub fn named(name: &str) -> Option<&'static Named> {
    MODELS.iter().find(|model| model.name == name)
}
