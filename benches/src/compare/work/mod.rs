//! What is done on each file system.

mod calls;
mod catalog;
mod fio;
mod heal;
mod inside;
mod script;
mod stream;

use rfs_cluster::Host;
use serde::Serialize;

use super::systems::{Seat, System};

pub use calls::Call;
pub use catalog::chosen;
pub use fio::Fio;
pub use heal::Missed;
pub use inside::{Inside, main as inside};
pub use script::Script;
pub use stream::Stream;

/// In what a result counts; more a second is better.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Unit {
    #[serde(rename = "MiB/s")]
    MiB,
    #[serde(rename = "/s")]
    Ops,
    /// The time of the whole is shown, and less is better.
    #[serde(rename = "s")]
    Whole,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    pub name: &'static str,
    pub what: What,
    pub unit: Unit,
    /// When an operation counts as done.
    pub done: &'static str,
    /// The client's side has cached nothing when it begins.
    pub cold: bool,
    /// How many times as fast as GlusterFS it has to be, and is to be.
    pub gate: Option<f64>,
    pub aim: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
pub enum What {
    Stream(Stream),
    Fio(Fio),
    Calls(Call),
    Script(Script),
    Heal(Missed),
}

/// How much of it.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Amounts {
    /// Seconds of each job that is not done when a file is.
    pub seconds: u32,
    /// MiB of the file that is written and read from its beginning to its end.
    pub long_mib: u64,
    /// MiB of a file that is accessed at random.
    pub random_mib: u64,
    /// Files, and calls of each kind.
    pub files: u64,
    /// Files in the tree that is copied.
    pub tree: u64,
}

/// What one run did.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Done {
    /// Until it had returned to the program.
    pub seconds: f64,
    pub ops: u64,
    pub bytes: u64,
    /// CPU seconds of the programs that did it.
    pub cpu_s: f64,
    /// Microseconds, where they are known.
    pub p50_us: Option<f64>,
    pub p99_us: Option<f64>,
}

/// Where a run is at.
pub struct Place<'a> {
    pub system: &'a dyn System,
    pub seat: Seat,
    pub amounts: Amounts,
    /// Which round it is: names of files hold it.
    pub round: u32,
}

impl Place<'_> {
    pub fn host(&self) -> &Host {
        &self.system.cluster()[self.system.host(self.seat)]
    }

    /// A path below the folder of the bench on that file system.
    pub fn path(&self, name: &str) -> String {
        format!("{}/bench-{}/{name}", self.system.dir(), self.seat.name())
    }
}

impl Work {
    /// What has to be there before it begins. Not measured.
    pub fn prepare(&self, place: &Place<'_>) {
        place.host().run(&["mkdir", "-p", &place.path("")]).ok();
        match self.what {
            What::Stream(stream) => stream.prepare(place),
            What::Fio(fio) => fio.prepare(place),
            What::Calls(call) => call.prepare(place),
            What::Script(script) => script.prepare(place),
            What::Heal(missed) => missed.prepare(place),
        }
        if !matches!(self.what, What::Heal(_)) {
            place.system.settle();
        }
        if self.cold {
            place.system.remount(place.seat);
        }
    }

    pub fn run(&self, place: &Place<'_>) -> Done {
        match self.what {
            What::Stream(stream) => stream.run(place),
            What::Fio(fio) => fio.run(place),
            What::Calls(call) => call.run(place),
            What::Script(script) => script.run(place),
            What::Heal(missed) => missed.run(place),
        }
    }

    /// Whether that file system can do it.
    pub fn fits(&self, system: &dyn System) -> bool {
        !matches!(self.what, What::Heal(_)) || system.heals()
    }
}
