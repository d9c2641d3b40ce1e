//! Replica sets of other shapes than two bricks and a mount: one brick, two and a server as the witness, three.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::trial::most_ms::KILLED;
use rfs_cluster::{Cluster, Load, MOUNT, Replica, Signal, scaled, until, wait};

const SOON: Duration = Duration::from_secs(15);

fn hold() -> Duration {
    Duration::from_secs(scaled(1, 3))
}

/// A volume of one brick has nobody to go on with: programs wait, and nothing is lost.
#[test]
fn one_brick_comes_back_and_the_mount_goes_on() {
    let r = Replica::of(Cluster::of(&["server1", "client"]).beside_others(), 1);
    r.mount("client");
    r.settled();
    for signal in [Signal::TERM, Signal::KILL] {
        let file = format!("one-{}", signal.as_raw());
        let mut writer = Load::writer(&r.cluster["client"], &format!("{MOUNT}/{file}"));
        r.cluster["server1"].stop_brickd(signal);
        wait::last(hold());
        r.cluster["server1"].start_brickd();
        writer.goes_on(HEALS);
        let written = writer.stop();
        assert_eq!(written.error, None);
        r.healed(HEALS);
        r.mount_holds("client", &file, &written.text());
        r.brick_holds("server1", &file, &written.text());
    }
    r.umount("client");
}

/// Three bricks outlive one crash at once, and two, one after the other.
#[test]
fn three_bricks_lose_two_one_after_the_other() {
    let r = Replica::three();
    r.mount("client");
    r.settled();
    let first = r.leader();
    let rest: Vec<&str> = r.bricks.iter().map(String::as_str).filter(|b| *b != first).collect();
    let one = r.survives("kill -9 of the leader of three", KILLED, hold(), &rest, || {
        r.cluster[first].stop_brickd(Signal::KILL);
    });
    let second = rest[0];
    let survivor = rest[1];
    until("the first is out of the set", SOON, || {
        rfs_cluster::volume::status(&r.cluster[survivor]).is_ok_and(|s| s.state == "degraded")
    });
    wait::last(Duration::from_secs(3));
    let two = r.survives("kill -9 of the second of three", KILLED, hold(), &[survivor], || {
        r.cluster[second].stop_brickd(Signal::KILL);
    });
    r.cluster[first].start_brickd();
    r.cluster[second].start_brickd();
    r.recovers(&one);
    r.recovers(&two);
    r.trees_equal();
    r.umount("client");
}
