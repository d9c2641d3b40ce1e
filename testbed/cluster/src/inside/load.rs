//! Load on a file, and how long it had to wait.
//!
//! Progress goes to standard output as lines of `durable N` (all lines before number N are fsynced) or `read N` (that many
//! were seen); the last line is the [`Summary`](crate::load::Summary).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::IntoRawFd;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use super::watch::Watch;

/// Between two operations.
const PACE: Duration = Duration::from_millis(10);

/// Lines between two fsyncs.
const SYNC_EVERY: u64 = 10;

/// Appends numbered lines until the stop file exists or an operation fails.
pub fn append(path: &Path, stop: &Path) -> io::Result<i32> {
    let mut watch = Watch::default();
    if let Some(file) = watch.time("open", 0, || OpenOptions::new().append(true).create(true).open(path)) {
        append_lines(&file, stop, &mut watch);
        watch.time("close", watch.sum.lines, || close(file));
    }
    watch.report()
}

/// Dropping a file hides what close says.
fn close(file: File) -> io::Result<()> {
    // SAFETY: the descriptor is owned here and used no more.
    if unsafe { libc::close(file.into_raw_fd()) } == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

fn append_lines(mut file: &File, stop: &Path, watch: &mut Watch) {
    while !stop.exists() {
        let n = watch.sum.lines;
        if watch.time("write", n, || file.write_all(format!("{n}\n").as_bytes())).is_none() {
            return;
        }
        watch.sum.lines = n + 1;
        if watch.sum.lines.is_multiple_of(SYNC_EVERY) {
            if watch.time("fsync", n, || file.sync_all()).is_none() {
                return;
            }
            watch.sum.durable = watch.sum.lines;
            println!("durable {}", watch.sum.durable);
        }
        sleep(PACE);
    }
}

/// Reads a file that [`append`] makes, again and again: it may grow, but never be wrong or go back.
pub fn reread(path: &Path, stop: &Path) -> io::Result<i32> {
    let mut watch = Watch::default();
    while !stop.exists() {
        let before = watch.sum.lines;
        let Some(text) = watch.time("read", before, || whole(path)) else { break };
        let Some(lines) = numbered(&text).filter(|lines| *lines >= before) else {
            watch.sum.error = Some(format!("after {before} lines it read {:?}", end_of(&text)));
            break;
        };
        watch.sum.lines = lines;
        println!("read {lines}");
        sleep(PACE);
    }
    watch.report()
}

fn whole(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.read_to_string(&mut text)?;
    Ok(text)
}

/// How many lines there are if they are numbered from 0 on without a gap, none otherwise. Each is one write, so the last
/// is whole too.
fn numbered(text: &str) -> Option<u64> {
    let mut next = 0;
    for line in text.split_inclusive('\n') {
        if line.strip_suffix('\n')?.parse() != Ok(next) {
            return None;
        }
        next += 1;
    }
    Some(next)
}

fn end_of(text: &str) -> &str {
    let from = text.len().saturating_sub(60);
    text.get(from..).unwrap_or(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_count_only_when_whole_and_in_order() {
        assert_eq!(numbered(""), Some(0));
        assert_eq!(numbered("0\n1\n2\n"), Some(3));
        for wrong in ["0\n2\n", "0\n1", "1\n", "0\n0\n", "0\n\n"] {
            assert_eq!(numbered(wrong), None, "{wrong:?}");
        }
    }
}
