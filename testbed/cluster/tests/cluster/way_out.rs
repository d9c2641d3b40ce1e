//! The operators' runbook: each recipe carried out as it stands in docs/operations.md.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::volume::status;
use rfs_cluster::{Cluster, MOUNT, Recipe, Replica, Signal, until};

const SOON: Duration = Duration::from_secs(30);

fn state(r: &Replica, host: &str, word: &str) -> bool {
    status(&r.cluster[host]).is_ok_and(|s| s.state == word)
}

/// Both bricks go their own ways: server2 with a client, then server1 by an operator's word.
#[test]
fn promote_and_the_abandoned_one_returns() {
    let r = Replica::of(Cluster::of(&["server1", "server2", "client"]).beside_others(), 2);
    r.mount("client");
    r.settled();
    let client = &r.cluster["client"];
    client
        .sh(&format!("cd {MOUNT} && echo one > changed && echo x > removed && echo y > same && sync ."))
        .ok();
    r.trees_equal();
    refused_while_somebody_leads(&r);
    // A program has a file open all the time.
    let (go, wrote) = (r.cluster.folder().join("go"), r.cluster.folder().join("wrote"));
    let writes = format!("echo more | timeout 20 dd conv=fsync >&3; echo $? > {}", wrote.display());
    let holder =
        format!("exec 3>>{MOUNT}/changed; until [ -e {} ]; do sleep 0.1; done; {writes}", go.display());
    let _holder = client.spawn("holder", &["sh", "-c", &holder]);
    // server1 is cut off; the others go on, and what they write is fsynced: it is committed without server1.
    r.cluster.cut("server1");
    until("server2 leads alone", SOON, || {
        status(&r.cluster["server2"]).is_ok_and(|s| {
            let is = |host: &str, words: &[&str]| {
                s.bricks.iter().any(|b| b.host() == host && words.contains(&b.state.as_str()))
            };
            is("server2", &["leader"]) && is("server1", &["learner", "offline"])
        })
    });
    let tail = "echo two > changed && echo tail > lost && rm removed && echo y > same";
    client.sh(&format!("cd {MOUNT} && {tail} && sync lost changed same")).ok();
    r.cluster["server2"].stop_brickd(Signal::KILL);
    r.cluster.uncut("server1");
    until("server1 is blocked", SOON, || {
        status(&r.cluster["server1"]).is_ok_and(|s| {
            s.state == "blocked" && s.bricks.iter().any(|b| b.host() == "server2" && b.state == "offline")
        }) && r.cluster["server1"].tools(&["heal-status", "datavol"]).stdout.contains("waits for")
    });
    let mut recipe = Recipe::of("Go on with one server while the other is gone");
    recipe.step(&r.cluster, "rfs-tools heal-status");
    recipe.step(&r.cluster, "rfs-tools volume promote");
    recipe.step(&r.cluster, "rfs-tools heal-status");
    recipe.done();
    // What the mount was told is not there: the program that has the file open is told so, others go on.
    std::fs::write(&go, "").expect("a file for the program");
    let told = || std::fs::read_to_string(&wrote).unwrap_or_default();
    until("the program was told", SOON, || !told().is_empty());
    assert!(!["0", "124"].contains(&told().trim()), "its write was not refused: {}", told());
    until("others go on", SOON, || {
        client.sh(&format!("echo new > {MOUNT}/fresh && sync {MOUNT}/fresh")).success()
    });
    r.mount_holds("client", "changed", "one\n");
    r.cluster["server2"].start_brickd();
    r.healed(HEALS);
    let listed = || r.cluster["server1"].tools(&["--json", "heal-status", "divergent", "datavol"]).stdout;
    until("it was compared", SOON, || listed().matches("\"path\"").count() == 3);
    let mut recipe = Recipe::of("The abandoned server comes back");
    recipe.step(&r.cluster, "rfs-tools heal-status divergent datavol");
    recipe.step(&r.cluster, "cat ");
    recipe.step(&r.cluster, "rfs-tools heal-status divergent datavol --forget");
    recipe.step(&r.cluster, "rfs-tools heal-status divergent datavol");
    recipe.done();
    r.trees_equal();
    for (file, text) in [("changed", "one\n"), ("removed", "x\n"), ("same", "y\n"), ("fresh", "new\n")] {
        r.mount_holds("client", file, text);
        r.brick_holds("server2", file, text);
    }
    r.settled();
    r.umount("client");
}

fn refused_while_somebody_leads(r: &Replica) {
    let leader = format!("{}:/data/brick leads the volume", r.leader());
    for node in ["server1", "server2"] {
        r.cluster["server1"].tools(&["volume", "promote", "datavol", node]).refused(&[&leader]);
    }
    r.cluster["server1"].tools(&["volume", "accept-tail-loss", "datavol"]).refused(&["power loss"]);
    r.cluster["server2"].tools(&["heal-status", "divergent"]).says("none");
}

