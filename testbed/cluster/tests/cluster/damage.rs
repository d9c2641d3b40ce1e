//! Foreign bytes on the port, and files with flipped bits: the daemon says so and lives, and nobody reads wrong data.

use std::fs;
use std::path::Path;
use std::time::Duration;

use rfs_cluster::servers::BRICKD;
use rfs_cluster::trial::HEALS;
use rfs_cluster::volume::status;
use rfs_cluster::{BRICK, Host, MOUNT, Replica, Signal, Spawned, damage, holds_within, scaled, until};

const SOON: Duration = Duration::from_secs(15);

/// Sends what it is told to each connection, and waits for the daemon to hang up.
const FOREIGN: &str = r#"
import os, socket, struct, sys
rng = lambda n: os.urandom(n)
cases = {
  "http": b"GET / HTTP/1.1\r\nHost: server1\r\n\r\n",
  "tls": bytes.fromhex("16030102000100"),
  "noise": rng(100000),
  "zeroes": b"\0" * 100000,
  "ones": b"\xff" * 100000,
  "truncated": b"rf",
}
for name, data in cases.items():
    s = socket.create_connection(("server1", 24007), 5)
    s.settimeout(15)
    try:
        s.sendall(data)
        if name in ("truncated", "tls"): s.shutdown(socket.SHUT_WR)
        while s.recv(65536): pass
    except (ConnectionResetError, BrokenPipeError): pass
    s.close()
held = [socket.create_connection(("server1", 24007), 5) for _ in range(200)]
print("done")
"#;

#[test]
fn foreign_bytes_on_the_port_change_nothing() {
    let r = Replica::two_beside_others();
    r.mount("client");
    r.settled();
    let host = &r.cluster["server1"];
    let pids = host.pids(BRICKD);
    for _ in 0..scaled(2, 20) {
        r.cluster["client"].run(&["python3", "-c", FOREIGN]).says("done");
    }
    assert_eq!(host.pids(BRICKD), pids, "the daemon lives");
    let address = r.cluster["client"].address();
    assert!(host.log_tails(2000).contains(address), "the log names who sent it");
    r.healed(HEALS);
    r.cluster["client"].sh(&format!("echo fine > {MOUNT}/fine && sync {MOUNT}/fine")).ok();
    r.brick_holds("server1", "fine", "fine\n");
}

#[test]
fn damaged_files_are_noticed() {
    let r = Replica::two_beside_others();
    r.mount("client");
    let write = "for i in $(seq 200); do echo $i > $i; done; dd if=/dev/urandom of=big bs=1M count=8 conv=fsync status=none";
    r.cluster["client"].sh(&format!("cd {MOUNT} && {write}")).ok();
    r.settled();
    log_of_a_follower(&r);
    lost_log(&r);
    index(&r);
    for file in ["label", "vote"] {
        stays_out(&r, file);
    }
    pool(&r.cluster[r.follower()]);
    r.healed(HEALS);
    r.trees_equal();
}

/// Records that were synced once are never cut off: the other brick supplies them.
fn log_of_a_follower(r: &Replica) {
    let away = r.follower();
    stop(r, away);
    let segments = damage::segments(&r.cluster[away].path(BRICK)).unwrap();
    let first = segments.first().expect("the log has a segment");
    let flipped = damage::flip_bits(first, 200_000, 400_000).unwrap();
    assert!(flipped > 0, "nothing to damage in {}", first.display());
    comes_back_whole(r, away, ".seg");
}

fn index(r: &Replica) {
    let away = r.follower();
    stop(r, away);
    let index = r.on_brick(away, ".rfs/index.redb");
    let flipped = damage::flip_bits(&index, 0, 3000).unwrap();
    assert!(flipped > 0, "nothing to damage in {}", index.display());
    comes_back_whole(r, away, "index.redb");
    stop(r, away);
    damage::truncate(&index, 5000).unwrap();
    comes_back_whole(r, away, "index.redb");
}

