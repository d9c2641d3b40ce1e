//! User namespaces: containers whose root is somebody else outside.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::{USER, as_root, as_user};
use crate::cross::Pair;

/// Users are those of the machine: a container's root is whom it is mapped to, and others' files are nobody's there.
#[test]
fn in_a_user_namespace_root_is_who_it_is_outside() {
    let pair = Pair::new();
    let host = &pair.r.cluster["client"];
    as_root(host, "chmod 777 . && echo roots > roots && chmod 600 roots && echo open > open").ok();
    let inside = |script: &str| as_user(host, &format!("unshare --user --map-root-user sh -c '{script}'"));
    inside("id -u").says("0");
    inside("echo mine > own && mkdir dir && ln -s own dir/link && cat dir/../own").says("mine");
    assert_eq!(fs::metadata(pair.there("own")).unwrap().uid(), USER);
    inside("stat -c %u own").says("0");
    inside("stat -c %u open").says("65534");
    inside("cat open").says("open");
    for refused in
        ["cat roots", "echo x > open", "rm -f roots/x; chown 5 own", "chown 0 open", "mknod d c 1 3"]
    {
        assert!(!inside(refused).success(), "{refused}");
    }
    inside("chmod 640 own && setfattr -n user.a -v 1 own && setfacl -m u:0:r own").ok();
    assert!(!inside("setfattr -n trusted.a -v 1 own").success());
    // The volume itself is mounted by the machine's root only.
    let mount =
        "mkdir /tmp/own && unshare --user --map-root-user --mount mount -t rfs server1:/datavol /tmp/own";
    assert!(!as_user(host, mount).success());
    pair.r.trees_equal();
}
