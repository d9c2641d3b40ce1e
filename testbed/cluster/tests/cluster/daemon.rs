//! The daemon itself: one a state directory, in the foreground, gone when told to, whole after any end.

use std::time::Duration;

use rfs_cluster::servers::BRICKD;
use rfs_cluster::{Cluster, Signal, holds_within, until};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn one_daemon_at_a_time() {
    let c = Cluster::of(&["server1"]).beside_others().start();
    let host = &c["server1"];
    host.tools(&["peer", "status"]).refused(&["rfs-brickd", "daemon", "running"]);
    host.tools(&["heal-status", "--check"]).exits(3);
    host.start_brickd();
    let pids = host.pids(BRICKD);
    let second = host.run_within(&["rfs-brickd"], SOON);
    second.refused(&["already", "another", "in use"]);
    let port = host.run_within(&["rfs-brickd", "--state-dir", "/var/lib/rfs/second"], SOON);
    port.refused(&["24007", "in use"]);
    assert_eq!(host.pids(BRICKD), pids, "the first is not disturbed");
    host.tools(&["peer", "status"]).says("Number of Peers: 0");
    host.stop_brickd_gracefully();

    let id = host.tools(&["peer", "status"]);
    id.refused(&["rfs-brickd", "daemon", "running"]);
    for wrong in [
        &["rfs-brickd", "--listen", "nowhere"][..],
        &["rfs-brickd", "--log-level", "loud"],
        &["rfs-brickd", "--config", "/none"],
        &["rfs-brickd", "--state-dir", "/proc/none"],
    ] {
        host.run_within(wrong, SOON).refused(&[wrong[2]]);
    }
    assert_eq!(host.run_within(&["rfs-brickd", "--nonsense"], SOON).code, Some(2));
    assert_eq!(host.run_within(&["rfs-tools", "nonsense"], SOON).code, Some(2));
    two_pools_on_one_machine(&c);
}

/// Other state directories and ports are other nodes.
fn two_pools_on_one_machine(c: &Cluster) {
    let host = &c["server1"];
    host.start_brickd();
    let args =
        ["rfs-brickd", "--state-dir", "/var/lib/rfs/other", "--listen", "0.0.0.0:24008", "--name", "other"];
    let mut other = host.spawn("other", &args);
    let answers = || host.tools(&["--state-dir", "/var/lib/rfs/other", "peer", "status"]).success();
    assert!(holds_within(SOON, answers), "{}", other.output());
    for pid in host.pids(BRICKD) {
        rfs_cluster::processes::signal(pid, Signal::TERM);
    }
    assert_eq!(other.wait(SOON), 0);
    until("both are gone", SOON, || host.pids(BRICKD).is_empty());
}

/// A kill at any moment of a start, or in quick succession, leaves a state from which the next one starts.
#[test]
fn quick_restarts_do_no_harm() {
    let c = Cluster::of(&["server1", "server2"]).beside_others().start();
    for server in ["server1", "server2"] {
        c[server].start_brickd();
    }
    c["server1"].tools(&["peer", "probe", "server2"]).ok();
    c["server1"].tools(&["volume", "create", "v", "replica", "2", "server1:/data/v", "server2:/data/v"]).ok();
    c["server1"].tools(&["volume", "start", "v"]).ok();
    for delay_ms in [0, 5, 20, 50, 100, 200] {
        c["server2"].stop_brickd(Signal::KILL);
        let short_lived = c["server2"].spawn("short", &["rfs-brickd"]);
        rfs_cluster::wait::last(Duration::from_millis(delay_ms));
        drop(short_lived);
        until("it is gone", SOON, || c["server2"].pids(BRICKD).is_empty());
        c["server2"].start_brickd();
    }
    until("healthy", Duration::from_secs(30), || c["server1"].tools(&["heal-status", "--check"]).success());
    for server in ["server2", "server1"] {
        c[server].stop_brickd_gracefully();
    }
}
