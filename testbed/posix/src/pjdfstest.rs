//! The suite pjdfstest on a directory: what became of each case.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Serialize;

use crate::bench::{Bench, OTHER};

const LIMIT: Duration = Duration::from_secs(600);

/// The users are on every Debian, and each has a group of its own. All that ext4 has is switched on.
const CONFIG: &str = r#"
[features]
posix_fallocate = {}
utime_now = {}
utimensat = {}
rename_ctime = {}
stat_st_birthtime = {}
[settings]
naptime = 0.01
allow_remount = REMOUNT
[dummy_auth]
entries = [["nobody", "nogroup"], ["daemon", "daemon"]]
"#;
/// Cases on a file system that is mounted again, read-only. The suite leaves files open in others, and then it cannot be.
const READ_ONLY: &str = "erofs";

/// What became of a case, with the reason that the suite gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    Passed,
    Skipped(String),
    Failed(String),
}

impl Verdict {
    /// One word.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped(_) => "skipped",
            Self::Failed(_) => "failed",
        }
    }
}

/// By the name of the case.
pub type Verdicts = BTreeMap<String, Verdict>;

/// Runs all cases in a directory of the client; `place` is on a file system that nobody else uses meanwhile.
///
/// # Errors
/// The suite is missing, or did not come to its end.
pub fn run(bench: &Bench, place: &str) -> Result<Verdicts> {
    let program = bench.install("pjdfstest")?;
    let name = place.replace('/', "-");
    let mut all = Verdicts::new();
    for remount in [false, true] {
        let config = bench.folder().join(format!("pjdfstest{name}-{remount}.toml"));
        fs::write(&config, CONFIG.replace("REMOUNT", if remount { "true" } else { "false" }))?;
        let (program, config) = (program.display().to_string(), config.display().to_string());
        let mut argv = vec!["env", "-u", "RUST_BACKTRACE", "NO_COLOR=1"];
        argv.extend([&program, "-c", &config, "-p", place, "-s", OTHER]);
        argv.extend(remount.then_some(READ_ONLY));
        let ran = bench.client().run_within(&argv, LIMIT);
        all.extend(parse(&ran.stdout).with_context(|| ran.to_string())?);
    }
    Ok(all)
}

/// # Errors
/// The output has no end, or another number of cases than it says.
fn parse(output: &str) -> Result<Verdicts> {
    let mut all = Verdicts::new();
    let mut last: Option<String> = None;
    for line in output.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        if let (Some(name), Some(reason)) = (&last, line.strip_prefix('\t')) {
            match all.get_mut(name) {
                Some(Verdict::Skipped(why) | Verdict::Failed(why)) if why.is_empty() => {
                    reason.clone_into(why)
                }
                _ => {}
            }
        }
        let [name, word] = words[..] else { continue };
        let verdict = match word {
            "ok" => Verdict::Passed,
            "skipped" => Verdict::Skipped(String::new()),
            "FAILED" => Verdict::Failed(String::new()),
            _ => continue,
        };
        all.insert(name.to_owned(), verdict);
        last = Some(name.to_owned());
    }
    let summary = output.lines().rev().find(|line| line.starts_with("Summary:")).context("no summary")?;
    let total = summary.rsplit(", ").next().and_then(|words| words.strip_suffix(" total"));
    let total: usize = total.and_then(|n| n.parse().ok()).with_context(|| summary.to_owned())?;
    ensure!(all.len() == total, "{} cases, but: {summary}", all.len());
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "\
chmod::changes_mode::file                                                     ok
link::link_count_max                                                     skipped
\tCannot get value for LINK_MAX: filesystem limit is unknown
chown::erofs_named                                                        FAILED
\tFailed to remount: busy
\tmore of it

Summary: 1 failed, 1 skipped, 1 passed, 0 expected failures, 3 total
";

    #[test]
    fn what_the_suite_says_is_understood() {
        let all = parse(OUTPUT).unwrap();
        assert_eq!(all["chmod::changes_mode::file"], Verdict::Passed);
        let why = "Cannot get value for LINK_MAX: filesystem limit is unknown".to_owned();
        assert_eq!(all["link::link_count_max"], Verdict::Skipped(why));
        assert_eq!(all["chown::erofs_named"], Verdict::Failed("Failed to remount: busy".to_owned()));
    }

    #[test]
    fn a_suite_that_did_not_come_to_its_end_is_no_success() {
        let cut = OUTPUT.split("Summary").next().unwrap();
        assert!(parse(cut).is_err());
        assert!(parse(&OUTPUT.replace("3 total", "4 total")).is_err());
    }
}
