//! The recorder itself, without bricks: a file system on it, cut again and again, keeps what was fsynced.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::process::Command;

use fastrand::Rng;
use rfs_cluster::{Cluster, Disk, Host};
use rfs_powercut::clock::now_ns;
use rfs_powercut::cut::{Builder, Losses, moments};
use rfs_powercut::device::Device;
use rfs_powercut::image::Image;
use rfs_powercut::record::{Kind, Record};

const FILES: u64 = 60;
const CUTS: usize = 8;

fn formatted(kind: &str, mib: u64) -> Image {
    let image = Image::new(mib << 20).unwrap();
    let made = Command::new(format!("mkfs.{kind}")).arg("-q").arg(image.path()).output().unwrap();
    assert!(made.status.success(), "mkfs.{kind}: {}", String::from_utf8_lossy(&made.stderr));
    image
}

/// Writes numbered files, fsyncs each and its folder, and notes when that was done. In between, one file is appended to
/// without any fsync.
fn work(top: &Path) -> Vec<u64> {
    let mut noise = File::create(top.join("noise")).unwrap();
    let one = |n: u64| {
        let mut file = File::create(top.join(n.to_string())).unwrap();
        file.write_all(&text(n)).unwrap();
        file.sync_all().unwrap();
        File::open(top).unwrap().sync_all().unwrap();
        noise.write_all(&[1; 100_000]).unwrap();
        now_ns()
    };
    (0..FILES).map(one).collect()
}

fn text(n: u64) -> Vec<u8> {
    format!("{n}\n").repeat(1 + usize::try_from(n).unwrap() * 131 % 5000).into_bytes()
}

/// The files that are not what they were when they were fsynced, before that time.
fn lost(top: &Path, acked: &[u64], at_ns: u64) -> Vec<u64> {
    let numbered = (0..).zip(acked).filter(|(_, ns)| **ns <= at_ns);
    let gone = |n: u64| fs::read(top.join(n.to_string())).ok() != Some(text(n));
    numbered.map(|(n, _)| n).filter(|n| gone(*n)).collect()
}

struct Recorded {
    cluster: Cluster,
    initial: Image,
    record: Record,
    acked: Vec<u64>,
    begun: u64,
}

impl Recorded {
    fn new(kind: &str, mib: u64) -> Recorded {
        let cluster = Cluster::of(&["server1"]).disk("server1", Disk::Slot).bare().start();
        let initial = formatted(kind, mib);
        let device = Device::start(initial.copy().unwrap()).unwrap();
        cluster["server1"].insert(device.path());
        let begun = now_ns();
        let acked = work(&host(&cluster).path("/data"));
        host(&cluster).eject();
        let (record, _) = device.stop().unwrap();
        Recorded { cluster, initial, record, acked, begun }
    }

    /// Cuts at `count` moments; returns for each what is lost.
    fn cuts(&self, count: usize, losses: impl Fn(&mut Rng) -> Losses) -> Vec<Vec<u64>> {
        let mut rng = Rng::with_seed(11);
        let end = *self.acked.last().unwrap();
        let moments = moments(&[&self.record], self.begun, end, count, &mut rng);
        let mut builder = Builder::new(&self.record, self.initial.copy().unwrap());
        let one = |at_ns| {
            let (image, _) = builder.cut(at_ns, losses(&mut rng), &mut rng).unwrap();
            let device = Device::start(image).unwrap();
            host(&self.cluster).insert(device.path());
            let lost = lost(&host(&self.cluster).path("/data"), &self.acked, at_ns);
            host(&self.cluster).eject();
            device.stop().unwrap();
            lost
        };
        moments.into_iter().map(|m| m.at_ns).map(one).collect()
    }
}

fn host(cluster: &Cluster) -> &Host {
    &cluster["server1"]
}

fn keeps_what_was_fsynced(kind: &str, mib: u64) {
    let recorded = Recorded::new(kind, mib);
    let figures = recorded.record.figures();
    assert!(figures.flushes >= FILES, "each fsync flushes the device: {figures:?}");
    assert!(recorded.record.events().iter().any(|e| matches!(e.kind, Kind::Write { .. })));
    let lost = recorded.cuts(CUTS, Losses::pick);
    assert!(lost.iter().all(Vec::is_empty), "{kind}: lost in {CUTS} cuts: {lost:?}");
}

#[test]
fn ext4_keeps_what_was_fsynced() {
    keeps_what_was_fsynced("ext4", 64);
}

#[test]
fn xfs_keeps_what_was_fsynced() {
    keeps_what_was_fsynced("xfs", 320);
}

/// The machine notices a disk that says that it has flushed, and has not.
#[test]
fn a_disk_that_lies_is_caught() {
    let recorded = Recorded::new("ext4", 64);
    let lost = recorded.cuts(4, |_| Losses::Flushed);
    assert!(lost.iter().any(|l| !l.is_empty()), "nothing was lost by a disk that forgets what it flushed");
}

/// The checks notice a file that is not there.
#[test]
fn a_missing_file_is_noticed() {
    let folder = std::env::temp_dir().join(format!("powercut-plain-{}", std::process::id()));
    fs::create_dir(&folder).unwrap();
    for n in [0, 2] {
        fs::write(folder.join(n.to_string()), text(n)).unwrap();
    }
    assert_eq!(lost(&folder, &[1, 2, 3, 4], 3), [1]);
    fs::remove_dir_all(folder).unwrap();
}
