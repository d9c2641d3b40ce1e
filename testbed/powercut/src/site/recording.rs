//! The recording: what the disks were told while the client worked, and when what had returned.

use std::fs::{self, File};
use std::io;
use std::path::Path;
use std::time::Duration;

use rfs_cluster::{BRICK, Cluster};
use serde::{Deserialize, Serialize};

use super::stint::{Stint, Stretch};
use super::stir::stirred;
use super::volume::{Disk, Volume};
use super::{BRICKS, CLIENT, FileSystem, SERVERS};
use crate::check::History;
use crate::clock::now_ns;
use crate::image::Image;
use crate::record::{Figures, Record};
use crate::work::WORKERS;

/// What to record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub seed: u64,
    pub file_systems: [FileSystem; BRICKS],
    pub seconds: u64,
    /// The volume's option `sync=always`: what is committed is durable.
    pub sync_always: bool,
    /// Dirty pages are pushed to the disks at random, as the kernel may do at any time.
    pub stir: bool,
    /// Operations of each worker, at most.
    pub most: u64,
}

/// All of it.
#[derive(Debug)]
pub struct Recording {
    pub about: About,
    pub disks: Vec<Taken>,
    pub history: History,
}

/// What is kept of a recording besides its disks and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    pub plan: Plan,
    /// The work's beginning and end.
    pub begun_ns: u64,
    pub ended_ns: u64,
}

/// A disk: what it held at first, and what it was told then.
#[derive(Debug)]
pub struct Taken {
    pub initial: Image,
    pub record: Record,
}

impl Recording {
    /// Makes a volume and works on it. Panics, as everything on hosts does, when the volume does not behave.
    pub fn make(plan: Plan) -> io::Result<Recording> {
        let Volume { replica, disks } = Volume::make(&plan)?;
        let begun_ns = now_ns();
        let history = work(&replica.cluster, plan)?;
        let about = About { plan, begun_ns, ended_ns: now_ns() };
        replica.cluster[CLIENT].crash();
        SERVERS.iter().for_each(|server| replica.cluster[server].eject());
        let take = |Disk { device, initial }| Ok(Taken { initial, record: device.stop()?.0 });
        let disks = disks.into_iter().map(take).collect::<io::Result<_>>()?;
        Ok(Recording { about, disks, history })
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        self.disks.iter().fold(Figures::default(), |mut sum, disk| {
            sum += disk.record.figures();
            sum
        })
    }

    /// Writes all of it into a folder.
    pub fn save(&self, to: &Path) -> io::Result<()> {
        fs::create_dir_all(to)?;
        fs::write(to.join("about.json"), serde_json::to_vec_pretty(&self.about)?)?;
        for (n, disk) in self.disks.iter().enumerate() {
            disk.initial.save(&to.join(format!("disk-{n}.img")))?;
            disk.record.save(&to.join(format!("disk-{n}.rec")))?;
        }
        self.history.save(to)
    }

    pub fn load(from: &Path) -> io::Result<Recording> {
        let about: About = serde_json::from_slice(&fs::read(from.join("about.json"))?)?;
        let disk = |n| {
            let initial = Image::load(&from.join(format!("disk-{n}.img")))?;
            Ok(Taken { initial, record: Record::read(File::open(from.join(format!("disk-{n}.rec")))?)? })
        };
        let disks = (0..SERVERS.len()).map(disk).collect::<io::Result<_>>()?;
        let none: Vec<usize> = (0..WORKERS).map(|_| 0).collect();
        Ok(Recording { about, disks, history: History::load(about.plan.seed, from, &none)? })
    }
}

fn work(cluster: &Cluster, plan: Plan) -> io::Result<History> {
    let mut stint = Stint::start(cluster, Stretch::all(plan.seed, plan.most))?;
    let bricks: Vec<_> = SERVERS.iter().take(BRICKS).map(|s| cluster[s].path(BRICK)).collect();
    stirred(&plan, &bricks, plan.seed, || stint.last(Duration::from_secs(plan.seconds)));
    stint.end()
}
