//! Images of virtual machines.

use std::fs;

use rfs_cluster::{MOUNT, full};

use super::{does, does_while_a_leader_dies};
use crate::cross::Pair;

/// Written through the page cache and past it, changed, kept as a snapshot, locked; compared on the other mount.
#[test]
fn images_are_written_changed_and_checked() {
    let pair = Pair::new();
    let (here, there) = (&pair.r.cluster["client"], &pair.r.cluster["client2"]);
    let mib = if full() { 1024 } else { 24 };
    let source = here.folder().join("source.raw");
    let source = source.to_str().expect("a plain path");
    // Half of it is a hole.
    does(here, &format!("head -c {mib}M /dev/urandom > {source} && truncate -s {}M {source}", 2 * mib));
    for (format, cache) in [("qcow2", "writeback"), ("raw", "none")] {
        let image = pair.here(&format!("disk.{format}"));
        let convert = format!("qemu-img convert -f raw -O {format} -t {cache} {source} disk.{format}");
        let size = || fs::metadata(&image).map_or(0, |m| std::os::unix::fs::MetadataExt::blocks(&m) * 512);
        does_while_a_leader_dies(&pair.r, &convert, || size() > (1 << 20));
        does(there, &format!("qemu-img compare -f raw -F {format} {source} disk.{format}"));
    }
    does(there, "qemu-img check disk.qcow2");
    does(
        here,
        "qemu-img snapshot -c before disk.qcow2 && qemu-io -c 'write -P 0x5a 1M 64k' -c flush disk.qcow2",
    );
    let reads = |image: &str| format!("qemu-io -r -c 'read -P 0x5a 1M 64k' {image}");
    assert!(!does(there, &reads("disk.qcow2")).contains("failed"));
    assert!(
        does(there, &format!("{} || true", reads("-f raw disk.raw"))).contains("failed"),
        "it compares nothing"
    );
    let bench =
        "qemu-img bench -w -t none -f qcow2 -d 8 -s 4096 -S 65536 -c 800 --flush-interval=50 disk.qcow2";
    does_while_a_leader_dies(&pair.r, bench, || true);
    does(there, "qemu-img check disk.qcow2 && qemu-img snapshot -a before disk.qcow2");
    does(here, &format!("qemu-img compare -f raw -F qcow2 {source} disk.qcow2 && qemu-img check disk.qcow2"));
    locked(&pair);
    pair.r.trees_equal();
}

/// While one has it open to be written, nobody else opens it, not even on the other mount.
fn locked(pair: &Pair) {
    let hold = format!("cd {MOUNT} && (echo 'write 0 4k'; echo 'flush'; cat) | qemu-io disk.qcow2");
    let log = pair.r.cluster["client"].folder().join("holds.log");
    let holder = pair.r.cluster["client"].spawn("holds", &["sh", "-c", &format!("sleep 600 | ({hold})")]);
    let wrote = || fs::read_to_string(&log).unwrap_or_default().contains("wrote 4096");
    rfs_cluster::until("the image is open", super::LONG, wrote);
    let refused =
        pair.r.cluster["client2"].sh(&format!("cd {MOUNT} && qemu-io -c 'write 0 4k' disk.qcow2 2>&1"));
    assert!(!refused.success() && refused.to_string().contains("lock"), "{refused}");
    drop(holder);
}
