//! A brick that was away gets what it missed: soon, without much more on the wire, and visibly.

use std::time::{Duration, Instant};

use rfs_cluster::trial::HEALS;
use rfs_cluster::volume::status;
use rfs_cluster::{Load, MOUNT, Replica, Signal, scaled, until, wait};

const SOON: Duration = Duration::from_secs(15);
const MIB: u64 = 1 << 20;

#[test]
fn what_a_brick_missed_is_healed() {
    let r = Replica::two();
    r.mount("client");
    r.settled();
    from_the_log(&r);
    while_writes_go_on(&r);
    visibly(&r);
    r.trees_equal();
}

/// The log that the brick missed is gone: it is compared by versions instead.
#[test]
fn a_brick_that_missed_more_than_the_log_keeps_is_healed() {
    let r = Replica::two_beside_others();
    r.cluster["server1"]
        .tools(&["volume", "set", "datavol", "log.retain-bytes", "256MiB"])
        .says("volume set: success");
    r.mount("client");
    let sh = |script: &str| r.cluster["client"].sh(&format!("cd {MOUNT} && {script}")).ok();
    sh("mkdir keep gone && for i in $(seq 50); do echo $i > keep/$i; echo $i > gone/$i; done; sync .");
    r.settled();
    let away = r.follower();
    r.cluster[away].stop_brickd(Signal::KILL);
    sh(
        "rm -r gone && mv keep/7 keep/seven && ln keep/8 keep/link && chmod 640 keep/9 && echo more >> keep/10",
    );
    let rounds = scaled(5, 30);
    sh(&format!(
        "for i in $(seq {rounds}); do dd if=/dev/urandom of=big bs=1M count=128 conv=fsync status=none; done"
    ));
    r.cluster[away].start_brickd();
    r.heal_wait("server1", Duration::from_secs(120));
    r.healed(HEALS);
    r.trees_equal();
}

fn from_the_log(r: &Replica) {
    let away = r.follower();
    r.cluster[away].stop_brickd(Signal::KILL);
    let megabytes = scaled(48, 256);
    r.cluster["client"]
        .sh(&format!(
            "cd {MOUNT} && dd if=/dev/urandom of=missed bs=1M count={megabytes} conv=fsync status=none && \
             mkdir small && for i in $(seq 100); do echo $i > small/$i; done && rm small/1 && mv small/2 small/two && sync ."
        ))
        .ok();
    let before = r.cluster.wire(away);
    let start = Instant::now();
    r.cluster[away].start_brickd();
    let received = || r.cluster.wire(away).since(before).received;
    until("healing starts", Duration::from_secs(10), || received() > MIB);
    let began = start.elapsed();
    r.heal_wait("server1", HEALS);
    r.healed(HEALS);
    let (took, bytes) = (start.elapsed(), received());
    let missed = megabytes * MIB;
    println!(
        "heal from the log: began after {began:?}, done after {took:?}, {bytes} bytes for {missed} missed"
    );
    assert!(began <= Duration::from_secs(3), "healing began only after {began:?}");
    assert!(bytes * 10 <= missed * 11, "{bytes} bytes on the wire for {missed} that were missed");
    r.trees_equal();
}

fn while_writes_go_on(r: &Replica) {
    let away = r.leader();
    let file = "writes-go-on";
    let mut writer = Load::writer(&r.cluster["client"], &format!("{MOUNT}/{file}"));
    r.cluster[away].stop_brickd(Signal::KILL);
    wait::last(Duration::from_secs(scaled(3, 60)));
    r.cluster[away].start_brickd();
    r.healed(HEALS);
    writer.goes_on(SOON);
    let written = writer.stop();
    written.calm("heal while writes go on", rfs_cluster::trial::most_ms::KILLED);
    r.brick_holds(away, file, &written.text());
    r.trees_equal();
}

/// `heal-status` shows how far it is; `--wait` and `--check` believe it.
fn visibly(r: &Replica) {
    let tools = |args: &[&str]| r.cluster[r.leader()].tools(args);
    let away = r.follower();
    r.cluster[away].stop_brickd(Signal::TERM);
    let write = format!("dd if=/dev/urandom of={MOUNT}/slowly bs=1M count=24 conv=fsync status=none");
    r.cluster["client"].sh(&write).ok();
    tools(&["heal-status", "--check"]).exits(2);
    tools(&["volume", "set", "datavol", "heal-rate", "8MiB"]).says("volume set: success");
    r.cluster[away].start_brickd();
    let mut behind = Vec::new();
    let took = until("healthy", HEALS, || {
        let seen = status(&r.cluster[r.leader()]).expect("heal-status answers at once");
        let brick = seen.bricks.iter().find(|b| b.host() == away).expect("the brick is listed");
        behind.push((seen.state.clone(), brick.state.clone(), brick.behind_bytes));
        seen.state == "healthy"
    });
    let learner = |(s, b, _): &&(String, String, u64)| s == "healing" && b == "learner";
    let steps: Vec<u64> = behind.iter().filter(learner).map(|(_, _, left)| *left).collect();
    let moves = steps.windows(2).filter(|w| w[1] < w[0]).count();
    assert!(moves >= 3, "heal-status does not show progress: {behind:?}");
    assert!(
        steps.iter().any(|left| (4 * MIB..26 * MIB).contains(left)),
        "it shows what is missing: {steps:?}"
    );
    assert!(took >= Duration::from_secs(2), "24 MiB at 8 MiB/s took {took:?}");
    tools(&["volume", "reset", "datavol", "heal-rate"]).ok();
    r.healed(HEALS);
}

/// A brick that gets a full copy is started again behind the back of the leader, which sees one link end and the next one begin at
/// once: the copy begins anew.
#[test]
fn a_copy_begins_anew_when_the_brick_that_gets_it_was_started_again() {
    let r = Replica::two_beside_others();
    let tools = |args: &[&str]| r.cluster[r.leader()].tools(args);
    tools(&["volume", "set", "datavol", "log.retain-bytes", "256MiB"]).says("volume set: success");
    r.mount("client");
    let sh = |script: &str| r.cluster["client"].sh(&format!("cd {MOUNT} && {script}")).ok();
    r.settled();
    let away = r.follower().to_owned();
    r.cluster[&away].stop_brickd(Signal::KILL);
    for _ in 0..4 {
        sh("dd if=/dev/urandom of=big bs=1M count=128 conv=fsync status=none");
    }
    tools(&["volume", "set", "datavol", "heal-rate", "4MiB"]).says("volume set: success");
    r.cluster[&away].start_brickd();
    let received = r.cluster.wire(&away);
    until("the copy is on its way", HEALS, || r.cluster.wire(&away).since(received).received > 4 * MIB);
    r.cluster.cut(&away);
    r.cluster[&away].stop_brickd(Signal::KILL);
    r.cluster[&away].start_brickd();
    r.cluster.uncut(&away);
    until("they are linked again", HEALS, || r.cluster[&away].tools(&["heal-status"]).success());
    tools(&["volume", "reset", "datavol", "heal-rate"]).ok();
    r.healed(HEALS);
    r.trees_equal();
}
