//! What a client did and what it was told: one line of a history.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Micros;

/// One operation, from before it was asked for until after it was answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    pub begun: Micros,
    pub ended: Micros,
    #[serde(flatten)]
    pub op: Op,
    /// None: it succeeded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub errno: Option<i32>,
}

impl Event {
    /// Whether it was acknowledged.
    #[must_use]
    pub fn ok(&self) -> bool {
        self.errno.is_none()
    }
}

/// The operations of all kinds of clients. Names are below the folder in which the clients work.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "op", rename_all = "snake_case")]
pub enum Op {
    /// The mount was found to stand, after it had not, or at the beginning.
    Attach,
    /// A file was opened to be written.
    Open {
        file: String,
    },
    /// fsync or fdatasync of the handle.
    Sync {
        file: String,
    },
    /// close of the handle.
    Close {
        file: String,
    },
    /// Line `n` of this client was appended.
    Append {
        file: String,
        n: u64,
    },
    /// A file of lines was opened and read: the last line of each client.
    Lines {
        file: String,
        last: BTreeMap<String, u64>,
        wrong: Option<String>,
    },
    /// One slot of this client's file was written.
    Put {
        file: String,
        slot: usize,
        version: u64,
    },
    /// A file of slots was read: their versions. Fresh: it was opened for that.
    Get {
        file: String,
        fresh: bool,
        seen: Vec<u64>,
        wrong: Option<String>,
    },
    /// A complete new version was written beside the name and renamed over it.
    Replace {
        name: String,
        version: u64,
    },
    /// A name that gets replaced was opened and read: its version, 0 if there was nothing.
    Look {
        name: String,
        seen: u64,
        wrong: Option<String>,
    },
    /// A file was made, which must not exist.
    Make {
        name: String,
    },
    Remove {
        name: String,
    },
    MakeDir {
        name: String,
    },
    RemoveDir {
        name: String,
    },
    /// All names below the folder of this client, or of another one of its kind.
    List {
        name: String,
        seen: Vec<String>,
    },
    /// The lock of a file was taken.
    Lock {
        file: String,
        how: LockKind,
    },
    Unlock {
        file: String,
        how: LockKind,
    },
    /// Under the lock, a number was read from the file and the next one written.
    Count {
        file: String,
        read: u64,
    },
    /// A file that all clients race to make.
    Win {
        name: String,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LockKind {
    Flock,
    Fcntl,
}

impl Op {
    /// Its word in reports.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Op::Attach => "attach",
            Op::Open { .. } => "open",
            Op::Sync { .. } => "fsync",
            Op::Close { .. } => "close",
            Op::Append { .. } => "append",
            Op::Lines { .. } => "read lines",
            Op::Put { .. } => "write slot",
            Op::Get { .. } => "read slots",
            Op::Replace { .. } => "rename over",
            Op::Look { .. } => "read name",
            Op::Make { .. } => "create",
            Op::Remove { .. } => "unlink",
            Op::MakeDir { .. } => "mkdir",
            Op::RemoveDir { .. } => "rmdir",
            Op::List { .. } => "list",
            Op::Lock { .. } => "lock",
            Op::Unlock { .. } => "unlock",
            Op::Count { .. } => "count",
            Op::Win { .. } => "create race",
        }
    }

    /// What is wrong with what was read, if it cannot be the result of any history.
    #[must_use]
    pub fn wrong(&self) -> Option<&str> {
        match self {
            Op::Lines { wrong, .. } | Op::Get { wrong, .. } | Op::Look { wrong, .. } => wrong.as_deref(),
            _ => None,
        }
    }
}
