//! One brick loses power while the other one and the client go on.

use std::io;
use std::time::{Duration, Instant};

use fastrand::Rng;
use rfs_cluster::{BRICK, trial::HEALS};

use super::stint::{Stint, Stretch};
use super::stir::stirred;
use super::volume::{Disk, Volume, look};
use super::{BRICKS, Plan, SERVERS};
use crate::check::{Window, judge};
use crate::clock::now_ns;
use crate::cut::{Builder, Losses, Tally};

/// How one cut went.
#[derive(Clone, Debug)]
pub struct LiveCut {
    pub server: &'static str,
    pub losses: Losses,
    pub tally: Tally,
    /// From the brick's start until all was healthy.
    pub took: Duration,
    /// Operations that had returned: all of them must be there.
    pub operations: usize,
    pub wrong: Vec<String>,
}

/// Cuts the power of one brick after the other, `cuts` times, each time while the client works, and calls `each` with
/// what came of it. After each cut everything that has returned must be there, on both bricks. Panics when an operation
/// fails, or the volume does not become healthy.
pub fn one_brick(plan: &Plan, cuts: u64, mut each: impl FnMut(&LiveCut)) -> io::Result<()> {
    let mut volume = Volume::make(plan)?;
    let mut rng = Rng::with_seed(plan.seed);
    let mut stretch = Stretch::all(plan.seed, plan.most);
    for _ in 0..cuts {
        let mut stint = Stint::start(&volume.replica.cluster, stretch.clone())?;
        let victim = rng.usize(..BRICKS);
        let long = Duration::from_millis(rng.u64(300..2500));
        let host = &volume.replica.cluster[SERVERS[victim]];
        let at_ns = stirred(plan, &[host.path(BRICK)], rng.u64(..), || {
            stint.last(long);
            go_dark(&volume, victim, &mut rng)
        });
        let mut cut = come_back(&mut volume, victim, at_ns, &mut rng)?;
        stint.last(Duration::from_millis(200));
        let history = stint.end()?;
        let (folders, differences) = look(&volume.replica)?;
        stretch.done = history.workers.iter().map(Vec::len).collect();
        for (worker, (steps, found)) in (0..).zip(history.workers.iter().zip(&folders)) {
            let window = Window { least: steps.len(), most: steps.len() };
            let verdict = judge(worker, steps, window, found);
            cut.wrong.extend(verdict.wrong.into_iter().chain(verdict.mixed));
        }
        cut.wrong.extend(differences.iter().map(ToString::to_string));
        cut.operations = stretch.done.iter().sum();
        each(&cut);
    }
    // The hosts let go of the devices first.
    let Volume { replica, disks } = volume;
    drop(replica);
    disks.into_iter().try_for_each(|disk| disk.device.stop().map(drop))
}

/// The brick's network goes silent, and its machine lives on for a moment. Returns when, in between, the power went.
fn go_dark(volume: &Volume, victim: usize, rng: &mut Rng) -> u64 {
    let cluster = &volume.replica.cluster;
    cluster.cut(SERVERS[victim]);
    let silent_ns = now_ns();
    rfs_cluster::wait::last(Duration::from_millis(rng.u64(..150)));
    let dark_ns = now_ns();
    cluster[SERVERS[victim]].crash();
    rng.u64(silent_ns..=dark_ns)
}

/// It starts again on what its disk kept.
fn come_back(volume: &mut Volume, victim: usize, at_ns: u64, rng: &mut Rng) -> io::Result<LiveCut> {
    let (server, cluster) = (SERVERS[victim], &volume.replica.cluster);
    let host = &cluster[server];
    host.eject();
    let Disk { device, initial } = volume.disks.remove(victim);
    let (record, _) = device.stop()?;
    let losses = Losses::pick(rng);
    let (image, tally) = Builder::new(&record, initial).cut(at_ns, losses, rng)?;
    let disk = Disk::start(image)?;
    cluster.uncut(server);
    host.insert(disk.device.path());
    volume.disks.insert(victim, disk);
    host.reboot();
    let begun = Instant::now();
    host.start_brickd();
    volume.replica.healed(HEALS);
    let (took, operations, wrong) = (begun.elapsed(), 0, Vec::new());
    Ok(LiveCut { server, losses, tally, took, operations, wrong })
}
