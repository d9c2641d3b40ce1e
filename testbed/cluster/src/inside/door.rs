//! Stepping into a host's namespaces.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, Stdio};

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, set_parent_process_death_signal};
use rustix::thread::{ThreadNameSpaceType as Ns, move_into_thread_name_spaces};

/// Runs a command in the namespaces of process `pid`; returns its exit code, 128 + n after signal n.
pub fn enter(door: &str, pid: &str, command: &[&str]) -> io::Result<i32> {
    let (program, args) = command.split_first().ok_or_else(|| io::Error::other("no command"))?;
    let pid = pid.parse().ok().and_then(Pid::from_raw).ok_or_else(|| io::Error::other("not a pid"))?;
    let door = match door {
        "host" => Ns::MOUNT | Ns::HOST_NAME_AND_NIS_DOMAIN_NAME | Ns::NETWORK | Ns::PROCESS_ID,
        "network" => Ns::NETWORK,
        other => return Err(io::Error::other(format!("no such door: {other}"))),
    };
    move_into_thread_name_spaces(pidfd_open(pid, PidfdFlags::empty())?.as_fd(), door)?;
    if door.contains(Ns::MOUNT) {
        std::env::set_current_dir("/")?;
    }
    let mut child = Command::new(program);
    child.args(args).stdin(Stdio::inherit());
    // SAFETY: prctl only, which is async-signal-safe.
    unsafe {
        child.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
    // A PID namespace is entered by children only.
    let status = child.status().map_err(|e| io::Error::new(e.kind(), format!("{program}: {e}")))?;
    Ok(status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0)))
}
