//! The programs that try to break what rfs promises: docs/testing.md. Each is a crate of the testbed.

use anyhow::Result;

use crate::run::{cargo, run};

/// Runs a crate's program, optimised, with the words that follow.
pub fn prove(package: &str, rest: &[String]) -> Result<()> {
    run(cargo().args(["run", "--quiet", "--release", "--package", package, "--"]).args(rest))
}
