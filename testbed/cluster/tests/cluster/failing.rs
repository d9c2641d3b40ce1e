//! A brick that cannot carry out what is committed stops, says why to whoever asks, and the others go on.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::trial::most_ms::KILLED;
use rfs_cluster::{Load, MOUNT, Replica, Signal, until};

const SOON: Duration = Duration::from_secs(15);

#[test]
fn a_brick_that_fails_to_apply_leaves_and_says_why() {
    let r = Replica::two_and_witness();
    r.mount("client");
    r.settled();
    for failing in [r.follower(), r.leader()] {
        let other = r.other(failing);
        r.cluster["client"].sh(&format!("echo before > {MOUNT}/held && sync {MOUNT}/held")).ok();
        let held = r.on_brick(failing, "held");
        r.cluster[failing].sh("chattr +i /data/brick/held").ok();
        assert!(held.exists());
        let mut writer = Load::writer(&r.cluster["client"], &format!("{MOUNT}/goes-on"));
        writer.goes_on(SOON);
        r.cluster["client"].sh(&format!("echo after >> {MOUNT}/held && sync {MOUNT}/held")).ok();
        writer.goes_on(SOON);
        let written = writer.stop();
        written.calm(&format!("{failing} fails to apply"), KILLED);
        for asked in [failing, other] {
            for command in [["volume", "status"], ["heal-status", "datavol"]] {
                let said = || r.cluster[asked].tools(&command).stdout;
                let why = format!("{failing}:/data/brick is closed: ");
                until("the fault is named", SOON, || {
                    said().lines().any(|line| line.contains(&why) && line.contains("/held"))
                });
            }
            r.cluster[asked].tools(&["heal-status", "--check"]).exits(2);
        }
        r.mount_holds("client", "held", "before\nafter\n");
        r.cluster[failing].sh("chattr -i /data/brick/held").ok();
        r.cluster[failing].stop_brickd(Signal::TERM);
        r.cluster[failing].start_brickd();
        r.healed(HEALS);
        r.trees_equal();
        r.cluster["client"].sh(&format!("rm {MOUNT}/held {MOUNT}/goes-on")).ok();
    }
    r.umount("client");
}
