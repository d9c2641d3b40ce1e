//! The comparison of trees sees every kind of difference: an equal tree that is not would hide every other bug.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rfs_cluster::tree::differences;

struct Pair(PathBuf);

impl Pair {
    fn new(name: &str) -> Pair {
        let top = std::env::temp_dir().join(format!("rfs-trees-{}-{name}", std::process::id()));
        let pair = Pair(top);
        for side in [pair.left(), pair.right()] {
            fs::create_dir_all(side.join("d")).unwrap();
            for file in ["a", "d/b", "d/c"] {
                fs::write(side.join(file), "same").unwrap();
            }
            fs::hard_link(side.join("a"), side.join("link")).unwrap();
            symlink("a", side.join("sym")).unwrap();
            fs::create_dir(side.join(".rfs")).unwrap();
            for at in ["d", "a", "d/b", "d/c"] {
                fs::File::open(side.join(at)).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
            }
            let time = rustix::fs::Timespec { tv_sec: 0, tv_nsec: 0 };
            let times = rustix::fs::Timestamps { last_access: time, last_modification: time };
            rustix::fs::utimensat(
                rustix::fs::CWD,
                side.join("sym"),
                &times,
                rustix::fs::AtFlags::SYMLINK_NOFOLLOW,
            )
            .unwrap();
        }
        pair
    }

    fn left(&self) -> PathBuf {
        self.0.join("left")
    }

    fn right(&self) -> PathBuf {
        self.0.join("right")
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn equal_trees_are_equal() {
    let pair = Pair::new("equal");
    fs::write(pair.left().join(".rfs/own"), "not looked at").unwrap();
    fs::write(pair.left().join(".rfs/other"), "").unwrap();
    assert_eq!(differences(&pair.left(), &pair.right()).unwrap(), Vec::<String>::new());
}

#[test]
fn every_difference_is_named() {
    let later = SystemTime::UNIX_EPOCH + Duration::from_nanos(1);
    type Change = Box<dyn Fn(&Path)>;
    let touch = move |p: PathBuf| fs::File::open(p).unwrap().set_modified(later).unwrap();
    let changes: Vec<(&str, Change)> = vec![
        ("a: contents from byte 2", Box::new(|t| same_time(&t.join("a"), |p| fs::write(p, "saME").unwrap()))),
        ("d/b: size 4 | 5", Box::new(|t| same_time(&t.join("d/b"), |p| fs::write(p, "same+").unwrap()))),
        (
            "d/b: mode 644 | 600",
            Box::new(|t| fs::set_permissions(t.join("d/b"), PermissionsExt::from_mode(0o600)).unwrap()),
        ),
        ("d/b: owner", Box::new(|t| std::os::unix::fs::chown(t.join("d/b"), Some(7), None).unwrap())),
        ("d: mtime", Box::new(move |t| touch(t.join("d")))),
        (
            "d/b: xattrs",
            Box::new(|t| {
                rustix::fs::setxattr(t.join("d/b"), "user.k", b"v", rustix::fs::XattrFlags::empty()).unwrap()
            }),
        ),
        ("new: only on the right", Box::new(|t| fs::write(t.join("new"), "").unwrap())),
        ("target Some(\"a\") | Some(\"b\")", Box::new(relink)),
        (
            "a: names",
            Box::new(|t| {
                fs::remove_file(t.join("link")).unwrap();
                fs::write(t.join("link"), "same").unwrap();
            }),
        ),
    ];
    for (number, (want, change)) in changes.iter().enumerate() {
        let pair = Pair::new(&number.to_string());
        change(&pair.right());
        let found = differences(&pair.left(), &pair.right()).unwrap();
        assert!(found.iter().any(|line| line.contains(want)), "wanted '{want}', found {found:?}");
    }
}

fn same_time(path: &Path, change: impl Fn(&Path)) {
    change(path);
    fs::File::open(path).unwrap().set_modified(SystemTime::UNIX_EPOCH).unwrap();
}

fn relink(top: &Path) {
    fs::remove_file(top.join("sym")).unwrap();
    symlink("b", top.join("sym")).unwrap();
}
