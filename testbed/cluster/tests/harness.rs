//! The hosts do what the other tests take for granted.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use rfs_cluster::{Cluster, Disk, Load, Signal, processes, until, wait};

const SOON: Duration = Duration::from_secs(10);

/// Whether `to` answers a ping from `from` within a second.
fn reaches(c: &Cluster, from: &str, to: &str) -> bool {
    let script = format!(
        "import socket\ns = socket.create_connection(('{}', 7000), 1)\ns.settimeout(1)\ns.sendall(b'x')\nassert s.recv(1) == b'x'",
        c[to].address()
    );
    c[from].run(&["python3", "-c", &script]).success()
}

const ECHO: &str = "
import socket, threading
l = socket.create_server(('', 7000))
def serve(s):
    while True:
        b = s.recv(65536)
        if not b: return
        s.sendall(b)
while True:
    threading.Thread(target=serve, args=(l.accept()[0],), daemon=True).start()
";

#[test]
fn hosts_have_an_identity_and_folders_of_their_own() {
    let c = Cluster::of(&["server1", "client"]).bare().start();
    let ids = |what: &str| (c["server1"].run(&["cat", what]).ok(), c["client"].run(&["cat", what]).ok());
    for what in ["/etc/machine-id", "/proc/sys/kernel/random/boot_id"] {
        let (one, other) = ids(what);
        assert!(one != other && one.trim().len() >= 32, "{what}: {one} {other}");
    }
    assert_eq!(c["server1"].run(&["hostname"]).ok().trim(), "server1");
    c["client"].run(&["getent", "hosts", "server1"]).says("192.168.199.100");
    for folder in ["/data", "/mnt", "/run", "/var/lib/rfs", "/var/log/rfs"] {
        c["server1"].sh(&format!("echo here > {folder}/x")).ok();
        assert!(!c["client"].path(folder).join("x").exists(), "{folder} is shared");
        assert!(!Path::new(folder).join("x").exists(), "{folder} is the machine's");
        assert_eq!(c["server1"].read(&format!("{folder}/x")).as_deref(), Some("here\n"));
    }
    c["client"].sh("test -x /sbin/mount.rfs -o -L /sbin/mount.rfs").ok();
    let pids = c["client"].sh("ls -d /proc/[0-9]*").ok();
    assert!(pids.lines().count() < 6, "a host sees its own processes only: {pids}");
}

#[test]
fn a_power_cut_kills_everything_and_makes_another_boot() {
    let c = Cluster::of(&["server1"]).bare().start();
    let boot = |c: &Cluster| c["server1"].read("/proc/sys/kernel/random/boot_id");
    let before = boot(&c);
    let mut sleeper = c["server1"].spawn("sleep", &["sleep", "600"]);
    c["server1"].sh("setsid sleep 600 & echo x > /run/left; echo kept > /data/kept").ok();
    until("both run", SOON, || c["server1"].pids("sleep").len() == 2);
    c["server1"].power_cut();
    assert!(c["server1"].pids("sleep").is_empty());
    assert_eq!(sleeper.wait(SOON), 137);
    assert_ne!(before, boot(&c));
    assert_eq!(c["server1"].read("/run/left"), None);
    assert_eq!(c["server1"].read("/data/kept").as_deref(), Some("kept\n"));
}

#[test]
fn a_power_cut_on_a_disk_of_its_own_loses_what_was_not_synced() {
    for kind in ["ext4", "xfs"] {
        let disk = Disk::Image { kind, bytes: 512 << 20 };
        let c = Cluster::of(&["server1"]).disk("server1", disk).bare().start();
        c["server1"].sh("echo synced > /data/a && sync /data/a && echo state > /var/lib/rfs/s && sync").ok();
        c["server1"].sh("setfattr -n trusted.rfs.id -v 1 /data/a || python3 -c 'import os; os.setxattr(\"/data/a\", \"trusted.x\", b\"1\")'").ok();
        c["server1"].sh("echo lost > /data/b").ok();
        c["server1"].power_cut();
        assert_eq!(c["server1"].read("/data/a").as_deref(), Some("synced\n"), "{kind}");
        assert_eq!(c["server1"].read("/var/lib/rfs/s").as_deref(), Some("state\n"), "{kind}");
        assert_ne!(c["server1"].read("/data/b").as_deref(), Some("lost\n"), "{kind}");
    }
}

#[test]
fn a_small_disk_fills_up_and_takes_trusted_attributes() {
    let c = Cluster::of(&["server1"]).disk("server1", Disk::Memory { bytes: 4 << 20 }).bare().start();
    c["server1"].run(&["python3", "-c", "import os; os.setxattr('/data', 'trusted.x', b'1')"]).ok();
    let full = c["server1"].run(&["dd", "if=/dev/zero", "of=/data/big", "bs=1M", "count=8"]);
    assert!(full.code == Some(1) && full.stderr.contains("No space left"), "{full}");
}

