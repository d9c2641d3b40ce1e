//! Names are bytes.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rfs_cluster::until;

use super::{SOON, error};
use crate::cross::Pair;

const NAMES: [&[u8]; 11] = [
    b"case",
    b"Case",
    b"CASE",
    "\u{e9}".as_bytes(),
    "e\u{301}".as_bytes(),
    b"\xff\xfe\x80",
    b"\xc3",
    b"new\nline\ttab\x01",
    b" ",
    b"-rf",
    b"...",
];

fn all(dir: &Path) -> BTreeSet<OsString> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect()
}

/// Neither case nor Unicode means anything, and everything but `/` and zero may stand in one.
#[test]
fn names_are_bytes_and_nothing_else() {
    let pair = Pair::new();
    fs::create_dir(pair.here("dir")).unwrap();
    let (here, there) = (pair.here("dir"), pair.there("dir"));
    for name in NAMES {
        fs::write(here.join(OsStr::from_bytes(name)), name).unwrap();
    }
    let want: BTreeSet<OsString> = NAMES.iter().map(|name| OsStr::from_bytes(name).to_owned()).collect();
    assert_eq!(all(&there), want);
    for name in NAMES {
        assert_eq!(fs::read(there.join(OsStr::from_bytes(name))).unwrap(), name);
    }
    assert_eq!(error(fs::metadata(there.join("cASE"))), libc::ENOENT);
    let (odd, odder) = (OsStr::from_bytes(b"\xff\xfe\x80"), OsStr::from_bytes(b"\x80\xff"));
    fs::rename(there.join(odd), there.join(odder)).unwrap();
    assert_eq!(fs::read(here.join(odder)).unwrap(), b"\xff\xfe\x80");
    // What a symlink says is bytes as well.
    std::os::unix::fs::symlink(odd, here.join("link")).unwrap();
    assert_eq!(fs::read_link(there.join("link")).unwrap().as_os_str(), odd);
    fs::remove_dir_all(&there).unwrap();
    until("it is gone here too", SOON, || !here.exists());
    pair.r.trees_equal();
}
