//! Hosts on which cut disks are brought back to life.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rfs_cluster::{Host, MOUNT, Replica, trial::HEALS};

use super::stint::{Stint, Stretch};
use super::volume::{Difference, look};
use super::{BRICKS, CLIENT, SERVERS, hosts};
use crate::check::{Found, History};
use crate::clock::now_ns;
use crate::device::Device;
use crate::image::Image;
use crate::record::Record;

/// One set of hosts, for one cut after the other. When a recovery has panicked, it must be dropped.
#[derive(Debug)]
pub struct Stage {
    replica: Replica,
    /// Those in use. They go after the hosts that have them mounted.
    devices: Mutex<Vec<Device>>,
}

/// A volume that came back.
#[derive(Debug)]
pub struct Alive<'a> {
    stage: &'a Stage,
    /// From the start of the bricks until all were healthy.
    pub took: Duration,
    /// That time, from when the disks were there.
    pub from_ns: u64,
    pub until_ns: u64,
    /// Starts of a daemon that hung, and were done again.
    pub hung: u64,
}

impl Stage {
    #[must_use]
    pub fn new() -> Stage {
        let names = |count| SERVERS.iter().take(count).map(|s| (*s).to_owned()).collect();
        let replica =
            Replica { cluster: hosts().start(), bricks: names(BRICKS), servers: names(SERVERS.len()) };
        Stage { replica, devices: Mutex::default() }
    }

    fn devices(&self) -> MutexGuard<'_, Vec<Device>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The ends of all logs.
    #[must_use]
    pub fn logs(&self) -> String {
        self.replica.cluster.hosts().map(|h| h.log_tails(60)).collect()
    }

    /// Starts the servers on these disks after a loss of power, and waits until the volume is healthy; panics when that
    /// takes too long.
    pub fn recover(&self, disks: Vec<Image>) -> io::Result<Alive<'_>> {
        let cluster = &self.replica.cluster;
        let from_ns = now_ns();
        for (server, image) in SERVERS.iter().zip(disks) {
            let device = Device::start(image)?;
            let path = device.path().to_owned();
            self.devices().push(device);
            cluster[server].insert(&path);
        }
        cluster.hosts().for_each(rfs_cluster::Host::reboot);
        let begun = Instant::now();
        let hung = &AtomicU64::new(0);
        std::thread::scope(|scope| {
            for server in SERVERS {
                scope.spawn(move || start(&cluster[server], hung));
            }
        });
        self.replica.healed(HEALS);
        let hung = hung.load(Ordering::Relaxed);
        Ok(Alive { stage: self, took: begun.elapsed(), from_ns, until_ns: now_ns(), hung })
    }
}

/// Starts a daemon. Seen now and then, on a machine with much to do: it does not come to answer, and says nothing. That is no matter of disks:
/// it is counted, shown with where its threads stand, and done again, once.
fn start(host: &Host, hung: &AtomicU64) {
    if let Err(why) = host.try_start_brickd(&[], &[]) {
        eprintln!("a start that hangs: {why}");
        hung.fetch_add(1, Ordering::Relaxed);
        host.start_brickd();
    }
}

impl Default for Stage {
    fn default() -> Stage {
        Stage::new()
    }
}

impl Alive<'_> {
    /// Mounts the volume; what [`look`] finds.
    pub fn look(&self) -> io::Result<(Vec<Found>, Vec<Difference>)> {
        if self.stage.replica.cluster[CLIENT].mounts("fuse.").is_empty() {
            self.stage.replica.mount(CLIENT);
        }
        look(&self.stage.replica)
    }

    /// Works on it. Panics when an operation fails.
    pub fn go_on(&self, stretch: Stretch, long: Duration) -> io::Result<History> {
        let mut stint = Stint::start(&self.stage.replica.cluster, stretch)?;
        stint.last(long);
        stint.end()
    }

    /// Takes the disks out, and returns what they were told.
    pub fn end(self) -> io::Result<Vec<Record>> {
        let cluster = &self.stage.replica.cluster;
        cluster[CLIENT].crash();
        // The client is another machine each time: what it stored as a witness belongs to this course of events.
        let forget = "rm -rf /var/lib/rfs/*";
        cluster[CLIENT]
            .sh(&format!("(! grep -q ' {MOUNT} ' /proc/mounts || umount -l {MOUNT}) && {forget}"))
            .ok();
        SERVERS.iter().for_each(|server| cluster[server].eject());
        let devices = std::mem::take(&mut *self.stage.devices());
        let stopped = devices.into_iter().map(Device::stop).collect::<io::Result<Vec<_>>>()?;
        Ok(stopped.into_iter().map(|(record, _)| record).collect())
    }
}
