//! A fault while a program writes and another reads: nobody may see an error, and nobody may wait too long.

use std::time::{Duration, Instant};

use crate::load::Load;
use crate::volume::{MOUNT, Replica};
use crate::wait;

/// Whether the long form of each test is asked for (`cargo xtask test --full`).
#[must_use]
pub fn full() -> bool {
    std::env::var_os("RFS_FULL").is_some_and(|v| v != "0")
}

/// How long a fault lasts, and other amounts: the short form checks the same thing.
#[must_use]
pub fn scaled<T>(short: T, long: T) -> T {
    if full() { long } else { short }
}

/// A file that was written through a fault, and all that belongs into it.
#[derive(Clone, Debug)]
pub struct Written {
    pub file: String,
    pub text: String,
    pub lines: u64,
}

/// Longest waits that the tests allow, ms. They leave room for a loaded machine; the targets stand in the documentation.
pub mod most_ms {
    pub const GRACEFUL: u64 = 500;
    pub const KILLED: u64 = 1000;
    pub const SILENT: u64 = 4000;
}

/// How long a volume may take to be healthy again after a fault that is over.
pub const HEALS: Duration = Duration::from_secs(30);

impl Replica {
    /// Writes and reads a file on `client` while `fault` happens and for `hold` after it, or longer if the load needs
    /// longer to go on. No operation may fail, or take more than `most_ms`; afterwards the mount shows every line once, in
    /// order, and so do the bricks of the survivors.
    #[track_caller]
    pub fn survives(
        &self,
        what: &str,
        most_ms: u64,
        hold: Duration,
        survivors: &[&str],
        fault: impl FnOnce(),
    ) -> Written {
        let file = what.replace([' ', ',', ':'], "-");
        let path = format!("{MOUNT}/{file}");
        let client = &self.cluster["client"];
        let mut writer = Load::writer(client, &path);
        let reader = Load::reader(client, &path);
        writer.goes_on(Duration::from_secs(10));
        let start = Instant::now();
        fault();
        writer.goes_on(Duration::from_secs(20));
        wait::last(hold.saturating_sub(start.elapsed()));
        let (read, written) = (reader.stop(), writer.stop());
        written.calm(&format!("{what}: writer"), most_ms);
        read.calm(&format!("{what}: reader"), most_ms);
        let written = Written { file, text: written.text(), lines: written.lines };
        self.mount_holds("client", &written.file, &written.text);
        for survivor in survivors {
            self.brick_holds(survivor, &written.file, &written.text);
        }
        written
    }

    /// Everything is well again: healthy, and every brick holds every line.
    #[track_caller]
    pub fn recovers(&self, written: &Written) {
        let took = self.settled();
        println!("{}: healthy after {took:?}", written.file);
        for brick in &self.bricks {
            self.brick_holds(brick, &written.file, &written.text);
        }
    }
}
