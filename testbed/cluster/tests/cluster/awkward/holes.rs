//! Sparse files, allocation, direct reads and writes, copies by the kernel.

use std::fs::{self, File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use rustix::fs::{FallocateFlags as Mode, SeekFrom, copy_file_range, fallocate, seek};

use super::error;
use crate::cross::Pair;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;
const TIB: u64 = 1 << 40;
/// The largest file that ext4 can have, which bricks are on here.
const MOST: u64 = 16 * TIB - 4 * KIB;

fn open(path: &Path) -> File {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).unwrap()
}

/// Where data begins and ends, by `SEEK_DATA` and `SEEK_HOLE`.
fn data(file: &File) -> Vec<(u64, u64)> {
    let (mut found, mut at) = (Vec::new(), 0);
    loop {
        match seek(file, SeekFrom::Data(at)) {
            Ok(begin) => {
                at = seek(file, SeekFrom::Hole(begin)).unwrap();
                found.push((begin, at));
            }
            Err(rustix::io::Errno::NXIO) => return found,
            Err(error) => panic!("{error}"),
        }
    }
}

fn bytes(file: &File, at: u64, len: usize) -> Vec<u8> {
    let mut bytes = vec![9; len];
    file.read_exact_at(&mut bytes, at).unwrap();
    bytes
}

fn blocks(path: &Path) -> u64 {
    File::open(path).unwrap().metadata().unwrap().blocks() * 512
}

/// As an open shows it.
fn length(path: &Path) -> u64 {
    File::open(path).unwrap().metadata().unwrap().len()
}

#[test]
fn holes_stay_holes_and_read_as_zeroes() {
    let pair = Pair::new();
    let (here, there) = (pair.here("sparse"), pair.there("sparse"));
    let (file, other) = (open(&here), open(&there));
    file.set_len(16 * MIB).unwrap();
    assert_eq!(data(&other), [], "nothing but a hole");
    file.write_all_at(&[1; 64 * KIB as usize], MIB).unwrap();
    file.write_all_at(&[2; 64 * KIB as usize], 8 * MIB).unwrap();
    file.sync_all().unwrap();
    assert_eq!(data(&file), [(MIB, MIB + 64 * KIB), (8 * MIB, 8 * MIB + 64 * KIB)]);
    assert_eq!(data(&other), data(&file));
    assert!(blocks(&there) < MIB, "{} bytes on disk", blocks(&there));
    assert_eq!(bytes(&open(&there), MIB - 2, 4), [0, 0, 1, 1]);

    fallocate(&file, Mode::PUNCH_HOLE | Mode::KEEP_SIZE, MIB + 16 * KIB, 32 * KIB).unwrap();
    assert_eq!(data(&other).len(), 3, "{:?}", data(&other));
    assert_eq!(bytes(&open(&there), MIB + 16 * KIB - 2, 4), [1, 1, 0, 0]);
    assert_eq!(bytes(&file, MIB + 48 * KIB - 2, 4), [0, 0, 1, 1]);
    // Not on the borders of blocks.
    fallocate(&file, Mode::PUNCH_HOLE | Mode::KEEP_SIZE, 8 * MIB + 10, 5).unwrap();
    assert_eq!(bytes(&open(&there), 8 * MIB + 9, 7), [2, 0, 0, 0, 0, 0, 2]);
    fallocate(&file, Mode::ZERO_RANGE, 8 * MIB + 20, 5).unwrap();
    assert_eq!(bytes(&open(&there), 8 * MIB + 19, 7), [2, 0, 0, 0, 0, 0, 2]);
    fallocate(&file, Mode::ZERO_RANGE, 16 * MIB - 10, 20).unwrap();
    assert_eq!(length(&there), 16 * MIB + 10);
    pair.r.trees_equal();
}

#[test]
fn fallocate_makes_room_or_says_that_it_cannot() {
    let pair = Pair::new();
    let (here, there) = (pair.here("allocated"), pair.there("allocated"));
    let file = open(&here);
    fallocate(&file, Mode::KEEP_SIZE, 0, 4 * MIB).unwrap();
    assert_eq!((length(&there), blocks(&there) >= 4 * MIB), (0, true));
    fallocate(&file, Mode::empty(), 0, 4 * MIB).unwrap();
    assert_eq!(length(&there), 4 * MIB);
    assert!(bytes(&open(&there), 0, 4096).iter().all(|b| *b == 0));
    file.write_all_at(b"kept", MIB).unwrap();
    fallocate(&file, Mode::empty(), 0, 8 * MIB).unwrap();
    assert_eq!(bytes(&open(&there), MIB, 4), b"kept");
    for mode in [Mode::COLLAPSE_RANGE, Mode::INSERT_RANGE, Mode::UNSHARE_RANGE] {
        assert_eq!(error(fallocate(&file, mode, 0, 64 * KIB)), libc::EOPNOTSUPP, "{mode:?}");
    }
    assert_eq!(error(fallocate(&file, Mode::empty(), 0, 0)), libc::EINVAL);
    assert_eq!(error(fallocate(&file, Mode::empty(), 16 * TIB, 1)), libc::EFBIG);
    let reading = File::open(&there).unwrap();
    assert_eq!(error(fallocate(&reading, Mode::empty(), 0, 1)), libc::EBADF);
    pair.r.trees_equal();
}

