//! One call after the other, for many files.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, ensure};

use super::{Each, chance};
use crate::grow::took::Took;

const CALL: usize = 1 << 20;

/// Which files, and what is in them.
#[derive(Clone, Debug, clap::Args)]
pub struct Files {
    pub dir: PathBuf,
    /// The first one's number
    pub from: u64,
    /// The number behind the last one's
    pub to: u64,
    /// How many are in a folder of their own; 0: all in one
    #[arg(long, default_value_t = 0)]
    pub each_dir: u64,
    /// Only so many of them, by chance
    #[arg(long)]
    pub some: Option<u64>,
    /// Bytes of the smallest
    #[arg(long, default_value_t = 0)]
    pub least: u64,
    /// Bytes of the largest
    #[arg(long, default_value_t = 0)]
    pub most: u64,
}

impl Files {
    pub fn each(&self, what: Each) -> anyhow::Result<Took> {
        let numbers: Vec<u64> = match self.some {
            Some(some) => (0..some).map(|n| self.from + chance(n) % (self.to - self.from)).collect(),
            None => (self.from..self.to).collect(),
        };
        let mut buffer = content();
        let begun = Instant::now();
        let mut took = Took::default();
        for n in numbers {
            let path = self.path(n);
            let call = Instant::now();
            let done = match what {
                Each::Make => make(&path, self.bytes(n), &buffer),
                Each::Stat => fs::symlink_metadata(&path).map(drop),
                Each::Miss => absent(&path.with_extension("none")),
                Each::Read => read(&path, &mut buffer),
            };
            done.with_context(|| path.display().to_string())?;
            took.add(call.elapsed());
        }
        took.seconds = begun.elapsed().as_secs_f64();
        Ok(took)
    }

    fn path(&self, n: u64) -> PathBuf {
        let folder = n.checked_div(self.each_dir).map(|d| format!("d{d:05}"));
        folder.map_or_else(|| self.dir.clone(), |d| self.dir.join(d)).join(format!("f{n:08}"))
    }

    fn bytes(&self, n: u64) -> u64 {
        self.least + chance(n) % (self.most - self.least + 1)
    }
}

/// Not all the same, lest somebody leaves it out.
fn content() -> Vec<u8> {
    (0..CALL as u64 / 8).flat_map(|n| chance(n).to_le_bytes()).collect()
}

/// The folders come with their first file.
fn make(path: &Path, bytes: u64, content: &[u8]) -> io::Result<()> {
    let mut file = match File::create_new(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => {
            fs::create_dir_all(path.parent().unwrap_or(path))?;
            File::create_new(path)?
        }
        other => other?,
    };
    let mut left = bytes;
    while left > 0 {
        let call = left.min(content.len() as u64);
        file.write_all(&content[..call as usize])?;
        left -= call;
    }
    Ok(())
}

fn read(path: &Path, buffer: &mut [u8]) -> io::Result<()> {
    let mut file = File::open(path)?;
    while file.read(buffer)? > 0 {}
    Ok(())
}

fn absent(path: &Path) -> io::Result<()> {
    match fs::symlink_metadata(path) {
        Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
        Err(e) => Err(e),
        Ok(_) => Err(io::Error::other("it is there")),
    }
}

/// One call for each name; an empty folder is none that anybody meant.
pub fn list(dir: &Path) -> anyhow::Result<Took> {
    let begun = Instant::now();
    let mut took = Took::default();
    let mut last = begun;
    for entry in fs::read_dir(dir).with_context(|| dir.display().to_string())? {
        entry?;
        let now = Instant::now();
        took.add(now - last);
        last = now;
    }
    took.seconds = begun.elapsed().as_secs_f64();
    ensure!(took.calls() > 0, "{} is empty", dir.display());
    Ok(took)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn files(dir: &Path, some: Option<u64>) -> Files {
        Files { dir: dir.join("a/b"), from: 10, to: 35, each_dir: 10, some, least: 5, most: 2_000_000 }
    }

    #[test]
    fn what_is_made_is_found_and_nothing_else() {
        let dir = tempfile::tempdir().unwrap();
        let all = files(dir.path(), None);
        assert_eq!(all.each(Each::Make).unwrap().calls(), 25);
        let sizes: Vec<u64> = (10..35).map(|n| fs::metadata(all.path(n)).map(|m| m.len()).unwrap()).collect();
        assert!(sizes.iter().all(|s| (5..=2_000_000).contains(s)) && sizes[0] != sizes[1], "{sizes:?}");
        assert_eq!(list(&dir.path().join("a/b")).unwrap().calls(), 3, "folders of ten");
        for what in [Each::Stat, Each::Miss, Each::Read] {
            let took = files(dir.path(), Some(7)).each(what).unwrap();
            assert_eq!(took.calls(), 7);
            assert!(took.seconds > 0.0);
        }
        assert!(all.each(Each::Make).is_err(), "they are there");
        assert!(Files { to: 36, ..all }.each(Each::Stat).is_err());
    }

    #[test]
    fn an_empty_folder_is_an_error() {
        let dir = tempfile::tempdir().unwrap();
        assert!(list(dir.path()).is_err());
    }
}
