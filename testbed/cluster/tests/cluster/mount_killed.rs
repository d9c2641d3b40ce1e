//! A mount that is killed is gone, whatever it was waiting for.

use std::fs;
use std::time::Duration;

use rfs_cluster::servers::{BRICKD, MOUNTD};
use rfs_cluster::trial::HEALS;
use rfs_cluster::{MOUNT, Replica, Signal, until};

const SOON: Duration = Duration::from_secs(20);

/// Programs change a directory and wait for the bricks; the mount hears nothing from them and wants the kernel to forget the
/// directory, which one of them has locked. Then it is killed.
#[test]
fn a_mount_is_killed_while_it_waits_for_a_locked_directory() {
    let r = Replica::two_beside_others();
    r.mount("client");
    r.settled();
    let client = &r.cluster["client"];
    client
        .sh(&format!("mkdir {MOUNT}/d && touch {MOUNT}/d/a {MOUNT}/d/b && stat {MOUNT}/d/a {MOUNT}/d/b"))
        .ok();
    for brick in &r.bricks {
        r.cluster[brick].kill(Signal::STOP, BRICKD);
    }
    let scripts = ["mkdir d/c", "mkdir d/c/c", "touch d/a", "mkdir d/e", "rm d/b", "ls d"];
    let mut programs: Vec<_> = scripts
        .iter()
        .map(|s| client.spawn("program", &["sh", "-c", &format!("cd {MOUNT} && {s}")]))
        .collect();
    let pids = client.pids(MOUNTD);
    assert_eq!(pids.len(), 1);
    until("the mount waits for the directory", SOON, || thread_waits(pids[0]));
    client.kill(Signal::KILL, MOUNTD);
    until("the process is gone, with all its threads", SOON, || {
        fs::read_dir(format!("/proc/{}/task", pids[0])).map_or(0, Iterator::count) == 0
    });
    for program in &mut programs {
        program.wait(SOON);
    }
    for brick in &r.bricks {
        r.cluster[brick].kill(Signal::CONT, BRICKD);
    }
    until("the volume is mounted again", HEALS, || r.try_mount("client", &[]).success());
    client.sh(&format!("ls {MOUNT}/d && touch {MOUNT}/d/e")).ok();
    r.umount("client");
}

/// What the kernel still shows of a dead mount does not stop the next one.
#[test]
fn a_dead_mount_is_replaced_at_once() {
    let r = Replica::two_beside_others();
    let client = &r.cluster["client"];
    for round in 0..3 {
        r.mount("client");
        client
            .sh(&format!("stat {MOUNT} && ls {MOUNT} && echo {round} > {MOUNT}/file && sync {MOUNT}/file"))
            .ok();
        client.kill(Signal::KILL, MOUNTD);
    }
    r.mount("client");
    assert_eq!(client.pids(MOUNTD).len(), 1);
    client.sh(&format!("cat {MOUNT}/file")).says("2");
    r.umount("client");
}

/// Whether the thread that tells the kernel what to forget is in a system call that cannot be interrupted.
fn thread_waits(pid: u32) -> bool {
    let stats = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    let mut stats = stats.filter_map(|t| fs::read_to_string(t.path().join("stat")).ok());
    stats.any(|s| s.contains("(rfs-notify)") && s.rsplit_once(") ").is_some_and(|(_, s)| s.starts_with('D')))
}
