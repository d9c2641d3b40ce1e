//! The brick's small files beside its label: the hard state, and how its last life ended.

use std::path::{Path, PathBuf};

use rfs_core::consensus::api::Start;
use rfs_model::layout;
use rfs_model::sealed::{seal, unseal};
use rfs_model::volume::VolumeState;

use crate::clock;
use crate::durable;

const MAGIC: [u8; 4] = *b"rfsb";
const VOLUME_MAGIC: [u8; 4] = *b"rfsv";
const VERSION: u16 = 1;

/// Which boot of the machine the brick lives in, and whether it left in good order.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Life {
    boot: String,
    clean: bool,
}
layout!(Life { boot, clean });

#[derive(Debug, thiserror::Error)]
pub enum LifeError {
    #[error("{}: {why}", path.display())]
    Io { path: PathBuf, why: std::io::Error },
}

#[must_use]
pub fn hard_state_path(brick: &Path) -> PathBuf {
    brick.join(".rfs/vote")
}

fn life_path(brick: &Path) -> PathBuf {
    brick.join(".rfs/life")
}

/// Judges the last life and begins a new one: from here on the brick counts as running. Durable on return.
///
/// A missing or damaged file is no error: the brick then counts as one that lost power, which is always safe.
///
/// # Errors
/// [`LifeError::Io`] when the new life cannot be written.
pub fn begin(brick: &Path) -> Result<Start, LifeError> {
    let path = life_path(brick);
    let wrong = |why| LifeError::Io { path: path.clone(), why };
    let boot = clock::boot_id().map_err(wrong)?;
    let start = match std::fs::read(&path).ok().and_then(|b| unseal::<Life>(MAGIC, VERSION, &b).ok()) {
        Some(life) if life.clean => Start::Clean,
        Some(life) if life.boot == boot => Start::SameBoot,
        _ => Start::Suspect,
    };
    write(&path, boot, false)?;
    Ok(start)
}

/// Marks the brick as left in good order: tree and log are at one index, and synced. Durable on return.
///
/// # Errors
/// [`LifeError::Io`].
pub fn end_clean(brick: &Path) -> Result<(), LifeError> {
    let path = life_path(brick);
    let boot = clock::boot_id().map_err(|why| LifeError::Io { path: path.clone(), why })?;
    write(&path, boot, true)
}

/// Notes what volume the brick is part of, for a start without tree and log. Durable on return.
///
/// # Errors
/// [`LifeError::Io`].
pub fn save_volume(brick: &Path, state: &VolumeState) -> Result<(), LifeError> {
    let path = volume_path(brick);
    let bytes = seal(VOLUME_MAGIC, VERSION, state);
    durable::replace(&path, &bytes).map_err(|why| LifeError::Io { path, why })
}

/// What [`save_volume`] noted last, if it can be read.
#[must_use]
pub fn load_volume(brick: &Path) -> Option<VolumeState> {
    let bytes = std::fs::read(volume_path(brick)).ok()?;
    unseal(VOLUME_MAGIC, VERSION, &bytes).ok()
}

fn volume_path(brick: &Path) -> PathBuf {
    brick.join(".rfs/volume")
}

fn write(path: &Path, boot: String, clean: bool) -> Result<(), LifeError> {
    let bytes = seal(MAGIC, VERSION, &Life { boot, clean });
    durable::replace(path, &bytes).map_err(|why| LifeError::Io { path: path.to_owned(), why })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lives_are_told_apart() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".rfs")).unwrap();
        assert_eq!(begin(dir.path()).unwrap(), Start::Suspect, "no file");
        assert_eq!(begin(dir.path()).unwrap(), Start::SameBoot);
        end_clean(dir.path()).unwrap();
        assert_eq!(begin(dir.path()).unwrap(), Start::Clean);
        assert_eq!(begin(dir.path()).unwrap(), Start::SameBoot, "the mark is gone at once");
        write(&life_path(dir.path()), "another boot".into(), false).unwrap();
        assert_eq!(begin(dir.path()).unwrap(), Start::Suspect);
        std::fs::write(life_path(dir.path()), b"rot").unwrap();
        assert_eq!(begin(dir.path()).unwrap(), Start::Suspect);
    }
}
