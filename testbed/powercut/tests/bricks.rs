//! The short form: a few cuts of a short recording, one brick on ext4 and one on xfs.

use rfs_powercut::campaign::{Figures, Options, run, run_one};
use rfs_powercut::site::{FileSystem, Plan, Recording};

const CUTS: u64 = 6;

fn recording(seed: u64, sync_always: bool) -> Recording {
    let file_systems = [FileSystem::Ext4, FileSystem::Xfs];
    Recording::make(Plan { seed, file_systems, seconds: 4, sync_always, stir: true, most: 2000 }).unwrap()
}

fn cut(recording: &Recording, lie: bool, cuts: impl Iterator<Item = u64>) -> Figures {
    let cuts: Vec<u64> = cuts.collect();
    let options = Options { seed: 7, stages: cuts.len().min(2), cuts, lie, keep: None };
    let figures = run(recording, &options, |_| ()).unwrap();
    println!("{figures}");
    figures
}

/// [`CUTS`] cuts, and as many more until one has cut something: a disk to which all is flushed at once has next to nothing to lose
/// at most moments.
fn cut_something(recording: &Recording) -> Figures {
    let mut figures = cut(recording, false, 0..CUTS);
    for more in 1..6 {
        if figures.lost > 0 || !figures.failures.is_empty() {
            break;
        }
        figures += cut(recording, false, more * CUTS..(more + 1) * CUTS);
    }
    assert_eq!(figures.failures, []);
    assert!(figures.cuts >= CUTS && figures.fsyncs_checked > CUTS, "{figures}");
    assert!(figures.lost > 0, "the cuts cut nothing: {figures}");
    figures
}

/// With `sync=always` the trees are equal, too.
#[test]
fn nothing_is_lost_and_the_trees_are_equal_when_all_lose_power() {
    let figures = cut_something(&recording(6, true));
    assert_eq!((figures.losses, figures.unequal), (0, 0));
}

/// Whoever was told that something is done finds it, fsynced or not: the other brick and the mount live.
#[test]
fn nothing_acknowledged_is_lost_when_one_brick_loses_power() {
    let file_systems = [FileSystem::Xfs, FileSystem::Ext4];
    let plan = Plan { seed: 8, file_systems, seconds: 0, sync_always: false, stir: true, most: 2000 };
    let figures = run_one(&plan, 2, |_| ()).unwrap();
    println!("{figures}");
    assert_eq!(figures.failures, []);
    assert!(figures.operations_checked > 100, "{figures}");
}

/// With the default `sync` the disks may have kept effects of records that every log has lost: the trees become equal all the
/// same, and nothing that has an fsync is lost. The same recording, on disks that kept nothing of what they flushed in the last
/// two seconds, shows that a loss is noticed.
#[test]
fn nothing_fsynced_is_lost_when_all_lose_power() {
    let recording = recording(7, false);
    let figures = cut_something(&recording);
    assert_eq!((figures.losses, figures.unequal), (0, 0));
    let lied = cut(&recording, true, 3..4);
    let what: Vec<&String> = lied.failures.iter().flat_map(|f| &f.what).collect();
    assert!(what.iter().any(|w| w.contains("may be")), "lost and not noticed: {what:#?}");
}