#[test]
fn links_are_cut_parted_and_counted() {
    let c = Cluster::of(&["server1", "server2", "client"]).bare().start();
    let _echo: Vec<_> = c.hosts().map(|h| h.spawn("echo", &["python3", "-c", ECHO])).collect();
    for (from, to) in [("server1", "server2"), ("server2", "client"), ("client", "server1")] {
        until("they reach each other", SOON, || reaches(&c, from, to));
    }
    c.cut("server1");
    assert!(!reaches(&c, "client", "server1") && reaches(&c, "client", "server2"));
    c.uncut("server1");
    until("the cut is over", SOON, || reaches(&c, "client", "server1"));

    c.part("server1", "server2");
    assert!(!reaches(&c, "server1", "server2") && !reaches(&c, "server2", "server1"));
    assert!(reaches(&c, "client", "server1") && reaches(&c, "client", "server2"));
    c.heal("server1", "server2");
    until("the partition is over", SOON, || {
        reaches(&c, "server1", "server2") && reaches(&c, "server2", "server1")
    });

    c["server1"].lose_to(&c["server2"]);
    let before = c.wire("server2");
    assert!(!reaches(&c, "server1", "server2"), "one way is enough to break a connection");
    assert!(!reaches(&c, "server2", "server1"));
    assert!(c.wire("server2").since(before).sent > 0, "the other way is open");
    c["server1"].find_again(&c["server2"]);
    until("the loss is over", SOON, || reaches(&c, "server2", "server1"));
}

#[test]
fn the_wire_counts_what_passes() {
    let c = Cluster::of(&["server1", "client"]).bare().start();
    let _echo = c["server1"].spawn("echo", &["python3", "-c", ECHO]);
    until("it answers", SOON, || reaches(&c, "client", "server1"));
    let before = (c.wire("client"), c.wire("server1"));
    let send = "import socket\ns = socket.create_connection(('server1', 7000))\nn = 0\nfor _ in range(100):\n s.sendall(b'x' * 10000)\n n = 0\n while n < 10000: n += len(s.recv(65536))";
    c["client"].run(&["python3", "-c", send]).ok();
    let (client, server) = (c.wire("client").since(before.0), c.wire("server1").since(before.1));
    for bytes in [client.sent, client.received, server.sent, server.received] {
        assert!((1_000_000..1_200_000).contains(&bytes), "{client:?} {server:?}");
    }
}

#[test]
fn a_slow_cable_delays_each_way_and_loses_nothing() {
    let delay = Duration::from_millis(20);
    let c = Cluster::of(&["server1", "client"]).delayed(delay).bare().start();
    let _echo = c["server1"].spawn("echo", &["python3", "-c", ECHO]);
    until("it answers", SOON, || reaches(&c, "client", "server1"));
    let script = "
import hashlib, os, socket, threading, time
s = socket.create_connection(('server1', 7000))
s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
def trip():
    begun = time.monotonic(); s.sendall(b'x'); s.recv(1)
    return time.monotonic() - begun
print(min(trip() for _ in range(5)))
sent = os.urandom(32 << 20)
threading.Thread(target=s.sendall, args=(sent,)).start()
back = bytearray()
while len(back) < len(sent): back += s.recv(1 << 20)
assert bytes(back) == sent
";
    let said = c["client"].run(&["python3", "-c", script]).ok();
    let trip = Duration::from_secs_f64(said.trim().parse().unwrap());
    assert!(trip >= delay * 2 && trip < delay * 3, "there and back in {trip:?}");
    c.cut("server1");
    assert!(!reaches(&c, "client", "server1"));
    c.uncut("server1");
    until("the cut is over", SOON, || reaches(&c, "client", "server1"));
}

#[test]
fn commands_that_hang_are_killed_with_their_children() {
    let c = Cluster::of(&["client"]).bare().start();
    let ran = c["client"].run_within(&["sh", "-c", "echo said; sleep 600; true"], Duration::from_millis(300));
    assert_eq!((ran.code, ran.stdout.as_str()), (None, "said\n"));
    until("its child is gone too", SOON, || c["client"].pids("sleep").is_empty());
    assert_eq!(c["client"].sh("exit 7").code, Some(7));
    assert_eq!(c["client"].sh("kill -9 $$").code, Some(137));
    let background = c["client"].sh("sleep 600 & echo started");
    assert!(
        background.took < SOON && background.ok() == "started\n",
        "what stays behind keeps nobody waiting"
    );
    c["client"].kill(Signal::STOP, "sleep");
    c["client"].kill(Signal::KILL, "sleep");
}

