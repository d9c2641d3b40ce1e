//! Writeback at any time: the kernel may send dirty pages to the disk whenever it likes, in any order, without a flush.
//! Left alone it waits for half a minute; under pressure it does not. So pages are pushed out at random.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use fastrand::Rng;
use rfs_cluster::wait;
use rustix::fs::{Advice, fadvise};

use super::Plan;

const PAUSE: Duration = Duration::from_millis(15);

/// Does something while the bricks in these folders are stirred, if the plan says so.
pub fn stirred<T>(plan: &Plan, folders: &[PathBuf], seed: u64, work: impl FnOnce() -> T) -> T {
    let ended = AtomicBool::new(!plan.stir);
    std::thread::scope(|scope| {
        scope.spawn(|| stir(folders, seed, &ended));
        let _end = End(&ended);
        work()
    })
}

/// Ends the stirring on drop, also when the work panics.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Goes through the folders until told to end.
fn stir(folders: &[PathBuf], seed: u64, end: &AtomicBool) {
    let mut rng = Rng::with_seed(seed);
    while !end.load(Ordering::Relaxed) {
        let files: Vec<PathBuf> = folders.iter().flat_map(|folder| files(folder)).collect();
        for _ in 0..20 {
            // Files come and go; one that is gone has no pages.
            if let Some(file) = rng.choice(&files).and_then(|path| File::open(path).ok()) {
                let _ = fadvise(&file, 0, None, Advice::DontNeed);
            }
            wait::last(PAUSE);
        }
    }
}

/// All regular files below a folder.
fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let below = |entry: fs::DirEntry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => files(&entry.path()),
        Ok(kind) if kind.is_file() => vec![entry.path()],
        _ => Vec::new(),
    };
    entries.flat_map(below).collect()
}
