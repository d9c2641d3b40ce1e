//! The process behind a recorded device.
//!
//! Its FUSE mount has no name outside of its own mount namespace. The order of taking leave matters: first whoever has
//! the file system mounted lets go, then the loop device, then the FUSE mount. The loop device is marked to detach itself
//! on its last close, so that nothing stays when processes are killed in any order.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use fuser::{Config, MountOption, spawn_mount};
use rfs_cluster::inside::root::let_go_of_foreign_mounts;
use rfs_cluster::wait;
use rustix::mount::{MountPropagationFlags, mount_change};
use rustix::thread::UnshareFlags;

use super::file::{Disk, NAME};
use crate::image::Image;
use crate::record::Writer;

const DETACHES: Duration = Duration::from_secs(15);

/// Serves the image, noting into the record, until standard input ends; says the device's path when it is there.
pub fn serve(image: &Path, record: &Path) -> io::Result<()> {
    // SAFETY: this process still has one thread.
    unsafe { rustix::thread::unshare_unsafe(UnshareFlags::NEWNS)? };
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let_go_of_foreign_mounts()?;
    let open = |path: &Path| File::options().read(true).write(true).open(path);
    let disk = Disk::new(Image::of(open(image)?)?, Writer::new(open(record)?)?);
    let at = std::env::temp_dir();
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("recorded".to_owned()), MountOption::NoDev];
    let session = spawn_mount(disk, &at, &config)?;
    let name = format!("{NAME}{}", std::process::id());
    let device = attach(&at.join(&name))?;
    let held = File::open(&device)?;
    losetup(&["-d", &device])?;
    println!("{device}");
    io::stdout().flush()?;
    io::stdin().read_to_end(&mut Vec::new())?;
    drop(held);
    let detached = wait::holds_within(DETACHES, || !is_attached(&device, &name));
    session.umount_and_join()?;
    if detached { Ok(()) } else { Err(io::Error::other(format!("{device} is still in use"))) }
}

fn attach(file: &Path) -> io::Result<String> {
    let file = file.to_str().ok_or_else(|| io::Error::other("an odd name"))?;
    Ok(losetup(&["--find", "--show", file])?.trim().to_owned())
}

fn losetup(args: &[&str]) -> io::Result<String> {
    let output = Command::new("losetup").args(args).output()?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    Err(io::Error::other(format!("losetup {args:?}: {}", String::from_utf8_lossy(&output.stderr).trim())))
}

/// Whether the device still stands for the file of that name; its number may have been given to another one.
fn is_attached(device: &str, file: &str) -> bool {
    let name = device.trim_start_matches("/dev/");
    fs::read_to_string(format!("/sys/block/{name}/loop/backing_file")).is_ok_and(|f| f.contains(file))
}