/// The log is gone, and the tree's checkpoint with it: what the tree shows is not known any more.
fn lost_log(r: &Replica) {
    let away = r.follower();
    r.cluster[away].stop_brickd_gracefully();
    let log = r.on_brick(away, ".rfs/log");
    for file in fs::read_dir(&log).unwrap().flatten() {
        fs::remove_file(file.path()).unwrap();
    }
    comes_back_whole(r, away, ".rfs/log");
}

/// Whose directory it is, and for whom it voted, cannot be guessed: the brick stays out until the file is right again.
fn stays_out(r: &Replica, file: &str) {
    let away = r.follower();
    stop(r, away);
    let path = r.on_brick(away, &format!(".rfs/{file}"));
    let good = fs::read(&path).unwrap();
    damage::flip_bits(&path, 0, 16).unwrap();
    let daemon = starts_or_says(&r.cluster[away], &format!(".rfs/{file}"));
    let seen = r.cluster[r.other(away)].tools(&["heal-status", "--check"]);
    assert_eq!(seen.code, Some(2), "a brick without a good {file} is in the set: {seen}");
    r.cluster["client"].sh(&format!("echo on > {MOUNT}/goes-on && sync {MOUNT}/goes-on")).ok();
    drop(daemon);
    until("it is gone", SOON, || r.cluster[away].pids(BRICKD).is_empty());
    fs::write(&path, good).unwrap();
    r.cluster[away].start_brickd();
    r.healed(HEALS);
}

/// The node's own files: it does not start with what it cannot read.
fn pool(host: &Host) {
    host.stop_brickd(Signal::TERM);
    let folder = host.path("/var/lib/rfs");
    let files = fs::read_dir(&folder).unwrap().flatten().map(|e| e.path());
    let tomls: Vec<_> = files.filter(|p| p.is_file() && p.extension().is_some_and(|e| e == "toml")).collect();
    assert!(!tomls.is_empty(), "no state files in {}", folder.display());
    for file in tomls {
        let good = fs::read(&file).unwrap();
        fs::write(&file, [&b"\x00garbage = ["[..], &good[good.len() / 2..]].concat()).unwrap();
        let name = file.file_name().and_then(|n| n.to_str()).unwrap();
        host.run_within(&["rfs-brickd"], SOON).refused(&[name]);
        assert!(fs::read(&file).unwrap().starts_with(b"\x00garbage"), "it was not touched");
        fs::write(&file, good).unwrap();
    }
    host.start_brickd();
}

fn stop(r: &Replica, host: &str) {
    r.cluster[host].stop_brickd(Signal::KILL);
    let other = &r.cluster[r.other(host)];
    until("the other one goes on", SOON, || other.tools(&["heal-status"]).stdout.contains("degraded"));
}

/// It heals by itself: nothing on the way may be served wrong, and the log names the damaged file.
fn comes_back_whole(r: &Replica, away: &str, what: &str) {
    let before = whole_log(&r.cluster[away]).len();
    r.cluster[away].start_brickd();
    r.cluster["client"]
        .sh(&format!("cd {MOUNT} && for i in $(seq 200); do [ $(cat $i) = $i ] || exit 1; done"))
        .ok();
    r.healed(HEALS);
    r.trees_equal();
    let log = whole_log(&r.cluster[away]);
    assert!(
        log[before.min(log.len())..].contains(what),
        "the log does not tell of the damaged {what}:\n{}",
        &log[before..]
    );
}

/// Either the daemon ends with a clear line, or it runs, has logged the line, and keeps the brick out.
fn starts_or_says(host: &Host, what: &str) -> Spawned {
    let mut daemon = host.spawn(BRICKD, &["rfs-brickd"]);
    let said = holds_within(SOON, || daemon.output().contains(what));
    assert!(said, "no word of the damaged {what}: {}", daemon.output());
    let answers = || host.tools(&["peer", "status"]).success();
    assert!(holds_within(SOON, || answers() || daemon.ended() == Some(1)), "{}", daemon.output());
    daemon
}

fn whole_log(host: &Host) -> String {
    let log: &Path = &host.folder().join("rfs-brickd.log");
    String::from_utf8_lossy(&fs::read(log).unwrap_or_default()).into_owned()
}

