//! One cluster at a time on this machine, for tests that measure waits: two at once would measure each other.

use std::fs::{self, File};

use rustix::fs::{FlockOperation, flock};

/// Held while a cluster that measures exists. Released on drop, and by the kernel when the process dies.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held, not read")] File);

/// Waits for the turn, however long it takes: other test processes may run.
pub fn take_turn() -> Turn {
    let base = crate::folder::base();
    fs::create_dir_all(&base).expect("make the folder for clusters");
    let file = File::create(base.join("turn")).expect("open the lock file");
    flock(&file, FlockOperation::LockExclusive).expect("lock the lock file");
    Turn(file)
}
