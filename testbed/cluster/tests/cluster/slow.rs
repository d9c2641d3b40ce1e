//! A brick that is there and far too slow: it is seen, and taken out where the user has set a limit.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{Cluster, Host, Load, MOUNT, Replica, Signal, until, wait};

const SOON: Duration = Duration::from_secs(30);
/// A record is committed when the slow brick has got through all that was written before it: the mount's window.
const BEHIND_THE_WINDOW: Duration = Duration::from_secs(120);

/// Lets a host's daemon run for 2 ms in each 300 ms: it answers heartbeats, and gets little else done.
fn slowed<T>(host: &Host, work: impl FnOnce() -> T) -> T {
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                host.kill(Signal::STOP, "rfs-brickd");
                wait::last(Duration::from_millis(298));
                host.kill(Signal::CONT, "rfs-brickd");
                wait::last(Duration::from_millis(2));
            }
        });
        let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
        over.store(true, Ordering::Relaxed);
        done.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

#[test]
fn a_slow_brick_is_seen_and_leaves_where_there_is_a_limit() {
    let hosts = ["server1", "server2", "server3", "client"];
    let r = Replica::of(Cluster::of(&hosts).beside_others(), 2);
    r.mount("client");
    r.settled();
    let slow = r.follower();
    let leader = r.other(slow);
    let status = || r.cluster[leader].tools(&["heal-status"]).stdout;
    let wrong = r.cluster[leader].tools(&["volume", "set", "datavol", "max-lag", "64MiB"]);
    assert!(wrong.code == Some(1) && wrong.stderr.contains("max-lag"), "{wrong}");
    slowed(&r.cluster[slow], || {
        let mut load = Load::writer(&r.cluster["client"], &format!("{MOUNT}/numbered"));
        let bulk = r.cluster["client"].spawn(
            "bulk",
            &["sh", "-c", &format!("while dd if=/dev/zero of={MOUNT}/bulk bs=1M count=256; do :; done")],
        );
        until("it is seen to be slow", SOON, || status().contains(&format!("{slow}:/data/brick is slow: ")));
        let limit = ["rfs-tools", "volume", "set", "datavol", "max-lag", "1s"];
        r.cluster[leader].run_within(&limit, BEHIND_THE_WINDOW).says("volume set: success");
        until("it is a learner", SOON, || {
            status()
                .lines()
                .any(|line| line.contains(&format!("{slow}:/data/brick")) && line.contains("learner"))
        });
        load.goes_on(SOON);
        drop(bulk);
        let written = load.stop();
        assert_eq!(written.error, None);
        println!("beside a slow brick: longest wait {} ms, {}", written.longest_ms, written.longest_op);
    });
    // With the limit it stays a learner for a minute, so that a disk that is slow now and then does not come and go.
    r.cluster[leader].tools(&["volume", "reset", "datavol", "max-lag"]).ok();
    r.healed(HEALS);
    r.trees_equal();
    r.umount("client");
}
