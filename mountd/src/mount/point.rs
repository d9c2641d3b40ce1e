//! The mount point: is it fit, is something mounted there, and does that live?

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::time::Duration;

use super::source::volume_of;

/// A mount that does not answer a look at its root for this long is waiting for its servers, not dead.
const LOOK_PATIENCE: Duration = Duration::from_secs(2);
/// What our mounts are called in the mount table.
pub const FILE_SYSTEM: &str = "fuse.rfs";

/// What was found at a mount point.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Found {
    /// Fit to mount on.
    Free,
    /// The volume is mounted here, and lives; its source.
    Mounted(String),
}

/// Why nothing may be mounted there.
#[derive(Debug, thiserror::Error)]
pub enum Unfit {
    #[error("mount point {0} does not exist")]
    Missing(PathBuf),
    #[error("mount point {0} is not a directory")]
    NotDirectory(PathBuf),
    #[error("mount point / is where everything else is")]
    Root,
    #[error("mount point {0} is the directory of a brick: mounting there would hide its files")]
    Brick(PathBuf),
    #[error("mount point {0}: {1}")]
    Io(PathBuf, io::Error),
}

/// The absolute path of a mount point, without a look at what is mounted there: that may be dead.
///
/// # Errors
/// [`Unfit`].
pub fn absolute(point: &Path) -> Result<PathBuf, Unfit> {
    let unfit = |error| Unfit::Io(point.to_path_buf(), error);
    let point = std::path::absolute(point).map_err(unfit)?;
    if std::fs::read_link(&point).is_ok() {
        return point.canonicalize().map_err(unfit);
    }
    let Some(name) = point.file_name() else { return Err(Unfit::Root) };
    let parent = point.parent().unwrap_or(Path::new("/"));
    match parent.canonicalize() {
        Ok(parent) => Ok(parent.join(name)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Unfit::Missing(point)),
        Err(error) => Err(unfit(error)),
    }
}

/// Looks at a mount point, and removes mounts there that are dead. `volume`: what is about to be mounted.
///
/// # Errors
/// [`Unfit`].
pub fn prepare(point: &Path, volume: Option<&str>) -> Result<Found, Unfit> {
    while let Some(mount) = mounted_at(point) {
        match alive(point) {
            false => {
                tracing::warn!("{}: replacing the dead mount of {}", point.display(), mount.source);
                unmount_lazily(point).map_err(|error| Unfit::Io(point.to_path_buf(), error))?;
            }
            true if mount.file_system == FILE_SYSTEM
                && volume.is_none_or(|volume| volume_of(&mount.source) == Some(volume)) =>
            {
                return Ok(Found::Mounted(mount.source));
            }
            true => break,
        }
    }
    fit(point)
}

fn fit(point: &Path) -> Result<Found, Unfit> {
    let unfit = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => Unfit::Missing(point.to_path_buf()),
        _ => Unfit::Io(point.to_path_buf(), error),
    };
    let resolved = point.canonicalize().map_err(unfit)?;
    if resolved == Path::new("/") {
        return Err(Unfit::Root);
    }
    if !resolved.metadata().map_err(unfit)?.is_dir() {
        return Err(Unfit::NotDirectory(point.to_path_buf()));
    }
    if resolved.join(".rfs").is_dir() {
        return Err(Unfit::Brick(point.to_path_buf()));
    }
    Ok(Found::Free)
}

/// False when whoever served the mount is gone. Of a file system's sizes the kernel has no copy: it asks, while it may go on
/// showing the attributes of a dead mount's root.
fn alive(point: &Path) -> bool {
    use rustix::io::Errno;
    let (tell, told) = mpsc::channel();
    let point = point.to_path_buf();
    std::thread::spawn(move || tell.send(rustix::fs::statfs(&point).map(drop)));
    match told.recv_timeout(LOOK_PATIENCE) {
        Ok(Err(error)) => !matches!(error, Errno::NOTCONN | Errno::CONNABORTED),
        Ok(Ok(())) | Err(_) => true,
    }
}

/// # Errors
/// Those of umount2(2).
pub fn unmount_lazily(point: &Path) -> io::Result<()> {
    use rustix::mount::{UnmountFlags, unmount};
    Ok(unmount(point, UnmountFlags::DETACH | UnmountFlags::NOFOLLOW)?)
}

