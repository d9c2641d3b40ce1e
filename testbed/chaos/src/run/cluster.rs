//! The cluster under test.

use std::fs;

use anyhow::{Context, Result, ensure};
use rfs_cluster::{Cluster, Disk, MOUNT, Replica};

use super::Options;
use crate::nemesis::Field;
use crate::work;

/// Where the bricks and the votes are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Shape {
    /// Two bricks; a mount is the witness
    Two,
    /// Two bricks, and a server without one as the witness
    Witness,
    /// Three bricks
    Three,
}

/// Small enough to be full soon, large enough for the log of a long run.
const DISK: Disk = Disk::Image { kind: "ext4", bytes: 1536 << 20 };

impl Shape {
    fn servers(self) -> &'static [&'static str] {
        match self {
            Shape::Two => &["server1", "server2"],
            Shape::Witness | Shape::Three => &["server1", "server2", "server3"],
        }
    }

    fn bricks(self) -> usize {
        if self == Shape::Three { 3 } else { 2 }
    }
}

/// Makes it: servers, a started volume, and a mount on each of two clients.
///
/// # Errors
/// The clients' program cannot be copied, or their folder not be made.
pub fn build(options: &Options) -> Result<(Replica, Field)> {
    let clients = ["client", "client2"];
    let hosts = [options.shape.servers(), &clients].concat();
    let mut builder = Cluster::of(&hosts).beside_others().with_clocks();
    for server in options.shape.servers().iter().take(options.shape.bricks()) {
        builder = builder.disk(server, DISK);
    }
    let replica = Replica::of(builder, options.shape.bricks());
    let program = replica.cluster.folder().join("bin/rfs-chaos");
    fs::copy(&options.program, &program).with_context(|| options.program.display().to_string())?;
    let first = &replica.cluster["server1"];
    first.tools(&["volume", "set", rfs_cluster::VOLUME, "log.retain-bytes", "256MiB"]).ok();
    for client in clients {
        replica.mount(client);
    }
    let made = replica.cluster[clients[0]].run(&["mkdir", &format!("{MOUNT}/{}", work::FOLDER)]);
    ensure!(made.success(), "{made}");
    replica.settled();
    let owned = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect();
    let field =
        Field { bricks: replica.bricks.clone(), servers: replica.servers.clone(), clients: owned(&clients) };
    Ok((replica, field))
}
