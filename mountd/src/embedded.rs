//! The engine in this process: a volume with one brick, for trying rfs out with one command.

use std::io;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rfs_engine::daemon::DaemonError;
use rfs_engine::embedded::Embedded;
use rfs_engine::pool::FileError;

use crate::mount::{EMBEDDED_DIR, SOCKET};

/// Where the brick is, below the directory for users' data.
const BRICK: &str = "rfs/default";
/// Behind the brick's name: where the engine's own state is, unless told otherwise. It must live as long as the brick.
const STATE: &str = "state";

/// How long an engine that ends may keep the next one waiting.
const PREDECESSOR_PATIENCE: Duration = Duration::from_secs(7);
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// A running engine. It lives as long as the mount.
pub struct Engine {
    engine: Embedded,
    /// The well-known name of its socket.
    sign: Option<PathBuf>,
}

/// Starts a volume whose brick is `brick`. It answers on its socket on return.
///
/// # Errors
/// One line.
pub fn start(brick: Option<&Path>, state_dir: Option<&Path>, log_level: &str) -> Result<Engine, String> {
    let brick = match brick {
        Some(brick) => std::path::absolute(brick).map_err(|error| error.to_string())?,
        None => default_brick()?,
    };
    let own_state = brick.with_added_extension(STATE);
    tracing::info!("no rfs-brickd here: starting a volume of one brick, {}", brick.display());
    let engine = start_after_another(&brick, state_dir.unwrap_or(&own_state), log_level)?;
    let sign = match state_dir {
        Some(_) => None,
        None => Some(put_up_sign(engine.socket()).map_err(|error| format!("{EMBEDDED_DIR}: {error}"))?),
    };
    Ok(Engine { engine, sign })
}

/// A mount that has just been taken out still makes its data durable: that one is waited for.
fn start_after_another(brick: &Path, state_dir: &Path, log_level: &str) -> Result<Embedded, String> {
    let begun = Instant::now();
    loop {
        match rfs_engine::embedded::start(brick, state_dir, log_level) {
            Err(DaemonError::State(FileError::Locked(_))) if begun.elapsed() < PREDECESSOR_PATIENCE => {
                std::thread::sleep(LOOK_AGAIN);
            }
            started => return started.map_err(|error| error.to_string()),
        }
    }
}

/// Makes the socket known where the command line looks for it. Whatever had that name before does not answer.
fn put_up_sign(socket: &Path) -> io::Result<PathBuf> {
    let dir = Path::new(EMBEDDED_DIR);
    std::fs::create_dir_all(dir)?;
    let sign = dir.join(SOCKET);
    match std::fs::remove_file(&sign) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => symlink(socket, &sign)?,
    }
    Ok(sign)
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
        self.engine.socket().to_path_buf()
    }

    /// Nobody shall find the engine any more: it is about to end.
    pub fn hide(&mut self) {
        // It may be another engine's by now.
        let own = |sign: &PathBuf| std::fs::read_link(sign).is_ok_and(|to| to == self.engine.socket());
        if let Some(sign) = self.sign.take().filter(own) {
            // Left behind, it leads nowhere and is replaced.
            let _ = std::fs::remove_file(sign);
        }
    }

    /// Returns when everything is durable and the brick has left in good order.
    pub fn stop(mut self) {
        self.hide();
        match self.engine.stop() {
            Ok(outcome) if outcome.clean => tracing::info!("the brick has left in good order"),
            Ok(_) => tracing::warn!("the brick could not leave in good order"),
            Err(error) => tracing::error!("the engine ended: {error}"),
        }
    }
}
