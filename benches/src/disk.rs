//! The file system that everything under test lies on.
//!
//! What a create costs depends on a file system's past: an ext4 without a journal, for one, goes past every inode that was removed
//! in the last minutes (measured: a quarter of the leader's time in `create-4k`, two fifths of the follower's, behind runs that had
//! removed their files). So each run gets an ext4 of its own, with a journal as users have it, in a file that a loop device
//! reaches past the page cache.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use rustix::fs::FallocateFlags;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Disk {
    /// An ext4 of its own, made for this run in a file below /var/tmp
    Fresh,
    /// The file system that is there
    AsIs,
}

/// Where the file and what is mounted of it are: `PLACE-PID.img`, `PLACE-PID`.
const PLACE: &str = "/var/tmp/rfs-bench";
/// Of what is free the file takes half, but no more than this, bytes.
const MOST: u64 = 32 << 30;
const LEAST: u64 = 8 << 30;

/// On drop, it is taken away.
pub struct Made(Option<Image>);

struct Image {
    point: PathBuf,
    file: PathBuf,
    device: String,
}

impl Disk {
    /// # Errors
    /// When there is too little room, or a program is missing.
    pub fn make(self) -> Result<Made> {
        if self == Disk::AsIs {
            return Ok(Made(None));
        }
        clear_up()?;
        let name = format!("{PLACE}-{}", std::process::id());
        let (point, file) = (PathBuf::from(&name), PathBuf::from(format!("{name}.img")));
        let bytes = room(Path::new("/var/tmp"))?;
        eprintln!("making a disk of {} GiB ...", bytes >> 30);
        let image = File::create(&file).with_context(|| file.display().to_string())?;
        rustix::fs::fallocate(&image, FallocateFlags::empty(), 0, bytes)
            .context("reserve the disk's room")?;
        // Nothing is left for the background, and there is an inode for each 8 KiB: two bricks of a million files.
        let mkfs = ["-q", "-F", "-i", "8192", "-E", "lazy_itable_init=0,lazy_journal_init=0"];
        said(Command::new("mkfs.ext4").args(mkfs).arg(&file))?;
        let losetup = ["--find", "--show", "--direct-io=on"];
        let device = said(Command::new("losetup").args(losetup).arg(&file))?.trim().to_owned();
        fs::create_dir_all(&point)?;
        let made = Made(Some(Image { point: point.clone(), file, device: device.clone() }));
        said(Command::new("mount").arg(&device).arg(&point))?;
        rfs_cluster::folder::live_in(&point.join("hosts"));
        Ok(made)
    }

    pub fn words(self) -> &'static str {
        match self {
            Disk::Fresh => "on an ext4 of its own",
            Disk::AsIs => "on the file system that is there",
        }
    }
}

impl Drop for Made {
    fn drop(&mut self) {
        if let Some(image) = &self.0
            && let Err(e) = take_away(&image.point, &image.file, Some(&image.device))
        {
            eprintln!("{} is left: {e:#}", image.file.display());
        }
    }
}

fn room(dir: &Path) -> Result<u64> {
    let stat = rustix::fs::statvfs(dir)?;
    let bytes = (stat.f_bavail * stat.f_frsize / 2).min(MOST);
    ensure!(
        bytes >= LEAST,
        "a disk for the run needs {} GiB free in {}, or --disk as-is",
        LEAST >> 29,
        dir.display()
    );
    Ok(bytes)
}

/// Takes away what runs left that were killed.
fn clear_up() -> Result<()> {
    for entry in fs::read_dir("/var/tmp")? {
        let file = entry?.path();
        let name = file.to_string_lossy().into_owned();
        let Some(pid) =
            name.strip_prefix(PLACE).and_then(|rest| rest.strip_prefix('-')?.strip_suffix(".img"))
        else {
            continue;
        };
        if pid.parse::<u32>().is_ok() && !Path::new("/proc").join(pid).exists() {
            take_away(Path::new(&format!("{PLACE}-{pid}")), &file, None)?;
        }
    }
    Ok(())
}

fn take_away(point: &Path, file: &Path, device: Option<&str>) -> Result<()> {
    if point.is_dir() {
        // Not mounted, where the run did not get so far.
        let _ = said(Command::new("umount").arg("--lazy").arg(point));
        fs::remove_dir(point).with_context(|| point.display().to_string())?;
    }
    let device = match device {
        Some(device) => device.to_owned(),
        None => said(Command::new("losetup").args(["--noheadings", "--output", "NAME", "-j"]).arg(file))?,
    };
    if !device.trim().is_empty() {
        said(Command::new("losetup").args(["--detach", device.trim()]))?;
    }
    fs::remove_file(file).with_context(|| file.display().to_string())
}

/// What a program says.
fn said(command: &mut Command) -> Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let ran = command.output().with_context(|| name.clone())?;
    if !ran.status.success() {
        bail!("{name}: {}", String::from_utf8_lossy(&ran.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&ran.stdout).into_owned())
}
