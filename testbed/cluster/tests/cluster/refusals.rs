//! What cannot be is refused in one clear line, and leaves nothing behind.

use rfs_cluster::{Cluster, Host, MOUNT};

/// Everything that a refusal must leave as it is.
fn state(c: &Cluster) -> Vec<String> {
    let of = |host: &Host| {
        let files = host
            .sh("find /data /var/lib/rfs -name '*.sock' -prune -o -name witness -prune -o -print | sort")
            .ok();
        let pool = host.sh("cat /var/lib/rfs/pool.toml 2>/dev/null || true").ok();
        format!("{}\n{files}{pool}", host.name())
    };
    c.hosts().filter(|h| h.name().starts_with("server")).map(of).collect()
}

#[test]
fn bad_input_is_refused() {
    let c = Cluster::of(&["server1", "server2", "server3", "server4", "client"]).beside_others().start();
    for server in ["server1", "server2", "server3", "server4"] {
        c[server].start_brickd();
    }
    c["server1"].tools(&["peer", "probe", "server2"]).ok();
    c["server3"].tools(&["peer", "probe", "server4"]).ok();
    let before = state(&c);
    let tools = |line: &str| c["server1"].tools(&line.split(' ').collect::<Vec<_>>());
    peers(&tools);
    volumes(&c, &tools);
    assert_eq!(state(&c), before, "a refusal left something behind");

    tools("volume create datavol replica 2 server1:/data/b server2:/data/b").ok();
    let before = state(&c);
    existing(&tools);
    assert_eq!(state(&c), before, "a refusal left something behind");
    tools("volume start datavol").ok();
    mounts(&c["client"]);
    assert!(c["client"].mounts("fuse.rfs").is_empty());
    c["client"].run(&["mount.rfs", "server1:/datavol", MOUNT]).ok();
    full_mount_point(&c["client"]);
}

type Tools<'a> = dyn Fn(&str) -> rfs_cluster::Ran + 'a;

fn peers(tools: &Tools) {
    tools("peer probe no-such-host").refused(&["no-such-host"]);
    tools("peer probe client").refused(&["client"]);
    tools("peer probe server3").refused(&["another pool", "other pool", "in a pool"]);
    tools("peer detach server9").refused(&["server9"]);
    tools("--server no-such-host peer status").refused(&["no-such-host"]);
}

fn volumes(c: &Cluster, tools: &Tools) {
    let create = |rest: &str| tools(&format!("volume create {rest}"));
    create("v replica 2 server1:/data/x").refused(&["replica", "brick"]);
    create("v server1:/data/x server2:/data/x").refused(&["replica"]);
    create("v replica 9 server1:/data/x server2:/data/x").refused(&["replica", "brick"]);
    create("v replica two server1:/data/x server2:/data/x").refused(&["two"]);
    create("v replica 2 server1:/data/x client:/data/x").refused(&["client"]);
    create("v replica 2 server1:/data/x server3:/data/x").refused(&["server3"]);
    create("v replica 2 server1:/data/x server1:/data/x").refused(&["brick", "same", "twice"]);
    create("v replica 2 server1:/data/x server1:/data/x/y").refused(&["inside", "same", "brick"]);
    create("v replica 2 server1:data/x server2:data/x").refused(&["server1:data/x"]);
    create("v replica 2 server1:/data/x server2:relative").refused(&["server2:relative"]);
    for name in ["a/b", "-x", ".", "a b", "ä", &"x".repeat(300)] {
        let argv = ["volume", "create", "--", name, "replica", "2", "server1:/data/x", "server2:/data/x"];
        c["server1"].tools(&argv).refused(&["name"]);
    }
    c["server2"].sh("mkdir /data/full && touch /data/full/file").ok();
    create("v replica 2 server1:/data/full server2:/data/full").refused(&["empty"]);
    c["server2"].sh("rm -r /data/full").ok();
    c["server2"].sh("touch /data/file").ok();
    create("v replica 2 server1:/data/file server2:/data/file").refused(&["/data/file"]);
    c["server2"].sh("rm /data/file; mkdir /run/ro && mount -t tmpfs -o ro none /run/ro").ok();
    create("v replica 2 server1:/data/x server2:/run/ro/x").refused(&["read-only"]);
    create("v replica 2 server1:/data/x server2:/proc/x").refused(&["/proc/x"]);
    tools("volume start nonsense").refused(&["nonsense"]);
    tools("volume info nonsense").refused(&["nonsense"]);
    tools("volume set nonsense auth.allow 1.2.3.4").refused(&["nonsense"]);
    tools("heal-status nonsense").refused(&["nonsense"]);
}

fn existing(tools: &Tools) {
    tools("volume create datavol replica 2 server1:/data/x server2:/data/x").refused(&["exist", "already"]);
    tools("volume create other replica 2 server1:/data/b server2:/data/b")
        .refused(&["already", "in use", "part of", "empty"]);
    tools("volume create other replica 2 server1:/data/b/in server2:/data/y")
        .refused(&["inside", "already", "in use", "part of"]);
    tools("volume set datavol auth.alow x").refused(&["auth.allow"]);
    tools("volume set datavol auth.allow 300.1.2.3").refused(&["300.1.2.3"]);
    tools("volume set datavol sync sometimes").refused(&["sync", "sometimes"]);
    tools("volume set datavol window -1").refused(&["window", "-1"]);
    tools("peer detach server2").refused(&["brick"]);
    tools("volume delete nonsense").refused(&["nonsense"]);
}

fn mounts(client: &Host) {
    let mount = |args: &[&str]| client.run(&[&["mount.rfs"], args].concat());
    client.run(&["mkdir", "-p", MOUNT]).ok();
    mount(&["server1:/datavol", "/mnt/none"]).refused(&["/mnt/none"]);
    assert!(!client.path("/mnt/none").exists());
    client.sh("touch /mnt/file").ok();
    mount(&["server1:/datavol", "/mnt/file"]).refused(&["directory"]);
    mount(&["server1:/nonsense", MOUNT]).refused(&["nonsense", "Mount failed"]);
    mount(&["no-such-host:/datavol", MOUNT]).refused(&["no-such-host", "Mount failed"]);
    mount(&["-o", "backupvolfile-sever=server2", "server1:/datavol", MOUNT])
        .refused(&["backupvolfile-sever"]);
    mount(&["-o", "attribute-timeout=soon", "server1:/datavol", MOUNT])
        .refused(&["attribute-timeout", "soon"]);
    mount(&["server1", MOUNT]).refused(&["server1"]);
    assert!(!mount(&[]).success());
}

/// Files under a mount are hidden, not lost; the same volume twice in one place is no error.
fn full_mount_point(client: &Host) {
    let again = client.run(&["mount.rfs", "server1:/datavol", MOUNT]);
    assert!(again.success(), "{again}");
    assert_eq!(client.mounts("fuse.rfs").len(), 1);
}
