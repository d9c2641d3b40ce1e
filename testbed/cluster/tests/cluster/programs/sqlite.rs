//! A database at work while its leader is killed: every transaction that was acknowledged is there, and the file is whole.

use std::fs;
use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{MOUNT, Replica, Signal, Spawned, scaled, until};

const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/transactions.py");
const SOON: Duration = Duration::from_secs(15);

#[test]
fn transactions_survive_the_death_of_the_leader() {
    let r = Replica::two_beside_others();
    r.mount("client");
    r.settled();
    for mode in ["delete", "wal"] {
        killed_leaders(&r, mode);
        killed_client(&r, mode);
    }
    r.trees_equal();
}

struct Work<'r> {
    r: &'r Replica,
    database: String,
    mode: &'r str,
}

impl Work<'_> {
    fn python(&self, stop: &str) -> Vec<String> {
        ["/usr/bin/python3", SCRIPT, &self.database, self.mode, stop].map(str::to_owned).to_vec()
    }

    fn start(&self, log: &str, stop: &str) -> Spawned {
        let argv = self.python(stop);
        let work = self.r.cluster["client"].spawn(log, &argv.iter().map(String::as_str).collect::<Vec<_>>());
        advances(&work, 20);
        work
    }

    /// The rows that a fresh look finds; everything about them is right.
    fn check(&self) -> u64 {
        let argv = self.python("check");
        let argv: Vec<_> = argv.iter().map(String::as_str).collect();
        // A dead client's locks are let go after 60 s.
        let ran = self.r.cluster["client"].run_within(&argv, Duration::from_secs(90));
        ran.ok().trim().parse().expect("a number of rows")
    }
}

fn committed(work: &Spawned) -> u64 {
    let output = work.output();
    let numbers = output.lines().rev().filter_map(|l| l.strip_prefix("committed ")?.parse::<u64>().ok());
    numbers.take(1).next().map_or(0, |n| n + 1)
}

#[track_caller]
fn advances(work: &Spawned, by: u64) {
    let before = committed(work);
    let more = || committed(work) >= before + by;
    assert!(rfs_cluster::holds_within(HEALS, more), "no transactions: {}", work.output());
}

fn killed_leaders(r: &Replica, mode: &str) {
    let work = Work { r, database: format!("{MOUNT}/{mode}.db"), mode };
    let stop = r.cluster.folder().join(format!("{mode}.stop"));
    let mut running = work.start(&format!("sqlite-{mode}"), stop.to_str().expect("a plain path"));
    for _ in 0..scaled(2, 5) {
        let leader = r.leader();
        r.cluster[leader].stop_brickd(Signal::KILL);
        advances(&running, 20);
        r.cluster[leader].start_brickd();
        r.healed(HEALS);
        advances(&running, 10);
    }
    fs::write(&stop, "").unwrap();
    assert_eq!(running.wait(SOON), 0, "{}", running.output());
    let rows = work.check();
    assert_eq!(rows, committed(&running));
    println!("sqlite, {mode}: {rows} transactions");
}

/// The machine of the database dies together with the leader.
fn killed_client(r: &Replica, mode: &str) {
    let work = Work { r, database: format!("{MOUNT}/{mode}-client.db"), mode };
    let running = work.start(&format!("sqlite-client-{mode}"), "/none");
    let leader = r.leader();
    r.cluster["client"].power_cut();
    r.cluster[leader].stop_brickd(Signal::KILL);
    let acknowledged = committed(&running);
    r.cluster[leader].start_brickd();
    r.cluster["client"].sh(&format!("umount -l {MOUNT} || true")).ok();
    until("a new mount works", HEALS, || r.cluster["client"].mounts("fuse.rfs").is_empty());
    r.mount("client");
    let rows = work.check();
    assert!(rows >= acknowledged, "{rows} rows are left of {acknowledged} acknowledged ones");
    r.healed(HEALS);
}
