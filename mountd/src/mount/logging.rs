//! The log: `/var/log/rfs/<mount-point-with-dashes>.log`.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

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

/// The log of this process, once it has one.
static LOG: OnceLock<Log> = OnceLock::new();

struct Log {
    path: PathBuf,
    file: Mutex<File>,
}

impl Log {
    fn file(&self) -> MutexGuard<'_, File> {
        self.file.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Writes to whatever file the log is at the moment.
struct Writer(&'static Log);

impl io::Write for Writer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.file().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.file().flush()
    }
}

/// Logs from here on go to `path`; to standard error where that cannot be written, since a mount without a log is better
/// than none. Called once.
pub fn start(path: &Path, level: &str) {
    let subscriber = tracing_subscriber::fmt().with_env_filter(EnvFilter::new(level)).with_target(false);
    match open(path) {
        Ok(file) => {
            let log = LOG.get_or_init(|| Log { path: path.to_owned(), file: Mutex::new(file) });
            subscriber.with_ansi(false).with_writer(move || Writer(log)).init();
        }
        Err(error) => {
            subscriber.with_writer(io::stderr).init();
            tracing::warn!("{}: {error}: logging to standard error", path.display());
        }
    }
}

/// Opens the log anew: it has been moved away. Where that fails, the old file goes on.
pub fn reopen() {
    let Some(log) = LOG.get() else { return };
    match open(&log.path) {
        Ok(file) => *log.file() = file,
        Err(error) => tracing::warn!("{}: {error}: the log goes on in the old file", log.path.display()),
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
