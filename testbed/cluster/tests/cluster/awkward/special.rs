//! What is no file and no directory; and files without a name.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;

use rfs_cluster::until;
use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};

use super::{SOON, as_user, error, exists};
use crate::cross::Pair;

/// They are names and attributes; what goes through them stays on one machine.
#[test]
fn special_files_are_what_they_are_everywhere() {
    let pair = Pair::new();
    let node = |name: &str, kind, device| {
        mknodat(CWD, pair.here(name), kind, Mode::from(0o666), device)
            .unwrap_or_else(|e| panic!("{name}: {e}"));
    };
    node("fifo", FileType::Fifo, 0);
    node("null", FileType::CharacterDevice, makedev(1, 3));
    node("block", FileType::BlockDevice, makedev(259, 70_000));
    let listener = UnixListener::bind(pair.here("socket")).unwrap();

    let kind = |name: &str| fs::symlink_metadata(pair.there(name)).unwrap();
    assert!(kind("fifo").file_type().is_fifo() && kind("socket").file_type().is_socket());
    assert!(kind("null").file_type().is_char_device() && kind("null").rdev() == makedev(1, 3));
    assert!(kind("block").file_type().is_block_device() && kind("block").rdev() == makedev(259, 70_000));

    fifo(&pair);
    let mut byte = [1];
    let mut null = OpenOptions::new().read(true).write(true).open(pair.there("null")).unwrap();
    null.write_all(b"gone").unwrap();
    assert_eq!(null.read(&mut byte).unwrap(), 0, "a device works");
    let mut speaker = UnixStream::connect(pair.here("socket")).unwrap();
    speaker.write_all(b"!").unwrap();
    listener.accept().unwrap().0.read_exact(&mut byte).unwrap();
    assert_eq!(byte, *b"!");
    assert_eq!(error(UnixStream::connect(pair.there("socket"))), libc::ECONNREFUSED, "another machine");

    pair.r.cluster["client"].sh("chmod 777 /mnt/rfs").ok();
    assert!(!as_user(&pair.r.cluster["client"], "mknod device c 1 3").success());
    as_user(&pair.r.cluster["client"], "mkfifo own").ok();
    for name in ["fifo", "null", "block", "socket", "own"] {
        fs::remove_file(pair.there(name)).unwrap();
        until(&format!("{name} is gone here too"), SOON, || !exists(&pair.here(name)));
    }
    pair.r.trees_equal();
}

fn fifo(pair: &Pair) {
    let text = thread::scope(|scope| {
        let reader = scope.spawn(|| fs::read_to_string(pair.here("fifo")).unwrap());
        fs::write(pair.here("fifo"), "through").unwrap();
        reader.join().unwrap()
    });
    assert_eq!(text, "through");
}

/// The FUSE library does not know the request. Programs that want O_TMPFILE fall back at this error.
#[test]
fn o_tmpfile_is_refused() {
    let pair = Pair::new();
    let open = OpenOptions::new().write(true).custom_flags(libc::O_TMPFILE).open(pair.here(""));
    assert_eq!(error(open), libc::EOPNOTSUPP);
    // What they do then.
    let file = File::create_new(pair.here("unnamed")).unwrap();
    fs::remove_file(pair.here("unnamed")).unwrap();
    (&file).write_all(b"works").unwrap();
    assert_eq!(file.metadata().unwrap().len(), 5);
    // Nor what belongs to a disk.
    for script in ["chattr +i /mnt/rfs", "lsattr -d /mnt/rfs"] {
        assert!(!pair.r.cluster["client"].sh(script).success(), "{script}");
    }
}
