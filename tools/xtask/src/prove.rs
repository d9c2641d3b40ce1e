//! The programs that try to break what rfs promises: docs/testing.md. Each is a crate of the testbed.

use anyhow::Result;

use crate::run::{cargo, run};

/// Runs a crate's program, optimised, with the words that follow.
pub fn prove(package: &str, rest: &[String]) -> Result<()> {
    with_profile("release", package, rest)
}

/// The simulator, which goes on after a failed history.
pub fn simulate(rest: &[String]) -> Result<()> {
    with_profile("sim", "rfs-sim", rest)
}

fn with_profile(profile: &str, package: &str, rest: &[String]) -> Result<()> {
    run(cargo().args(["run", "--quiet", "--profile", profile, "--package", package, "--"]).args(rest))
}
