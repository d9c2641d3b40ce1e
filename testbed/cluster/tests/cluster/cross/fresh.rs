//! Data: whose writes are seen where, and when.

use std::fs::{self, File, OpenOptions};
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::ptr;
use std::time::Duration;

use rfs_cluster::servers::BRICKD;
use rfs_cluster::{Signal, scaled, until};

use super::Pair;

/// Text that tells its round, of a length that goes up and down.
fn text(round: u64) -> String {
    format!("{round:>15}\n").repeat(1 + (round as usize * 37) % 3000)
}

/// New files, truncated ones, and ones that are written in place, by both mounts in turn.
#[test]
fn an_open_after_the_others_close_reads_what_it_wrote() {
    let pair = Pair::new();
    for round in 1..scaled(300, 5000) {
        let (write, read) = pair.in_turn(round, "relay");
        let text = text(round);
        if round.is_multiple_of(3) {
            let _ = fs::remove_file(&write);
        }
        if round.is_multiple_of(5) {
            let options = OpenOptions::new().write(true).create(true).truncate(false).open(&write);
            let file = options.expect("open in place");
            file.write_all_at(text.as_bytes(), 0).expect("write in place");
            file.set_len(text.len() as u64).expect("cut");
        } else {
            fs::write(&write, &text).expect("write anew");
        }
        let seen = fs::read_to_string(&read).expect("read");
        assert!(seen == text, "round {round}: {} bytes, of {}", seen.len(), text.len());
    }
    pair.r.trees_equal();
}

/// By the same handle, another one, one past the page cache, a mapping, and stat; nothing is closed or synced.
#[test]
fn a_mount_reads_its_own_writes() {
    let pair = Pair::new();
    let path = pair.here("own");
    let open = |flags| OpenOptions::new().read(true).write(true).create(true).custom_flags(flags).open(&path);
    let (writer, other, direct) = (open(0).unwrap(), open(0).unwrap(), open(libc::O_DIRECT).unwrap());
    let mut random = 7u64;
    let mut model = Vec::new();
    for round in 0..scaled(400, 5000u64) {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let (at, len) = ((random >> 33) as usize % 200_000, (random >> 13) as usize % 9000 + 1);
        let bytes = vec![round as u8 | 1; len];
        let through = if round.is_multiple_of(7) { &direct } else { &writer };
        through.write_all_at(&bytes, at as u64).expect("write");
        if model.len() < at + len {
            model.resize(at + len, 0);
        }
        model[at..at + len].copy_from_slice(&bytes);
        assert_eq!(fs::metadata(&path).unwrap().len(), model.len() as u64, "round {round}: size");
        let reader = [&writer, &other, &direct][round as usize % 3];
        let mut seen = vec![0; model.len()];
        reader.read_exact_at(&mut seen, 0).expect("read");
        assert!(seen == model, "round {round}: other bytes than were written");
    }
    assert!(Mapping::of(&other, model.len()).bytes() == model);
    drop((writer, other, direct));
    assert!(fs::read(pair.there("own")).unwrap() == model, "the other mount");
    names_too(&pair);
    pair.r.trees_equal();
}

/// The kernel takes a listing's attributes for the newest: they must not be those from before a write that is still on its way.
#[test]
fn a_listing_knows_of_its_readers_own_writes() {
    let pair = Pair::new();
    fs::create_dir(pair.here("folder")).unwrap();
    let path = pair.here("folder/file");
    let file = File::create_new(&path).unwrap();
    for round in 1..=3 {
        let host = &pair.r.cluster[pair.r.follower()];
        // Nothing is committed while it is silent, until it is left behind.
        host.kill(Signal::STOP, BRICKD);
        file.write_all_at(b"some bytes", 10 * round - 10).unwrap();
        let names = fs::read_dir(pair.here("folder")).unwrap().count();
        let size = file.metadata().unwrap().len();
        host.kill(Signal::CONT, BRICKD);
        assert_eq!((names, size), (1, 10 * round), "round {round}");
        pair.r.settled();
    }
    pair.r.trees_equal();
}

fn names_too(pair: &Pair) {
    for n in 0..50 {
        let path = pair.here(&format!("name{n}"));
        File::create_new(&path).expect("create");
        assert!(path.exists() && listed(&pair.here(""), &path));
        fs::remove_file(&path).expect("remove");
        assert!(!path.exists() && !listed(&pair.here(""), &path));
    }
}

fn listed(dir: &Path, path: &Path) -> bool {
    fs::read_dir(dir).unwrap().any(|entry| entry.unwrap().file_name() == path.file_name().unwrap())
}

const PAGES: usize = 5;
const BYTES: usize = PAGES * 4096;

/// MAP_SHARED, both ways; the reader's own mapping shows it a little later.
#[test]
fn what_is_written_through_a_mapping_is_seen_elsewhere_after_msync() {
    let pair = Pair::new();
    fs::write(pair.here("mapped"), vec![b'.'; BYTES]).unwrap();
    let open = |path| OpenOptions::new().read(true).write(true).open(path).unwrap();
    let (here, there) = (open(pair.here("mapped")), open(pair.there("mapped")));
    let (mine, other) = (Mapping::of(&here, BYTES), Mapping::of(&there, BYTES));
    for round in 0..scaled(40, 250u8) {
        let (from, to, path) = match round % 2 {
            0 => (&mine, &other, pair.there("mapped")),
            _ => (&other, &mine, pair.here("mapped")),
        };
        let at = usize::from(round) * 509 % BYTES;
        from.set(at, round);
        from.sync();
        let seen = fs::read(&path).expect("read");
        assert_eq!((seen.len(), seen[at]), (BYTES, round), "round {round}: an open after msync");
        until("the other mapping shows it", Duration::from_secs(20), || to.bytes()[at] == round);
    }
    pair.r.trees_equal();
}

/// A file's bytes in memory, shared with whoever else has them so.
struct Mapping {
    address: *mut u8,
    bytes: usize,
}

impl Mapping {
    fn of(file: &File, bytes: usize) -> Mapping {
        let protection = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping, where the kernel likes.
        let address =
            unsafe { libc::mmap(ptr::null_mut(), bytes, protection, libc::MAP_SHARED, file.as_raw_fd(), 0) };
        assert!(address != libc::MAP_FAILED, "{}", std::io::Error::last_os_error());
        Mapping { address: address.cast(), bytes }
    }

    fn set(&self, at: usize, byte: u8) {
        assert!(at < self.bytes);
        // SAFETY: within the mapping.
        unsafe { self.address.add(at).write_volatile(byte) };
    }

    /// As they are now.
    fn bytes(&self) -> Vec<u8> {
        // SAFETY: within the mapping.
        (0..self.bytes).map(|at| unsafe { self.address.add(at).read_volatile() }).collect()
    }

    fn sync(&self) {
        // SAFETY: the whole mapping.
        let done = unsafe { libc::msync(self.address.cast(), self.bytes, libc::MS_SYNC) };
        assert_eq!(done, 0, "{}", std::io::Error::last_os_error());
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: it was mapped so, and nobody has it any more.
        unsafe { libc::munmap(self.address.cast(), self.bytes) };
    }
}
