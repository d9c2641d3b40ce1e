//! The parts, each with the row of figures that comes of it.

use std::fs;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rfs_cluster::MOUNT;

use crate::bench::{Bench, EXT4};
use crate::fsx::{self, Mix};
use crate::listed::{judge, listed};
use crate::model::{Hunt, Real, hunt, look_again, now};
use crate::pjdfstest::{self, Verdict, Verdicts};
use crate::table::Row;

/// What is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Part {
    Pjdfstest,
    Fsx,
    FsxMapped,
    /// With mappings, while leaders are killed.
    FsxKilled,
    Model,
}

/// How much of it.
#[derive(Clone, Copy, Debug)]
pub struct Amounts {
    pub fsx_operations: u64,
    /// With mappings, and while leaders are killed.
    pub fsx_more_operations: u64,
    pub kills_each: Duration,
    pub histories: u64,
    pub history_operations: usize,
    pub seed: u64,
}

impl Amounts {
    #[must_use]
    pub fn short() -> Self {
        Self {
            fsx_operations: 50_000,
            fsx_more_operations: 20_000,
            kills_each: Duration::from_secs(5),
            histories: 10,
            history_operations: 400,
            seed: 1,
        }
    }

    #[must_use]
    pub fn full() -> Self {
        Self {
            fsx_operations: 1_000_000,
            fsx_more_operations: 1_000_000,
            kills_each: Duration::from_secs(20),
            histories: 200,
            history_operations: 1000,
            seed: 1,
        }
    }
}

/// The longest that fsx may take, whatever else the machine does.
const FSX_LIMIT: Duration = Duration::from_secs(4 * 3600);

/// Runs one part.
///
/// # Errors
/// Something is missing.
pub fn run(bench: &Bench, part: Part, amounts: Amounts) -> Result<Vec<Row>> {
    match part {
        Part::Pjdfstest => cases(bench),
        Part::Fsx => operations(bench, "fsx", Mix::Calls, amounts, None),
        Part::FsxMapped => operations(bench, "fsx-mapped", Mix::Mapped, amounts, None),
        Part::FsxKilled => operations(bench, "fsx-killed", Mix::Mapped, amounts, Some(amounts.kills_each)),
        Part::Model => models(bench, amounts),
    }
}

/// Both at once: the suite sleeps for most of its time.
fn cases(bench: &Bench) -> Result<Vec<Row>> {
    bench.mount_others();
    let timed = |place| {
        let begun = Instant::now();
        let verdicts = pjdfstest::run(bench, place);
        verdicts.map(|v| (v, begun.elapsed().as_secs_f64()))
    };
    let (ext4, mount) = std::thread::scope(|scope| {
        let ext4 = scope.spawn(|| timed(EXT4));
        let mount = timed(MOUNT);
        (ext4.join().map_err(|_| anyhow::anyhow!("the run on ext4 panicked")), mount)
    });
    let ((ext4, ext4_s), (mount, mount_s)) = (ext4??, mount?);
    let wrong = judge(&ext4, &mount, &listed());
    let row = |what: &str, verdicts: &Verdicts, seconds, wrong| Row {
        what: what.to_owned(),
        done: count(verdicts, |v| *v == Verdict::Passed),
        unit: format!("of {} cases passed", verdicts.len()),
        listed: count(verdicts, |v| *v != Verdict::Passed),
        seconds,
        wrong,
    };
    Ok(vec![row("pjdfstest on ext4", &ext4, ext4_s, Vec::new()), row("pjdfstest", &mount, mount_s, wrong)])
}

fn count(verdicts: &Verdicts, which: impl Fn(&Verdict) -> bool) -> u64 {
    verdicts.values().filter(|v| which(v)).count() as u64
}

fn operations(
    bench: &Bench,
    name: &str,
    mix: Mix,
    amounts: Amounts,
    kills: Option<Duration>,
) -> Result<Vec<Row>> {
    let Amounts { fsx_operations, fsx_more_operations, seed, .. } = amounts;
    let plain = mix == Mix::Calls;
    let operations = if plain { fsx_operations } else { fsx_more_operations };
    let ran = fsx::run(bench, name, fsx::Run { mix, operations, seed, kills, limit: FSX_LIMIT })?;
    bench.replica.trees_equal();
    let mut wrong = ran.wrong;
    if kills.is_some() && ran.kills == 0 {
        wrong.push("no leader was killed: too few operations".to_owned());
    }
    let unit = if kills.is_some() {
        format!("operations, {} leaders killed", ran.kills)
    } else {
        "operations".to_owned()
    };
    Ok(vec![Row { what: name.to_owned(), done: operations, unit, listed: 0, seconds: ran.seconds, wrong }])
}

/// On ext4 first: the model itself must be right.
fn models(bench: &Bench, amounts: Amounts) -> Result<Vec<Row>> {
    bench.mount_others();
    let places = [("model on ext4", EXT4), ("model", MOUNT)];
    places.into_iter().map(|(what, place)| modelled(bench, what, place, amounts)).collect()
}

fn modelled(bench: &Bench, what: &str, place: &str, amounts: Amounts) -> Result<Row> {
    let base = bench.reach(place);
    let (begun, begun_s) = (Instant::now(), now());
    let Amounts { seed, histories, history_operations: operations, .. } = amounts;
    let hunted = Hunt { seed, histories, operations, umask: umask()? };
    let dir = |n: u64| base.join(format!("history-{n}"));
    let mut made = 0..;
    let fresh = || {
        let dir = dir(made.next().unwrap_or_default());
        fs::create_dir(&dir).unwrap_or_else(|e| panic!("{}: {e}", dir.display()));
        Real::new(dir)
    };
    let mut wrong: Vec<String> = Vec::new();
    match hunt(hunted, fresh, |_| ()) {
        Err(missed) => wrong.push(missed.to_string()),
        Ok(()) if place == MOUNT => {
            bench.replica.trees_equal();
            bench.replica.umount("client");
            bench.replica.mount("client");
            wrong.extend(look_again(hunted, begun_s, |n| Real::new(dir(n))).err());
        }
        Ok(()) => wrong.extend(look_again(hunted, begun_s, |n| Real::new(dir(n))).err()),
    }
    let unit = format!("operations in {histories} histories");
    let (what, done) = (what.to_owned(), histories * operations as u64);
    Ok(Row { what, done, unit, listed: 0, seconds: begun.elapsed().as_secs_f64(), wrong })
}

/// This process's umask.
///
/// # Errors
/// /proc is not as it should be.
pub fn umask() -> Result<u32> {
    let status = fs::read_to_string("/proc/self/status")?;
    let mask = status.lines().find_map(|line| line.strip_prefix("Umask:")).context("no umask in /proc")?;
    u32::from_str_radix(mask.trim(), 8).context("umask")
}
