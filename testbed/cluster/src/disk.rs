//! What a host's bricks lie on.

use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::holder::DataDisk;
use crate::host::Host;

/// The disk of `/data`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Disk {
    /// A folder on the machine's own file system.
    #[default]
    Folder,
    /// A tmpfs of its own of that size: fills up fast.
    Memory { bytes: u64 },
    /// A file system of its own, of this kind (`ext4`, `xfs`), on a loop device, which also holds `/var/lib/rfs`. A power
    /// cut on it is a true one: see [`Host::power_cut`].
    Image { kind: &'static str, bytes: u64 },
    /// None until [`Host::insert`] gives it one, which then also holds `/var/lib/rfs`.
    Slot,
    /// The same, ext4 with room for no more than this many files.
    FewInodes { bytes: u64, inodes: u64 },
}

impl Disk {
    pub(crate) fn at_start(self) -> DataDisk {
        match self {
            Disk::Folder => DataDisk::Folder,
            Disk::Memory { bytes } => DataDisk::Memory { bytes },
            Disk::Image { .. } | Disk::FewInodes { .. } | Disk::Slot => DataDisk::Image,
        }
    }

    pub(crate) fn is_image(self) -> bool {
        matches!(self, Disk::Image { .. } | Disk::FewInodes { .. })
    }
}

const LIMIT: Duration = Duration::from_secs(60);
const PLACES: &str =
    "mkdir -p /disk/data /disk/lib && mount --bind /disk/data /data && mount --bind /disk/lib /var/lib/rfs";

/// Makes the image that the disk is, if it is one, and mounts it in the host.
pub(crate) fn make_image(host: &Host, disk: Disk) {
    let (kind, bytes, inodes) = match disk {
        Disk::Folder | Disk::Memory { .. } | Disk::Slot => return,
        Disk::Image { kind, bytes } => (kind, bytes, None),
        Disk::FewInodes { bytes, inodes } => ("ext4", bytes, Some(inodes)),
    };
    let image = host.folder().join("disk.img");
    // Never the file of an earlier disk: a kernel may still write to that one.
    let _ = fs::remove_file(&image);
    let file = File::create(&image).expect("make a disk image");
    file.set_len(bytes).expect("size a disk image");
    let mut mkfs = Command::new(format!("mkfs.{kind}"));
    if let Some(inodes) = inodes {
        mkfs.arg("-N").arg(inodes.to_string());
    }
    let made = mkfs.arg("-q").arg(&image).output();
    let made = made.unwrap_or_else(|e| panic!("mkfs.{kind}: {e}"));
    assert!(made.status.success(), "mkfs.{kind}: {}", String::from_utf8_lossy(&made.stderr));
    mount_image(host, &image);
}

/// Replaces the disk by what had reached it: the image as it is now, without what the kernel still keeps in memory.
pub(crate) fn lose_memory(host: &Host) {
    let (image, kept) = (host.folder().join("disk.img"), host.folder().join("disk.cut"));
    let copied = Command::new("cp").arg("--sparse=always").arg(&image).arg(&kept).status();
    assert!(copied.is_ok_and(|s| s.success()), "copy the disk image");
    unmount(host);
    fs::rename(&kept, &image).expect("swap the disk image");
    mount_image(host, &image);
}

impl Host {
    /// Puts a block device with a file system into a host that has [`Disk::Slot`].
    #[track_caller]
    pub fn insert(&self, device: &Path) {
        // Copies of one disk may be in several hosts: xfs takes them for one disk that is there twice.
        let script = format!(
            "[ $(blkid -p -o value -s TYPE {0}) != xfs ] || nouuid=nouuid; \
             mount -o \"${{nouuid:-defaults}}\" {0} /disk && {PLACES}",
            device.display()
        );
        self.run_within(&["sh", "-c", &script], LIMIT).ok();
    }

    /// The disk of the bricks is taken out, and an empty one of the same kind put in its place; no daemon may run. The
    /// daemon's own state, `/var/lib/rfs`, stays: it is on another disk in such a machine.
    #[track_caller]
    pub fn swap_disk(&self) {
        let kept = self.folder().join("lib.kept");
        copy(&self.path("/var/lib/rfs"), &kept);
        unmount(self);
        make_image(self, self.disk());
        copy(&kept, &self.path("/var/lib/rfs"));
        fs::remove_dir_all(&kept).expect("remove the copy");
    }

    /// Kills every process of the host, and takes the device out. What the kernel had not written yet is written now.
    #[track_caller]
    pub fn eject(&self) {
        self.crash();
        unmount(self);
    }
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").arg("-aT").arg(from).arg(to).status();
    assert!(copied.is_ok_and(|s| s.success()), "copy {}", from.display());
}

/// The kernel may take a moment to let go of what a killed process had open.
fn unmount(host: &Host) {
    for place in ["/data", "/var/lib/rfs", "/disk"] {
        crate::until("the disk is free", LIMIT, || host.run_within(&["umount", place], LIMIT).success());
    }
}

fn mount_image(host: &Host, image: &Path) {
    let script = format!("mount -o loop '{}' /disk && {PLACES}", image.display());
    host.run_within(&["sh", "-c", &script], LIMIT).ok();
}
