//! One machine, one command: the engine in the mount's process.

use std::time::Duration;

use rfs_cluster::servers::MOUNTD;
use rfs_cluster::{Cluster, holds_within};

const SOON: Duration = Duration::from_secs(15);

/// umount(8) returns before the process has ended. Who mounts again then must not end up with the engine that is going.
/// Here another mount namespace keeps it from ending for a while.
#[test]
fn a_mount_does_not_attach_to_an_engine_that_ends() {
    let c = Cluster::of(&["alone"]).beside_others().start();
    let host = &c["alone"];
    let mount = ["env", "XDG_DATA_HOME=/data", "rfs-mountd", "/mnt/one"];
    host.run(&mount).ok();
    host.sh("echo kept >/mnt/one/file").ok();
    let holder = host.spawn("holder", &["unshare", "-m", "sh", "-c", "echo held; sleep 100"]);
    assert!(holds_within(SOON, || holder.output().contains("held")), "{}", holder.output());
    host.run(&["umount", "/mnt/one"]).ok();
    let mut again = host.spawn("again", &mount);
    assert!(!holds_within(Duration::from_secs(1), || again.ended().is_some()), "{}", again.output());
    drop(holder);
    assert_eq!(again.wait(SOON), 0, "{}", again.output());
    assert!(holds_within(SOON, || host.pids(MOUNTD).len() == 1), "the first one has ended");
    assert_eq!(host.sh("echo more >>/mnt/one/file; cat /mnt/one/file").ok(), "kept\nmore\n");
    host.run(&["umount", "/mnt/one"]).ok();
    assert!(holds_within(SOON, || host.pids(MOUNTD).is_empty()), "rfs-mountd is left");
}
