//! What `volume set` changes holds at once, for bricks that run.

use std::time::{Duration, Instant};

use rfs_cluster::trial::HEALS;
use rfs_cluster::trial::most_ms::SILENT;
use rfs_cluster::{Load, MOUNT, Replica};

#[test]
fn options_hold_for_running_bricks() {
    let r = Replica::two();
    r.mount("client");
    r.settled();
    let leader = r.leader();
    set(&r, leader, "peer-timeout", "8s");
    let long = pause(&r);
    set(&r, leader, "peer-timeout", "500ms");
    let short = pause(&r);
    println!("peer-timeout: {long:?} with 8s, {short:?} with 500ms");
    assert!(long >= Duration::from_secs(6), "a brick was given up after {long:?} in spite of 8s");
    assert!(short <= Duration::from_millis(1800), "a brick was given up only after {short:?} with 500ms");
    let mut writer = Load::writer(&r.cluster["client"], &format!("{MOUNT}/while-sync-changes"));
    for value in ["always", "1ms", "always", "60s", "100ms"] {
        set(&r, leader, "sync", value);
        writer.goes_on(HEALS);
    }
    let written = writer.stop();
    written.calm("sync is changed", SILENT);
    r.healed(HEALS);
    r.trees_equal();
    r.umount("client");
}

fn set(r: &Replica, host: &str, key: &str, value: &str) {
    r.cluster[host].tools(&["volume", "set", "datavol", key, value]).says("volume set: success");
}

/// How long a program waits when a follower is silently cut off.
fn pause(r: &Replica) -> Duration {
    let away = r.follower();
    r.cluster.cut(away);
    let start = Instant::now();
    r.cluster["client"].sh(&format!("echo on > {MOUNT}/cut && sync {MOUNT}/cut")).ok();
    let took = start.elapsed();
    r.cluster.uncut(away);
    r.settled();
    took
}