/// Nobody is told of a boot: each brick's kernel was another one.
#[test]
fn after_a_power_loss_without_one_machine() {
    let r = Replica::of(Cluster::of(&["server1", "server2", "client"]).beside_others(), 2);
    r.mount("client");
    r.settled();
    r.cluster["client"].sh(&format!("echo kept > {MOUNT}/file && sync {MOUNT}/file")).ok();
    r.umount("client");
    for server in ["server1", "server2"] {
        r.cluster[server].stop_brickd(Signal::KILL);
        r.cluster[server].reboot();
    }
    r.cluster["server1"].start_brickd();
    until("it waits for the other", SOON, || {
        state(&r, "server1", "blocked")
            && r.cluster["server1"].tools(&["heal-status"]).stdout.contains("waits for server2")
    });
    let mut recipe = Recipe::of("A site lost power and one machine stays dead");
    recipe.step(&r.cluster, "rfs-tools volume accept-tail-loss");
    recipe.done();
    r.mount("client");
    r.mount_holds("client", "file", "kept\n");
    r.cluster["client"].sh(&format!("echo more > {MOUNT}/more && sync {MOUNT}/more")).ok();
    r.cluster["server2"].start_brickd();
    r.healed(HEALS);
    r.trees_equal();
    r.cluster["server1"].tools(&["heal-status", "divergent"]).says("none");
    r.umount("client");
}

#[test]
fn the_seat_goes_where_the_operator_wants_it() {
    let hosts = Cluster::of(&["server1", "server2", "server3", "client"]).beside_others();
    let r = Replica::of(hosts, 2);
    r.mount("client");
    r.settled();
    let holder = |want: Option<&str>| {
        let seat = |server: &str| status(&r.cluster[server]).ok().map(|s| s.witness.map(|w| w.host));
        until("the seat is where it was wanted", SOON, || {
            ["server1", "server2"].iter().all(|s| seat(s) == Some(want.map(str::to_owned)))
                && r.cluster["server1"].tools(&["heal-status", "--check"]).success()
        });
    };
    holder(Some("server3"));
    let mut recipe = Recipe::of("Say who holds the witness seat");
    recipe.step(&r.cluster, "rfs-tools volume witness datavol clear");
    holder(None);
    recipe.step(&r.cluster, "rfs-tools volume get");
    recipe.step(&r.cluster, "rfs-tools volume witness datavol set nowhere");
    recipe.step(&r.cluster, "rfs-tools volume witness datavol set client");
    holder(Some("client"));
    recipe.step(&r.cluster, "rfs-tools volume get");
    // Another leader knows it too.
    let leader = r.leader();
    r.cluster[leader].stop_brickd_gracefully();
    r.cluster[leader].start_brickd();
    holder(Some("client"));
    recipe.step(&r.cluster, "rfs-tools volume witness datavol move");
    holder(Some("server3"));
    recipe.step(&r.cluster, "rfs-tools volume reset");
    holder(Some("server3"));
    recipe.done();
    r.umount("client");
}

#[test]
fn a_brick_leaves_and_rejoins() {
    let r = Replica::of(Cluster::of(&["server1", "server2", "client"]).beside_others(), 2);
    r.mount("client");
    r.settled();
    let learns = || {
        status(&r.cluster["server1"])
            .is_ok_and(|s| s.bricks.iter().any(|b| b.host() == "server2" && b.state == "learner"))
    };
    let mut recipe = Recipe::of("Take a server down for maintenance");
    recipe.step(&r.cluster, "rfs-tools brick leave");
    until("server2 is a learner", SOON, learns);
    r.cluster["client"].sh(&format!("echo on > {MOUNT}/file && sync {MOUNT}/file")).ok();
    r.brick_holds("server2", "file", "on\n");
    r.cluster["server1"]
        .tools(&["brick", "leave", "datavol", "server1:/data/brick"])
        .refused(&["only brick"]);
    r.cluster["server1"]
        .tools(&["brick", "leave", "datavol", "server2:/data/brick"])
        .refused(&["not in sync"]);
    r.cluster["server1"].tools(&["brick", "leave", "datavol", "server3:/x"]).refused(&["is no brick"]);
    assert!(learns(), "it stays out");
    recipe.step(&r.cluster, "rfs-tools brick rejoin");
    recipe.done();
    r.settled();
    // The other way back: down and up.
    r.cluster["server1"].tools(&["brick", "leave", "datavol", "server2:/data/brick"]).says("success");
    r.cluster["server2"].stop_brickd_gracefully();
    r.cluster["server2"].start_brickd();
    r.settled();
    r.trees_equal();
    r.umount("client");
}

/// Whether the brick of that host leads.
fn leads(r: &Replica, host: &str) -> bool {
    status(&r.cluster[host]).is_ok_and(|s| {
        s.bricks.iter().any(|b| b.state == "leader" && b.brick.starts_with(&format!("{host}:")))
    })
}

fn brick_count(r: &Replica, host: &str) -> usize {
    status(&r.cluster[host])
        .map_or(0, |s| s.bricks.iter().filter(|b| ["leader", "in-sync"].contains(&&*b.state)).count())
}

