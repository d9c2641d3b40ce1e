//! Both servers lose power at once, with disks that keep only what had reached them.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{Cluster, Disk, Load, MOUNT, Replica, Signal, scaled, until, wait};

const COUNTER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/counter.py");

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

/// One brick alone loses its power, while two mounts hand a lock to each other. Each sends again what was not durable, in its own
/// order; but what one has read of the other's comes after it all the same.
#[test]
fn a_brick_alone_keeps_the_order_between_mounts() {
    let hosts = ["server1", "server2", "client", "client2"];
    let hosts = Cluster::of(&hosts).disk("server1", DISK).disk("server2", DISK).beside_others();
    let r = Replica::of(hosts, 2);
    r.mount("client");
    r.mount("client2");
    r.settled();
    let away = r.follower().to_owned();
    let alone = r.other(&away).to_owned();
    r.cluster[&away].stop_brickd(Signal::KILL);
    let stop = r.cluster.folder().join("counter.stop");
    let counter = format!("{MOUNT}/counter");
    let argv = ["/usr/bin/python3", COUNTER, &counter, stop.to_str().expect("a plain path")];
    let mut counters = ["client", "client2"].map(|host| r.cluster[host].spawn("counter", &argv));
    for _ in 0..scaled(3, 20) {
        let before = counters.each_ref().map(|counter| counter.output().len());
        let both =
            || counters.iter().zip(before).all(|(counter, before)| counter.output().len() > before + 200);
        until("both count", HEALS, both);
        r.cluster[&alone].power_cut();
        r.cluster[&alone].start_brickd();
    }
    let before = counters[0].output().len();
    until("they go on", HEALS, || counters[0].output().len() > before);
    std::fs::write(&stop, "").unwrap();
    let mut all = Vec::new();
    for counter in &mut counters {
        assert_eq!(counter.wait(HEALS), 0, "{}", counter.output());
        let output = counter.output();
        all.extend(output.lines().filter_map(|line| line.strip_prefix("wrote ")?.parse::<u64>().ok()));
    }
    all.sort_unstable();
    let twice: Vec<u64> = all.windows(2).filter(|two| two[0] == two[1]).map(|two| two[0]).collect();
    assert_eq!(twice, [0; 0], "written by both: one had not seen what the other had written");
    println!("{} counts in {} power cuts", all.len(), scaled(3, 20));
    r.cluster[&away].start_brickd();
    r.healed(HEALS);
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

/// What the disks show after a loss of power and no log tells of: on one of them, on the other, or on both. They become equal,
/// whoever leads, and nothing of it is taken for rotten.
#[test]
fn what_no_log_tells_of_is_settled() {
    let r = Replica::of(Cluster::of(&["server1", "server2", "client"]).beside_others(), 2);
    r.mount("client");
    let make = format!(
        "cd {MOUNT} && mkdir a && for f in one two three four; do head -c 300000 /dev/urandom > a/$f; done \
         && echo log > log && chmod 600 log && sync -f {MOUNT}"
    );
    r.cluster["client"].sh(&make).ok();
    r.settled();
    r.umount("client");
    r.cluster["server1"].power_cut_without_loss();
    r.cluster["server2"].power_cut_without_loss();
    // As writes, appends, cuts, changes of attributes and names that were lost with the logs would have left it.
    let effects = |script: &str| format!("cd {} && {script}", rfs_cluster::BRICK);
    let first = "printf XXXX | dd of=a/one bs=1 seek=5000 conv=notrunc status=none; echo lost >> log; chmod 640 log; \
                 mv a/two two; rm -f nothing; truncate -s 1000 a/three; setfattr -n user.lost -v 1 a/four";
    let second = "printf YYYY | dd of=a/one bs=1 seek=200000 conv=notrunc status=none; mv a/four a/moved; \
                  cp a/two stray; setfattr -n trusted.rfs.id -v 0x00000000000000630000000000000009 stray; \
                  printf ZZ | dd of=a/two bs=1 conv=notrunc status=none";
    r.cluster["server1"].sh(&effects(first)).ok();
    r.cluster["server2"].sh(&effects(second)).ok();
    start(&r, ["server1", "server2"]);
    r.healed(HEALS);
    r.mount("client");
    r.trees_equal();
    let listed = r.cluster["client"]
        .sh(&format!("cd {MOUNT} && ls -1 . a && cat a/* log > /dev/null && cat log"))
        .ok();
    assert_eq!(listed, ".:\na\nlog\n\na:\nfour\none\nthree\ntwo\nlog\n");
    let rot = r.cluster["server1"].tools(&["volume", "status", rfs_cluster::VOLUME]).ok();
    assert!(!rot.contains("rot"), "{rot}");
}
