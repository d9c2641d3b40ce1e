//! Extended attributes: which kinds there are, for whom, and how large.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::Path;

use rfs_cluster::Host;
use rustix::fs::{XattrFlags, getxattr, listxattr, lremovexattr, lsetxattr, removexattr, setxattr};

use super::{as_root, as_user, error};
use crate::cross::Pair;

fn set(path: &Path, name: &str, value: &[u8]) -> rustix::io::Result<()> {
    setxattr(path, name, value, XattrFlags::empty())
}

fn get(path: &Path, name: &str) -> rustix::io::Result<Vec<u8>> {
    let mut value = vec![0; 65_536];
    let len = getxattr(path, name, &mut value[..])?;
    value.truncate(len);
    Ok(value)
}

fn list(path: &Path) -> Vec<String> {
    let mut names = vec![0; 65_536];
    let len = listxattr(path, &mut names[..]).unwrap();
    let names = names[..len].split(|b| *b == 0).filter(|name| !name.is_empty());
    let mut names: Vec<String> = names.map(|name| String::from_utf8(name.to_vec()).unwrap()).collect();
    names.sort();
    names
}

#[test]
fn extended_attributes_follow_the_policy() {
    let pair = Pair::new();
    let (here, there) = (pair.here("file"), pair.there("file"));
    File::create(&here).unwrap();
    fs::create_dir(pair.here("dir")).unwrap();
    values(&here, &there);
    kinds(&pair);
    for_others(&pair.r.cluster["client"]);
    pair.r.trees_equal();
}

fn values(here: &Path, there: &Path) {
    set(here, "user.a", b"1").unwrap();
    assert_eq!(get(there, "user.a").unwrap(), b"1");
    assert_eq!(error(setxattr(there, "user.a", b"2", XattrFlags::CREATE)), libc::EEXIST);
    assert_eq!(error(setxattr(there, "user.b", b"2", XattrFlags::REPLACE)), libc::ENODATA);
    set(there, "user.a", b"").unwrap();
    assert_eq!(get(here, "user.a").unwrap(), b"", "an empty value is one");
    set(here, "user.bytes", &[0, 255, 0]).unwrap();
    assert_eq!(get(there, "user.bytes").unwrap(), [0, 255, 0]);
    set(here, "user.large", &[7; 3500]).unwrap();
    assert_eq!(get(there, "user.large").unwrap(), [7; 3500]);
    assert_eq!(error(getxattr(there, "user.large", &mut [0; 100][..])), libc::ERANGE);
    assert_eq!(error(set(here, "user.more", &[7; 3500])), libc::ENOSPC, "more than an inode holds");
    assert_eq!(error(set(here, &format!("user.{}", "n".repeat(251)), b"1")), libc::ERANGE);
    set(here, &format!("user.{}", "n".repeat(250)), b"1").unwrap();
    assert_eq!(list(there)[..3], ["user.a", "user.bytes", "user.large"]);
    removexattr(here, "user.a").unwrap();
    assert_eq!(error(get(there, "user.a")), libc::ENODATA);
    assert_eq!(error(removexattr(there, "user.a")), libc::ENODATA);
}

fn kinds(pair: &Pair) {
    let (file, dir, link) = (pair.here("file"), pair.here("dir"), pair.here("link"));
    symlink("file", &link).unwrap();
    for path in [&file, &dir] {
        set(path, "trusted.a", b"1").unwrap();
        set(path, "user.b", b"1").unwrap();
    }
    assert_eq!(error(lsetxattr(&link, "user.a", b"1", XattrFlags::empty())), libc::EPERM);
    lsetxattr(&link, "trusted.a", b"1", XattrFlags::empty()).unwrap();
    lremovexattr(&link, "trusted.a").unwrap();
    for name in ["security.selinux", "security.ima", "system.other", "other.a"] {
        assert_eq!(error(set(&file, name, b"1")), libc::EOPNOTSUPP, "{name}");
    }
    for name in ["trusted.rfs.a", "trusted.SGI_ACL_FILE"] {
        assert!([libc::EOPNOTSUPP, libc::EPERM].contains(&error(set(&file, name, b"1"))), "{name}");
        assert_eq!(error(get(&file, name)), libc::ENODATA, "{name}");
    }
    assert!(list(&file).iter().all(|name| !name.starts_with("trusted.rfs.")));
}

/// trusted.* is the administrator's; a capability goes when somebody else writes.
fn for_others(host: &Host) {
    as_root(host, "touch own && chown 1234 own && setfattr -n trusted.a -v 1 own").ok();
    assert!(!as_user(host, "setfattr -n trusted.b -v 1 own").success());
    assert!(!as_user(host, "getfattr -n trusted.a own").success());
    let names = as_user(host, "setfattr -n user.a -v 1 own && getfattr -m - own").ok();
    assert!(names.contains("user.a") && !names.contains("trusted."), "{names}");
    as_root(host, "getfattr -m - own").says("trusted.a");

    let capability = "0x0100000200200000000000000000000000000000";
    for write in
        ["echo more >> cap", "echo new > cap", "dd if=/dev/zero of=cap conv=notrunc count=1 status=none"]
    {
        as_root(host, "touch cap && chmod 666 cap").ok();
        as_root(host, &format!("setfattr -n security.capability -v {capability} cap")).ok();
        as_root(host, "getfattr -n security.capability cap").says("security.capability");
        as_user(host, write).ok();
        let left = as_root(host, "getfattr -m - cap");
        assert!(!left.stdout.contains("capability"), "after {write}: {left}");
    }
}
