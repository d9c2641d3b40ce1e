//! One file of each kind is chosen and damaged.

use std::fs;
use std::path::PathBuf;

use rfs_cluster::damage::used_bytes;

use crate::bench::{Bench, FRESH};
use crate::files::{self, Part};
use crate::kind::Kind;

/// Where a daemon or a mount keeps the register of a witness.
const REGISTERS: &str = "/var/lib/rfs/witness";

/// A file that was damaged, as it was, and the words that must be in somebody's log.
pub(crate) struct Damage {
    pub file: PathBuf,
    pub good: Option<Vec<u8>>,
    pub words: Vec<String>,
    pub what: String,
}

impl Bench {
    pub(crate) fn damage(
        &self,
        kind: Kind,
        victim: &str,
        dice: &mut fastrand::Rng,
    ) -> std::io::Result<Damage> {
        let brick = self.brick(victim);
        let name = format!("d/{}", 1 + dice.usize(0..60));
        let small = brick.join(&name);
        let of = |file: PathBuf, words: &[&str], what: String| Damage {
            good: None,
            file,
            words: words.iter().map(|w| (*w).to_owned()).collect(),
            what,
        };
        let whole = |file: PathBuf, dice: &mut fastrand::Rng| -> std::io::Result<Damage> {
            let good = fs::read(&file)?;
            let at = files::flip_one(&file, 0, u64::MAX, dice)?;
            let word = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
            let what = format!("{word} at {at}");
            Ok(Damage { file, good: Some(good), words: vec![word], what })
        };
        Ok(match kind {
            Kind::Data | Kind::DataAtRest => {
                let (file, name) =
                    if dice.bool() { (brick.join("big"), "big".to_owned()) } else { (small, name) };
                let at = files::flip_one(&file, 0, u64::MAX, dice)?;
                of(file, &["rot:", &format!("/{name}")], format!("{name} at {at}"))
            }
            Kind::Cut => {
                let file = brick.join("big");
                let len = files::some_cut(6 << 20, dice);
                files::cut(&file, len)?;
                of(file, &["rot:", "/big"], format!("big cut to {len}"))
            }
            Kind::CutFresh => {
                let size = self.write_fresh(dice)?;
                let (file, len) = (brick.join(FRESH), files::some_cut(size, dice));
                files::cut(&file, len)?;
                of(file, &["rot:", "/fresh"], format!("fresh cut from {size} to {len}"))
            }
            Kind::Mode => {
                files::change_mode(&small)?;
                of(small, &["rot:", &format!("/{name}")], format!("mode of {name}"))
            }
            Kind::Owner => {
                std::os::unix::fs::chown(&small, Some(4242), None)?;
                of(small, &["rot:", &format!("/{name}")], format!("owner of {name}"))
            }
            Kind::Mtime => {
                fs::File::options().write(true).open(&small)?.set_modified(std::time::UNIX_EPOCH)?;
                of(small, &["rot:", &format!("/{name}")], format!("mtime of {name}"))
            }
            Kind::Xattr => {
                let file = brick.join("d/7");
                files::flip_xattr(&file, "user.note")?;
                of(file, &["rot:", "/d/7"], "user.note of d/7".to_owned())
            }
            Kind::Identity => {
                files::flip_xattr(&small, files::IDENTITY)?;
                of(small, &[&format!("/{name}")], format!("trusted.rfs.id of {name}"))
            }
            Kind::Name => {
                fs::rename(&small, brick.join(format!("d/{}x", dice.u32(..))))?;
                of(small, &["rot:", &format!("/{name}")], format!("name of {name}"))
            }
            Kind::Gone => {
                fs::remove_file(&small)?;
                of(small, &["rot:", &format!("/{name}")], format!("{name} removed"))
            }
            Kind::SegmentHeader | Kind::SegmentRecord | Kind::SegmentPayload | Kind::SegmentTail => {
                let part = match kind {
                    Kind::SegmentHeader => Part::Header,
                    Kind::SegmentRecord => Part::Record,
                    Kind::SegmentPayload => Part::Payload,
                    _ => Part::Tail,
                };
                let file = files::flip_in_segment(&brick, part, dice)?;
                let word = file.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
                of(file, &[&word], format!("{part:?} of {word}"))
            }
            Kind::HeaderCopy => {
                let mut all = files::with_suffix(&brick.join(".rfs/log"), ".hdr")?;
                all.retain(|f| used_bytes(f).is_ok_and(|n| n > 0));
                let file =
                    dice.choice(&all).ok_or_else(|| std::io::Error::other("no header copies"))?.clone();
                whole(file, dice)?
            }
            Kind::Index => whole(brick.join(".rfs/index.redb"), dice)?,
            Kind::Label => whole(brick.join(".rfs/label"), dice)?,
            Kind::Vote => whole(brick.join(".rfs/vote"), dice)?,
            Kind::Life => whole(brick.join(".rfs/life"), dice)?,
            Kind::Volume => whole(brick.join(".rfs/volume"), dice)?,
            Kind::Pool => whole(self.replica.cluster[victim].path("/var/lib/rfs/pool.toml"), dice)?,
            Kind::Register => {
                let folder = self.replica.cluster[victim].path(REGISTERS);
                let mut all = files::with_suffix(&folder, "")?;
                all.retain(|f| f.is_file() && fs::metadata(f).is_ok_and(|m| m.len() > 40));
                let file = all.first().ok_or_else(|| std::io::Error::other("no register"))?.clone();
                whole(file, dice)?
            }
        })
    }
}
