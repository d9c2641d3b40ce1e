//! The brick's small files beside its label: the hard state, and how its last life ended.

use std::path::{Path, PathBuf};

use rfs_core::consensus::api::Start;
use rfs_model::config::{ConfigEntry, Position};
use rfs_model::hard::{HardState, Trust};
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

/// Judges the last life. A missing or damaged file is no error: the brick then counts as one that lost power, which is
/// always safe.
///
/// # Errors
/// [`LifeError::Io`] when the system does not name its boot.
pub fn judge(brick: &Path) -> Result<Start, LifeError> {
    let path = life_path(brick);
    let boot = boot_id(&path)?;
    let bytes = std::fs::read(&path).ok();
    let life = bytes.as_ref().map(|bytes| unseal::<Life>(MAGIC, VERSION, bytes));
    if let Some(Err(problem)) = &life {
        tracing::warn!("{}: {problem}: the brick counts as one that lost power", path.display());
    }
    Ok(match life.and_then(Result::ok) {
        Some(life) if life.clean => Start::Clean,
        Some(life) if life.boot == boot => Start::SameBoot,
        _ => Start::Suspect,
    })
}

/// Begins a new life, judged to be `start`: from here on the brick counts as running. Durable on return.
///
/// That a brick is suspect is in its hard state *before* this boot is noted: whatever ends this start, and however often the
/// brick is opened in this boot, no later start takes it for one whose process died and nothing more.
///
/// # Errors
/// [`LifeError::Io`] when the hard state or the new life cannot be written.
pub fn begin(brick: &Path, hard: &mut HardState, start: Start) -> Result<(), LifeError> {
    let path = life_path(brick);
    let boot = boot_id(&path)?;
    if start.is_suspect() && hard.trust == Trust::Sound {
        hard.trust = Trust::Suspect;
        let path = hard_state_path(brick);
        durable::replace(&path, &hard.to_file()).map_err(|why| LifeError::Io { path, why })?;
    }
    write(&path, boot, false)
}

/// A full copy came, at `at`, and the last life ended before the hard state knew the copy's configuration. Durable on return.
///
/// # Errors
/// [`LifeError::Io`].
pub fn adopt_config(
    brick: &Path,
    hard: &mut HardState,
    at: Position,
    config: ConfigEntry,
) -> Result<(), LifeError> {
    // By term first: an abandoned lineage may have gone further than the one that the copy is of.
    let stale = hard.config.record.is_joint() || hard.config.at <= at;
    if !stale || hard.config == config {
        return Ok(());
    }
    hard.config = config;
    let path = hard_state_path(brick);
    durable::replace(&path, &hard.to_file()).map_err(|why| LifeError::Io { path, why })
}

fn boot_id(path: &Path) -> Result<String, LifeError> {
    clock::boot_id().map_err(|why| LifeError::Io { path: path.to_owned(), why })
}

