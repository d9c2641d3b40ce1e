//! A process that runs in a host while the test goes on.

use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::Duration;
use std::{fs, io};

use crate::{enter, processes, wait};

/// Killed on drop, if it still runs in the foreground.
#[derive(Debug)]
pub struct Spawned {
    child: Child,
    log: PathBuf,
    command: String,
    /// Where its output begins in the log, which others may have filled before.
    from: usize,
}

impl Spawned {
    pub(crate) fn start(init: u32, argv: &[&str], env: &[(&str, &str)], log: &Path) -> io::Result<Spawned> {
        let from = fs::metadata(log).map_or(0, |m| usize::try_from(m.len()).unwrap_or(0));
        let child = enter::spawn(init, argv, env, log)?;
        Ok(Spawned { child, log: log.to_owned(), command: argv.join(" "), from })
    }

    /// All that it said, standard output and error together.
    #[must_use]
    pub fn output(&self) -> String {
        let all = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(all.get(self.from..).unwrap_or_default()).into_owned()
    }

    /// Its exit code, if it has ended.
    pub fn ended(&mut self) -> Option<i32> {
        self.child.try_wait().expect("wait for a child").map(enter::code)
    }

    /// Waits for its end; panics, with the end of its log, when it goes on for longer.
    #[track_caller]
    pub fn wait(&mut self, within: Duration) -> i32 {
        let code = wait::poll(within, || self.ended());
        code.unwrap_or_else(|| panic!("`{}` still runs after {within:?}\n{}", self.command, self.output()))
    }
}

impl Drop for Spawned {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            processes::kill_tree(self.child.id());
            let _ = self.child.wait();
        }
    }
}
