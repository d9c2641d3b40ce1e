//! On a machine with a brick, reads move no file bytes on the wire, whoever leads.

use std::time::Duration;

use rfs_cluster::trial::HEALS;
use rfs_cluster::{MOUNT, Replica};

const MIB: u64 = 1 << 20;

#[test]
fn local_bricks_are_read_locally() {
    let r = Replica::two_beside_others();
    r.mount("client");
    let write = format!(
        "dd if=/dev/urandom of={MOUNT}/big bs=1M count=32 conv=fsync status=none && md5sum < {MOUNT}/big"
    );
    let sum = r.cluster["client"].sh(&write).ok();
    r.healed(Duration::from_secs(15));
    for host in [r.leader(), r.follower()] {
        r.mount(host);
        let before = r.cluster.wire(host);
        assert_eq!(r.cluster[host].sh(&format!("md5sum < {MOUNT}/big")).ok(), sum);
        let wire = r.cluster.wire(host).since(before);
        println!("{host}: {wire:?} for 32 MiB read");
        assert!(wire.received < MIB && wire.sent < MIB, "{host}: {wire:?} for 32 MiB that lie there");
        r.cluster[host].sh(&format!("echo here > {MOUNT}/from-{host}")).ok();
        r.mount_holds("client", &format!("from-{host}"), "here\n");
        r.umount(host);
    }
    r.healed(HEALS);
    r.trees_equal();
}
