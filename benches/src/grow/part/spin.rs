//! One thing, again and again, for so long.

use std::fs::{self, File};
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::Context;
use clap::ValueEnum;
use rfs_cluster::wait;

use super::chance;
use crate::grow::took::Took;

/// Bytes of each write.
pub const BLOCK: usize = 4096;

#[derive(Clone, Debug, clap::Args)]
pub struct Spin {
    what: What,
    /// A folder of its own
    dir: PathBuf,
    seconds: f64,
    /// When to begin, milliseconds since 1970: several begin together
    begin_ms: u64,
    /// MiB of the file that is written to
    #[arg(long, default_value_t = 32)]
    mib: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// create, write 4 KiB, close
    Create,
    /// 4 KiB at any place of a file
    Write,
    /// The same, and fdatasync
    Sync,
    /// chmod of a file
    Chmod,
}

impl What {
    pub fn word(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
    }
}

impl Spin {
    /// The time counts until the file that was written to is closed.
    pub fn run(&self) -> anyhow::Result<Took> {
        fs::create_dir_all(&self.dir).with_context(|| self.dir.display().to_string())?;
        let file = match self.what {
            What::Create => None,
            What::Write | What::Sync | What::Chmod => Some(filled(&self.dir.join("file"), self.mib << 20)?),
        };
        wait::last(until(self.begin_ms));
        let begun = Instant::now();
        let mut took = Took::default();
        let mut n = 0;
        while begun.elapsed().as_secs_f64() < self.seconds {
            let call = Instant::now();
            self.once(file.as_ref(), n)?;
            took.add(call.elapsed());
            n += 1;
        }
        drop(file);
        took.seconds = begun.elapsed().as_secs_f64();
        Ok(took)
    }

    fn once(&self, file: Option<&File>, n: u64) -> std::io::Result<()> {
        let block = [n as u8; BLOCK];
        let Some(file) = file else {
            return File::create_new(self.dir.join(format!("f{n:08}")))?.write_all(&block);
        };
        if self.what == What::Chmod {
            let mode = if n.is_multiple_of(2) { 0o600 } else { 0o640 };
            return rustix::fs::fchmod(file, mode.into()).map_err(Into::into);
        }
        let blocks = (self.mib << 20) / BLOCK as u64;
        file.write_all_at(&block, chance(n) % blocks * BLOCK as u64)?;
        if self.what == What::Sync { file.sync_data() } else { Ok(()) }
    }
}

/// A file of so many bytes, all of which have been written: one that is there is taken as it is.
pub fn filled(path: &Path, bytes: u64) -> anyhow::Result<File> {
    let mut file = File::options().create(true).truncate(false).write(true).open(path)?;
    let block = vec![7; 1 << 20];
    if file.metadata()?.len() < bytes {
        (0..bytes >> 20).try_for_each(|_| file.write_all(&block))?;
        file.sync_all()?;
    }
    Ok(file)
}

fn until(ms: u64) -> Duration {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Duration::from_millis(ms).saturating_sub(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_goes_on_for_so_long() {
        let dir = tempfile::tempdir().unwrap();
        for what in [What::Create, What::Write, What::Sync, What::Chmod] {
            let dir = dir.path().join(what.word());
            let took = Spin { what, dir: dir.clone(), seconds: 0.05, begin_ms: 0, mib: 1 }.run().unwrap();
            assert!(took.calls() > 0 && took.seconds >= 0.05, "{what:?}");
            let made = fs::read_dir(dir).unwrap().count() as u64;
            assert_eq!(made, if what == What::Create { took.calls() } else { 1 }, "{what:?}");
        }
    }
}
