//! What is asked for, and what is seen.

use std::collections::BTreeMap;

/// One operation. Paths are relative to the directory under test; no operation follows a symlink at the end of one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// With `O_EXCL`.
    Create {
        path: String,
        mode: u32,
    },
    Mkdir {
        path: String,
        mode: u32,
    },
    Fifo {
        path: String,
        mode: u32,
    },
    Symlink {
        to: String,
        path: String,
    },
    Link {
        from: String,
        to: String,
    },
    Unlink {
        path: String,
    },
    Rmdir {
        path: String,
    },
    Rename {
        from: String,
        to: String,
        target: Target,
    },
    Write {
        path: String,
        offset: u64,
        data: Vec<u8>,
    },
    /// With `O_APPEND`.
    Append {
        path: String,
        data: Vec<u8>,
    },
    /// With `O_CREAT` and `O_TRUNC`.
    Replace {
        path: String,
        data: Vec<u8>,
    },
    Truncate {
        path: String,
        size: u64,
    },
    Punch {
        path: String,
        offset: u64,
        len: u64,
    },
    Allocate {
        path: String,
        offset: u64,
        len: u64,
    },
    Read {
        path: String,
        offset: u64,
        len: usize,
    },
    Chmod {
        path: String,
        mode: u32,
    },
    Chown {
        path: String,
        uid: u32,
        gid: u32,
    },
    /// Seconds and nanoseconds; none: left as it is.
    SetTimes {
        path: String,
        atime: Option<(i64, u32)>,
        mtime: Option<(i64, u32)>,
    },
    SetXattr {
        path: String,
        name: &'static str,
        value: Vec<u8>,
        create: bool,
        replace: bool,
    },
    GetXattr {
        path: String,
        name: &'static str,
    },
    RemoveXattr {
        path: String,
        name: &'static str,
    },
    Look {
        path: String,
    },
    ReadLink {
        path: String,
    },
    List {
        path: String,
    },
    /// Opens a file and keeps it open: the name may go.
    Hold {
        slot: usize,
        path: String,
    },
    Release {
        slot: usize,
    },
    WriteHeld {
        slot: usize,
        offset: u64,
        data: Vec<u8>,
    },
    ReadHeld {
        slot: usize,
        offset: u64,
        len: usize,
    },
    TruncateHeld {
        slot: usize,
        size: u64,
    },
    LookHeld {
        slot: usize,
    },
    /// All names, attributes and data.
    Tree,
}

/// What a rename does with a name that is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Target {
    Replaced,
    Refused,
    Exchanged,
}

/// The error number, or what was seen.
pub type Outcome = Result<Seen, i32>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Seen {
    Done,
    Bytes(Vec<u8>),
    Names(BTreeMap<String, Kind>),
    Look(Look),
    Tree(BTreeMap<String, Whole>),
}

/// One inode with all that belongs to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Whole {
    pub look: Look,
    /// Of a file, its data; of a symlink, where it points.
    pub data: Vec<u8>,
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Dir,
    Symlink,
    Fifo,
    Other,
}

/// What stat() tells. A directory's size and links are its file system's own affair: they are 0 here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Look {
    pub kind: Kind,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub size: u64,
    pub links: u64,
    pub atime: When,
    pub mtime: When,
}

/// A time stamp.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Exactly(i64, u32),
    /// Since the history began.
    Fresh,
    /// Not foretold.
    Any,
}
