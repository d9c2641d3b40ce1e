//! The clients: each a process inside a host, which works on the mount and writes its history elsewhere.

mod append;
mod client;
mod exclusive;
pub mod files;
mod handle;
mod keys;
mod locks;
mod names;
mod replace;

use std::path::PathBuf;

use anyhow::{Result, bail};

pub use client::Client;

/// What a client process is told.
#[derive(Clone, Debug)]
pub struct Task {
    /// One of [`KINDS`].
    pub kind: String,
    /// Its name, unique among all clients: `KIND-HOST`.
    pub name: String,
    /// All of its kind, itself among them.
    pub peers: Vec<String>,
    /// The mount point.
    pub mount: PathBuf,
    /// Where its history goes.
    pub history: PathBuf,
    /// It ends when this file exists.
    pub stop: PathBuf,
    pub seed: u64,
    /// It waits for locks now and then: for a minute, if a mount died with one.
    pub patient: bool,
}

/// The kinds of clients.
pub const KINDS: [&str; 7] = ["append", "replace", "keys", "names", "flock", "fcntl", "win"];

/// The folder of the volume in which they work.
pub const FOLDER: &str = "work";

/// Works until it is told to stop.
///
/// # Errors
/// The history cannot be written.
pub fn work(task: &Task) -> Result<()> {
    let mut client = Client::begin(task)?;
    match task.kind.as_str() {
        "append" => append::run(&mut client),
        "replace" => replace::run(&mut client),
        "keys" => keys::run(&mut client),
        "names" => names::run(&mut client),
        "flock" => locks::run(&mut client, crate::event::LockKind::Flock),
        "fcntl" => locks::run(&mut client, crate::event::LockKind::Fcntl),
        "win" => exclusive::run(&mut client),
        other => bail!("no such kind of client: {other}"),
    }
}
