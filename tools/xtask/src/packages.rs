//! Programs that tests call, and the Debian packages they come in.

use std::process::Command;

use anyhow::{Result, bail};

use crate::run::{have, run};

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
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mkfs.btrfs", "btrfs-progs"),
];

/// Installs what is missing, and says so.
pub fn install() -> Result<()> {
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
        apt
    };
    run(apt().args(["update", "-q"]))?;
    run(apt().args(["install", "-q", "-y", "--no-install-recommends"]).args(&missing))
}
