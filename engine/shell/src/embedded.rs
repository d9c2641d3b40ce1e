//! The engine inside another process: a daemon without a TCP port, with one volume of one brick of its own.

use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use crate::daemon::{DaemonError, DaemonOptions, Outcome, OwnVolume, executor, options};

/// Name of the volume that an embedded engine makes.
pub const VOLUME: &str = "default";

/// An engine that runs on its own thread.
pub struct Embedded {
    stop: Option<UnixStream>,
    thread: Option<JoinHandle<Result<Outcome, DaemonError>>>,
    socket: PathBuf,
}

/// Starts an engine with its brick in `brick`, its identity and its socket in `state_dir`; both are made if missing.
/// Returns when it answers on its socket.
///
/// # Errors
/// [`DaemonError`]: another process holds the state directory, the brick's directory is not empty, and the like.
pub fn start(brick: &Path, state_dir: &Path, log_level: &str) -> Result<Embedded, DaemonError> {
    let (stop, stopped) = UnixStream::pair().map_err(|e| DaemonError::Other(e.to_string()))?;
    let (ready, is_ready) = std::sync::mpsc::channel();
    let options = DaemonOptions {
        state_dir: state_dir.to_owned(),
        listen: None,
        name: options::host_name(),
        log_level: log_level.to_owned(),
        pin: None,
    };
    let own = OwnVolume { name: VOLUME.to_owned(), brick: brick.to_owned() };
    let thread = std::thread::Builder::new()
        .name("rfs-engine".into())
        .spawn(move || run(options, stopped.into(), own, move || ready.send(()).unwrap_or_default()))
        .map_err(|e| DaemonError::Other(e.to_string()))?;
    let socket = state_dir.join(options::SOCKET);
    let mut engine = Embedded { stop: Some(stop), thread: Some(thread), socket };
    match is_ready.recv() {
        Ok(()) => Ok(engine),
        Err(_) => Err(engine.join().err().unwrap_or_else(|| DaemonError::Other("the engine ended".into()))),
    }
}

fn run(
    options: DaemonOptions,
    stop: OwnedFd,
    own: OwnVolume,
    ready: impl FnOnce() + Send + 'static,
) -> Result<Outcome, DaemonError> {
    let started = async move || crate::daemon::serve(options, stop, ready, Some(own)).await;
    executor::run(None, started)?
}

impl Embedded {
    /// The Unix socket on which it answers.
    #[must_use]
    pub fn socket(&self) -> &Path {
        &self.socket
    }

    /// Lets the brick leave in good order: all synced, marked clean.
    ///
    /// # Errors
    /// [`DaemonError`] when the engine ended in disorder; what was fsynced is there all the same.
    pub fn stop(mut self) -> Result<Outcome, DaemonError> {
        self.join()
    }

    fn join(&mut self) -> Result<Outcome, DaemonError> {
        drop(self.stop.take());
        match self.thread.take().map(JoinHandle::join) {
            Some(Ok(outcome)) => outcome,
            Some(Err(_)) => Err(DaemonError::Other("the engine panicked".into())),
            None => Ok(Outcome { clean: true }),
        }
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // Errors have nowhere to go from here; `stop` is for those who care.
        let _ = self.join();
    }
}
