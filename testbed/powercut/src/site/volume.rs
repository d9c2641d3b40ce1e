//! A new volume on recorded disks.

use std::fmt;
use std::io;
use std::path::Path;

use rfs_cluster::{BRICK, MOUNT, Replica, VOLUME, tree, wait};

use super::{APPLIES, BRICKS, CLIENT, FileSystem, Plan, SERVERS, hosts};
use crate::check::{Found, read};
use crate::device::Device;
use crate::image::Image;
use crate::work::{WORKERS, folder};

/// Bytes of a brick's disk, and of the witness's.
const BRICK_BYTES: u64 = 640 << 20;
const WITNESS_BYTES: u64 = 64 << 20;

/// Mounted on the client, healthy, with a folder for each worker. Hosts go before their devices.
#[derive(Debug)]
pub struct Volume {
    pub replica: Replica,
    pub disks: Vec<Disk>,
}

/// A device, and what it held when it was started.
#[derive(Debug)]
pub struct Disk {
    pub device: Device,
    pub initial: Image,
}

impl Disk {
    pub fn start(initial: Image) -> io::Result<Disk> {
        Ok(Disk { device: Device::start(initial.copy()?)?, initial })
    }
}

impl Volume {
    /// Panics when it does not come up.
    pub fn make(plan: &Plan) -> io::Result<Volume> {
        let cluster = hosts().start();
        let bricks = plan.file_systems.iter().map(|kind| kind.format(BRICK_BYTES));
        let images = bricks.chain([FileSystem::Ext4.format(WITNESS_BYTES)]);
        let disks = images.map(|image| Disk::start(image?)).collect::<io::Result<Vec<Disk>>>()?;
        for (server, disk) in SERVERS.iter().zip(&disks) {
            cluster[server].insert(disk.device.path());
        }
        let replica = Replica::on(cluster, BRICKS);
        if plan.sync_always {
            replica.cluster[SERVERS[0]].tools(&["volume", "set", VOLUME, "sync", "always"]).ok();
        }
        // The witness's seat goes to the third server as long as there is no mount.
        replica.settled();
        replica.mount(CLIENT);
        let folders: Vec<String> = (0..WORKERS).map(folder).collect();
        replica.cluster[CLIENT].sh(&format!("cd {MOUNT} && mkdir {} && sync .", folders.join(" "))).ok();
        Ok(Volume { replica, disks })
    }
}

/// The workers' folders as the client's mount shows them, and what is otherwise on the bricks' disks.
pub fn look(replica: &Replica) -> io::Result<(Vec<Found>, Vec<Difference>)> {
    let cluster = &replica.cluster;
    let seen = all(&cluster[CLIENT].path(MOUNT))?;
    let bricks: Vec<_> = SERVERS.iter().take(BRICKS).map(|s| (*s, cluster[s].path(BRICK))).collect();
    let compare = || -> io::Result<Vec<Difference>> {
        let mut found = Vec::new();
        for (server, top) in &bricks {
            found.extend(against(server, &all(top)?, &seen));
        }
        let each_other = tree::differences(&bricks[0].1, &bricks[1].1)?;
        let rest = each_other.into_iter().filter(|_| found.is_empty()).map(Difference::Other);
        Ok(rest.chain(found.iter().cloned()).collect())
    };
    wait::holds_within(APPLIES, || compare().is_ok_and(|d| d.is_empty()));
    let differences = compare()?;
    Ok((seen, differences))
}

fn all(top: &Path) -> io::Result<Vec<Found>> {
    (0..WORKERS).map(|w| read(&top.join(folder(w)))).collect()
}

/// Something on a brick's disk that is not what the mount shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Difference {
    /// A name that the mount does not show.
    LeftOver(String),
    /// A name that is not there.
    Missing(String),
    /// Another kind, other contents, attributes or links.
    Other(String),
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Difference::LeftOver(name) => write!(f, "{name} is left over"),
            Difference::Missing(name) => write!(f, "{name} is missing"),
            Difference::Other(name) => write!(f, "{name} differs"),
        }
    }
}

fn against(server: &str, brick: &[Found], seen: &[Found]) -> Vec<Difference> {
    let mut out = Vec::new();
    for (worker, (brick, seen)) in (0..).zip(brick.iter().zip(seen)) {
        let name = |name: &String| format!("{server}:{}/{name}", folder(worker));
        for (path, node) in brick {
            match seen.get(path) {
                None => out.push(Difference::LeftOver(name(path))),
                Some(shown) if shown != node => out.push(Difference::Other(name(path))),
                Some(_) => {}
            }
        }
        out.extend(seen.keys().filter(|p| !brick.contains_key(*p)).map(|p| Difference::Missing(name(p))));
    }
    out
}
