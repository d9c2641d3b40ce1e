//! What can be done to a host, a mount or the network.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// The kinds of faults.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// SIGKILL of a brick's daemon, and a start.
    Kill,
    /// SIGTERM of a brick's daemon, and a start.
    Term,
    /// SIGSTOP of a brick's daemon, and SIGCONT.
    Stop,
    /// SIGKILL of a mount, and another mount.
    MountKill,
    /// SIGTERM of a mount, and another mount.
    MountTerm,
    /// SIGSTOP of a mount, and SIGCONT.
    MountStop,
    /// A host loses its network.
    Cut,
    /// What a host sends to another one is lost.
    OneWay,
    /// Two hosts lose each other.
    Part,
    /// A server loses power, and all that had not reached its disk.
    Power,
    /// A brick's disk is swapped for an empty one, which takes its place in the volume.
    Disk,
    /// The file system of a brick has next to no room left.
    Full,
    /// The wall clock of a host jumps, and jumps back.
    Clock,
}

/// All kinds and their words.
pub const KINDS: [(Kind, &str); 13] = [
    (Kind::Kill, "kill"),
    (Kind::Term, "term"),
    (Kind::Stop, "stop"),
    (Kind::MountKill, "mount-kill"),
    (Kind::MountTerm, "mount-term"),
    (Kind::MountStop, "mount-stop"),
    (Kind::Cut, "cut"),
    (Kind::OneWay, "one-way"),
    (Kind::Part, "part"),
    (Kind::Power, "power"),
    (Kind::Disk, "disk"),
    (Kind::Full, "full"),
    (Kind::Clock, "clock"),
];

impl Kind {
    /// Its word, as on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or("?", |(_, word)| word)
    }

    /// Whether a mount ends by it.
    #[must_use]
    pub fn ends_mount(self) -> bool {
        matches!(self, Kind::MountKill | Kind::MountTerm)
    }

    /// Whether it is done to the network, and so can be done beside another one to the same host.
    #[must_use]
    pub fn of_network(self) -> bool {
        matches!(self, Kind::Cut | Kind::OneWay | Kind::Part)
    }

    /// Whether bricks keep all that they have, and go on, whatever it is done to.
    #[must_use]
    pub fn spares_bricks(self) -> bool {
        self.of_mount() || self == Kind::Clock
    }

    /// Whether it is done to a client.
    #[must_use]
    pub fn of_mount(self) -> bool {
        matches!(self, Kind::MountKill | Kind::MountTerm | Kind::MountStop)
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(word: &str) -> Result<Kind, String> {
        let found = KINDS.iter().find(|(_, w)| *w == word).map(|(kind, _)| *kind);
        let all = || KINDS.map(|(_, word)| word).join(", ");
        found.ok_or_else(|| format!("no such fault: {word}; there are {}", all()))
    }
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    pub kind: Kind,
    pub host: String,
    /// To whom the host's packets are lost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub other: Option<String>,
    /// From the beginning of its round.
    pub after_ms: u64,
    pub hold_ms: u64,
    /// Seconds of a clock's jump; MiB that are left on a full disk.
    #[serde(default)]
    pub amount: i64,
}

impl Fault {
    /// Whether it is done to this host, or to what comes to it.
    #[must_use]
    pub fn touches(&self, host: &str) -> bool {
        self.host == host || self.other.as_deref() == Some(host)
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.word(), self.host)?;
        if let Some(other) = &self.other {
            write!(f, " to {other}")?;
        }
        match self.kind {
            Kind::Full => write!(f, " but {} MiB", self.amount)?,
            Kind::Clock => write!(f, " by {} s", self.amount)?,
            _ => {}
        }
        write!(f, ", {} ms after {} ms", self.hold_ms, self.after_ms)
    }
}
