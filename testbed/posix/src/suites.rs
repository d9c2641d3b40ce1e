//! Programs of others, which `cargo xtask packages` builds.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};

/// Name and version of each, a line.
const THIRD_PARTY: &str = include_str!("../third-party.txt");

/// Where a suite's program lies.
///
/// # Errors
/// It was not built.
pub fn program(name: &str) -> Result<PathBuf> {
    let version = THIRD_PARTY.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    let version = version.with_context(|| format!("no {name} in testbed/posix/third-party.txt"))?;
    let place = Path::new("third-party").join(format!("{name}-{version}")).join("bin").join(name);
    let program = target_folder()?.join(place);
    ensure!(program.is_file(), "{} is missing: `cargo xtask packages` builds it", program.display());
    Ok(program)
}

/// Cargo's, in which this program lies: `target/debug/deps/test-1234` or `target/release/rfs-posix`.
fn target_folder() -> Result<PathBuf> {
    let program = env::current_exe().context("the path of this program")?;
    let folder = program.parent().context("a program lies in a folder")?;
    let profile = if folder.ends_with("deps") { folder.parent() } else { Some(folder) };
    Ok(profile.and_then(Path::parent).context("a profile's folder lies in a folder")?.to_owned())
}
