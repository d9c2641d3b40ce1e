//! Bricks, a witness and a client on recorded disks: recorded once, then cut and brought back, again and again.

mod format;
mod live;
mod recording;
mod stage;
mod stint;
mod stir;
mod volume;

use std::time::Duration;

pub use format::FileSystem;
pub use live::{LiveCut, one_brick};
pub use recording::{Plan, Recording, Taken};
pub use stage::{Alive, Stage};
pub use stint::Stretch;
pub use volume::Difference;

use rfs_cluster::{Builder, Cluster, Disk};

/// Hosts with a disk: two with a brick, and the witness.
pub const SERVERS: [&str; 3] = ["server1", "server2", "server3"];

/// How many of them have a brick.
pub const BRICKS: usize = 2;

pub const CLIENT: &str = "client";

/// How long a brick may take to apply the last records.
const APPLIES: Duration = Duration::from_secs(5);

fn hosts() -> Builder {
    let hosts = Cluster::of(&[SERVERS.as_slice(), &[CLIENT]].concat()).beside_others();
    SERVERS.iter().fold(hosts, |hosts, server| hosts.disk(server, Disk::Slot))
}
