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

/// Plain `cargo test`, one profile. `--full` sets `RFS_FULL`, with which the tests take their long forms.
pub fn test(rest: &[String]) -> Result<()> {
    packages::install()?;
    let (full, rest): (Vec<_>, Vec<_>) = rest.iter().partition(|word| *word == "--full");
    let mut command = cargo();
    command.args(["test", "--workspace"]).args(rest);
    if !full.is_empty() {
        command.env("RFS_FULL", "1");
    }
    run(&mut command)
}
