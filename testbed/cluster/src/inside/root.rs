//! The root directory of a host: the machine's programs, and everything that belongs to a host its own.
//!
//! A small tmpfs into which the machine's directories are bound, so that no mount point has to exist, or to be made, on
//! the machine itself.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive, mount_change,
    unmount,
};

use crate::holder::{DataDisk, Plan};

/// What a host does not take over from the machine as it is.
const OWN: [&str; 9] = ["data", "etc", "lost+found", "mnt", "proc", "run", "sbin", "var", "disk"];

/// Programs of the machine that hosts find in `/sbin` too.
const SBIN: &str = "usr/sbin";

/// Builds the root, makes it this process's, and lets go of the old one.
pub fn build(plan: &Plan) -> io::Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    let_go_of_foreign_mounts()?;
    let root = plan.folder.join("root");
    fs::create_dir_all(&root)?;
    mount("tmpfs", &root, "tmpfs", MountFlags::empty(), c"mode=755")?;
    bind_machine(&root)?;
    etc(plan, &root.join("etc"))?;
    sbin(&root.join("sbin"))?;
    own_folders(plan, &root)?;
    fs::create_dir(root.join("proc"))?;
    mount("proc", root.join("proc"), "proc", MountFlags::empty(), None)?;
    bind(&plan.folder.join("boot-id"), &root.join("proc/sys/kernel/random/boot_id"))?;
    enter(&root)?;
    data(plan)
}

/// FUSE mounts of the machine have been copied into this namespace. They end for their servers only when the last copy is
/// gone, and nobody who unmounts one on the machine expects it to live on here.
///
/// # Errors
/// The table of mounts cannot be read.
pub fn let_go_of_foreign_mounts() -> io::Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts")?;
    let points = mounts.lines().filter_map(|line| {
        let mut words = line.split(' ').skip(1);
        words.next().zip(words.next())
    });
    for (point, _) in points.filter(|(_, kind)| kind.starts_with("fuse.")) {
        // One below another that has gone is gone too.
        let _ = unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW);
    }
    Ok(())
}

fn bind_machine(root: &Path) -> io::Result<()> {
    for entry in fs::read_dir("/")? {
        let entry = entry?;
        let (kind, to) = (entry.file_type()?, root.join(entry.file_name()));
        if OWN.iter().any(|own| OsStr::new(own) == entry.file_name()) {
            continue;
        }
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, to)?;
        } else if kind.is_dir() {
            fs::create_dir(&to)?;
            mount_bind_recursive(entry.path(), &to)?;
        }
    }
    Ok(())
}

/// Small files are copied, folders bound; what tells hosts apart is written.
fn etc(plan: &Plan, to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir("/etc")? {
        let entry = entry?;
        let (kind, target) = (entry.file_type()?, to.join(entry.file_name()));
        if kind.is_symlink() {
            symlink(fs::read_link(entry.path())?, target)?;
        } else if kind.is_dir() {
            fs::create_dir(&target)?;
            mount_bind_recursive(entry.path(), &target)?;
        } else if kind.is_file() {
            fs::copy(entry.path(), target)?;
        }
    }
    let nothing = String::new();
    for (name, text) in [
        ("hosts", &plan.hosts),
        ("hostname", &plan.host),
        ("machine-id", &plan.machine_id),
        ("fstab", &nothing),
        ("resolv.conf", &nothing),
    ] {
        let file = to.join(name);
        remove(&file)?;
        fs::write(file, text)?;
    }
    remove(&to.join("mtab"))?;
    symlink("/proc/self/mounts", to.join("mtab"))
}

fn remove(file: &Path) -> io::Result<()> {
    fs::remove_file(file).or_else(|e| if e.kind() == ErrorKind::NotFound { Ok(()) } else { Err(e) })
}

/// What mount(8) looks for: the first when it mounts, the other when it remounts.
const HELPERS: [&str; 2] = ["mount.rfs", "mount.fuse.rfs"];

/// A folder of links to the machine's, and our helpers of mount(8) among them.
fn sbin(to: &Path) -> io::Result<()> {
    fs::create_dir(to)?;
    for entry in fs::read_dir(Path::new("/").join(SBIN))? {
        let name = entry?.file_name();
        if !HELPERS.iter().any(|helper| name == *helper) {
            symlink(Path::new("/").join(SBIN).join(&name), to.join(&name))?;
        }
    }
    HELPERS.iter().try_for_each(|helper| symlink("/usr/local/sbin/rfs-mountd", to.join(helper)))
}

fn own_folders(plan: &Plan, root: &Path) -> io::Result<()> {
    for folder in ["run/lock", "var/lib", "var/log", "var/cache", "var/tmp", "disk"] {
        fs::create_dir_all(root.join(folder))?;
    }
    symlink("/run", root.join("var/run"))?;
    symlink("/run/lock", root.join("var/lock"))?;
    mount_bind_recursive(Path::new("/var/tmp"), root.join("var/tmp"))?;
    for (name, at) in [("data", "data"), ("mnt", "mnt"), ("lib", "var/lib/rfs"), ("log", "var/log/rfs")] {
        bind(&made(plan.folder.join(name))?, &made(root.join(at))?)?;
    }
    bind(&plan.programs, &made(root.join("usr/local/sbin"))?)
}

fn made(folder: PathBuf) -> io::Result<PathBuf> {
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

fn bind(from: &Path, to: &Path) -> io::Result<()> {
    mount_bind(from, to)
        .map_err(|e| io::Error::other(format!("bind {} to {}: {e}", from.display(), to.display())))
}

fn enter(root: &Path) -> io::Result<()> {
    std::env::set_current_dir(root)?;
    rustix::process::pivot_root(".", ".")?;
    unmount(".", UnmountFlags::DETACH)?;
    std::env::set_current_dir("/")
}

/// The disk for bricks, where it is not a folder of the machine's own file system.
fn data(plan: &Plan) -> io::Result<()> {
    match plan.data {
        DataDisk::Folder => Ok(()),
        DataDisk::Memory { bytes } => {
            let size = std::ffi::CString::new(format!("size={bytes},mode=755"))?;
            Ok(mount("data", "/data", "tmpfs", MountFlags::empty(), size.as_c_str())?)
        }
        // Images are mounted from outside, by mount(8): it sets up the loop device.
        DataDisk::Image => Ok(()),
    }
}
