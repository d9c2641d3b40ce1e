//! A steady mixture: writes by the clock at any place of one file, an fsync every so often, and now and then a file that takes the
//! place of an old one.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rfs_cluster::wait;
use serde::{Deserialize, Serialize};

use super::chance;
use super::spin::{BLOCK, filled};
use crate::grow::took::Took;

/// Files that are there at the same time.
pub const RING: u64 = 1000;

#[derive(Clone, Debug, clap::Args)]
pub struct Steady {
    dir: PathBuf,
    seconds: f64,
    /// Writes a second
    #[arg(long)]
    rate: f64,
    /// Files a second
    #[arg(long)]
    creates: f64,
    /// Milliseconds from one fsync to the next
    #[arg(long)]
    sync_ms: u64,
    /// MiB of the file that is written to
    #[arg(long)]
    mib: u64,
    /// The number of the first write and file: another part's go before
    #[arg(long)]
    first: u64,
}

/// How long the calls of each kind took.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Steadily {
    pub write: Took,
    pub sync: Took,
    /// create, write 4 KiB, close
    pub create: Took,
}

/// What comes again after a while.
struct Due {
    at: Duration,
    every: Duration,
}

impl Due {
    fn every(every: Duration) -> Due {
        Due { at: every, every }
    }

    fn per_s(rate: f64) -> Due {
        Due::every(Duration::try_from_secs_f64(1.0 / rate).unwrap_or(Duration::MAX))
    }

    /// Whether it is time. What is late is made up for: the rate stays.
    fn is_now(&mut self, now: Duration) -> bool {
        let due = now >= self.at;
        if due {
            self.at = self.at.saturating_add(self.every);
        }
        due
    }
}

impl Steady {
    pub fn run(&self) -> anyhow::Result<Steadily> {
        let ring = self.dir.join("ring");
        fs::create_dir_all(&ring)?;
        let file = filled(&self.dir.join("file"), self.mib << 20)?;
        let mut writes = Due::per_s(self.rate);
        let mut creates = Due::per_s(self.creates);
        let mut syncs = Due::every(Duration::from_millis(self.sync_ms));
        let mut said = Steadily::default();
        let (mut write, mut create) = (self.first, self.first);
        let begun = Instant::now();
        loop {
            let now = begun.elapsed();
            if now.as_secs_f64() >= self.seconds {
                break;
            }
            if syncs.is_now(now) {
                timed(&mut said.sync, || file.sync_all())?;
            } else if creates.is_now(now) {
                timed(&mut said.create, || replace(&ring, create))?;
                create += 1;
            } else if writes.is_now(now) {
                timed(&mut said.write, || self.write(&file, write))?;
                write += 1;
            } else {
                wait::last(writes.at.min(creates.at).min(syncs.at).saturating_sub(now));
            }
        }
        for took in [&mut said.write, &mut said.sync, &mut said.create] {
            took.seconds = begun.elapsed().as_secs_f64();
        }
        Ok(said)
    }

    fn write(&self, file: &File, n: u64) -> std::io::Result<()> {
        let blocks = (self.mib << 20) / BLOCK as u64;
        file.write_all_at(&[n as u8; BLOCK], chance(n) % blocks * BLOCK as u64)
    }
}

fn timed(took: &mut Took, call: impl FnOnce() -> std::io::Result<()>) -> std::io::Result<()> {
    let begun = Instant::now();
    call()?;
    took.add(begun.elapsed());
    Ok(())
}

/// A new file instead of the one that was made so many before.
fn replace(ring: &Path, n: u64) -> std::io::Result<()> {
    let path = ring.join(format!("f{:04}", n % RING));
    match fs::remove_file(&path) {
        Err(e) if e.kind() != ErrorKind::NotFound => return Err(e),
        _ => {}
    }
    File::create_new(path)?.write_all(&[n as u8; BLOCK])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_keeps_its_rates() {
        let dir = tempfile::tempdir().unwrap();
        let steady = Steady {
            dir: dir.path().into(),
            seconds: 0.5,
            rate: 200.0,
            creates: 40.0,
            sync_ms: 100,
            mib: 1,
            first: RING - 3,
        };
        let said = steady.run().unwrap();
        let calls = (said.write.calls(), said.sync.calls(), said.create.calls());
        assert!((50..=100).contains(&calls.0) && (1..=5).contains(&calls.1), "{calls:?}");
        assert!((1..=20).contains(&calls.2), "{calls:?}");
        assert_eq!(fs::read_dir(dir.path().join("ring")).unwrap().count() as u64, calls.2);
    }

    #[test]
    fn what_is_late_is_made_up_for() {
        let mut due = Due::per_s(10.0);
        let ms = Duration::from_millis;
        assert!(!due.is_now(ms(99)));
        assert!(due.is_now(ms(350)) && due.is_now(ms(350)) && due.is_now(ms(350)) && !due.is_now(ms(350)));
    }
}
