//! The folder of one cluster, and what killed runs left behind.
//!
//! `BASE/<pid>-<start time>-<n>`; the two numbers name the owning process for ever, so a leftover is known for sure.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::{env, fs, io, process};

static MADE: AtomicU32 = AtomicU32::new(0);
static ELSEWHERE: OnceLock<PathBuf> = OnceLock::new();

/// From now on, this process' clusters live there: below `/var/tmp`, which all hosts see.
///
/// # Panics
/// At the second call.
pub fn live_in(dir: &Path) {
    ELSEWHERE.set(dir.to_owned()).expect("clusters move once");
}

/// Where everybody's clusters live: `RFS_CLUSTER_DIR`, or a folder on a real disk (a witness is refused on memory).
pub fn shared() -> PathBuf {
    env::var_os("RFS_CLUSTER_DIR").map_or_else(|| PathBuf::from("/var/tmp/rfs-cluster"), PathBuf::from)
}

/// Makes a new folder, after removing those whose owners are gone.
pub fn create() -> io::Result<PathBuf> {
    let base = ELSEWHERE.get().cloned().unwrap_or_else(shared);
    fs::create_dir_all(&base)?;
    sweep(&base)?;
    let pid = process::id();
    let born = start_time(pid).ok_or_else(|| io::Error::other("/proc is not mounted"))?;
    let folder = base.join(format!("{pid}-{born}-{}", MADE.fetch_add(1, Ordering::Relaxed)));
    fs::create_dir(&folder)?;
    Ok(folder)
}

fn sweep(base: &Path) -> io::Result<()> {
    for entry in fs::read_dir(base)? {
        let entry = entry?;
        if owner_is_gone(&entry.file_name().to_string_lossy()) {
            // Another run may sweep the same one at the same time.
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

fn owner_is_gone(name: &str) -> bool {
    let mut parts = name.splitn(3, '-').map(str::parse::<u64>);
    let (Some(Ok(pid)), Some(Ok(born))) = (parts.next(), parts.next()) else { return false };
    u32::try_from(pid).is_ok_and(|pid| start_time(pid) != Some(born))
}

/// When a process started, in clock ticks since boot; none if there is none.
fn start_time(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The command, in parentheses, may hold anything; the state after it is field 3, the start time field 22.
    stat.rsplit_once(')')?.1.split_whitespace().nth(19)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_living_owner_keeps_its_folder() {
        let (pid, born) = (process::id(), start_time(process::id()).unwrap());
        assert!(!owner_is_gone(&format!("{pid}-{born}-0")));
        assert!(owner_is_gone(&format!("{pid}-{}-0", born + 1)), "the same pid, but another process");
        assert!(!owner_is_gone("somebody-else"));
    }
}