/// # Errors
/// Those of umount2(2); `EBUSY` while programs use the mount.
pub fn unmount(point: &Path) -> io::Result<()> {
    use rustix::mount::UnmountFlags;
    Ok(rustix::mount::unmount(point, UnmountFlags::NOFOLLOW)?)
}

/// One line of the mount table.
#[derive(Clone, Debug, PartialEq, Eq)]
struct MountLine {
    point: PathBuf,
    file_system: String,
    source: String,
}

/// The topmost mount at exactly `point`.
fn mounted_at(point: &Path) -> Option<MountLine> {
    table().into_iter().rfind(|line| line.point == point)
}

/// Whether a volume is mounted at `point`.
#[must_use]
pub fn is_ours(point: &Path) -> bool {
    mounted_at(point).is_some_and(|mount| mount.file_system == FILE_SYSTEM)
}

/// Whether a volume of this name is mounted anywhere.
#[must_use]
pub fn is_mounted(volume: &str) -> bool {
    let ours = |line: &MountLine| line.file_system == FILE_SYSTEM && volume_of(&line.source) == Some(volume);
    table().iter().any(ours)
}

fn table() -> Vec<MountLine> {
    let table = std::fs::read("/proc/self/mountinfo").unwrap_or_default();
    table.split(|byte| *byte == b'\n').filter_map(parse_line).collect()
}

/// See proc_pid_mountinfo(5): `id parent maj:min root POINT options [tags...] - TYPE SOURCE super-options`.
fn parse_line(line: &[u8]) -> Option<MountLine> {
    let mut fields = line.split(|byte| *byte == b' ');
    let point = unescape(fields.nth(4)?);
    let mut behind = fields.skip_while(|field| *field != b"-").skip(1);
    let file_system = unescape(behind.next()?).to_string_lossy().into_owned();
    let source = unescape(behind.next()?).to_string_lossy().into_owned();
    Some(MountLine { point: point.into(), file_system, source })
}

/// Spaces and the like stand as `\040` in the mount table.
fn unescape(field: &[u8]) -> OsString {
    let mut out = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, behind)) = rest.split_first() {
        let octal = behind.get(..3).filter(|_| *first == b'\\');
        let code = octal.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 8).ok());
        match code {
            Some(code) => {
                out.push(code);
                rest = &behind[3..];
            }
            None => {
                out.push(*first);
                rest = behind;
            }
        }
    }
    OsString::from_vec(out)
}

/// Raises how far the kernel reads ahead on this mount; a matter of speed only.
pub fn raise_read_ahead(point: &Path) {
    const READ_AHEAD_KB: &str = "1024";
    let Ok(stat) = rustix::fs::stat(point.as_os_str().as_bytes()) else { return };
    let (major, minor) = (rustix::fs::major(stat.st_dev), rustix::fs::minor(stat.st_dev));
    let knob = format!("/sys/class/bdi/{major}:{minor}/read_ahead_kb");
    if let Err(error) = std::fs::write(&knob, READ_AHEAD_KB) {
        tracing::debug!("{knob}: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mount_table_is_read_with_its_quotes() {
        let line =
            br"36 35 0:41 / /mnt/my\040data rw,relatime shared:7 - fuse.rfs server1:/datavol rw,user_id=0";
        let want = MountLine {
            point: "/mnt/my data".into(),
            file_system: FILE_SYSTEM.into(),
            source: "server1:/datavol".into(),
        };
        assert_eq!(parse_line(line), Some(want));
        assert_eq!(parse_line(b""), None);
        assert_eq!(unescape(br"a\134b\9"), OsString::from(r"a\b\9"));
    }

    #[test]
    fn unfit_mount_points_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().canonicalize().unwrap().join(name);
        std::fs::write(at("file"), "").unwrap();
        std::fs::create_dir_all(at("brick/.rfs")).unwrap();
        std::fs::create_dir_all(at("full/of/things")).unwrap();
        assert!(matches!(prepare(&at("nothing"), None), Err(Unfit::Missing(_))));
        assert!(matches!(absolute(&at("no/thing")), Err(Unfit::Missing(_))));
        assert!(matches!(prepare(&at("file"), None), Err(Unfit::NotDirectory(_))));
        assert!(matches!(prepare(&at("brick"), None), Err(Unfit::Brick(_))));
        assert!(matches!(absolute(Path::new("/")), Err(Unfit::Root)));
        assert!(matches!(prepare(&at("full"), None), Ok(Found::Free)));
    }
}
