//! Command line and configuration file of `rfs-brickd`. The command line wins.

use std::path::{Path, PathBuf};

use clap::Parser;
use serde::Deserialize;

/// The port that daemons listen on and mounts connect to.
pub const PORT: u16 = 24007;
/// Name of the Unix socket in the state directory.
pub const SOCKET: &str = "rfs.sock";

/// The rfs server: all bricks of this node, their peers, and heal.
#[derive(Clone, Debug, Default, Parser)]
#[command(name = "rfs-brickd", version, about, long_about = None)]
pub struct Args {
    /// Directory for the node's identity, pool and socket [default: /var/lib/rfs]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Address to listen on [default: 0.0.0.0:24007]
    #[arg(long, value_name = "ADDR:PORT")]
    pub listen: Option<String>,
    /// Name of this node in the pool [default: the host name]
    #[arg(long, value_name = "HOSTNAME")]
    pub name: Option<String>,
    /// Configuration file [default: /etc/rfs/brickd.toml, if it exists]
    #[arg(long, value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// error, warn, info, debug or trace [default: info]
    #[arg(long, value_name = "LEVEL")]
    pub log_level: Option<String>,
    /// Pin the executor to this CPU
    #[arg(long, value_name = "CPU")]
    pub pin: Option<usize>,
}

/// The configuration file: the same names as on the command line.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    state_dir: Option<PathBuf>,
    listen: Option<String>,
    name: Option<String>,
    log_level: Option<String>,
    pin: Option<usize>,
}

/// What a daemon runs with.
#[derive(Clone, Debug)]
pub struct DaemonOptions {
    pub state_dir: PathBuf,
    /// `None`: no TCP port (embedded).
    pub listen: Option<String>,
    pub name: String,
    pub log_level: String,
    pub pin: Option<usize>,
}

#[derive(Debug, thiserror::Error)]
pub enum OptionsError {
    #[error("cannot read {}: {why}", path.display())]
    Read { path: PathBuf, why: std::io::Error },
    #[error("{}: {why}", path.display())]
    Parse { path: PathBuf, why: String },
    #[error("'{0}' is no log level: use error, warn, info, debug or trace")]
    LogLevel(String),
    #[error("'{0}' is no address to listen on: use ADDR:PORT, such as 0.0.0.0:24007")]
    Listen(String),
}

impl DaemonOptions {
    /// Joins command line, file and defaults.
    ///
    /// # Errors
    /// [`OptionsError`], one line each.
    pub fn resolve(args: &Args) -> Result<Self, OptionsError> {
        let file = read_file(args.config.as_deref())?;
        let listen = args.listen.clone().or(file.listen).unwrap_or_else(|| format!("0.0.0.0:{PORT}"));
        if listen.parse::<std::net::SocketAddr>().is_err() {
            return Err(OptionsError::Listen(listen));
        }
        let log_level = args.log_level.clone().or(file.log_level).unwrap_or_else(|| "info".into());
        if !["error", "warn", "info", "debug", "trace"].contains(&log_level.as_str()) {
            return Err(OptionsError::LogLevel(log_level));
        }
        Ok(Self {
            state_dir: args.state_dir.clone().or(file.state_dir).unwrap_or_else(|| "/var/lib/rfs".into()),
            listen: Some(listen),
            name: args.name.clone().or(file.name).unwrap_or_else(host_name),
            log_level,
            pin: args.pin.or(file.pin),
        })
    }
}

fn read_file(given: Option<&Path>) -> Result<File, OptionsError> {
    let path = given.unwrap_or(Path::new("/etc/rfs/brickd.toml"));
    let text = match std::fs::read_to_string(path) {
        Ok(text) => text,
        Err(e) if given.is_none() && e.kind() == std::io::ErrorKind::NotFound => return Ok(File::default()),
        Err(why) => return Err(OptionsError::Read { path: path.into(), why }),
    };
    toml::from_str(&text).map_err(|e| OptionsError::Parse { path: path.into(), why: e.message().to_owned() })
}

/// The machine's host name.
#[must_use]
pub fn host_name() -> String {
    rustix::system::uname().nodename().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_file() {
        let dir = tempfile::tempdir().unwrap();
        let config = dir.path().join("brickd.toml");
        std::fs::write(&config, "name = 'a'\nlisten = '127.0.0.1:1'\n").unwrap();
        let args = Args { config: Some(config.clone()), name: Some("b".into()), ..Args::default() };
        let options = DaemonOptions::resolve(&args).unwrap();
        assert_eq!((options.name.as_str(), options.listen.as_deref()), ("b", Some("127.0.0.1:1")));
        std::fs::write(&config, "nmae = 'a'\n").unwrap();
        let wrong = DaemonOptions::resolve(&args).unwrap_err().to_string();
        assert!(wrong.contains("nmae"), "{wrong}");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let listen = Args { listen: Some("here".into()), ..Args::default() };
        assert!(matches!(DaemonOptions::resolve(&listen), Err(OptionsError::Listen(_))));
        let level = Args { log_level: Some("loud".into()), ..Args::default() };
        assert!(matches!(DaemonOptions::resolve(&level), Err(OptionsError::LogLevel(_))));
    }
}
