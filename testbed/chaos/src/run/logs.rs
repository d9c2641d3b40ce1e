//! The programs' own logs: kept, and searched for what must never be said.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use rfs_cluster::Replica;

use crate::check::{Rule, Violation};
use crate::clock::now;
use crate::history::History;
use crate::nemesis::Kind;

/// Said by a program that found itself or another one wrong.
const NEVER: [&str; 5] = [
    "panicked",
    "a mount is sent away",
    "the session has expired",
    "could not be applied",
    "written data was lost",
];

/// Said of a brick that is not there.
const UNLESS_SWAPPED: &str = "does not open";

/// Said by a brick that stops itself, as it may when its disk is full.
const UNLESS_FULL: [&str; 2] = ["the brick stops", "the journal stops"];

/// Copies all logs into the folder; what they must not say is a violation each.
///
/// # Errors
/// They cannot be copied.
pub fn collect(replica: &Replica, history: &History, folder: &Path) -> Result<Vec<Violation>> {
    let full = history.spells.iter().any(|s| s.fault.kind == Kind::Full);
    let swapped =
        |host: &str| history.spells.iter().any(|s| s.fault.kind == Kind::Disk && s.fault.host == host);
    let mut found = Vec::new();
    for host in replica.cluster.hosts() {
        for from in [host.folder().to_owned(), host.folder().join("log")] {
            for entry in fs::read_dir(&from).into_iter().flatten().flatten() {
                let path = entry.path();
                if path.extension().is_none_or(|e| e != "log") || !path.is_file() {
                    continue;
                }
                let name = format!("{}-{}", host.name(), entry.file_name().to_string_lossy());
                let text = fs::read(&path).with_context(|| path.display().to_string())?;
                fs::write(folder.join(&name), &text)?;
                found.extend(search(&name, &String::from_utf8_lossy(&text), full, swapped(host.name())));
            }
        }
    }
    Ok(found)
}

fn search(name: &str, text: &str, full: bool, swapped: bool) -> Vec<Violation> {
    let said = |line: &&str| {
        NEVER.iter().any(|never| line.contains(never))
            || !swapped && line.contains(UNLESS_SWAPPED)
            || !full && UNLESS_FULL.iter().any(|never| line.contains(never))
    };
    let lines = text.lines().filter(said);
    lines.map(|line| Violation::new(Rule::Error, now(), format!("{name}: {line}"))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_must_not_be_said_is_found() {
        let text =
            "INFO all is well\nthread panicked at x\nERROR the brick stops: WHY\nthe brick X does not open\n";
        assert_eq!(search("a", text, false, false).len(), 3);
        assert_eq!(search("a", text, true, false).len(), 2);
        assert_eq!(search("a", text, false, true).len(), 2);
    }
}
