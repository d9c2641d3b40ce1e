//! Programs that tests call, and the Debian packages or crates they come in.

use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::{cargo, have, run, target_dir};

const NEEDED: &[(&str, &str)] = &[
    ("fio", "fio"),
    ("ip", "iproute2"),
    ("setfattr", "attr"),
    ("setfacl", "acl"),
    ("nsenter", "util-linux"),
    ("mount", "mount"),
    ("pgrep", "procps"),
    ("python3", "python3"),
    ("git", "git"),
    ("rsync", "rsync"),
    ("pg_ctlcluster", "postgresql"),
    ("qemu-img", "qemu-utils"),
    ("inotifywait", "inotify-tools"),
    ("vim.tiny", "vim-tiny"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
];

/// Suites of others: crate and version, a line each. They are run, never linked.
const THIRD_PARTY: &str = include_str!("../../../testbed/posix/third-party.txt");

/// Installs what is missing, and says so.
pub fn install() -> Result<()> {
    debian()?;
    third_party(cargo)
}

/// Builds the suites of others, each into a folder of its own in cargo's, by this program.
pub fn third_party(cargo: impl Fn() -> Command) -> Result<()> {
    let place = target_dir()?.join("third-party");
    for line in THIRD_PARTY.lines().filter(|line| !line.starts_with('#')) {
        let (name, version) = line.split_once(' ').with_context(|| line.to_owned())?;
        let root = place.join(format!("{name}-{version}"));
        if root.join("bin").join(name).is_file() {
            continue;
        }
        let mut install = cargo();
        install.args(["install", "--quiet", "--locked", "--debug", "--no-track", "--force"]);
        install.args([name, "--version", version, "--root"]).arg(&root);
        install.arg("--target-dir").arg(place.join("build"));
        // They wait for the kernel: what the compiler could do for them is not worth its time.
        install.env("CARGO_PROFILE_DEV_DEBUG", "0");
        run(&mut install)?;
    }
    Ok(())
}

/// Programs of others that are packages.
pub fn debian() -> Result<()> {
    let mut missing: Vec<&str> =
        NEEDED.iter().filter(|(program, _)| !have(program)).map(|(_, package)| *package).collect();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    eprintln!("missing: {}", missing.join(" "));
    if !have("apt-get") {
        bail!("this machine has no apt-get: install them in its own way");
    }
    let apt = || {
        let mut apt = Command::new("apt-get");
        apt.env("DEBIAN_FRONTEND", "noninteractive");
        // What comes with a daemon does not start it.
        apt.env("RUNLEVEL", "1");
        apt
    };
    run(apt().args(["update", "-q"]))?;
    run(apt().args(["install", "-q", "-y", "--no-install-recommends"]).args(&missing))
}
