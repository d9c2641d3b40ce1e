//! The recipes of the operators' manual, carried out as they stand there: commands and what they print cannot drift from
//! what is written.
//!
//! A recipe is the text under a heading of docs/operations.md. In its fenced blocks a line `HOST# COMMAND` is a command and
//! the lines up to the next one are what it prints, where `...` stands for anything within a line.

use std::collections::VecDeque;
use std::time::Duration;

use crate::cluster::Cluster;

const MANUAL: &str = include_str!("../../../docs/operations.md");

/// How long one command may take.
const LIMIT: Duration = Duration::from_secs(90);

/// What is left to do of a recipe.
#[derive(Debug)]
pub struct Recipe {
    title: String,
    steps: VecDeque<Step>,
}

#[derive(Debug)]
struct Step {
    host: String,
    command: String,
    prints: Vec<String>,
}

impl Recipe {
    /// The recipe under that heading; panics when there is none.
    #[track_caller]
    #[must_use]
    pub fn of(title: &str) -> Recipe {
        let mut lines = MANUAL.lines().skip_while(|line| line.trim_start_matches('#').trim() != title);
        assert!(lines.next().is_some(), "docs/operations.md has no '{title}'");
        let (mut steps, mut code) = (VecDeque::<Step>::new(), false);
        for line in lines.take_while(|line| !line.starts_with("##")) {
            if line.starts_with("```") {
                code = !code;
            } else if let Some((host, command)) = line.split_once("# ").filter(|(h, _)| code && is_host(h)) {
                let (host, command) = (host.to_owned(), command.trim().to_owned());
                steps.push_back(Step { host, command, prints: Vec::new() });
            } else if let Some(step) = steps.back_mut().filter(|_| code) {
                step.prints.push(line.to_owned());
            }
        }
        assert!(!steps.is_empty(), "'{title}' has no commands");
        Recipe { title: title.to_owned(), steps }
    }

    /// Carries out the next command, which must begin so, and compares what it prints. Returns that.
    #[track_caller]
    pub fn step(&mut self, cluster: &Cluster, begins: &str) -> String {
        let step =
            self.steps.pop_front().unwrap_or_else(|| panic!("'{}' is over before '{begins}'", self.title));
        let Step { host, command, prints } = &step;
        assert!(command.starts_with(begins), "'{}': wanted '{begins}', the next is '{command}'", self.title);
        let ran = cluster[host.as_str()].run_within(&["sh", "-c", command], LIMIT);
        let said = format!("{}{}", ran.stdout, ran.stderr);
        let lines: Vec<&str> = said.lines().collect();
        let same =
            lines.len() == prints.len() && lines.iter().zip(prints).all(|(line, want)| fits(line, want));
        assert!(
            same,
            "'{}': on {host}, '{command}' printed\n{said}and the manual says\n{}",
            self.title,
            prints.join("\n")
        );
        said
    }

    /// Nothing is left.
    #[track_caller]
    pub fn done(self) {
        assert!(self.steps.is_empty(), "'{}': not carried out: {:#?}", self.title, self.steps);
    }
}

fn is_host(word: &str) -> bool {
    !word.is_empty() && word.chars().all(|c| c.is_ascii_alphanumeric())
}

/// Whether a line is what was said of it: blanks in any number, `...` for anything.
fn fits(line: &str, want: &str) -> bool {
    let tidy = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
    let (line, want) = (tidy(line), tidy(want));
    let mut parts = want.split("...");
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = line.strip_prefix(first) else { return false };
    let parts: Vec<&str> = parts.collect();
    let Some((last, middle)) = parts.split_last() else { return rest.is_empty() };
    for part in middle {
        let Some(at) = rest.find(part) else { return false };
        rest = &rest[at + part.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_fit_as_the_manual_means_them() {
        let table = [
            ("a  b", "a b", true),
            ("a b", "a", false),
            ("took 17 ms", "took ... ms", true),
            ("took 17 s", "took ... ms", false),
            ("x 1 y 2", "x ... y ...", true),
            ("", "", true),
        ];
        for (line, want, good) in table {
            assert_eq!(fits(line, want), good, "{line} / {want}");
        }
    }
}
