//! Writes for a while what a busy volume sees: big files from end to end, and many small ones.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

const MIB: usize = 1 << 20;

/// Of each round: one file of so many MiB ...
const BIG_MIB: usize = 24;

/// ... and so many small ones, of 1 to [`SMALL_MOST`] KiB.
const SMALL: usize = 150;
const SMALL_MOST: usize = 16;

/// Writes for `seconds` into a new folder, at most `mib_per_s` on average, and fsyncs at the end; prints the bytes that
/// the files hold.
pub fn mix(folder: &Path, seconds: u64, mib_per_s: u64) -> io::Result<i32> {
    fs::create_dir(folder)?;
    let noise = noise();
    let (begun, long) = (Instant::now(), Duration::from_secs(seconds));
    let mut bytes = 0u64;
    for round in 0u64.. {
        bytes += write_round(folder, round, &noise)?;
        let due = Duration::from_secs_f64(bytes as f64 / (MIB as f64 * mib_per_s.max(1) as f64));
        sleep(due.min(long).saturating_sub(begun.elapsed()));
        if begun.elapsed() >= long {
            break;
        }
    }
    File::open(folder)?.sync_all()?;
    println!("{bytes}");
    Ok(0)
}

fn write_round(folder: &Path, round: u64, noise: &[u8]) -> io::Result<u64> {
    let mut bytes = 0;
    let mut big = File::create(folder.join(format!("big-{round}")))?;
    for n in 0..BIG_MIB {
        bytes += part(noise, n * 4093, MIB, |data| big.write_all(data))?;
    }
    drop(big);
    let small = folder.join(format!("small-{round}"));
    fs::create_dir(&small)?;
    for n in 0..SMALL {
        let length = (1 + n % SMALL_MOST) << 10;
        bytes += part(noise, n * 509, length, |data| fs::write(small.join(n.to_string()), data))?;
    }
    Ok(bytes)
}

fn part(
    noise: &[u8],
    from: usize,
    length: usize,
    write: impl FnOnce(&[u8]) -> io::Result<()>,
) -> io::Result<u64> {
    let data = noise.get(from..from + length).ok_or_else(|| io::Error::other("not that much noise"))?;
    write(data)?;
    Ok(length as u64)
}

/// Two MiB that do not compress, the same each time.
fn noise() -> Vec<u8> {
    let mut x = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x
    };
    (0..2 * MIB / 8).flat_map(|_| next().to_le_bytes()).collect()
}
