//! The network: one bridge, one port a host, in a namespace without an uplink.

use std::io;
use std::path::Path;
use std::time::Duration;

use serde::Deserialize;

use crate::cable::Cable;
use crate::enter::{self, Door};
use crate::holder::{DataDisk, Holder, Plan};

/// The network of every cluster; they cannot meet, so they can all be the same.
pub const NETWORK: &str = "192.168.199";

/// What a host calls its port.
pub const PORT: &str = "eth0";

/// Packets to this hardware address vanish.
const NOWHERE: &str = "02:00:00:00:de:ad";

/// Frames that wait for a slow cable.
const QUEUE: u32 = 8192;

const IP_LIMIT: Duration = Duration::from_secs(20);

/// Bytes that passed a host's port, as the switch sees them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Wire {
    /// By the host.
    pub sent: u64,
    /// By the host.
    pub received: u64,
}

impl Wire {
    /// What passed since an earlier reading.
    #[must_use]
    pub fn since(self, earlier: Wire) -> Wire {
        Wire { sent: self.sent - earlier.sent, received: self.received - earlier.received }
    }
}

/// The bridge.
#[derive(Debug)]
pub struct Switch {
    holder: Holder,
}

impl Switch {
    /// Makes the bridge; `folder` is its own.
    pub fn start(folder: &Path) -> io::Result<Switch> {
        let plan = Plan {
            host: "switch".into(),
            folder: folder.to_owned(),
            programs: folder.to_owned(),
            hosts: String::new(),
            machine_id: String::new(),
            data: DataDisk::Folder,
        };
        let holder = Holder::start(&plan)?;
        ip(holder.init(), "link add br0 type bridge\nlink set br0 up\n")?;
        Ok(Switch { holder })
    }

    /// Gives a host its port, named after it, and its address.
    pub fn plug(&self, host: &str, init: u32, address: &str) -> io::Result<()> {
        let add = format!(
            "link add {host} type veth peer name {PORT} netns {init}\nlink set {host} master br0 up\n"
        );
        ip(self.holder.init(), &add)?;
        up(init, address)
    }

    /// The same with a cable that takes time, in either direction the same; it is there as long as what is returned.
    pub fn plug_slow(&self, host: &str, init: u32, address: &str, delay: Duration) -> io::Result<Cable> {
        let cable = Cable::start(init, self.holder.init(), host, delay)?;
        // What comes faster than a cable takes it is to wait: who is slow at the moment need not be so for long.
        let queue = |port: &str| format!("link set {port} txqueuelen {QUEUE}\n");
        ip(self.holder.init(), &format!("{}link set {host} master br0 up\n", queue(host)))?;
        ip(init, &queue(PORT))?;
        up(init, address)?;
        Ok(cable)
    }

    /// Takes a port down (nothing passes, nobody is told) or up.
    pub fn port(&self, host: &str, up: bool) -> io::Result<()> {
        ip(self.holder.init(), &format!("link set {host} {}\n", if up { "up" } else { "down" }))
    }

    /// What passed a port so far.
    pub fn wire(&self, host: &str) -> io::Result<Wire> {
        let argv = ["ip", "-s", "-j", "link", "show", "dev", host];
        let ran = enter::run(self.holder.init(), Door::Network, &argv, None, IP_LIMIT)?;
        let [link]: [Link; 1] =
            serde_json::from_str(&ran.stdout).map_err(|e| io::Error::other(format!("{e}: {ran}")))?;
        Ok(Wire { sent: link.stats64.rx.bytes, received: link.stats64.tx.bytes })
    }
}

fn up(init: u32, address: &str) -> io::Result<()> {
    ip(init, &format!("addr add {address}/24 dev {PORT}\nlink set {PORT} up\nlink set lo up\n"))
}

/// Loses all that `from` (a host's first process) sends to an address, silently.
pub fn lose(from: u32, address: &str) -> io::Result<()> {
    ip(from, &format!("neigh replace {address} lladdr {NOWHERE} dev {PORT} nud permanent\n"))
}

/// Ends [`lose`].
pub fn find(from: u32, address: &str) -> io::Result<()> {
    ip(from, &format!("neigh del {address} dev {PORT}\n"))
}

/// A batch of ip(8) commands in a host's network.
fn ip(init: u32, batch: &str) -> io::Result<()> {
    let ran = enter::run(init, Door::Network, &["ip", "-batch", "-"], Some(batch.as_bytes()), IP_LIMIT)?;
    if ran.success() { Ok(()) } else { Err(io::Error::other(format!("{batch}{ran}"))) }
}

#[derive(Deserialize)]
struct Link {
    stats64: Stats,
}

#[derive(Deserialize)]
struct Stats {
    rx: Counter,
    tx: Counter,
}

#[derive(Deserialize)]
struct Counter {
    bytes: u64,
}
