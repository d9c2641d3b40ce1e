//! The tutorial as a user types it: two servers, one client, and what each command says.

use std::time::Duration;

use rfs_cluster::servers::MOUNTD;
use rfs_cluster::{Cluster, Signal, holds_within, until};

const SOON: Duration = Duration::from_secs(10);

#[test]
fn the_tutorial_word_for_word() {
    let c = Cluster::new(&["server1", "server2", "client"]);
    servers_become_a_pool(&c);
    a_volume_is_made(&c);
    it_is_mounted(&c);
    both_servers_have_what_is_written(&c);
    one_server_is_enough(&c);
    mounting_needs_one_server(&c);
    it_is_unmounted(&c);
}

fn servers_become_a_pool(c: &Cluster) {
    for server in ["server1", "server2"] {
        c[server].start_brickd();
    }
    c["server1"].tools(&["peer", "probe", "server2"]).says("peer probe: success");
    let status =
        c["server1"].tools(&["peer", "status"]).says("Number of Peers: 1\n\nHostname: server2\nUuid: ");
    assert!(status.contains("\nState: Peer in Cluster (Connected)\n"), "{status}");
    c["server2"].tools(&["peer", "status"]).says("Number of Peers: 1");
    c["server2"].tools(&["peer", "status"]).says("Hostname: server1");
    c["server1"].tools(&["peer", "probe", "server2"]).says("peer probe: success");
}

fn a_volume_is_made(c: &Cluster) {
    let tools = |args: &[&str]| c["server1"].tools(args);
    let create =
        ["volume", "create", "datavol", "replica", "2", "transport", "tcp", "server1:/data", "server2:/data"];
    tools(&create).says("volume create: datavol: success: please start the volume to access data");
    c["client"].run(&["mkdir", "-p", "/mnt/rfs/data"]).ok();
    let early = c["client"].run(&["mount.rfs", "server1:/datavol", "/mnt/rfs/data"]);
    early.refused(&["start", "Mount failed"]);
    tools(&["volume", "start", "datavol"]).says("volume start: datavol: success");
    tools(&["volume", "set", "datavol", "auth.allow", "192.168.199.102"]).says("volume set: success");
    let info = c["server2"].tools(&["volume", "info", "datavol"]).ok();
    let lines: Vec<&str> = info.lines().filter(|l| !l.starts_with("Volume ID: ")).collect();
    let want = "
Volume Name: datavol
Type: Replicate
Status: Started
Number of Bricks: 1 x 2 = 2
Transport-type: tcp
Bricks:
Brick1: server1:/data
Brick2: server2:/data
Options Reconfigured:
auth.allow: 192.168.199.102";
    assert_eq!(lines, want.lines().collect::<Vec<_>>());
    assert_eq!(c["server2"].tools(&["volume", "list"]).ok().trim(), "datavol");
}

fn it_is_mounted(c: &Cluster) {
    c["client"].run(&["mount", "-t", "rfs", "server1:/datavol", "/mnt/rfs/data"]).ok();
    let shown = c["client"]
        .run(&["mount", "-t", "fuse.rfs"])
        .says("server1:/datavol on /mnt/rfs/data type fuse.rfs (rw");
    assert!(shown.contains("default_permissions") && shown.contains("allow_other"), "{shown}");
    let stranger = c["server2"].run(&["mount.rfs", "server1:/datavol", "/mnt"]);
    stranger.refused(&["allow", "denied", "Mount failed"]);
    assert!(c["server2"].mounts("fuse.rfs").is_empty());
    let again = c["client"].run(&["mount.rfs", "server1:/datavol", "/mnt/rfs/data"]);
    assert!(again.success(), "{again}");
    assert_eq!(c["client"].mounts("fuse.rfs").len(), 1);
}

fn both_servers_have_what_is_written(c: &Cluster) {
    c["client"].sh("echo 'Hello GlusterFS' >> /mnt/rfs/data/test0").ok();
    for server in ["server1", "server2"] {
        until(server, Duration::from_secs(1), || {
            c[server].read("/data/test0").as_deref() == Some("Hello GlusterFS\n")
        });
    }
    until("healthy", SOON, || c["server2"].tools(&["heal-status", "--check"]).success());
    c["server2"].tools(&["heal-status"]).says("Volume datavol: healthy");
}

fn one_server_is_enough(c: &Cluster) {
    c["server1"].stop_brickd_gracefully();
    c["client"].sh("echo 'Hello GlusterFS Replication' >> /mnt/rfs/data/test0").ok();
    let both = "Hello GlusterFS\nHello GlusterFS Replication\n";
    until("server2", Duration::from_secs(1), || c["server2"].read("/data/test0").as_deref() == Some(both));
    c["server2"].tools(&["heal-status"]).says("Volume datavol: degraded");
    let allow = "192.168.199.102,192.168.199.104";
    c["server2"].tools(&["volume", "set", "datavol", "auth.allow", allow]).says("volume set: success");
    c["server1"].start_brickd();
    until("server1 is healed", SOON, || c["server1"].read("/data/test0").as_deref() == Some(both));
    c["server1"].tools(&["volume", "info", "datavol"]).says(allow);
    until("healthy", SOON, || c["server1"].tools(&["heal-status", "--check"]).success());
}

fn mounting_needs_one_server(c: &Cluster) {
    let client = &c["client"];
    c["server1"].stop_brickd(Signal::TERM);
    client.run(&["umount", "/mnt/rfs/data"]).ok();
    client.sh("echo 'server1:/datavol /mnt/rfs/data rfs defaults 0 0' > /etc/fstab").ok();
    let failed = client.run(&["mount", "-a"]);
    assert!(failed.took <= Duration::from_secs(11), "{failed}");
    assert!(!failed.success(), "{failed}");
    assert!(failed.stderr.contains("Mount failed. Please check the log file for more details."), "{failed}");
    assert!(client.mounts("fuse.rfs").is_empty());
    client.sh("grep -rq server1 /var/log/rfs").ok();

    client
        .sh("echo 'server1:/datavol /mnt/rfs/data rfs defaults,_netdev,backupvolfile-server=server2 0 0' > /etc/fstab")
        .ok();
    client.run(&["mount", "-a"]).ok();
    client.run(&["mount", "-t", "fuse.rfs"]).says("server2:/datavol on /mnt/rfs/data type fuse.rfs (rw");
    client.run(&["cat", "/mnt/rfs/data/test0"]).says("Hello GlusterFS Replication");
    client.run(&["mount", "-a"]).ok();
    assert_eq!(client.mounts("fuse.rfs").len(), 1, "mount -a again is harmless");
    c["server1"].start_brickd();
    until("healthy", Duration::from_secs(20), || c["server1"].tools(&["heal-status", "--check"]).success());
}

fn it_is_unmounted(c: &Cluster) {
    c["client"].run(&["umount", "/mnt/rfs/data"]).ok();
    assert!(holds_within(SOON, || c["client"].pids(MOUNTD).is_empty()), "rfs-mountd is left");
    for server in ["server1", "server2"] {
        c[server].stop_brickd_gracefully();
    }
}
