//! The fuzzers, one after the other, and what they have found: docs/testing/fuzz.md.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::json;

use crate::run::{root, target_dir};

/// Longest input, bytes: what is longer says nothing new, and corpora stay small.
const LONGEST: usize = 2048;
/// Memory of a fuzzer, MiB.
const MEMORY: usize = 2048;

/// What to run, and for how long.
#[derive(clap::Args)]
pub struct Options {
    /// How long each target runs
    #[arg(long, default_value_t = 10.0)]
    minutes: f64,
    /// One target only, by name; may be given several times
    #[arg(long)]
    target: Vec<String>,
    /// The table as JSON
    #[arg(long)]
    json: bool,
}

/// What came of one target.
#[derive(Debug, Default, PartialEq, Eq)]
struct Row {
    target: String,
    executions: u64,
    per_second: u64,
    /// Edges of the program that inputs have reached.
    coverage: u64,
    corpus: usize,
    corpus_bytes: u64,
    crashes: usize,
}

/// Where a target's things are.
struct Places {
    fuzz: PathBuf,
    build: PathBuf,
    /// The committed corpus.
    kept: PathBuf,
    /// What this machine has bred.
    bred: PathBuf,
    crashes: PathBuf,
}

/// # Errors
/// When a tool is missing, or an input breaks a promise.
pub fn fuzz(options: &Options) -> Result<()> {
    if !Command::new("cargo").args(["+nightly", "fuzz", "--version"]).output()?.status.success() {
        bail!("this needs `rustup toolchain install nightly` and `cargo install cargo-fuzz`");
    }
    let known = targets()?;
    if let Some(wrong) = options.target.iter().find(|name| !known.contains(name)) {
        bail!("no target '{wrong}': there are {}", known.join(", "));
    }
    let wanted = known.into_iter().filter(|name| options.target.is_empty() || options.target.contains(name));
    let rows = wanted.map(|target| run(&target, options)).collect::<Result<Vec<_>>>()?;
    if options.json {
        println!("{}", serde_json::Value::from(rows.iter().map(Row::to_json).collect::<Vec<_>>()));
    } else {
        println!(
            "{:<10} {:>12} {:>8} {:>8} {:>7} {:>9} {:>8}",
            "target", "executions", "a second", "coverage", "corpus", "bytes", "crashes"
        );
        rows.iter().for_each(|row| println!("{}", row.to_line()));
    }
    let crashes: usize = rows.iter().map(|row| row.crashes).sum();
    if crashes > 0 {
        bail!("{crashes} inputs break a promise: testbed/fuzz/artifacts has them");
    }
    Ok(())
}

fn targets() -> Result<Vec<String>> {
    let dir = root()?.join("testbed/fuzz/fuzz_targets");
    let mut names = Vec::new();
    for entry in fs::read_dir(&dir).with_context(|| dir.display().to_string())? {
        let path = entry?.path();
        names.extend(path.file_stem().and_then(|stem| stem.to_str()).map(str::to_owned));
    }
    names.sort();
    Ok(names)
}

fn run(target: &str, options: &Options) -> Result<Row> {
    let fuzz = root()?.join("testbed/fuzz");
    let build = target_dir()?.join("fuzz");
    let (bred, kept) = (build.join("bred").join(target), fuzz.join("corpus").join(target));
    let crashes = fuzz.join("artifacts").join(target);
    let places = Places { fuzz, build, kept, bred, crashes };
    for dir in [&places.kept, &places.bred, &places.crashes] {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    }
    let before = count(&places.crashes)?.0;
    let log = places.build.join(format!("{target}.log"));
    eprintln!("{target}: {} minutes, log in {}", options.minutes, log.display());
    let seconds = (options.minutes * 60.0).ceil() as u64;
    let limits = [
        format!("-max_total_time={seconds}"),
        format!("-max_len={LONGEST}"),
        format!("-rss_limit_mb={MEMORY}"),
        "-timeout=30".to_owned(),
        "-print_final_stats=1".to_owned(),
    ];
    let corpora = [&places.bred, &places.kept];
    // That it ends badly, the crashes say.
    let _ = command(&places, target, &corpora, &limits, &log)?.status()?;
    let text = fs::read_to_string(&log)?;
    let crashes = count(&places.crashes)?.0 - before;
    if !text.contains("stat::number_of_executed_units") && crashes == 0 {
        bail!("the fuzzer of {target} did not run: see {}", log.display());
    }
    minimise(&places, target)?;
    let (corpus, corpus_bytes) = count(&places.kept)?;
    let (executions, per_second, coverage) = figures(&text);
    Ok(Row { target: target.to_owned(), executions, per_second, coverage, corpus, corpus_bytes, crashes })
}

