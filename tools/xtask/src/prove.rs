//! The programs that try to break what rfs promises: docs/testing.md. Each is a crate of the testbed.

use std::process::Command;

use anyhow::Result;

use crate::measure::release_binaries;
use crate::run::{cargo, run};

/// Runs a crate's program, optimised, with the words that follow. It goes on after a panic, while the daemons and mounts that it
/// starts are those that users run, and do not.
pub fn prove(package: &str, rest: &[String]) -> Result<()> {
    let mut command = with_profile("prove", package, rest);
    run(command.env("RFS_BIN", release_binaries()?))
}

/// The simulator, which starts none.
pub fn simulate(rest: &[String]) -> Result<()> {
    run(&mut with_profile("sim", "rfs-sim", rest))
}

fn with_profile(profile: &str, package: &str, rest: &[String]) -> Command {
    let mut command = cargo();
    command.args(["run", "--quiet", "--profile", profile, "--package", package, "--"]).args(rest);
    command
}
