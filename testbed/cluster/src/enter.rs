//! Commands inside a host: through the small program of this crate, which steps into the namespaces and starts them.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use crate::{binaries, processes, ran::Ran, wait};

/// Which namespaces to step into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// All: the command is a process of the host.
    Host,
    /// The network only: the machine's own files and programs (for `ip`).
    Network,
}

impl Door {
    /// The word on the command line.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Door::Host => "host",
            Door::Network => "network",
        }
    }
}

fn command(init: u32, door: Door, argv: &[&str]) -> Command {
    let mut command = Command::new(binaries::testload());
    command.arg("enter").arg(door.word()).arg(init.to_string()).args(argv);
    command.env_clear().env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    command.env("HOME", "/root").env("LC_ALL", "C.UTF-8").env("RUST_BACKTRACE", "0");
    command
}

/// Runs a command to its end, or kills it after `within`. Its output goes through files: a process that it leaves in the
/// background may keep them open without keeping us waiting.
pub fn run(init: u32, door: Door, argv: &[&str], input: Option<&[u8]>, within: Duration) -> io::Result<Ran> {
    let start = Instant::now();
    let (mut out, mut err) = (scratch()?, scratch()?);
    let stdin = match input {
        Some(bytes) => Stdio::from(filled(bytes)?),
        None => Stdio::null(),
    };
    let mut command = command(init, door, argv);
    let mut child = command.stdin(stdin).stdout(out.try_clone()?).stderr(err.try_clone()?).spawn()?;
    let status = wait_for(&mut child, within)?;
    Ok(Ran {
        command: argv.join(" "),
        code: status.map(code),
        stdout: text(&mut out)?,
        stderr: text(&mut err)?,
        took: start.elapsed(),
    })
}

/// Starts a command that goes on; its output is appended to the log.
pub fn spawn(init: u32, argv: &[&str], env: &[(&str, &str)], log: &Path) -> io::Result<Child> {
    let log = OpenOptions::new().create(true).append(true).open(log)?;
    let mut command = command(init, Door::Host, argv);
    command.envs(env.iter().copied());
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()
}

/// The exit code as a shell shows it.
pub fn code(status: ExitStatus) -> i32 {
    use std::os::unix::process::ExitStatusExt;
    status.code().unwrap_or_else(|| 128 + status.signal().unwrap_or(0))
}

fn wait_for(child: &mut Child, within: Duration) -> io::Result<Option<ExitStatus>> {
    let status = wait::poll(within, || child.try_wait().transpose());
    if status.is_none() {
        processes::kill_tree(child.id());
        child.wait()?;
    }
    status.transpose()
}

fn scratch() -> io::Result<File> {
    use rustix::fs::{MemfdFlags, memfd_create};
    Ok(File::from(memfd_create("output", MemfdFlags::CLOEXEC)?))
}

fn filled(bytes: &[u8]) -> io::Result<File> {
    use std::io::Write;
    let mut file = scratch()?;
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file)
}

fn text(file: &mut File) -> io::Result<String> {
    let mut bytes = Vec::new();
    file.rewind()?;
    file.read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}
