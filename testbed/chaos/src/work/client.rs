//! What all clients have in common: the mount that they stand on, the history, pace and end.

use std::fs::File;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use rustix::fs::{Mode, OFlags, fstatfs, open, openat};
use rustix::io::Errno;

use super::{FOLDER, Task};
use crate::clock::{Micros, now};
use crate::event::{Event, Op};

/// The magic number of a FUSE file system.
const FUSE: i64 = 0x6573_5546;

/// Between two tries to find the mount.
const RETRY: Duration = Duration::from_millis(30);

/// After an error, so that a broken mount is not hammered.
const CALM: Duration = Duration::from_millis(100);

/// One client.
pub struct Client {
    pub name: String,
    pub peers: Vec<String>,
    pub random: fastrand::Rng,
    /// It waits for locks now and then.
    pub patient: bool,
    mount: PathBuf,
    stop: PathBuf,
    history: File,
    /// The folder on the mount that stands now; operations are relative to it, so that none strays to another mount, or
    /// to what lies below the mount point while nothing is mounted.
    ground: Option<OwnedFd>,
}

impl Client {
    /// Opens the history.
    ///
    /// # Errors
    /// That fails.
    pub fn begin(task: &Task) -> Result<Client> {
        let history = File::create(&task.history).with_context(|| task.history.display().to_string())?;
        Ok(Client {
            name: task.name.clone(),
            peers: task.peers.clone(),
            random: fastrand::Rng::with_seed(task.seed),
            patient: task.patient,
            mount: task.mount.clone(),
            stop: task.stop.clone(),
            history,
            ground: None,
        })
    }

    /// Waits a moment, and for the mount to stand. False: it is time to end.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn goes_on(&mut self) -> Result<bool> {
        sleep(Duration::from_micros(self.random.u64(2_000..14_000)));
        let begun = now();
        while !self.stop.exists() {
            if self.ground.is_some() {
                return Ok(true);
            }
            match self.find() {
                Ok(ground) => {
                    self.ground = Some(ground);
                    self.record(begun, Op::Attach, Ok(()))?;
                }
                Err(_) => sleep(RETRY),
            }
        }
        Ok(false)
    }

    fn find(&self) -> Result<OwnedFd, Errno> {
        let flags = OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = open(&self.mount, flags | OFlags::PATH, Mode::empty())?;
        if fstatfs(&root)?.f_type != FUSE {
            return Err(Errno::NODEV);
        }
        openat(&root, FOLDER, flags | OFlags::RDONLY, Mode::empty())
    }

    /// Runs an operation on the folder and records it. An error other than one of `expected` makes the client look for
    /// its mount anew.
    ///
    /// # Errors
    /// The history cannot be written; the inner result is the operation's.
    pub fn run<T>(
        &mut self,
        op: Op,
        expected: &[Errno],
        act: impl FnOnce(&OwnedFd) -> Result<T, Errno>,
    ) -> Result<Result<T, Errno>> {
        let begun = now();
        let Some(ground) = &self.ground else { return Ok(Err(Errno::NOTCONN)) };
        let result = act(ground);
        self.record(begun, op, result.as_ref().map(drop).map_err(|e| *e))?;
        if let Err(error) = &result
            && !expected.contains(error)
        {
            self.ground = None;
            sleep(CALM);
        }
        Ok(result)
    }

    /// Ends the use of a handle, which may be one of a mount that is gone; recorded in any case.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn finish(&mut self, op: Op, act: impl FnOnce() -> Result<(), Errno>) -> Result<()> {
        let begun = now();
        let result = act();
        self.record(begun, op, result)?;
        if result.is_err() {
            self.ground = None;
            sleep(CALM);
        }
        Ok(())
    }

    /// Runs an operation that yields what is to be recorded.
    ///
    /// # Errors
    /// The history cannot be written.
    pub fn observe(
        &mut self,
        failed: Op,
        act: impl FnOnce(&OwnedFd) -> Result<Op, Errno>,
    ) -> Result<Result<Op, Errno>> {
        let begun = now();
        let Some(ground) = &self.ground else { return Ok(Err(Errno::NOTCONN)) };
        let result = act(ground);
        match &result {
            Ok(op) => self.record(begun, op.clone(), Ok(()))?,
            Err(error) => {
                self.record(begun, failed, Err(*error))?;
                self.ground = None;
                sleep(CALM);
            }
        }
        Ok(result)
    }

    fn record(&mut self, begun: Micros, op: Op, result: Result<(), Errno>) -> Result<()> {
        let errno = result.err().map(Errno::raw_os_error);
        let mut line = serde_json::to_vec(&Event { begun, ended: now(), op, errno })?;
        line.push(b'\n');
        self.history.write_all(&line).context("history")
    }

    /// True once in `n` times.
    pub fn one_in(&mut self, n: u64) -> bool {
        self.random.u64(..n) == 0
    }

    /// One of its kind, perhaps itself.
    pub fn some_peer(&mut self) -> String {
        let at = self.random.usize(..self.peers.len().max(1));
        self.peers.get(at).unwrap_or(&self.name).clone()
    }
}
