//! Whether a path of this node may become a brick, and the directories that have to be made for it. Everything here blocks:
//! not for an executor's thread.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

/// The directory in a brick that is not part of the volume.
const PRIVATE: &str = ".rfs";
/// Where `mkfs` leaves what `fsck` finds: an empty file system is not quite empty.
const LOST_AND_FOUND: &str = "lost+found";

/// Looks at a path and changes nothing. `brick` is how people call it, for the texts; `others` are this node's bricks, by
/// path, with the names of their volumes. Gives the directories to make, outermost first.
///
/// # Errors
/// Why it may not be one, in one line.
pub fn check(brick: &str, path: &Path, others: &[(PathBuf, String)]) -> Result<Vec<PathBuf>, String> {
    let wrong = |e: io::Error| format!("{brick}: {e}");
    let (existing, missing) = split_missing(path).map_err(wrong)?;
    let base = fs::canonicalize(&existing).map_err(wrong)?;
    if !base.is_dir() {
        return Err(format!("{brick}: {} is not a directory", existing.display()));
    }
    let real =
        missing.last().map_or(base.clone(), |_| base.join(path.strip_prefix(&existing).unwrap_or(path)));
    check_nesting(brick, &real, others)?;
    check_ancestors(brick, &real)?;
    check_file_system(brick, &base)?;
    if missing.is_empty() {
        check_empty(brick, &base)?;
    }
    Ok(missing)
}

/// The longest part of the path that exists, and the directories under it that do not, outermost first.
fn split_missing(path: &Path) -> io::Result<(PathBuf, Vec<PathBuf>)> {
    let mut missing = Vec::new();
    for part in path.ancestors() {
        match fs::symlink_metadata(part) {
            Ok(_) => {
                missing.reverse();
                return Ok((part.to_owned(), missing));
            }
            Err(e) if e.kind() == ErrorKind::NotFound => missing.push(part.to_owned()),
            Err(e) => return Err(e),
        }
    }
    Err(ErrorKind::NotFound.into())
}

fn check_nesting(brick: &str, real: &Path, others: &[(PathBuf, String)]) -> Result<(), String> {
    for (other, volume) in others {
        let other = &fs::canonicalize(other).unwrap_or_else(|_| other.clone());
        if real == other {
            return Err(format!("{brick} is already a brick of volume {volume}"));
        }
        if real.starts_with(other) {
            return Err(format!("{brick} is inside {}, a brick of volume {volume}", other.display()));
        }
        if other.starts_with(real) {
            return Err(format!("{brick} contains {}, a brick of volume {volume}", other.display()));
        }
    }
    Ok(())
}

/// Bricks that this node's pool state does not know: of another pool, or from before a lost state directory.
fn check_ancestors(brick: &str, real: &Path) -> Result<(), String> {
    for dir in real.ancestors() {
        if dir.join(PRIVATE).symlink_metadata().is_err() {
            continue;
        }
        let private = dir.join(PRIVATE);
        return Err(if dir == real {
            format!("{brick} is already a brick, or was one: {} is in it", private.display())
        } else {
            format!("{brick} is inside a brick: {} exists", private.display())
        });
    }
    Ok(())
}

fn check_empty(brick: &str, dir: &Path) -> Result<(), String> {
    for entry in fs::read_dir(dir).map_err(|e| format!("{brick}: {e}"))? {
        let name = entry.map_err(|e| format!("{brick}: {e}"))?.file_name();
        if name != LOST_AND_FOUND {
            return Err(format!(
                "{brick} is not empty ({} is in it): give an empty directory",
                name.display()
            ));
        }
    }
    Ok(())
}

/// A brick inside a mounted volume would wait for itself.
fn check_file_system(brick: &str, dir: &Path) -> Result<(), String> {
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap_or_default();
    match fs_type_of(&mounts, dir) {
        Some(kind) if kind.starts_with("fuse.rfs") || kind.starts_with("fuse.glusterfs") => Err(format!(
            "{brick} is inside a mounted volume ({kind}): give a directory of a local file system"
        )),
        _ => Ok(()),
    }
}

