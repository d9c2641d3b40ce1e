//! Who may run beside whom on this machine: a test that measures waits runs alone, others side by side.

use std::fs::{self, File};

use rustix::fs::{FlockOperation, flock};

/// Held while a cluster exists. Released on drop, and by the kernel when the process dies.
#[derive(Debug)]
pub struct Turn(#[expect(dead_code, reason = "held, not read")] File);

/// How a cluster gets along with others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Company {
    /// It measures, so it must be the only one.
    Alone,
    /// It may run beside others that do not measure.
    Others,
    /// It does next to nothing, and disturbs nobody.
    Anyone,
}

/// Waits for the turn, however long it takes: other test processes may run.
pub fn take_turn(company: Company) -> Option<Turn> {
    let operation = match company {
        Company::Alone => FlockOperation::LockExclusive,
        Company::Others => FlockOperation::LockShared,
        Company::Anyone => return None,
    };
    let base = crate::folder::shared();
    fs::create_dir_all(&base).expect("make the folder for clusters");
    let file = File::create(base.join("turn")).expect("open the lock file");
    flock(&file, operation).expect("lock the lock file");
    Some(Turn(file))
}
