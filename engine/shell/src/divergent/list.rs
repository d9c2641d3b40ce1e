//! What was set aside, in a file for people and programs.

use std::fs;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use rfs_model::admin::DivergentRow;
use serde::{Deserialize, Serialize};

use super::{FILES, LIST, home};
use crate::durable;

/// What the tail did to a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Did {
    Changed,
    Created,
    Renamed,
    Removed,
}

impl Did {
    fn word(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Created => "created",
            Self::Renamed => "renamed",
            Self::Removed => "removed",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    File,
    Dir,
    Symlink,
    Special,
}

/// One path that the tail touched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// In the volume, without a slash before it; what is not UTF-8 in it, replaced.
    pub path: String,
    /// The path as it is, where it is not UTF-8.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw: Option<Vec<u8>>,
    pub did: Did,
    pub kind: Kind,
    /// Bytes; 0 for what is not a file.
    pub size: u64,
    /// Milliseconds since 1970; 0 for what was removed.
    pub mtime_ms: u64,
}

impl Entry {
    pub(super) fn new(path: &Path, did: Did, kind: Kind) -> Self {
        let text = path.to_string_lossy().into_owned();
        let raw = path.to_str().is_none().then(|| path.as_os_str().as_bytes().to_vec());
        Self { path: text, raw, did, kind, size: 0, mtime_ms: 0 }
    }

    /// The path within volume, brick or `files/`.
    pub(super) fn place(&self) -> PathBuf {
        match &self.raw {
            Some(raw) => PathBuf::from(std::ffi::OsString::from_vec(raw.clone())),
            None => PathBuf::from(&self.path),
        }
    }
}

/// `list.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct List {
    /// Of this layout: 1.
    pub version: u32,
    /// The last record that brick and volume have in common.
    pub common: u64,
    /// The last record of the tail: term (lineage in the upper half) and index.
    pub term: u64,
    pub index: u64,
    /// Milliseconds since 1970.
    pub set_aside_ms: u64,
    /// It was compared with the volume: what is listed differs from it, or did then.
    pub settled: bool,
    pub entries: Vec<Entry>,
}

pub(super) const VERSION: u32 = 1;

impl List {
    pub(super) fn load(home: &Path) -> Result<Self, String> {
        let path = home.join(LIST);
        let wrong = |e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let list: Self =
            serde_json::from_slice(&fs::read(&path).map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
        if list.version != VERSION {
            return Err(wrong(&format_args!("version {} is not known here", list.version)));
        }
        Ok(list)
    }

    /// Durable on return.
    pub(super) fn save(&self, home: &Path) -> io::Result<()> {
        durable::replace(&home.join(LIST), &serde_json::to_vec_pretty(self).map_err(io::Error::other)?)
    }
}

/// The directories of all tails that were set aside here, in the order of their names.
pub(super) fn homes(brick: &Path) -> Result<Vec<PathBuf>, String> {
    let dir = home(brick);
    let wrong = |e: io::Error| format!("{}: {e}", dir.display());
    let entries = match fs::read_dir(&dir) {
        Ok(entries) => entries,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(e) => return Err(wrong(e)),
    };
    let mut all = entries.map(|e| e.map(|e| e.path())).collect::<io::Result<Vec<_>>>().map_err(wrong)?;
    all.sort();
    Ok(all)
}

/// What is set aside in a brick, which people call `name`. Blocks.
///
/// # Errors
/// One line that names the file.
pub fn rows(brick: &Path, name: &str) -> Result<Vec<DivergentRow>, String> {
    let mut rows = Vec::new();
    // One without a list was interrupted: the brick still has all of it, and will set it aside again.
    for home in homes(brick)?.iter().filter(|home| home.join(LIST).exists()) {
        let list = List::load(home)?;
        rows.extend(list.entries.iter().map(|entry| {
            DivergentRow {
                brick: name.to_owned(),
                path: format!("/{}", entry.path),
                did: entry.did.word().to_owned(),
                size: entry.size,
                mtime_ms: (entry.did != Did::Removed).then_some(entry.mtime_ms),
                set_aside_ms: list.set_aside_ms,
                copy: (entry.did != Did::Removed)
                    .then(|| home.join(FILES).join(entry.place()).to_string_lossy().into_owned()),
            }
        }));
    }
    Ok(rows)
}

/// Removes all that was set aside and compared. Returns how many paths that were. Blocks.
///
/// # Errors
/// One line that names the file.
pub fn forget(brick: &Path) -> Result<usize, String> {
    let mut count = 0;
    for home in homes(brick)? {
        let list = List::load(&home)?;
        if !list.settled {
            return Err(format!(
                "{} is still being compared with the volume: try again later",
                home.display()
            ));
        }
        fs::remove_dir_all(&home).map_err(|e| format!("{}: {e}", home.display()))?;
        count += list.entries.len();
    }
    Ok(count)
}
