//! What became of a command.

use std::fmt;
use std::time::Duration;

/// A finished (or given up) command and all that it said.
#[derive(Clone, Debug)]
pub struct Ran {
    pub command: String,
    /// The exit code, 128 + n after signal n; none: it was killed because it took too long.
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ran {
    /// Whether it ended in time, with exit code 0.
    #[must_use]
    pub fn success(&self) -> bool {
        self.code == Some(0)
    }

    /// Its standard output; panics unless it succeeded.
    #[track_caller]
    pub fn ok(self) -> String {
        assert!(self.success(), "failed: {self}");
        self.stdout
    }

    /// Succeeded, and its output holds `text`.
    #[track_caller]
    pub fn says(self, text: &str) -> String {
        assert!(self.success() && self.stdout.contains(text), "wanted '{text}': {self}");
        self.stdout
    }

    /// Ended with that exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> String {
        assert!(self.code == Some(code), "wanted exit {code}: {self}");
        self.stdout
    }

    /// Refused: exit 1, 2 or 32 (mount), at most two lines, and one of the words (any case) among them.
    #[track_caller]
    pub fn refused(self, words: &[&str]) -> String {
        assert!(matches!(self.code, Some(1 | 2 | 32)), "wanted a refusal: {self}");
        let said = format!("{}{}", self.stdout, self.stderr);
        let lines = said.lines().filter(|l| !l.trim().is_empty()).count();
        assert!((1..=2).contains(&lines), "wanted one clear line: {self}");
        let low = said.to_lowercase();
        assert!(words.iter().any(|w| low.contains(&w.to_lowercase())), "wanted one of {words:?}: {self}");
        said
    }
}

impl fmt::Display for Ran {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "`{}`: exit {code} after {:?}", self.command, self.took)?,
            None => write!(f, "`{}`: killed after {:?}", self.command, self.took)?,
        }
        for (name, text) in [("stdout", &self.stdout), ("stderr", &self.stderr)] {
            for line in text.lines().take(40) {
                write!(f, "\n  {name} | {line}")?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ran(code: Option<i32>, stderr: &str) -> Ran {
        let (command, stdout, took) = ("x".into(), String::new(), Duration::ZERO);
        Ran { command, code, stdout, stderr: stderr.into(), took }
    }

    #[test]
    fn a_refusal_is_one_clear_line() {
        ran(Some(1), "no such HOST\n").refused(&["host"]);
        for bad in [ran(Some(0), "host"), ran(Some(101), "host"), ran(None, "host"), ran(Some(1), "")] {
            assert!(std::panic::catch_unwind(|| bad.refused(&["host"])).is_err());
        }
        assert!(std::panic::catch_unwind(|| ran(Some(1), "host\na\nb\n").refused(&["host"])).is_err());
    }
}