/// Both indexes are damaged at once: no brick gives itself up for a copy that nobody can give.
#[test]
fn nobody_begins_anew_where_nobody_is_whole() {
    let r = Replica::two_beside_others();
    r.mount("client");
    r.cluster["client"].sh(&format!("cd {MOUNT} && echo precious > file && sync file")).ok();
    r.settled();
    r.umount("client");
    let damaged: Vec<_> = ["server1", "server2"].map(|host| damage_index(&r, host)).into();
    for host in ["server1", "server2"] {
        r.cluster[host].start_brickd();
        let said = || whole_log(&r.cluster[host]).contains("as soon as another brick leads");
        assert!(holds_within(SOON, said), "{host}: {}", whole_log(&r.cluster[host]));
    }
    let seen = r.cluster["server1"].tools(&["heal-status", "--check"]);
    assert_eq!(seen.code, Some(2), "{seen}");
    for host in ["server1", "server2"] {
        assert_eq!(fs::read_to_string(r.on_brick(host, "file")).unwrap(), "precious\n");
    }
    // The one that was in the set last is restored from a backup, and the other one is copied from it.
    let (path, good) = &damaged[1];
    r.cluster["server2"].stop_brickd_gracefully();
    fs::write(path, good).unwrap();
    r.cluster["server2"].start_brickd();
    r.mount("client");
    r.healed(HEALS);
    r.mount_holds("client", "file", "precious\n");
    r.trees_equal();
}

/// Stops a brick in good order and spoils its index; where that lies, and what it was.
fn damage_index(r: &Replica, host: &str) -> (std::path::PathBuf, Vec<u8>) {
    r.cluster[host].stop_brickd_gracefully();
    let path = r.on_brick(host, ".rfs/index.redb");
    let good = fs::read(&path).unwrap();
    damage::truncate(&path, 5000).unwrap();
    (path, good)
}

/// What somebody puts into a brick is no part of the volume and stops nobody; what he takes away or replaces stops that
/// brick alone, and the others see it gone, not coming and going.
#[test]
fn what_is_done_to_a_brick_by_hand_harms_that_brick_at_most() {
    let r = Replica::two_beside_others();
    r.mount("client");
    let sh = |script: &str| r.cluster["client"].sh(&format!("cd {MOUNT} && {script}")).ok();
    sh("mkdir d e && echo a > d/a && sync .");
    r.settled();
    for host in ["server1", "server2"] {
        for file in ["d/by-hand", "e/by-hand", "top"] {
            fs::write(r.on_brick(host, file), "mine\n").unwrap();
        }
    }
    assert_eq!(sh("ls -A d e ."), ".:\nd\ne\n\nd:\na\n\ne:\n");
    sh("rmdir e && echo new > top && mv d/a d/by-hand && sync .");
    r.healed(HEALS);
    for host in ["server1", "server2"] {
        r.brick_holds(host, "top", "new\n");
        r.brick_holds(host, "d/by-hand", "a\n");
        for file in ["top", "by-hand", "by-hand.1"] {
            r.brick_holds(host, &format!(".rfs/foreign/{file}"), "mine\n");
        }
    }
    r.trees_equal();
    replaced(&r, &sh);
}

fn replaced(r: &Replica, sh: &dyn Fn(&str) -> String) {
    let broken = r.follower();
    let other = &r.cluster[r.other(broken)];
    let file = r.on_brick(broken, "top");
    fs::remove_file(&file).unwrap();
    fs::write(&file, "another file\n").unwrap();
    sh("rm top && echo on > on && sync on");
    let online = || {
        let seen = status(other).expect("heal-status answers at once");
        let brick = seen.bricks.into_iter().find(|b| b.host() == broken).expect("the brick is listed");
        brick.online
    };
    until("the brick is gone", SOON, || !online());
    assert!(!holds_within(Duration::from_secs(4), online), "a brick that has stopped comes and goes");
    let log = whole_log(&r.cluster[broken]);
    assert!(log.contains("the brick stops") && log.contains("/top"), "{log}");
}