/// Offsets and lengths that no disk would take as well: there is none below.
#[test]
fn direct_reads_and_writes_agree_with_the_page_cache() {
    let pair = Pair::new();
    let (here, there) = (pair.here("direct"), pair.there("direct"));
    let cached = open(&here);
    let direct = OpenOptions::new().read(true).write(true).custom_flags(libc::O_DIRECT).open(&there).unwrap();
    cached.write_all_at(&[1; 100_000], 0).unwrap();
    assert_eq!(bytes(&cached, 0, 10), [1; 10]);
    // Until then it may reach the volume after what the other mount writes.
    cached.sync_all().unwrap();
    for (at, len) in [(0, 4096), (8192, 4096), (50_001, 777), (99_990, 30)] {
        direct.write_all_at(&vec![2; len], at).unwrap();
        assert!(bytes(&direct, at, len).iter().all(|b| *b == 2));
        assert!(bytes(&open(&here), at, len).iter().all(|b| *b == 2), "at {at}, by an open after it");
    }
    cached.write_all_at(&[3; 10], 60_000).unwrap();
    rustix::fs::fsync(&cached).unwrap();
    assert_eq!(bytes(&direct, 59_999, 12), [1, 3, 3, 3, 3, 3, 3, 3, 3, 3, 3, 1]);
    assert_eq!(direct.metadata().unwrap().len(), 100_020);
    pair.r.trees_equal();
}

#[test]
fn copy_file_range_copies() {
    let pair = Pair::new();
    let text: Vec<u8> = (0..3_000_000u32).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(pair.here("from"), &text).unwrap();
    let (from, to) = (open(&pair.there("from")), open(&pair.there("to")));
    let (mut read, mut written) = (1000, 50);
    while read < text.len() as u64 {
        let left = text.len() - read as usize;
        let copied = copy_file_range(&from, Some(&mut read), &to, Some(&mut written), left).unwrap();
        assert!(copied > 0, "after {read} bytes");
    }
    drop(to);
    let copy = fs::read(pair.here("to")).unwrap();
    assert!(copy[..50] == [0; 50] && copy[50..] == text[1000..]);
    // What a program does that would rather have a reflink: the kernel says no.
    let ran = pair.r.cluster["client"].sh("cp --reflink=always /mnt/rfs/from /mnt/rfs/reflink");
    assert!(!ran.success(), "{ran}");
    pair.r.cluster["client"].sh("cp /mnt/rfs/from /mnt/rfs/cp && cmp /mnt/rfs/from /mnt/rfs/cp").ok();
    pair.r.trees_equal();
}

#[test]
fn a_file_may_be_larger_than_a_tebibyte() {
    let pair = Pair::new();
    let (here, there) = (pair.here("huge"), pair.there("huge"));
    let file = open(&here);
    file.write_all_at(b"far out", 3 * TIB + 5).unwrap();
    file.sync_all().unwrap();
    assert_eq!(length(&there), 3 * TIB + 12);
    let other = open(&there);
    assert_eq!(bytes(&other, 3 * TIB + 4, 4), b"\0far");
    assert_eq!(data(&other), [(3 * TIB, 3 * TIB + 12)]);
    assert!(blocks(&there) < MIB);
    file.set_len(MOST).unwrap();
    assert_eq!(length(&there), MOST);
    file.write_all_at(b"!", MOST - 1).unwrap();
    file.sync_all().unwrap();
    assert_eq!(error(file.set_len(MOST + 1)), libc::EFBIG);
    assert_eq!(bytes(&open(&there), MOST - 2, 2), b"\0!");
    // The trees are not compared: that reads every byte.
    pair.r.healed(rfs_cluster::trial::HEALS);
}

/// As on a file system of this machine: a database syncs what another of its processes wrote.
#[test]
fn a_write_that_is_lost_is_told_to_everybody_who_syncs_the_file() {
    let pair = Pair::new();
    let path = pair.here("file");
    let writer = open(&path);
    let (checkpointer, reader) = (open(&path), File::open(&path).unwrap());
    writer.write_all_at(b"!", MOST).unwrap();
    // As a child does that had inherited it: a close takes nothing away.
    drop(writer.try_clone().unwrap());
    for handle in [&writer, &checkpointer, &reader] {
        assert_eq!(error(handle.sync_all()), libc::EFBIG);
        handle.sync_all().unwrap();
    }
    assert_eq!(length(&path), 0);
    pair.r.trees_equal();
}