/// The disk under server2's brick is an empty one; afterwards the old one is put back.
#[test]
fn a_disk_is_replaced_and_the_old_one_turned_away() {
    let r = Replica::of(Cluster::of(&["server1", "server2", "client"]).beside_others(), 2);
    r.mount("client");
    r.settled();
    let client = &r.cluster["client"];
    client.sh(&format!("mkdir {MOUNT}/dir && echo one > {MOUNT}/dir/file && sync {MOUNT}/dir/file")).ok();
    r.trees_equal();
    let brick = "server2:/data/brick";
    r.cluster["server1"].tools(&["brick", "replace", "datavol", brick, brick]).refused(&["in sync"]);
    r.cluster["server2"].stop_brickd(Signal::KILL);
    r.cluster["server2"].sh("mv /data/brick /data/old && mkdir /data/brick").ok();
    until("the other one goes on", SOON, || brick_count(&r, "server1") == 1 && leads(&r, "server1"));
    client.sh(&format!("echo two > {MOUNT}/dir/more && sync {MOUNT}/dir/more")).ok();
    r.cluster["server2"].start_brickd();
    let mut recipe = Recipe::of("A disk died");
    recipe.step(&r.cluster, "rfs-tools brick replace");
    recipe.done();
    r.healed(HEALS);
    r.trees_equal();
    r.brick_holds("server2", "dir/more", "two\n");
    // The old disk has a vote of its own, and is nobody.
    r.cluster["server2"].stop_brickd_gracefully();
    r.cluster["server2"].sh("mv /data/brick /data/new && mv /data/old /data/brick").ok();
    r.cluster["server2"].start_brickd();
    until("it is turned away", SOON, || {
        r.cluster["server1"].tools(&["heal-status"]).stdout.contains("is not a brick of the volume any more")
    });
    r.cluster["server2"].stop_brickd_gracefully();
    r.cluster["server2"].sh("mv /data/brick /data/old && mv /data/new /data/brick").ok();
    r.cluster["server2"].start_brickd();
    r.healed(HEALS);
    r.trees_equal();
    r.umount("client");
}

/// server2 is gone for good; server3 takes its place. Then server2 comes back.
#[test]
fn a_server_is_replaced_by_another() {
    let mut r = Replica::of(Cluster::of(&["server1", "server2", "server3", "client"]).beside_others(), 2);
    r.mount("client");
    r.settled();
    let client = &r.cluster["client"];
    client.sh(&format!("echo one > {MOUNT}/file && sync {MOUNT}/file")).ok();
    r.cluster["server2"].stop_brickd(Signal::KILL);
    until("the other one goes on", SOON, || brick_count(&r, "server1") == 1 && leads(&r, "server1"));
    let mut recipe = Recipe::of("A server died");
    recipe.step(&r.cluster, "rfs-tools brick replace");
    until("the new one is in sync", HEALS, || brick_count(&r, "server3") == 2);
    r.bricks = vec!["server1".into(), "server3".into()];
    r.healed(HEALS);
    r.trees_equal();
    r.mount_holds("client", "file", "one\n");
    // It comes back as it was: nobody asks it, and it lets go of its brick.
    r.cluster["server2"].start_brickd();
    until("it has heard", SOON, || {
        let log =
            std::fs::read_to_string(r.cluster["server2"].folder().join("rfs-brickd.log")).unwrap_or_default();
        log.contains("is not a brick of volume datavol any more")
    });
    r.cluster["server2"].stop_brickd_gracefully();
    recipe.step(&r.cluster, "rfs-tools peer detach");
    recipe.done();
    // The volume outlives its first server, too.
    r.cluster["server1"].stop_brickd_gracefully();
    client.sh(&format!("echo two > {MOUNT}/file && sync {MOUNT}/file")).ok();
    r.cluster["server1"].start_brickd();
    r.healed(HEALS);
    r.trees_equal();
    r.umount("client");
}

/// server2 has forgotten who it is: it is a stranger, and its brick another node's.
#[test]
fn a_node_without_its_state_directory_gets_its_brick_back() {
    let r = Replica::of(Cluster::of(&["server1", "server2", "client"]).beside_others(), 2);
    r.mount("client");
    r.settled();
    let client = &r.cluster["client"];
    client.sh(&format!("echo one > {MOUNT}/file && sync {MOUNT}/file")).ok();
    r.cluster["server2"].stop_brickd(Signal::KILL);
    r.cluster["server2"].sh("rm /var/lib/rfs/pool.toml").ok();
    r.cluster["server2"].start_brickd();
    until("the other one goes on", SOON, || brick_count(&r, "server1") == 1 && leads(&r, "server1"));
    let mut recipe = Recipe::of("A node lost its state directory");
    recipe.step(&r.cluster, "rfs-tools peer probe");
    recipe.step(&r.cluster, "rfs-tools brick replace");
    recipe.done();
    until("it is in sync", HEALS, || brick_count(&r, "server1") == 2);
    r.mount_holds("client", "file", "one\n");
    let copy = r.cluster["server2"].path("/data/new/file");
    until("the copy is there", SOON, || std::fs::read_to_string(&copy).is_ok_and(|text| text == "one\n"));
    r.umount("client");
}
