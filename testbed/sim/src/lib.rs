//! A deterministic simulator of one replica set: the real consensus core, witness, admission, sessions and recovery plan,
//! over a virtual network, virtual disks and a virtual clock. One seed is one history, bit for bit.
//!
//! See `docs/testing/simulator.md` for what it covers.

pub mod ambush;
pub mod aside;
pub mod births;
pub mod brick;
pub mod client;
pub mod clock;
pub mod conns;
pub mod copies;
pub mod damage;
pub mod disk;
pub mod faults;
pub mod history;
pub mod kind;
pub mod mutants;
pub mod net;
pub mod operator;
pub mod oracle;
pub mod outside;
pub mod queue;
pub mod rng;
pub mod run;
pub mod seat;
pub mod setup;
pub mod stats;
pub mod sweep;
pub mod table;
pub mod world;

pub use run::{Outcome, run, run_seed};
pub use setup::{Mutants, Setup};
