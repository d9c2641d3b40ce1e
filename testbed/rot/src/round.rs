//! One round: damage, light, reading, healing.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rfs_cluster::servers::MOUNTD;
use rfs_cluster::trial::HEALS;
use rfs_cluster::{Signal, holds_within, tree};
use serde::Serialize;

use crate::bench::{Bench, Read};
use crate::files::{self, Part};
use crate::kind::{Kind, Light};

const SOON: Duration = Duration::from_secs(20);
/// Where a daemon or a mount keeps the register of a witness.
const REGISTERS: &str = "/var/lib/rfs/witness";

/// When somebody noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Noticed {
    Start,
    Read,
    Scrub,
    /// Nobody did, and nobody needed to: what was flipped means nothing.
    Never,
}

/// How it ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// Healthy, trees equal, nobody had to do anything.
    Repaired,
    /// Refused, with the reason, until the file was put right.
    Refused,
    Harmless,
    /// It must never come to this.
    Wrong(String),
}

/// What became of one damage.
#[derive(Clone, Debug, Serialize)]
pub struct Round {
    pub kind: Kind,
    pub seed: u64,
    /// What was damaged.
    pub what: String,
    pub noticed: Noticed,
    pub outcome: Outcome,
    pub seconds: f64,
}

/// A file that was damaged, as it was, and the words that must be in somebody's log.
struct Damage {
    file: PathBuf,
    good: Option<Vec<u8>>,
    words: Vec<String>,
    what: String,
}

impl Bench {
    /// Damages one file of that kind, chosen by the seed.
    #[must_use]
    pub fn round(&self, kind: Kind, seed: u64) -> Round {
        let begun = Instant::now();
        let mut dice = fastrand::Rng::with_seed(seed);
        let victim = self.victim(kind, &mut dice);
        let tried = self.try_round(kind, &victim, &mut dice);
        let (what, noticed, outcome) =
            tried.unwrap_or_else(|why| (victim.clone(), Noticed::Never, Outcome::Wrong(why)));
        Round { kind, seed, what, noticed, outcome, seconds: begun.elapsed().as_secs_f64() }
    }

    fn victim(&self, kind: Kind, dice: &mut fastrand::Rng) -> String {
        if kind == Kind::Register {
            return "client".to_owned();
        }
        if kind.stops() || dice.bool() {
            self.replica.follower().to_owned()
        } else {
            self.replica.leader().to_owned()
        }
    }

    fn try_round(
        &self,
        kind: Kind,
        victim: &str,
        dice: &mut fastrand::Rng,
    ) -> Result<(String, Noticed, Outcome), String> {
        let before = self.log(victim).len();
        if kind.stops() {
            self.stop(kind, victim, dice)?;
        } else if kind == Kind::Register {
            self.replica.umount("client");
        }
        let damage = self.damage(kind, victim, dice).map_err(|e| format!("cannot damage it: {e}"))?;
        let what = format!("{victim}: {}", damage.what);
        if kind.stops() {
            self.begin(victim)?;
        }
        let scrubs =
            kind.light() == Light::Scrub || kind.light() == Light::Read && self.replica.leader() != victim;
        if kind.stops() && scrubs {
            self.replica.healed(HEALS);
        }
        self.bring_to_light(kind, victim);
        let read = self.check();
        let wrong: Vec<&String> =
            read.iter().filter(|(_, r)| matches!(r, Read::Wrong(_))).map(|(n, _)| n).collect();
        if !wrong.is_empty() {
            return Ok((
                what.clone(),
                Noticed::Never,
                Outcome::Wrong(format!("{what}: wrong bytes of {wrong:?}")),
            ));
        }
        let noticed = self.noticed(kind, victim, before, &damage, scrubs);
        let outcome = self.ends(kind, victim, &damage, noticed, &read);
        Ok((what, noticed, outcome))
    }

    fn stop(&self, kind: Kind, victim: &str, dice: &mut fastrand::Rng) -> Result<(), String> {
        let host = &self.replica.cluster[victim];
        let graceful = matches!(kind, Kind::DataAtRest | Kind::HeaderCopy | Kind::Pool) || dice.bool();
        host.stop_brickd(if graceful { Signal::TERM } else { Signal::KILL });
        let other = &self.replica.cluster[self.replica.other(victim)];
        let alone = holds_within(SOON, || other.tools(&["heal-status"]).stdout.contains("degraded"));
        if alone { Ok(()) } else { Err(format!("{}: does not go on alone", other.name())) }
    }

    /// Starts the daemon; one that refuses has ended then.
    fn begin(&self, victim: &str) -> Result<(), String> {
        let host = &self.replica.cluster[victim];
        let mut daemon = host.spawn("rfs-brickd", &["/usr/local/sbin/rfs-brickd"]);
        let answers = || host.tools(&["peer", "status"]).success() || daemon.ended().is_some();
        let up = holds_within(SOON, answers);
        host.keep_daemon(daemon);
        if up { Ok(()) } else { Err(format!("{victim}: the daemon neither answers nor ends")) }
    }

