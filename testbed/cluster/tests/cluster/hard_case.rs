//! A is down, B writes, B goes down, A comes back alone: it must not serve what is old, and must say whom it waits for.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{BRICK, MOUNT, Replica, Signal, scaled, until, wait};

#[test]
fn a_brick_that_missed_something_does_not_serve_alone() {
    let r = Replica::two_beside_others();
    r.mount("client");
    r.settled();
    for (behind, newer, signal) in [
        ("server1", "server2", Signal::KILL),
        ("server2", "server1", Signal::TERM),
        ("server1", "server2", Signal::TERM),
    ] {
        one_after_the_other(&r, behind, newer, signal);
    }
    r.trees_equal();
}

fn one_after_the_other(r: &Replica, behind: &str, newer: &str, signal: Signal) {
    let c = &r.cluster;
    let write =
        |text: &str| c["client"].sh(&format!("echo {text} > {MOUNT}/order && sync {MOUNT}/order")).ok();
    write("oldest");
    r.healed(HEALS);
    c[behind].stop_brickd(signal);
    write("newest");
    c[newer].stop_brickd(signal);
    c[behind].start_brickd();
    until("it says whom it waits for", Duration::from_secs(10), || {
        let status = c[behind].tools(&["volume", "status", "datavol"]);
        status.success() && status.stdout.contains(&format!("{newer}:{BRICK}"))
    });
    wait::last(Duration::from_secs(scaled(2, 5)));
    nothing_old(r, "old mount", &format!("cat {MOUNT}/order"));
    let fresh =
        format!("mkdir -p /mnt/fresh && mount.rfs {behind}:/datavol /mnt/fresh && cat /mnt/fresh/order");
    nothing_old(r, "fresh mount", &fresh);
    c[behind].tools(&["heal-status", "--check"]).exits(2);
    c[newer].start_brickd();
    until("the newest version is read", HEALS, || {
        let read = c["client"].run_within(&["cat", &format!("{MOUNT}/order")], Duration::from_secs(5));
        read.success() && read.stdout == "newest\n"
    });
    r.healed(HEALS);
    c["client"].sh("umount /mnt/fresh 2>/dev/null; rmdir /mnt/fresh").ok();
}

/// Blocking and refusing are both right; an answer that is old is not, and neither is "no such file".
fn nothing_old(r: &Replica, what: &str, script: &str) {
    let ran = r.cluster["client"].run_within(&["sh", "-c", script], Duration::from_secs(scaled(4, 10)));
    let said = format!("{}{}", ran.stdout, ran.stderr);
    assert!(!said.contains("oldest") && !said.contains("No such file"), "{what}: {ran}");
    assert!(!ran.success(), "{what}: served alone: {ran}");
}
