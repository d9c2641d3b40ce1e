//! This program once more, inside of a host: what it measures there it prints as JSON.

use std::time::Duration;

use rfs_cluster::Host;
use serde::de::DeserializeOwned;

/// Runs it with these words on its command line. Panics, with all that was said, when it fails or takes longer than that.
#[track_caller]
pub fn ask<T: DeserializeOwned>(host: &Host, words: &[&str], within: Duration) -> T {
    let program = std::env::current_exe().expect("the path of this program");
    let program = program.to_str().expect("a path of text");
    let ran = host.run_within(&[&[program], words].concat(), within);
    assert!(ran.success(), "{ran}");
    serde_json::from_str(&ran.stdout).unwrap_or_else(|e| panic!("{e}: {ran}"))
}