    fn bring_to_light(&self, kind: Kind, victim: &str) {
        match kind.light() {
            // Mounts read from the leader: what rots on a follower is found by a scrub.
            Light::Read if self.replica.leader() == victim => {}
            Light::Read | Light::Scrub => {
                // A brick that stops over what it finds ends the scrub: then there is nobody to wait for.
                let host = &self.replica.cluster[self.replica.leader()];
                for word in ["stop", "start"] {
                    let _ = host.tools(&["volume", "scrub", rfs_cluster::VOLUME, word]);
                }
            }
            Light::Mount => self.replica.mount("client"),
            Light::Start => {}
        }
    }

    fn damage(&self, kind: Kind, victim: &str, dice: &mut fastrand::Rng) -> std::io::Result<Damage> {
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
                let len = dice.u64(4096..6 << 20);
                files::cut(&file, len)?;
                of(file, &["rot:", "/big"], format!("big cut to {len}"))
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
                files::flip_xattr(&small, "trusted.rfs.id")?;
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
                let all = files::with_suffix(&brick.join(".rfs/log"), ".hdr")?;
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

    fn noticed(&self, kind: Kind, victim: &str, before: usize, damage: &Damage, scrubs: bool) -> Noticed {
        let told = || {
            let log = if kind == Kind::Register { self.mount_log() } else { self.log(victim) };
            let new = log.get(before.min(log.len())..).unwrap_or(&log).to_owned();
            new.lines().any(|line| damage.words.iter().all(|word| line.contains(word)))
        };
        if !holds_within(if kind.may_be_harmless() { Duration::from_secs(3) } else { SOON }, told) {
            return Noticed::Never;
        }
        match kind.light() {
            Light::Read | Light::Scrub if scrubs => Noticed::Scrub,
            Light::Read | Light::Scrub => Noticed::Read,
            Light::Start | Light::Mount => Noticed::Start,
        }
    }

    fn mount_log(&self) -> String {
        let folder = self.replica.cluster["client"].path("/var/log/rfs");
        let logs = files::with_suffix(&folder, ".log").unwrap_or_default();
        let texts = logs.iter().map(|f| fs::read_to_string(f).unwrap_or_default());
        let own = self.replica.cluster["client"].folder().join(format!("{MOUNTD}.log"));
        texts.collect::<String>() + &fs::read_to_string(own).unwrap_or_default()
    }

    /// Heals, or stays refused until the file is right again.
    fn ends(
        &self,
        kind: Kind,
        victim: &str,
        damage: &Damage,
        noticed: Noticed,
        read: &BTreeMap<String, Read>,
    ) -> Outcome {
        let healthy = |within| {
            let all = || self.replica.bricks.iter().all(|b| self.is_healthy(b));
            holds_within(within, || all() && self.equal())
        };
        let refused = read.values().any(|r| matches!(r, Read::Refused(_)));
        let patience = if kind.may_stay_out() { Duration::from_secs(6) } else { HEALS };
        if healthy(patience) {
            return match noticed {
                Noticed::Never if kind.may_be_harmless() => Outcome::Harmless,
                Noticed::Never => Outcome::Wrong(format!("nobody noticed {}", damage.what)),
                _ if refused => Outcome::Refused,
                _ => Outcome::Repaired,
            };
        }
        if noticed == Noticed::Never {
            return Outcome::Wrong(format!(
                "not healthy, and no word of {}: {}",
                damage.what,
                self.replica.status_text()
            ));
        }
        if let Err(why) = self.put_right(kind, victim, damage) {
            return Outcome::Wrong(why);
        }
        if healthy(HEALS) { Outcome::Refused } else { Outcome::Wrong(self.replica.status_text()) }
    }

    fn is_healthy(&self, server: &str) -> bool {
        self.replica.cluster[server].tools(&["heal-status", "--check"]).success()
    }

    fn equal(&self) -> bool {
        let differences = tree::differences(&self.brick("server1"), &self.brick("server2"));
        differences.is_ok_and(|all| all.is_empty())
    }

    /// What an operator does with a backup of the file; or, for a file of the tree, a restart and a scrub.
    fn put_right(&self, kind: Kind, victim: &str, damage: &Damage) -> Result<(), String> {
        let host = &self.replica.cluster[victim];
        if !host.pids("rfs-brickd").is_empty() {
            host.stop_brickd(Signal::TERM);
        }
        if let Some(good) = &damage.good {
            write(&damage.file, good).map_err(|e| e.to_string())?;
        }
        self.begin(victim)?;
        self.bring_to_light(kind, victim);
        Ok(())
    }

    /// The line that runs this round alone.
    #[must_use]
    pub fn replay(kind: Kind, seed: u64) -> String {
        use clap::ValueEnum;
        let name = kind.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        format!("cargo xtask rot --rounds 1 --kind {name} --seed {seed}")
    }
}

fn write(file: &Path, bytes: &[u8]) -> std::io::Result<()> {
    fs::write(file, bytes)?;
    fs::File::open(file)?.sync_all()
}