fn command(
    places: &Places,
    target: &str,
    corpora: &[&PathBuf],
    limits: &[String],
    log: &Path,
) -> Result<Command> {
    let mut command = Command::new("nice");
    // Safe Rust needs no sanitizer to notice what is wrong: it panics.
    command.args(["-n", "19", "cargo", "+nightly", "fuzz", "run", "--sanitizer", "none"]);
    command.arg("--fuzz-dir").arg(&places.fuzz).arg("--target-dir").arg(&places.build);
    command.arg(target).args(corpora).arg("--").args(limits);
    let log = File::create(log)?;
    command.current_dir(&places.fuzz).stdout(log.try_clone()?).stderr(log);
    Ok(command)
}

/// The smallest part of both corpora that reaches what both reach becomes the committed one.
fn minimise(places: &Places, target: &str) -> Result<()> {
    let new = places.build.join("merged").join(target);
    let _ = fs::remove_dir_all(&new);
    fs::create_dir_all(&new)?;
    let merge = ["-merge=1".to_owned(), format!("-max_len={LONGEST}")];
    let log = places.build.join(format!("{target}.merge.log"));
    let corpora = [&new, &places.kept, &places.bred];
    if !command(places, target, &corpora, &merge, &log)?.status()?.success() {
        bail!("the corpora of {target} cannot be merged: see {}", log.display());
    }
    fs::remove_dir_all(&places.kept)?;
    fs::create_dir_all(&places.kept)?;
    for entry in fs::read_dir(&new)? {
        let path = entry?.path();
        fs::copy(&path, places.kept.join(path.file_name().unwrap_or_default()))?;
    }
    Ok(())
}

/// Files in a folder, and their bytes.
fn count(dir: &Path) -> Result<(usize, u64)> {
    let mut all = (0, 0);
    for entry in fs::read_dir(dir)? {
        all = (all.0 + 1, all.1 + entry?.metadata()?.len());
    }
    Ok(all)
}

/// Executions, executions a second and coverage, of a fuzzer's log.
fn figures(log: &str) -> (u64, u64, u64) {
    let number = |text: &str| text.split_whitespace().next().and_then(|word| word.parse().ok()).unwrap_or(0);
    let stat = |name: &str| log.rsplit_once(name).map_or(0, |(_, rest)| number(rest));
    let coverage = log.rsplit_once(" cov: ").map_or(0, |(_, rest)| number(rest));
    (stat("stat::number_of_executed_units:"), stat("stat::average_exec_per_sec:"), coverage)
}

impl Row {
    fn to_line(&self) -> String {
        let Self { target, executions, per_second, coverage, corpus, corpus_bytes, crashes } = self;
        format!(
            "{target:<10} {executions:>12} {per_second:>8} {coverage:>8} {corpus:>7} {corpus_bytes:>9} {crashes:>8}"
        )
    }

    fn to_json(&self) -> serde_json::Value {
        json!({
            "target": self.target,
            "executions": self.executions,
            "executions_per_second": self.per_second,
            "coverage": self.coverage,
            "corpus": self.corpus,
            "corpus_bytes": self.corpus_bytes,
            "crashes": self.crashes,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_figures_of_a_log_count() {
        let log = "#2 INITED cov: 7 ft: 9\n#99\tDONE   cov: 1991 ft: 7833 corp: 498/147Kb\n\
                   stat::number_of_executed_units: 2441\nstat::average_exec_per_sec:     10\n";
        assert_eq!(figures(log), (2441, 10, 1991));
        assert_eq!(figures("nothing"), (0, 0, 0));
    }
}
