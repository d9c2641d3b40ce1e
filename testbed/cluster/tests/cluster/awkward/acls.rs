//! POSIX ACLs.

use std::fs;
use std::os::unix::fs::MetadataExt;

use rfs_cluster::{MOUNT, until};

use super::{SOON, as_root, as_user};
use crate::cross::Pair;

#[test]
fn acls_hold_and_are_inherited() {
    let pair = Pair::new();
    let (host, other) = (&pair.r.cluster["client"], &pair.r.cluster["client2"]);
    let shows = |name: &str, entry: &str| as_root(other, &format!("getfacl -n {name}")).ok().contains(entry);
    as_root(host, "mkdir acls && chmod 750 acls && echo secret > acls/file && chmod 640 acls/file").ok();
    assert!(!as_user(other, "cat acls/file").success());

    // Pushed: the other kernel has an opinion already.
    as_root(host, "setfacl -m u:1234:rx acls && setfacl -m u:1234:r acls/file").ok();
    until("it is read elsewhere", SOON, || as_user(other, "cat acls/file").stdout == "secret\n");
    assert!(!as_user(other, "echo x >> acls/file").success());
    as_root(other, "setfacl -m u:1234:rw acls/file").ok();
    until("it is written here", SOON, || as_user(host, "echo x >> acls/file").success());
    as_root(host, "getfacl -n acls/file").says("user:1234:rw-");

    // The mask is the group's bits, both ways.
    assert_eq!(fs::metadata(pair.there("acls/file")).unwrap().mode() & 0o777, 0o660);
    as_root(host, "chmod g-w acls/file").ok();
    until("the other mount has the mask", SOON, || shows("acls/file", "mask::r--"));
    assert!(!as_user(other, "echo x >> acls/file").success());

    inheritance(&pair);

    // Its owner may set an ACL, but who is not in its group cannot leave it running as that.
    let mode = |name: &str| fs::metadata(pair.there(name)).unwrap().mode() & 0o7777;
    as_root(host, "touch other own && chown 1234:77 other && chown 1234:1234 own && chmod 2755 other own")
        .ok();
    as_user(host, "setfacl -m u:7:r other own").ok();
    assert_eq!((mode("other"), mode("own")), (0o755, 0o2755));
    as_root(host, "chmod 2755 other").ok();
    let member = format!("cd {MOUNT} && setfacl -m u:8:r other");
    host.run(&["setpriv", "--reuid", "1234", "--regid", "1234", "--groups", "76,77", "sh", "-c", &member])
        .ok();
    until("the other mount has the bit", SOON, || mode("other") == 0o2755);

    as_root(host, "setfacl -b acls/file && setfacl -k acls").ok();
    until("the other mount has no lists", SOON, || {
        !shows("acls/file", "user:1234") && !shows("acls", "default:")
    });
    assert!(!as_user(other, "cat acls/file").success());
    pair.r.trees_equal();
}

/// The default list takes the place of the umask; directories hand it on.
fn inheritance(pair: &Pair) {
    let (host, other) = (&pair.r.cluster["client"], &pair.r.cluster["client2"]);
    as_root(host, "setfacl -d -m u::rwx,u:1234:rwx,g::rx,m::rwx,o::- acls").ok();
    as_root(other, "umask 077 && mkdir acls/sub && echo inherited > acls/sub/file && chmod 771 acls").ok();
    let list = as_root(host, "getfacl -n acls/sub").ok();
    assert!(list.contains("\nuser:1234:rwx") && list.contains("\ndefault:user:1234:rwx"), "{list}");
    let list = as_root(host, "getfacl -n acls/sub/file").ok();
    assert!(
        list.contains("user:1234:rwx") && list.contains("mask::rw-") && list.contains("other::---"),
        "{list}"
    );
    as_user(host, "cat acls/sub/file && echo mine > acls/sub/own && cat acls/sub/own").says("mine");
    assert_eq!(fs::metadata(pair.here("acls/sub/file")).unwrap().mode() & 0o777, 0o660);
    as_root(host, "mkfifo acls/fifo && ln -s x acls/link && getfacl -n acls/fifo").says("user:1234:rwx");
}
