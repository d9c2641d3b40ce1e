//! Operations at an even pace on one block of a file, each of which goes to the bricks, and how long the longest took.
//!
//! The block holds a number in its first eight bytes that only grows. Progress goes to standard output as `N` operations
//! done; the last line is the [`Summary`].

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use super::watch::Watch;

/// From the start of one operation to that of the next.
const PACE: Duration = Duration::from_millis(10);

/// Bytes of the block. Direct reads want it aligned.
const BLOCK: usize = 4096;

/// Writes the block again and again until the stop file exists; with `sync`, each write is followed by an fdatasync, and
/// both count as one operation.
pub fn overwrite(path: &Path, stop: &Path, sync: bool) -> io::Result<i32> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    let mut block = vec![0x5a; BLOCK];
    paced(stop, "write", |n| {
        number_mut(&mut block).copy_from_slice(&n.to_le_bytes());
        file.write_all_at(&block, 0)?;
        if sync { file.sync_data() } else { Ok(()) }
    })
}

/// Opens and reads the block again and again, past all caches, until the stop file exists. Its number never goes back.
pub fn probe(path: &Path, stop: &Path) -> io::Result<i32> {
    let mut buffer = Aligned([0; BLOCK]);
    let mut last = 0;
    paced(stop, "open and read", |_| {
        let file: File = OpenOptions::new().read(true).custom_flags(libc::O_DIRECT).open(path)?;
        file.read_exact_at(&mut buffer.0, 0)?;
        let mut number = [0; 8];
        number.copy_from_slice(number_mut(&mut buffer.0));
        let seen = u64::from_le_bytes(number);
        if seen < last {
            return Err(io::Error::other(format!("{seen} after {last}")));
        }
        last = seen;
        Ok(())
    })
}

#[repr(align(4096))]
struct Aligned([u8; BLOCK]);

fn number_mut(block: &mut [u8]) -> &mut [u8] {
    block.get_mut(..8).unwrap_or_default()
}

/// Runs `op` with 1, 2, ... until the stop file exists or it fails. An operation that took longer than the pace is
/// followed by the next at once: the pace is not caught up with.
fn paced(stop: &Path, what: &str, mut op: impl FnMut(u64) -> io::Result<()>) -> io::Result<i32> {
    let mut watch = Watch::default();
    while !stop.exists() {
        let begun = Instant::now();
        let n = watch.sum.lines + 1;
        if watch.time(what, n, || op(n)).is_none() {
            break;
        }
        watch.sum.lines = n;
        println!("did {n}");
        sleep(PACE.saturating_sub(begun.elapsed()));
    }
    watch.report()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_number_that_goes_back_is_an_error() {
        let folder = std::env::temp_dir().join(format!("pace-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        let (stop, mut seen) = (folder.join("stop"), Vec::new());
        let code = paced(&stop, "op", |n| {
            seen.push(n);
            if n == 3 { Err(io::Error::other("1 after 2")) } else { Ok(()) }
        });
        assert_eq!((code.unwrap(), seen), (1, vec![1, 2, 3]));
        fs::write(&stop, "").unwrap();
        assert_eq!(paced(&stop, "op", |_| Err(io::Error::other("not run"))).unwrap(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }
}
