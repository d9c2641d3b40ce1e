//! One round: damage, light, reading, healing.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use rfs_cluster::servers::MOUNTD;
use rfs_cluster::trial::HEALS;
use rfs_cluster::{Signal, holds_within, tree};
use serde::Serialize;

use crate::bench::{Bench, Read};
use crate::damage::Damage;
use crate::files;
use crate::kind::{Kind, Light};

const SOON: Duration = Duration::from_secs(20);
/// When a start has said what it has to say, or who stays out is out.
const SHORTLY: Duration = Duration::from_secs(3);
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
    /// What could not be read for a while, and why.
    pub unread: Vec<String>,
    pub outcome: Outcome,
    pub seconds: f64,
}

/// What is known of a round at its end.
struct Ended {
    what: String,
    noticed: Noticed,
    unread: Vec<String>,
    outcome: Outcome,
}

impl Ended {
    fn wrong(what: String, unread: Vec<String>, why: String) -> Self {
        Self { what, noticed: Noticed::Never, unread, outcome: Outcome::Wrong(why) }
    }
}

impl Bench {
    /// Damages one file of that kind, chosen by the seed.
    #[must_use]
    pub fn round(&self, kind: Kind, seed: u64) -> Round {
        let begun = Instant::now();
        let mut dice = fastrand::Rng::with_seed(seed);
        let victim = self.victim(kind, &mut dice);
        let tried = self.try_round(kind, &victim, &mut dice);
        let what = victim.clone();
        let ended = tried.unwrap_or_else(|why| Ended::wrong(what, Vec::new(), why));
        let Ended { what, noticed, unread, outcome } = ended;
        Round { kind, seed, what, noticed, unread, outcome, seconds: begun.elapsed().as_secs_f64() }
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

    fn try_round(&self, kind: Kind, victim: &str, dice: &mut fastrand::Rng) -> Result<Ended, String> {
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
        let unread = read.iter().filter_map(|(name, read)| match read {
            Read::Refused(why) => Some(format!("{name}: {why}")),
            _ => None,
        });
        let unread: Vec<String> = unread.collect();
        let missing = |why: &str| why == "ENOENT" && !kind.may_be_missing();
        let is_wrong = |read: &Read| match read {
            Read::Right => false,
            Read::Refused(why) => missing(why),
            Read::Wrong(_) => true,
        };
        let wrong: Vec<_> = read.iter().filter(|(_, r)| is_wrong(r)).collect();
        if !wrong.is_empty() {
            let why = format!("{what}: wrong bytes of {wrong:?}");
            return Ok(Ended::wrong(what, unread, why));
        }
        let noticed = self.noticed(kind, victim, before, &damage, scrubs);
        let refused = unread.iter().any(|line| !line.ends_with("ENOENT"));
        let outcome = self.ends(kind, victim, &damage, noticed, refused);
        Ok(Ended { what, noticed, unread, outcome })
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
            Light::Read | Light::Scrub => self.scrub_again(),
            Light::Mount => self.replica.mount("client"),
            Light::Start => {}
        }
    }

    /// A brick that stops over what it finds ends the scrub, and then there is nobody to wait for: so nobody waits.
    fn scrub_again(&self) {
        let host = &self.replica.cluster[self.replica.leader()];
        for word in ["stop", "start"] {
            let _ = host.tools(&["volume", "scrub", rfs_cluster::VOLUME, word]);
        }
    }

    fn noticed(&self, kind: Kind, victim: &str, before: usize, damage: &Damage, scrubs: bool) -> Noticed {
        let told = || {
            let log = if kind == Kind::Register { self.mount_log() } else { self.log(victim) };
            let new = log.get(before.min(log.len())..).unwrap_or(&log).to_owned();
            new.lines().any(|line| damage.words.iter().all(|word| line.contains(word)))
        };
        let starts = kind.light() == Light::Start;
        if !holds_within(if starts { SHORTLY } else { SOON }, told) {
            // What no start reads.
            self.scrub_again();
            let patience = if kind.may_be_harmless() { SHORTLY } else { SOON };
            let found = starts && holds_within(patience, told);
            return if found { Noticed::Scrub } else { Noticed::Never };
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
    fn ends(&self, kind: Kind, victim: &str, damage: &Damage, noticed: Noticed, refused: bool) -> Outcome {
        let healthy = |within| {
            let all = || self.replica.bricks.iter().all(|b| self.is_healthy(b));
            holds_within(within, || all() && self.equal())
        };
        let patience = if kind.may_stay_out() { SHORTLY } else { HEALS };
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
        let [one, other] = ["server1", "server2"].map(|host| self.brick(host));
        let same = match (files::identities(&one), files::identities(&other)) {
            (Ok(one), Ok(other)) => one == other,
            _ => false,
        };
        same && tree::differences(&one, &other).is_ok_and(|all| all.is_empty())
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