#[test]
fn load_tells_its_longest_wait_and_its_errors() {
    let c = Cluster::of(&["client"]).bare().start();
    let mut load = Load::writer(&c["client"], "/mnt/lines");
    let reader = Load::reader(&c["client"], "/mnt/lines");
    load.goes_on(SOON);
    c["client"].kill(Signal::STOP, "rfs-testload");
    wait::last(Duration::from_millis(300));
    c["client"].kill(Signal::CONT, "rfs-testload");
    let (read, written) = (reader.stop(), load.stop());
    assert_eq!((read.error, &written.error), (None, &None));
    assert!(written.lines >= 20 && written.durable >= 20 && written.durable <= written.lines, "{written:?}");
    assert_eq!(c["client"].read("/mnt/lines"), Some(written.text()));

    let reader = Load::reader(&c["client"], "/mnt/lines");
    c["client"].sh("echo 0 > /mnt/few && mv /mnt/few /mnt/lines").ok();
    until("it sees the file go back", SOON, || c["client"].pids("rfs-testload").is_empty());
    assert!(reader.stop().error.is_some_and(|e| e.contains("it read \"0\\n\"")));
}

#[test]
fn nothing_is_left_of_a_cluster() {
    let c = Cluster::of(&["server1", "client"]).bare().start();
    let folder = c.folder().to_owned();
    c["server1"].sh("setsid sleep 600 & mkdir /mnt/m && mount -t tmpfs m /mnt/m").ok();
    until("it runs", SOON, || !c["server1"].pids("sleep").is_empty());
    let sleeper = c["server1"].pids("sleep");
    assert_eq!(sleeper.len(), 1);
    drop(c);
    assert!(!folder.exists());
    assert!(sleeper.iter().all(|&p| processes::pid_namespace(p).is_none()));
}

/// Runs this test a second time as a process of its own, whose cluster loses its owner.
#[test]
fn a_killed_run_leaves_nothing() {
    const VICTIM: &str = "RFS_CLUSTER_VICTIM";
    if std::env::var_os(VICTIM).is_some() {
        let c = Cluster::of(&["server1"]).bare().start();
        c["server1"].sh("setsid sleep 600 &").ok();
        until("it runs", SOON, || !c["server1"].pids("sleep").is_empty());
        println!("\nvictim {} {}", c["server1"].pids("sleep")[0], c.folder().display());
        wait::last(Duration::from_secs(600));
    }
    let mut victim = Command::new(std::env::current_exe().unwrap());
    victim.args(["--exact", "a_killed_run_leaves_nothing", "--nocapture"]).env(VICTIM, "1");
    let mut victim = victim.stdout(Stdio::piped()).spawn().unwrap();
    let lines = BufReader::new(victim.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.into_iter().find(|l| l.starts_with("victim ")).unwrap();
    let (sleeper, folder) = line["victim ".len()..].split_once(' ').unwrap();
    let sleeper = sleeper.parse().unwrap();
    assert!(processes::pid_namespace(sleeper).is_some() && Path::new(folder).exists());
    victim.kill().unwrap();
    victim.wait().unwrap();
    until("its processes are gone", SOON, || processes::pid_namespace(sleeper).is_none());
    let _next = Cluster::of(&["server1"]).bare().start();
    assert!(!Path::new(folder).exists(), "the next start removes what is left");
}

#[test]
fn the_same_goes_after_a_panic_and_beside_another_cluster() {
    let beside = Cluster::of(&["server1", "server2"]).bare().start();
    let folder = std::thread::scope(|s| {
        let failing = s.spawn(|| {
            let c = Cluster::of(&["server1", "server2"]).bare().start();
            let folder = c.folder().to_owned();
            std::fs::write(folder.with_extension("seen"), "").unwrap();
            assert!(!folder.exists(), "on purpose");
        });
        failing.join().unwrap_err();
        let base = rfs_cluster::folder::shared();
        let mine = format!("{}-", std::process::id());
        let seen = std::fs::read_dir(base).unwrap().flatten().map(|e| e.path());
        let seen: Vec<_> = seen
            .filter(|p| p.extension().is_some_and(|e| e == "seen"))
            .filter(|p| p.file_name().is_some_and(|n| n.to_string_lossy().starts_with(&mine)))
            .collect();
        let [mark] = seen.as_slice() else { panic!("{seen:?}") };
        std::fs::remove_file(mark).unwrap();
        mark.with_extension("")
    });
    assert!(!folder.exists());
    let _echo = beside["server2"].spawn("echo", &["python3", "-c", ECHO]);
    until("the other cluster is well", SOON, || reaches(&beside, "server1", "server2"));
}
