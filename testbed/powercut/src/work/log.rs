//! When each operation of a worker began, and when it had returned.

use std::fmt::Write as _;
use std::io;
use std::path::Path;

use crate::clock::now_ns;

/// One operation that returned without an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Done {
    pub begun_ns: u64,
    pub ended_ns: u64,
}

/// What a worker did: operation by operation, in the order of its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Log {
    pub done: Vec<Done>,
}

impl Log {
    /// Carries an operation out and notes it.
    pub fn time(&mut self, op: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        let begun_ns = now_ns();
        op()?;
        self.done.push(Done { begun_ns, ended_ns: now_ns() });
        Ok(())
    }

    pub fn save(&self, path: &Path) -> io::Result<()> {
        let text = self.done.iter().fold(String::new(), |mut text, d| {
            let _ = writeln!(text, "{} {}", d.begun_ns, d.ended_ns);
            text
        });
        std::fs::write(path, text)
    }

    pub fn load(path: &Path) -> io::Result<Log> {
        let text = std::fs::read_to_string(path)?;
        let line = |line: &str| {
            let (begun, ended) = line.split_once(' ')?;
            Some(Done { begun_ns: begun.parse().ok()?, ended_ns: ended.parse().ok()? })
        };
        let done = text.lines().map(line).collect::<Option<Vec<Done>>>();
        Ok(Log { done: done.ok_or_else(|| io::Error::other(format!("{}: not a log", path.display())))? })
    }
}
