//! The file systems that are compared, each on hosts of its own; all of them keep their files on one file system of this
//! machine.

mod gluster;
mod moosefs;
mod plain;
mod rfs;

use std::time::Duration;

use clap::ValueEnum;
use rfs_cluster::Cluster;
use serde::Serialize;

/// Which one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A directory of the client's own disk
    Plain,
    /// GlusterFS, replica 2
    #[value(name = "glusterfs")]
    #[serde(rename = "glusterfs")]
    Gluster,
    /// MooseFS, goal 2
    #[value(name = "moosefs")]
    Moosefs,
    /// rfs, replica 2
    Rfs,
}

/// Where programs run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Seat {
    /// A machine without a brick
    Client,
    /// The machine of the first brick
    Brick,
}

/// A file system that is up and mounted. What it is told to do panics, with all that was said, when it fails.
pub trait System {
    fn kind(&self) -> Kind;
    /// Name and version.
    fn version(&self) -> String;
    /// What holds of a write or a change when the call has returned, of a file when close() has, and when fsync() has.
    fn promises(&self) -> &'static str;
    fn cluster(&self) -> &Cluster;
    /// The host of that seat.
    fn host(&self, seat: Seat) -> &str {
        match seat {
            Seat::Client => "client",
            Seat::Brick => "server1",
        }
    }
    /// The host of the brick that leads, where one does.
    fn leader(&self) -> Option<String> {
        None
    }
    /// Where it is mounted there.
    fn dir(&self) -> &str;
    /// Takes the mount away and makes it anew: nothing is cached on the client's side then.
    fn remount(&self, seat: Seat);
    /// Returns once every copy holds all that was done. Most have done everything when a program is told so.
    fn settle(&self) {}
    /// Whether it has a second brick that can be lost and healed.
    fn heals(&self) -> bool {
        false
    }
    /// Kills all that runs on the second brick's machine.
    fn lose_second(&self) {}
    /// Starts it again.
    fn start_second(&self) {}
    /// Whether both bricks hold everything, by the system's own word.
    fn is_whole(&self) -> bool {
        true
    }
}

/// How long something may take that has nothing to do with what is measured.
const PATIENCE: Duration = Duration::from_secs(120);

/// Brings one up and mounts it at every seat.
#[track_caller]
pub fn start(kind: Kind) -> Box<dyn System> {
    match kind {
        Kind::Plain => Box::new(plain::Plain::start()),
        Kind::Gluster => Box::new(gluster::Gluster::start()),
        Kind::Moosefs => Box::new(moosefs::Moosefs::start()),
        Kind::Rfs => Box::new(rfs::Rfs::start()),
    }
}

impl Kind {
    /// The program without which it cannot be had, and Debian's package with it.
    pub fn needs(self) -> Option<(&'static str, &'static str)> {
        match self {
            Kind::Plain | Kind::Rfs => None,
            Kind::Gluster => Some(("glusterd", "glusterfs-server")),
            Kind::Moosefs => Some(("mfsmaster", "moosefs-master moosefs-chunkserver moosefs-client")),
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Kind::Plain => "plain",
            Kind::Gluster => "glusterfs",
            Kind::Moosefs => "moosefs",
            Kind::Rfs => "rfs",
        }
    }
}

impl Seat {
    pub fn name(self) -> &'static str {
        match self {
            Seat::Client => "client",
            Seat::Brick => "brick",
        }
    }
}

/// The version that Debian gives a package.
fn package(name: &str) -> String {
    let asked = std::process::Command::new("dpkg-query").args(["-W", "-f", "${Version}", name]).output();
    asked.map(|said| String::from_utf8_lossy(&said.stdout).trim().to_owned()).unwrap_or_default()
}
