//! The log: `/var/log/rfs/<mount-point-with-dashes>.log`.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing_subscriber::EnvFilter;

const LOG_DIR: &str = "/var/log/rfs";

/// Where a mount at `point` logs unless told otherwise.
#[must_use]
pub fn default_path(point: &Path) -> PathBuf {
    let dashed = point.to_string_lossy().trim_matches('/').replace('/', "-");
    let name = if dashed.is_empty() { "root".to_owned() } else { dashed };
    Path::new(LOG_DIR).join(format!("{name}.log"))
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir)?;
    }
    OpenOptions::new().create(true).append(true).open(path)
}

/// Logs from here on go to `path`; to standard error where that cannot be written, since a mount without a log is better
/// than none.
pub fn start(path: &Path, level: &str) {
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(level)).with_target(false);
    match open(path) {
        Ok(file) => subscriber.with_ansi(false).with_writer(Mutex::new(file)).init(),
        Err(error) => {
            subscriber.with_writer(io::stderr).init();
            tracing::warn!("{}: {error}: logging to standard error", path.display());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_is_named_after_its_mount_point() {
        for (point, log) in [("/mnt/rfs/data", "mnt-rfs-data.log"), ("/mnt/", "mnt.log"), ("/", "root.log")] {
            assert_eq!(default_path(Path::new(point)), Path::new(LOG_DIR).join(log));
        }
    }
}
