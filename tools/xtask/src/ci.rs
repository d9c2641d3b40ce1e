//! Everything that must hold before a change lands.

use anyhow::Result;

use crate::run::{cargo, have, root, run};
use crate::{packages, tidy};

pub fn ci() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace", "--all-targets", "--", "-D", "warnings"]))?;
    tidy::tidy(&root()?)?;
    if have("cargo-deny") {
        run(cargo().args(["deny", "check"]))?;
    } else {
        eprintln!("cargo-deny is not installed: licences and advisories were not checked");
    }
    test(&[])
}

/// nextest shows more and kills what hangs; without it plain `cargo test` runs the same tests.
pub fn test(rest: &[String]) -> Result<()> {
    packages::install()?;
    if have("cargo-nextest") {
        run(cargo().args(["nextest", "run", "--workspace"]).args(rest))?;
        return run(cargo().args(["test", "--workspace", "--doc", "--quiet"]));
    }
    run(cargo().args(["test", "--workspace"]).args(rest))
}

pub fn long(rest: &[String]) -> Result<()> {
    packages::install()?;
    run(cargo().args(["test", "--workspace", "--release"]).args(rest).args(["--", "--ignored"]))
}

pub fn sim(rest: &[String]) -> Result<()> {
    run(cargo().args(["run", "--quiet", "--package", "rfs-sim", "--"]).args(rest))
}