/// Type of the file system whose mount point is the longest prefix of `dir`; the last one mounted there counts.
fn fs_type_of(mountinfo: &str, dir: &Path) -> Option<String> {
    let mut best: Option<(usize, String)> = None;
    for line in mountinfo.lines() {
        let (Some((front, back)), Some(point)) = (line.split_once(" - "), line.split(' ').nth(4)) else {
            continue;
        };
        let point = PathBuf::from(unescape(point));
        let depth = point.components().count();
        if front.is_empty() || !dir.starts_with(&point) || best.as_ref().is_some_and(|(d, _)| *d > depth) {
            continue;
        }
        best = back.split(' ').next().map(|kind| (depth, kind.to_owned()));
    }
    best.map(|(_, kind)| kind)
}

/// mountinfo writes blanks, tabs, newlines and backslashes as three octal digits.
fn unescape(text: &str) -> String {
    text.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")
}

/// Makes the directories that [`check`] found missing.
///
/// # Errors
/// One line; what was made before the error is there.
pub fn make(brick: &str, missing: &[PathBuf]) -> Result<(), String> {
    for dir in missing {
        match fs::create_dir(dir) {
            Err(e) if e.kind() != ErrorKind::AlreadyExists => {
                return Err(format!("{brick}: cannot make {}: {e}", dir.display()));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Removes directories that were made for a brick that will not be, innermost first; one that has got other content stays.
pub fn unmake(made: &[PathBuf]) {
    for dir in made.iter().rev() {
        match fs::remove_dir(dir) {
            Ok(()) => {}
            Err(e) if e.kind() == ErrorKind::NotFound => {}
            Err(e) => {
                tracing::warn!("{} stays: {e}", dir.display());
                return;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_directories_are_made_and_unmade() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a/b/c");
        let missing = check("s:/x", &path, &[]).unwrap();
        assert_eq!(missing, [dir.path().join("a"), dir.path().join("a/b"), path.clone()]);
        make("s:/x", &missing).unwrap();
        assert!(path.is_dir());
        assert_eq!(check("s:/x", &path, &[]), Ok(vec![]));
        unmake(&missing);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
        unmake(&missing);
    }

    #[test]
    fn a_directory_that_somebody_uses_is_not_unmade() {
        let dir = tempfile::tempdir().unwrap();
        let made = [dir.path().join("a"), dir.path().join("a/b")];
        make("s:/x", &made).unwrap();
        fs::write(dir.path().join("a/theirs"), "x").unwrap();
        unmake(&made);
        assert!(dir.path().join("a/theirs").exists() && !made[1].exists());
    }

    #[test]
    fn each_unfit_directory_is_refused_for_its_reason() {
        let dir = tempfile::tempdir().unwrap();
        let root = fs::canonicalize(dir.path()).unwrap();
        for sub in ["full/x", "brick/.rfs", "brick/inner", "used/deep", "ok/lost+found"] {
            fs::create_dir_all(root.join(sub)).unwrap();
        }
        fs::write(root.join("file"), "").unwrap();
        std::os::unix::fs::symlink(root.join("used"), root.join("alias")).unwrap();
        let others = [(root.join("used"), "datavol".to_owned())];
        let table = [
            ("full", "is not empty (x is in it)"),
            ("file", "is not a directory"),
            ("file/below", "s:/x: Not a directory"),
            ("brick", "already a brick"),
            ("brick/inner", "is inside a brick"),
            ("brick/inner/new", "is inside a brick"),
            ("used", "already a brick of volume datavol"),
            ("alias", "already a brick of volume datavol"),
            ("used/deep", "a brick of volume datavol"),
            ("alias/new/er", "a brick of volume datavol"),
            ("", "contains"),
        ];
        for (sub, want) in table {
            let why = check("s:/x", &root.join(sub), &others).unwrap_err();
            assert!(why.contains(want) && why.starts_with("s:/x") && !why.contains('\n'), "{sub}: {why}");
        }
        assert_eq!(check("s:/x", &root.join("ok"), &others), Ok(vec![]));
    }

    #[test]
    fn the_innermost_mount_counts() {
        let mounts = "22 1 8:1 / / rw - ext4 /dev/a rw\n\
                      30 22 0:40 / /mnt/a\\040b rw shared:1 - fuse.rfs server1:/datavol rw\n\
                      31 22 0:41 / /mnt rw - tmpfs none rw\n";
        let kind = |dir: &str| fs_type_of(mounts, Path::new(dir)).unwrap();
        assert_eq!((kind("/data"), kind("/mnt/x")), ("ext4".into(), "tmpfs".into()));
        assert_eq!(kind("/mnt/a b/c"), "fuse.rfs");
    }
}
