//! The wall clock of a server jumps, forwards and backwards, under load: nobody notices.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use rfs_cluster::trial::most_ms::GRACEFUL;
use rfs_cluster::{Replica, Signal, binaries, scaled};

const DAY: i64 = 86_400;

/// The file that says how far a host's clock is off.
fn clock(r: &Replica, host: &str) -> PathBuf {
    r.cluster[host].folder().join("clock")
}

fn set(r: &Replica, host: &str, seconds: i64) {
    let file = clock(r, host);
    let open = std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&open, &seconds.to_le_bytes(), 0).unwrap();
}

fn restart_with_that_clock(r: &Replica, host: &str) {
    r.cluster[host].stop_brickd(Signal::TERM);
    let (library, file) = (binaries::clock_jump(), clock(r, host));
    let preload = [("LD_PRELOAD", library.to_str().unwrap()), ("RFS_CLOCK_OFFSET", file.to_str().unwrap())];
    r.cluster[host].start_brickd_with(&[], &preload);
    r.settled();
}

#[test]
fn clocks_jump() {
    let r = Replica::two();
    r.mount("client");
    for host in ["server1", "server2"] {
        set(&r, host, 0);
        restart_with_that_clock(&r, host);
    }
    the_preload_works(&r);
    let jumps = scaled(&[3 * DAY, -DAY][..], &[3 * DAY, -DAY, 3600, 0]);
    for (number, jump) in jumps.iter().copied().enumerate() {
        for host in [r.leader(), r.follower()] {
            let hold = Duration::from_millis(scaled(1000, 10_000));
            let what = format!("clock jump {number} of {host}");
            let written = r.survives(&what, GRACEFUL, hold, &["server1", "server2"], || set(&r, host, jump));
            r.recovers(&written);
        }
    }
    r.trees_equal();
}

/// Otherwise the rest would prove nothing.
fn the_preload_works(r: &Replica) {
    let host = &r.cluster["server1"];
    set(r, "server1", 10 * DAY);
    let library = binaries::clock_jump();
    let script = format!(
        "LD_PRELOAD={} RFS_CLOCK_OFFSET={} date +%s",
        library.display(),
        clock(r, "server1").display()
    );
    let seen: u64 = host.sh(&script).ok().trim().parse().unwrap();
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
    assert!(seen >= now + 9 * 86_400, "{seen} is not {now} and ten days");
    set(r, "server1", 0);
}
