//! Replica sets of other shapes than two bricks and a mount: one brick, two and a server as the witness, three.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::trial::most_ms::{KILLED, SILENT};
use rfs_cluster::volume::status;
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

/// The witness is a server: the bricks fail over without any mount.
#[test]
fn a_server_without_a_brick_is_the_witness() {
    let r = Replica::two_and_witness();
    until("server3 is the witness", SOON, || is_witness(&r, "server3"));
    r.cluster["server1"].tools(&["volume", "status", "datavol"]).says("witness: server3 (pool node)");
    nobody_has_mounted(&r);
    r.mount("client");
    r.settled();
    let victim = r.leader();
    let what = "kill -9 of the leader with a server as witness";
    let written = r.survives(what, KILLED, hold(), &[r.other(victim)], || {
        r.cluster[victim].stop_brickd(Signal::KILL);
    });
    r.cluster[victim].start_brickd();
    r.recovers(&written);
    r.trees_equal();
}

/// It comes and goes, and nobody notices; afterwards its vote counts as before.
#[test]
fn the_witness_may_come_and_go() {
    let r = Replica::two_and_witness();
    until("server3 is the witness", SOON, || is_witness(&r, "server3"));
    r.mount("client");
    let witness = &r.cluster["server3"];
    let dies = r.survives("the witness dies", KILLED, hold(), &[], || {
        witness.stop_brickd(Signal::KILL);
    });
    witness.start_brickd();
    r.recovers(&dies);
    let restarts = r.survives("the witness restarts", KILLED, hold(), &[], || {
        witness.stop_brickd_gracefully();
        witness.start_brickd();
    });
    r.recovers(&restarts);
    until("server3 is the witness again", HEALS, || is_witness(&r, "server3"));
    loses_power(&r, r.leader());
    r.settled();
    // The one that was away has no connection of the witness but a new one.
    let other = r.leader();
    let killed = r.survives("kill -9 of the second leader", KILLED, hold(), &[r.other(other)], || {
        r.cluster[other].stop_brickd(Signal::KILL);
    });
    r.cluster[other].start_brickd();
    r.recovers(&killed);
    let cut = r.survives("the witness is cut off", KILLED, hold(), &[], || r.cluster.cut("server3"));
    r.cluster.uncut("server3");
    r.recovers(&cut);
}

fn is_witness(r: &Replica, host: &str) -> bool {
    let seat = |brick: &String| status(&r.cluster[brick]).ok().and_then(|s| s.witness);
    r.bricks.iter().all(|brick| seat(brick).is_some_and(|w| w.host == host && w.online))
}

/// The leader dies, and the survivor goes on before anybody asks; then a mount on the witness and one on the survivor work.
fn nobody_has_mounted(r: &Replica) {
    r.settled();
    let victim = r.leader();
    let survivor = r.other(victim);
    r.cluster[victim].stop_brickd(Signal::KILL);
    until("the survivor leads alone", SOON, || {
        status(&r.cluster[survivor]).is_ok_and(|s| {
            s.state == "degraded" && s.bricks.iter().any(|b| b.host() == survivor && b.state == "leader")
        })
    });
    for host in ["server3", survivor] {
        r.mount(host);
        r.cluster[host].sh(&format!("echo on > {MOUNT}/{host} && sync {MOUNT}/{host}")).ok();
    }
    r.mount_holds("server3", survivor, "on\n");
    for host in ["server3", survivor] {
        r.umount(host);
    }
    r.cluster[victim].start_brickd();
    r.healed(HEALS);
    r.brick_holds(victim, "server3", "on\n");
}

/// It is gone without a word to anybody, while a program writes, and comes back.
fn loses_power(r: &Replica, victim: &str) {
    let silent = r.survives("the leader loses power", SILENT, hold(), &[r.other(victim)], || {
        r.cluster.cut(victim);
        r.cluster[victim].stop_brickd(Signal::KILL);
    });
    r.cluster.uncut(victim);
    r.cluster[victim].start_brickd();
    r.recovers(&silent);
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
