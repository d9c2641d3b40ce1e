//! The memory that results depend on, and that belongs to nobody under test.
//!
//! A virtual machine may give free memory back to its host. The next use of each page is then a fault of some microseconds in the
//! host: a file system that takes new pages (which all of them do, in different amounts) is measured by that. So memory is
//! touched first, and kept.

use std::fs;

use clap::ValueEnum;
use serde::Serialize;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Memory {
    /// Most of what is free is touched first, and no free page is given back to a host while it runs
    Touched,
    /// As it is
    AsIs,
}

/// From which power of two of pages on free blocks are given back: Linux, `CONFIG_PAGE_REPORTING`.
const REPORTING: &str = "/sys/module/page_reporting/parameters/page_reporting_order";
/// Larger than any free block.
const NEVER: &str = "11";
/// What is left alone, for everybody's sake.
const SPARE: u64 = 4 << 30;

/// On drop, all is as it was.
pub struct Kept(Option<String>);

impl Memory {
    #[must_use]
    pub fn keep(self) -> Kept {
        if self == Memory::AsIs {
            return Kept(None);
        }
        let before = fs::read_to_string(REPORTING).ok().filter(|_| fs::write(REPORTING, NEVER).is_ok());
        eprintln!("touching memory ...");
        touch(available().saturating_sub(SPARE));
        Kept(before)
    }

    pub fn words(self) -> &'static str {
        match self {
            Memory::Touched => "free memory touched first",
            Memory::AsIs => "free memory as it is",
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        if let Some(before) = &self.0
            && let Err(e) = fs::write(REPORTING, before)
        {
            eprintln!("{REPORTING} was {}: {e}", before.trim());
        }
    }
}

/// Bytes that programs could have now.
fn available() -> u64 {
    let text = fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|l| l.strip_prefix("MemAvailable:")?.trim().strip_suffix(" kB"));
    line.and_then(|kib| kib.parse::<u64>().ok()).unwrap_or_default() << 10
}

fn touch(bytes: u64) {
    const STEP: usize = 256 << 20;
    let steps = bytes / STEP as u64;
    let held: Vec<Vec<u8>> = (0..steps).map(|_| vec![1; STEP]).collect();
    std::hint::black_box(&held);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_memory_is_available() {
        assert!(available() > 64 << 20);
    }
}
