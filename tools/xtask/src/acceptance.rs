//! The acceptance scripts, again and again, on release binaries.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use clap::Args;

use crate::measure::{machine_load, release_binaries};
use crate::run::{root, target_dir};

#[derive(Args)]
pub struct Options {
    /// How often each script runs
    #[arg(long, default_value_t = 1)]
    times: usize,
    /// The folder with the scripts [default: RFS_ACCEPTANCE, or ../shared/acceptance beside the repository]
    #[arg(long)]
    scripts: Option<PathBuf>,
    /// Only the script of this name
    #[arg(long)]
    only: Option<String>,
}

const SCRIPTS: [&str; 2] = ["card", "tutorial"];

/// Stops at the first run that does not end with `0 failed`; its output is kept, and named.
pub fn acceptance(options: &Options) -> Result<()> {
    let scripts = options.scripts.clone().map_or_else(default_scripts, Ok)?;
    let programs = release_binaries()?;
    let logs = target_dir()?.join("acceptance");
    fs::create_dir_all(&logs)?;
    for n in 1..=options.times {
        for script in SCRIPTS.iter().filter(|s| options.only.as_deref().is_none_or(|only| only == **s)) {
            once(&scripts.join(format!("{script}.sh")), &programs, &logs.join(format!("{script}-{n}.log")))?;
        }
    }
    Ok(())
}

fn default_scripts() -> Result<PathBuf> {
    match std::env::var_os("RFS_ACCEPTANCE") {
        Some(given) => Ok(given.into()),
        None => root()?.join("../shared/acceptance").canonicalize().context("../shared/acceptance"),
    }
}

fn once(script: &Path, programs: &Path, log: &Path) -> Result<()> {
    let begun = Instant::now();
    let output = fs::File::create(log).with_context(|| log.display().to_string())?;
    let mut command = Command::new(script);
    command.env("RFS_BIN", programs).stdout(output.try_clone()?).stderr(output);
    let status = command.status().with_context(|| script.display().to_string())?;
    let text = String::from_utf8_lossy(&fs::read(log)?).into_owned();
    let last = text.lines().last().unwrap_or_default().to_owned();
    let name = script.file_stem().unwrap_or_default().to_string_lossy();
    println!("{name}: {last}, {:.0} s, load {:.1}", begun.elapsed().as_secs_f64(), machine_load());
    if status.success() && all_passed(&last) {
        return Ok(());
    }
    text.lines()
        .filter(|line| line.starts_with("NOT OK") || line.starts_with("        |"))
        .for_each(|l| println!("{l}"));
    ensure!(!last.is_empty(), "{name} said nothing: {status}");
    bail!("{name}: {last}; see {}", log.display())
}

/// `N passed, 0 failed`, with at least one passed.
fn all_passed(last: &str) -> bool {
    let Some(passed) = last.strip_suffix(" passed, 0 failed") else { return false };
    passed.parse::<u32>().is_ok_and(|n| n > 0)
}

#[cfg(test)]
mod tests {
    use super::all_passed;

    #[test]
    fn only_a_run_without_failures_passes() {
        assert!(all_passed("148 passed, 0 failed"));
        for bad in ["147 passed, 1 failed", "0 passed, 0 failed", "", "148 passed, 10 failed", "killed"] {
            assert!(!all_passed(bad), "{bad}");
        }
    }
}
