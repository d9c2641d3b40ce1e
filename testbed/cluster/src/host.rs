//! One host of a cluster, and what can be done to it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::process::Signal;

use crate::disk::{self, Disk};
use crate::enter::{self, Door};
use crate::holder::{Holder, new_uuid};
use crate::ran::Ran;
use crate::spawned::Spawned;
use crate::wait::until;
use crate::{processes, switch};

/// How long a command may take before it counts as hung.
pub const COMMAND_LIMIT: Duration = Duration::from_secs(60);

/// A host. Its processes, mounts and network end with it.
#[derive(Debug)]
pub struct Host {
    name: String,
    address: String,
    folder: PathBuf,
    disk: Disk,
    /// Its daemon and mounts have a wall clock of their own.
    clock: bool,
    /// Ended before the namespaces are.
    daemon: Mutex<Option<Spawned>>,
    holder: Holder,
}

impl Host {
    pub(crate) fn new(
        name: &str,
        address: String,
        folder: PathBuf,
        disk: Disk,
        clock: bool,
        holder: Holder,
    ) -> Host {
        let daemon = Mutex::default();
        let host = Host { name: name.to_owned(), address, folder, disk, clock, daemon, holder };
        if clock {
            host.set_clock(0);
        }
        disk::make_image(&host, disk);
        host
    }

    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The host's folder on the machine: logs and the like.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    pub(crate) fn disk(&self) -> Disk {
        self.disk
    }

    pub(crate) fn has_clock(&self) -> bool {
        self.clock
    }

    /// The daemon that was started last, and not stopped.
    pub(crate) fn daemon(&self) -> MutexGuard<'_, Option<Spawned>> {
        self.daemon.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn init(&self) -> u32 {
        self.holder.init()
    }

    /// Where the machine, and so the test, reaches a path of this host, mounts included.
    #[must_use]
    pub fn path(&self, inside: impl AsRef<Path>) -> PathBuf {
        self.holder.path(inside.as_ref())
    }

    /// Runs a command to its end.
    #[track_caller]
    #[must_use]
    pub fn run(&self, argv: &[&str]) -> Ran {
        self.run_within(argv, COMMAND_LIMIT)
    }

    /// Runs a command; it is killed, with all that it started, when it takes longer.
    #[track_caller]
    #[must_use]
    pub fn run_within(&self, argv: &[&str], within: Duration) -> Ran {
        let ran = enter::run(self.init(), Door::Host, argv, None, within);
        ran.unwrap_or_else(|e| panic!("{}: {}: {e}", self.name, argv.join(" ")))
    }

    /// Runs a line of shell.
    #[track_caller]
    #[must_use]
    pub fn sh(&self, script: &str) -> Ran {
        self.run(&["sh", "-c", script])
    }

    /// Starts a command that goes on while the test does; its output goes to the host's log of that name.
    #[track_caller]
    pub fn spawn(&self, log: &str, argv: &[&str]) -> Spawned {
        self.spawn_with(log, argv, &[])
    }

    /// The same, with more in its environment.
    #[track_caller]
    pub fn spawn_with(&self, log: &str, argv: &[&str], env: &[(&str, &str)]) -> Spawned {
        let log = self.folder.join(format!("{log}.log"));
        let spawned = Spawned::start(self.init(), argv, env, &log);
        spawned.unwrap_or_else(|e| panic!("{}: {}: {e}", self.name, argv.join(" ")))
    }

    /// Pids, as the machine sees them, of the processes of that command name.
    #[must_use]
    pub fn pids(&self, command: &str) -> Vec<u32> {
        processes::in_namespace(self.init(), Some(command))
    }

    /// Pids, as the machine sees them, of all its processes other than the one that keeps it alive.
    #[must_use]
    pub fn all_pids(&self) -> Vec<u32> {
        processes::in_namespace(self.init(), None)
    }

    /// Signals all processes of that command name; panics when there is none. After KILL and TERM it waits until they are
    /// gone.
    #[track_caller]
    pub fn kill(&self, signal: Signal, command: &str) {
        let pids = self.pids(command);
        assert!(!pids.is_empty(), "no {command} runs on {}", self.name);
        for pid in pids {
            processes::signal(pid, signal);
        }
        if matches!(signal, Signal::KILL | Signal::TERM) {
            until(&format!("{command} on {} is gone", self.name), Duration::from_secs(30), || {
                self.pids(command).is_empty()
            });
        }
    }

    /// Gives the host another boot id and an empty `/run`, as a start after a loss of power does. Processes go on: see
    /// [`Host::power_cut`].
    pub fn reboot(&self) {
        fs::write(self.folder.join("boot-id"), new_uuid().expect("a random id")).expect("write the boot id");
        self.sh("rm -rf /run/* && mkdir -p /run/lock").ok();
    }

    /// The power goes: every process is killed at once, and the host is another boot. With [`Disk::Image`] all that had
    /// not reached the disk is lost; on the other disks the kernel's memory survives.
    pub fn power_cut(&self) {
        self.crash();
        if self.disk.is_image() {
            disk::lose_memory(self);
        }
        self.reboot();
    }

    /// The same, but everything that was written had reached the disk.
    pub fn power_cut_without_loss(&self) {
        self.crash();
        self.reboot();
    }

    /// Every process is killed at once.
    pub fn crash(&self) {
        for pid in processes::in_namespace(self.init(), None) {
            processes::signal(pid, Signal::KILL);
        }
        until(&format!("all processes of {} are gone", self.name), Duration::from_secs(30), || {
            processes::in_namespace(self.init(), None).is_empty()
        });
        self.daemon().take();
    }

    /// Loses every packet that this host sends to the other one, silently; the other way is untouched.
    pub fn lose_to(&self, other: &Host) {
        switch::lose(self.init(), other.address()).expect("lose packets");
    }

    /// Ends [`Host::lose_to`].
    pub fn find_again(&self, other: &Host) {
        switch::find(self.init(), other.address()).expect("stop losing packets");
    }

    /// What a file of this host holds, `None` where there is none or it is not text.
    #[must_use]
    pub fn read(&self, inside: &str) -> Option<String> {
        fs::read_to_string(self.path(inside)).ok()
    }

    /// What is mounted in the host, with a type that begins so: (source, mount point, type), in order.
    #[must_use]
    pub fn mounts(&self, kind: &str) -> Vec<(String, String, String)> {
        let mounts = fs::read_to_string(format!("/proc/{}/mounts", self.init())).unwrap_or_default();
        let words = mounts.lines().map(|line| line.split(' ').map(str::to_owned).collect::<Vec<_>>());
        let three = words.filter_map(|w| Some((w.first()?.clone(), w.get(1)?.clone(), w.get(2)?.clone())));
        three.filter(|(_, _, t)| t.starts_with(kind)).collect()
    }

    /// Bytes that the blocks of a file take, 0 where there is none.
    #[must_use]
    pub fn blocks(&self, inside: &str) -> u64 {
        fs::metadata(self.path(inside)).map_or(0, |m| m.blocks() * 512)
    }

    /// Takes FUSE mounts away, so that nothing can hang on them.
    pub(crate) fn let_go(&self) {
        for (_, at, _) in self.mounts("fuse.").into_iter().rev() {
            let _ = enter::run(self.init(), Door::Host, &["umount", "-l", &at], None, Duration::from_secs(5));
        }
    }

    /// The last lines of each log of this host.
    #[must_use]
    pub fn log_tails(&self, lines: usize) -> String {
        let own = fs::read_dir(&self.folder).into_iter().flatten().flatten();
        let rfs = fs::read_dir(self.folder.join("log")).into_iter().flatten().flatten();
        let logs = own
            .chain(rfs)
            .map(|e| e.path())
            .filter(|p| p.extension().is_some_and(|e| e == "log") && p.is_file());
        logs.map(|log| tail(&self.name, &log, lines)).collect()
    }
}

fn tail(host: &str, log: &Path, lines: usize) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let shown = folded(&text);
    let last: String =
        shown.iter().skip(shown.len().saturating_sub(lines)).map(|l| format!("  {l}\n")).collect();
    format!("{host}: {}\n{last}", log.display())
}

/// The lines of a log, of which those that differ from one of the last few in numbers only are left out.
fn folded(text: &str) -> Vec<&str> {
    const LOOK_BACK: usize = 6;
    let likeness = |line: &str| line.chars().filter(|c| !c.is_ascii_digit()).collect::<String>();
    let (mut kept, mut seen) = (Vec::new(), Vec::<String>::new());
    for line in text.lines() {
        let like = likeness(line);
        if !seen.iter().rev().take(LOOK_BACK).any(|s| *s == like) {
            kept.push(line);
            seen.push(like);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_log_repeats_is_shown_once() {
        assert_eq!(
            folded("1 up\n2 turned away\n3 turned away\n4 up\nother\n"),
            ["1 up", "2 turned away", "other"]
        );
    }
}
