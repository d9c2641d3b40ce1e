//! Both servers lose power at once, with disks that keep only what had reached them.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{Cluster, Disk, Load, MOUNT, Replica, scaled, until, wait};

const DISK: Disk = Disk::Image { kind: "ext4", bytes: 2 << 30 };

#[test]
fn both_lose_power_at_once() {
    let hosts = Cluster::of(&["server1", "server2", "client"]).disk("server1", DISK).disk("server2", DISK);
    let r = Replica::of(hosts.beside_others(), 2);
    r.mount("client");
    r.settled();
    for round in 0..scaled(2, 6) {
        the_mount_lives(&r, round);
    }
    the_mount_dies_too(&r);
    r.trees_equal();
}

/// The mount keeps what is not durable and sends it again: no line is lost, fsynced or not.
fn the_mount_lives(r: &Replica, round: u32) {
    let file = format!("lives-{round}");
    let mut writer = Load::writer(&r.cluster["client"], &format!("{MOUNT}/{file}"));
    writer.goes_on(Duration::from_secs(10));
    r.cluster["client"]
        .sh(&format!("cd {MOUNT} && mkdir d{round} && for i in 1 2 3; do echo $i > d{round}/$i; done"))
        .ok();
    std::thread::scope(|s| {
        s.spawn(|| r.cluster["server1"].power_cut());
        // The two need not lose the same.
        s.spawn(|| match round % 3 {
            0 | 2 => r.cluster["server2"].power_cut(),
            _ => r.cluster["server2"].power_cut_without_loss(),
        });
    });
    start(r, if round.is_multiple_of(2) { ["server2", "server1"] } else { ["server1", "server2"] });
    writer.goes_on(HEALS);
    let written = writer.stop();
    assert_eq!(written.error, None);
    println!("both lose power: longest wait {} ms, {}", written.longest_ms, written.longest_op);
    r.healed(HEALS);
    r.mount_holds("client", &file, &written.text());
    for i in 1..=3 {
        r.mount_holds("client", &format!("d{round}/{i}"), &format!("{i}\n"));
    }
    r.trees_equal();
}

/// The whole site: what was fsynced is there when it comes back, in order and without gaps.
fn the_mount_dies_too(r: &Replica) {
    let mut writer = Load::writer(&r.cluster["client"], &format!("{MOUNT}/dies"));
    writer.goes_on(Duration::from_secs(10));
    wait::last(Duration::from_millis(500));
    let durable = writer.progress();
    std::thread::scope(|s| {
        for host in ["server1", "server2", "client"] {
            s.spawn(move || r.cluster[host].power_cut());
        }
    });
    drop(writer);
    start(r, ["server1", "server2"]);
    r.cluster["client"].sh(&format!("umount -l {MOUNT} || true")).ok();
    r.mount("client");
    r.settled();
    let text = r.cluster["client"].run(&["cat", &format!("{MOUNT}/dies")]).ok();
    let lines = u64::try_from(text.lines().count()).unwrap();
    assert_eq!(text, rfs_cluster::load::numbered(lines));
    assert!(lines >= durable, "{lines} lines are left of {durable} that were fsynced");
}

fn start(r: &Replica, order: [&str; 2]) {
    for server in order {
        r.cluster[server].start_brickd();
    }
    until("both answer", HEALS, || order.iter().all(|s| r.cluster[s].tools(&["peer", "status"]).success()));
}