/// Marks the brick as left in good order: tree and log are at one index, and synced. Durable on return.
///
/// # Errors
/// [`LifeError::Io`].
pub fn end_clean(brick: &Path) -> Result<(), LifeError> {
    let path = life_path(brick);
    let boot = boot_id(&path)?;
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

/// Whether what [`save_volume`] noted last is damaged: why, in one line.
#[must_use]
pub fn volume_damage(brick: &Path) -> Option<String> {
    let bytes = std::fs::read(volume_path(brick)).ok()?;
    let problem = unseal::<VolumeState>(VOLUME_MAGIC, VERSION, &bytes).err()?;
    Some(format!("{}: {problem}", volume_path(brick).display()))
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

    fn brick() -> (tempfile::TempDir, HardState) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir(dir.path().join(".rfs")).unwrap();
        let hard = HardState::genesis(&[rfs_model::NodeId([1; 16])]);
        std::fs::write(hard_state_path(dir.path()), hard.to_file()).unwrap();
        (dir, hard)
    }

    fn live(dir: &Path, hard: &mut HardState) -> Start {
        let start = judge(dir).unwrap();
        begin(dir, hard, start).unwrap();
        start
    }

    fn trust(dir: &Path) -> Trust {
        HardState::from_file(&std::fs::read(hard_state_path(dir)).unwrap()).unwrap().trust
    }

    #[test]
    fn lives_are_told_apart() {
        let (dir, mut hard) = brick();
        let mut next = || live(dir.path(), &mut hard);
        assert_eq!(next(), Start::Suspect, "no file");
        assert_eq!(next(), Start::SameBoot);
        end_clean(dir.path()).unwrap();
        assert_eq!(next(), Start::Clean);
        assert_eq!(next(), Start::SameBoot, "the mark is gone at once");
        write(&life_path(dir.path()), "another boot".into(), false).unwrap();
        assert_eq!(next(), Start::Suspect);
        std::fs::write(life_path(dir.path()), b"rot").unwrap();
        assert_eq!(next(), Start::Suspect);
    }

    #[test]
    fn suspicion_is_stored_before_the_brick_counts_as_one_of_this_boot() {
        let (dir, mut hard) = brick();
        // The life cannot be written: as if the start ended between both files.
        let in_the_way = dir.path().join(".rfs/life.new");
        std::fs::create_dir(&in_the_way).unwrap();
        begin(dir.path(), &mut hard, Start::Suspect).unwrap_err();
        assert_eq!(trust(dir.path()), Trust::Suspect);
        assert_eq!(judge(dir.path()).unwrap(), Start::Suspect);
    }

    #[test]
    fn a_brick_that_is_opened_twice_stays_suspect() {
        let (dir, mut hard) = brick();
        write(&life_path(dir.path()), "another boot".into(), false).unwrap();
        assert_eq!(live(dir.path(), &mut hard), Start::Suspect);
        assert_eq!(live(dir.path(), &mut hard), Start::SameBoot);
        assert_eq!((hard.trust, trust(dir.path())), (Trust::Suspect, Trust::Suspect));
    }

    #[test]
    fn a_copys_configuration_is_not_forgotten() {
        let entry = |index| ConfigEntry {
            at: Position::new(rfs_model::Term(2), rfs_model::Index(index)),
            ..ConfigEntry::genesis(&[rfs_model::NodeId([1; 16])])
        };
        let at = Position::new(rfs_model::Term(2), rfs_model::Index(200));
        // What the brick knew, and what it knows after a copy at 200 whose configuration is that of 150.
        for (known, then) in [(1, 150), (100, 150), (300, 300)] {
            let (dir, hard) = brick();
            let mut hard = HardState { config: entry(known), ..hard };
            adopt_config(dir.path(), &mut hard, at, entry(150)).unwrap();
            assert_eq!(hard.config, entry(then));
            if then != known {
                let saved =
                    HardState::from_file(&std::fs::read(hard_state_path(dir.path())).unwrap()).unwrap();
                assert_eq!(saved, hard);
            }
        }
    }

    /// It went on as all of S, as it had been in the abandoned lineage, and led.
    #[test]
    fn what_an_abandoned_lineage_knew_gives_way_to_a_copys_configuration_however_far_it_had_gone() {
        let entry = |lineage, term, index| ConfigEntry {
            at: Position::new(
                rfs_model::Term::new(rfs_model::Lineage(lineage), term),
                rfs_model::Index(index),
            ),
            ..ConfigEntry::genesis(&[rfs_model::NodeId([1; 16])])
        };
        let (dir, hard) = brick();
        let mut hard = HardState { config: entry(0, 6, 300), ..hard };
        adopt_config(dir.path(), &mut hard, entry(1, 1, 200).at, entry(1, 1, 150)).unwrap();
        assert_eq!(hard.config, entry(1, 1, 150));
    }

    #[test]
    fn only_who_lost_power_becomes_suspect() {
        for start in [Start::Clean, Start::SameBoot] {
            let (dir, mut hard) = brick();
            begin(dir.path(), &mut hard, start).unwrap();
            assert_eq!((hard.trust, trust(dir.path())), (Trust::Sound, Trust::Sound), "{start:?}");
        }
        // A new disk is worse.
        let (dir, hard) = brick();
        let mut hard = HardState { trust: Trust::Blank, ..hard };
        begin(dir.path(), &mut hard, Start::Suspect).unwrap();
        assert_eq!(hard.trust, Trust::Blank);
    }
}
