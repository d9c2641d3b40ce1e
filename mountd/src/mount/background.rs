//! Going to the background: a fork before the first thread, and a pipe on which the child says how it went.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::ExitCode;

/// What users of GlusterFS know, and scripts look for.
pub const MOUNT_FAILED: &str = "Mount failed. Please check the log file for more details.";

/// Where the outcome of the mount goes.
#[derive(Debug)]
pub enum Herald {
    /// Somebody waits at the other end.
    Parent(File),
    /// In front: the person is here.
    Foreground,
}

/// Which side of the fork this is.
pub enum Side {
    Child(Herald),
    /// The child has said how it went.
    Parent(ExitCode),
}

/// Forks. The child leaves the terminal's session.
///
/// # Errors
/// Those of pipe(2) and fork(2).
pub fn split() -> std::io::Result<Side> {
    let (reader, writer) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: this process has one thread, so the child is a whole copy of it.
    match unsafe { libc::fork() } {
        -1 => Err(std::io::Error::last_os_error()),
        0 => {
            drop(reader);
            rustix::process::setsid()?;
            Ok(Side::Child(Herald::Parent(writer.into())))
        }
        _ => {
            drop(writer);
            Ok(Side::Parent(hear(reader)))
        }
    }
}

/// The child's last words: `+` or `-`, then what the person is to read.
fn hear(reader: OwnedFd) -> ExitCode {
    let mut words = Vec::new();
    let _ = File::from(reader).read_to_end(&mut words);
    let text = |words: &[u8]| String::from_utf8_lossy(words).into_owned();
    match words.split_first() {
        Some((b'+', words)) => {
            print!("{}", text(words));
            ExitCode::SUCCESS
        }
        Some((_, words)) => {
            eprint!("{}", text(words));
            ExitCode::FAILURE
        }
        None => {
            eprintln!("{MOUNT_FAILED}");
            ExitCode::FAILURE
        }
    }
}

impl Herald {
    /// The mount answers, or stands already: `note` says so. In the background, the terminal is let go.
    pub fn ready(self, note: &str) {
        let line = if note.is_empty() { String::new() } else { format!("{note}\n") };
        match self {
            Self::Foreground => print!("{line}"),
            Self::Parent(mut parent) => {
                let _ = write!(parent, "+{line}");
                let_go();
            }
        }
    }

    /// The mount does not stand.
    #[must_use]
    pub fn failed(self, why: &str) -> ExitCode {
        let lines = format!("{why}\n{MOUNT_FAILED}\n");
        match self {
            Self::Foreground => eprint!("{lines}"),
            Self::Parent(mut parent) => drop(write!(parent, "-{lines}")),
        }
        ExitCode::FAILURE
    }

    /// The mount was refused before anything was tried, so no log has more to say.
    #[must_use]
    pub fn refused(self, why: &str) -> ExitCode {
        match self {
            Self::Foreground => eprintln!("{why}"),
            Self::Parent(mut parent) => drop(writeln!(parent, "-{why}")),
        }
        ExitCode::FAILURE
    }
}

/// Standard input, output and error become /dev/null, so that whoever started us is not kept waiting.
fn let_go() {
    let Ok(null) = File::options().read(true).write(true).open("/dev/null") else { return };
    let _ = rustix::stdio::dup2_stdin(&null);
    let _ = rustix::stdio::dup2_stdout(&null);
    let _ = rustix::stdio::dup2_stderr(&null);
}
