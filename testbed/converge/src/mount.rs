//! The file systems: a tmpfs, and ext4, xfs and btrfs on loop devices over files in memory. All is mounted in a mount
//! namespace of the process's own and goes with it, the loop devices too, however the process ends.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::thread::UnshareFlags;

/// Bytes of an image: the least that mkfs.xfs takes. Only what is written uses memory.
const IMAGE_BYTES: u64 = 512 * 1024 * 1024;

/// A file system that bricks live on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub enum Fs {
    Tmpfs,
    Ext4,
    Xfs,
    Btrfs,
}

impl Fs {
    pub const ALL: [Self; 4] = [Self::Tmpfs, Self::Ext4, Self::Xfs, Self::Btrfs];

    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tmpfs => "tmpfs",
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }
}

/// Moves the process into a mount namespace of its own. Call it before there are other threads.
///
/// # Errors
/// When that is not allowed: it needs root.
pub fn enter_namespace() -> Result<()> {
    // SAFETY: only mounts are unshared, no descriptors; the process has one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS) }.context("a mount namespace needs root")?;
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Ok(mount_change("/", private)?)
}

/// A mounted file system; unmounted when dropped.
#[derive(Debug)]
pub struct Mounted {
    point: PathBuf,
    /// Keeps the mount point and, until it is mounted, the image.
    _dir: tempfile::TempDir,
}

impl Mounted {
    /// Makes and mounts a file system.
    ///
    /// # Errors
    /// When a program fails or is not there.
    pub fn new(fs: Fs) -> Result<Self> {
        let memory = Path::new("/dev/shm");
        let dir = if memory.is_dir() { tempfile::tempdir_in(memory)? } else { tempfile::tempdir()? };
        let (point, image) = (dir.path().join("mnt"), dir.path().join("image"));
        fs::create_dir(&point)?;
        if fs == Fs::Tmpfs {
            run(Command::new("mount").args(["-t", "tmpfs", "-o", "mode=700", "tmpfs"]).arg(&point))?;
        } else {
            File::create_new(&image)?.set_len(IMAGE_BYTES)?;
            run(Command::new(format!("mkfs.{}", fs.name())).arg("-q").arg(&image))?;
            // The device detaches itself with the last unmount, and then the image, which has no name, is gone too.
            run(Command::new("mount").args(["-o", "loop,noatime", "-t", fs.name()]).arg(&image).arg(&point))?;
            fs::remove_file(&image)?;
        }
        Ok(Self { point, _dir: dir })
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.point
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        if let Err(e) = unmount(&self.point, UnmountFlags::DETACH) {
            eprintln!("cannot unmount {}: {e}", self.point.display());
        }
    }
}

fn run(command: &mut Command) -> Result<()> {
    let output = command.stdin(Stdio::null()).output().with_context(|| format!("{command:?}"))?;
    ensure!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}
