//! A brick's process ends, in good order or not, or stops, while a program writes and another reads.

use std::time::Duration;

use rfs_cluster::trial::most_ms::{GRACEFUL, KILLED, SILENT};
use rfs_cluster::{Replica, Signal, full, scaled};

/// How long the brick stays away.
fn hold() -> Duration {
    Duration::from_secs(scaled(1, 3))
}

#[test]
fn a_brick_ends_under_load() {
    let r = Replica::two();
    r.mount("client");
    r.settled();
    for _ in 0..scaled(1, 3) {
        graceful_stop(&r, "leader", r.leader());
        graceful_stop(&r, "follower", r.follower());
        killed(&r, "leader", r.leader());
        killed(&r, "follower", r.follower());
        power_cut(&r, r.leader());
        if full() {
            power_cut(&r, r.follower());
        }
    }
    r.trees_equal();
    r.umount("client");
}

/// SIGSTOP: its kernel still acks, so only time tells that it is gone.
#[test]
fn a_brick_freezes_under_load() {
    let r = Replica::two();
    r.mount("client");
    r.settled();
    frozen(&r, "leader", r.leader());
    if full() {
        frozen(&r, "follower", r.follower());
    }
    r.trees_equal();
}

fn graceful_stop(r: &Replica, role: &str, victim: &str) {
    let what = format!("graceful stop of the {role}");
    let written = r
        .survives(&what, GRACEFUL, hold(), &[r.other(victim)], || r.cluster[victim].stop_brickd_gracefully());
    let what = format!("return of the {role}");
    let during = r.survives(&what, GRACEFUL, hold(), &[], || r.cluster[victim].start_brickd());
    r.recovers(&written);
    r.recovers(&during);
}

fn killed(r: &Replica, role: &str, victim: &str) {
    let what = format!("kill -9 of the {role}");
    let written = r.survives(&what, KILLED, hold(), &[r.other(victim)], || {
        r.cluster[victim].stop_brickd(Signal::KILL);
    });
    r.cluster[victim].start_brickd();
    r.recovers(&written);
}

fn power_cut(r: &Replica, victim: &str) {
    let what = format!("power cut of {victim}");
    let written = r.survives(&what, KILLED, hold(), &[r.other(victim)], || r.cluster[victim].power_cut());
    r.cluster[victim].start_brickd();
    r.recovers(&written);
}

fn frozen(r: &Replica, role: &str, victim: &str) {
    let what = format!("the {role} freezes");
    let hold = Duration::from_secs(scaled(4, 7));
    let written = r.survives(&what, SILENT, hold, &[r.other(victim)], || {
        r.cluster[victim].kill(Signal::STOP, "rfs-brickd");
    });
    r.cluster[victim].kill(Signal::CONT, "rfs-brickd");
    r.recovers(&written);
}
