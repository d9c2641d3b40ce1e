//! `ro` mounts.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::symlink;

use rfs_cluster::{Cluster, MOUNT, Replica};

use super::error;

#[test]
fn a_read_only_mount_reads_locks_and_changes_nothing() {
    let hosts = ["server1", "server2", "client", "client2"];
    let r = Replica::of(Cluster::of(&hosts).beside_others(), 2);
    r.mount("client");
    r.mount_with("client2", &["ro"]);
    let at = |host: &str, name: &str| r.cluster[host].path(MOUNT).join(name);
    fs::write(at("client", "file"), "text").unwrap();
    assert_eq!(fs::read_to_string(at("client2", "file")).unwrap(), "text");
    fs::write(at("client", "file"), "newer").unwrap();
    assert_eq!(fs::read_to_string(at("client2", "file")).unwrap(), "newer");

    let there = at("client2", "file");
    let is = |what: &str, result: std::io::Result<()>| assert_eq!(error(result), libc::EROFS, "{what}");
    is("write", OpenOptions::new().write(true).open(&there).map(drop));
    is("create", File::create(at("client2", "new")).map(drop));
    is("mkdir", fs::create_dir(at("client2", "new")));
    is("symlink", symlink("x", at("client2", "new")));
    is("link", fs::hard_link(&there, at("client2", "new")));
    is("rename", fs::rename(&there, at("client2", "new")));
    is("unlink", fs::remove_file(&there));
    is("chmod", fs::metadata(&there).and_then(|m| fs::set_permissions(&there, m.permissions())));
    is("truncate", rustix_truncate(&there));

    let locked = File::open(&there).unwrap();
    locked.lock().unwrap();
    let other = OpenOptions::new().write(true).open(at("client", "file")).unwrap();
    assert!(other.try_lock().is_err(), "it holds on the other mount");
    drop(locked);
    other.lock().unwrap();
    let line = r.cluster["client2"].sh(&format!("grep ' {MOUNT} ' /proc/self/mounts")).ok();
    assert!(line.contains(" fuse.rfs ro,"), "{line}");
    r.trees_equal();
}

#[test]
fn a_mount_is_remounted_read_only_and_back() {
    let r = Replica::of(Cluster::of(&["server1", "server2", "client"]).beside_others(), 2);
    r.mount("client");
    let client = &r.cluster["client"];
    let file = client.path(MOUNT).join("file");
    fs::write(&file, "text").unwrap();
    client.sh(&format!("mount -o remount,ro,nosuid {MOUNT}")).ok();
    assert_eq!(error(fs::write(&file, "newer")), libc::EROFS);
    let line = client.sh(&format!("grep ' {MOUNT} ' /proc/self/mounts")).ok();
    assert!(line.contains(" fuse.rfs ro,nosuid,"), "{line}");
    client.sh(&format!("mount -o remount,rw {MOUNT}")).ok();
    fs::write(&file, "newer").unwrap();
    client.run(&["mount.fuse.rfs", "server1:/datavol", "/mnt", "-o", "remount,ro"]).refused(&["/mnt"]);
    r.trees_equal();
}

fn rustix_truncate(path: &std::path::Path) -> std::io::Result<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).unwrap();
    // SAFETY: a string that ends with zero.
    let done = unsafe { libc::truncate(path.as_ptr(), 0) };
    if done == 0 { Ok(()) } else { Err(std::io::Error::last_os_error()) }
}
