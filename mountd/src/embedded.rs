//! The engine in this process, for trying rfs out with one command.

use std::path::{Path, PathBuf};

/// A running engine. It lives as long as the mount.
pub struct Engine {
    state_dir: PathBuf,
}

impl Engine {
    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.state_dir.join("rfs.sock")
    }

    /// Returns when everything is durable.
    pub fn stop(self) {}
}

/// Starts a volume with one brick.
///
/// # Errors
/// One line.
pub fn start(_brick: Option<&Path>, _state_dir: Option<&Path>) -> Result<Engine, String> {
    Err("no rfs-brickd runs on this machine: start it, or mount a volume with rfs-mountd SERVER:/VOLUME DIR"
        .into())
}
