//! The engine in this process: a volume with one brick, for trying rfs out with one command.

use std::path::{Path, PathBuf};

use rfs_engine::embedded::Embedded;

/// Where the brick is, below the directory for users' data.
const BRICK: &str = "rfs/default";
const STATE_DIR: &str = "/run/rfs";

/// A running engine. It lives as long as the mount.
pub struct Engine(Embedded);

/// Starts a volume whose brick is `brick`. It answers on its socket on return.
///
/// # Errors
/// One line.
pub fn start(brick: Option<&Path>, state_dir: Option<&Path>, log_level: &str) -> Result<Engine, String> {
    let brick =
        brick.map_or_else(default_brick, |brick| std::path::absolute(brick).map_err(|e| e.to_string()))?;
    let state_dir = state_dir.unwrap_or(Path::new(STATE_DIR));
    tracing::info!("no rfs-brickd here: starting a volume of one brick, {}", brick.display());
    rfs_engine::embedded::start(&brick, state_dir, log_level).map(Engine).map_err(|error| error.to_string())
}

fn default_brick() -> Result<PathBuf, String> {
    let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let share = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")));
    let share = share.filter(|share| share.is_absolute());
    share.map(|share| share.join(BRICK)).ok_or_else(|| "where is the brick to be? Use --brick DIR".into())
}

impl Engine {
    /// Where it listens.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.0.socket().to_path_buf()
    }

    /// Returns when everything is durable and the brick has left in good order.
    pub fn stop(self) {
        match self.0.stop() {
            Ok(outcome) if outcome.clean => tracing::info!("the brick has left in good order"),
            Ok(_) => tracing::warn!("the brick could not leave in good order"),
            Err(error) => tracing::error!("the engine ended: {error}"),
        }
    }
}
