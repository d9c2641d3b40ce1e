//! Wall clocks that jump, of hosts whose cluster was built [with clocks](crate::Builder::with_clocks).

use std::fs::OpenOptions;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;

use crate::binaries;
use crate::host::Host;

impl Host {
    /// How far the wall clock of the host's daemon and mounts is off from now on. Other clocks do not jump.
    #[track_caller]
    pub fn set_clock(&self, seconds: i64) {
        assert!(self.has_clock(), "{}: the cluster was not built with clocks", self.name());
        let file = OpenOptions::new().create(true).truncate(false).write(true).open(self.clock_file());
        let written = file.and_then(|file| file.write_all_at(&seconds.to_le_bytes(), 0));
        written.unwrap_or_else(|e| panic!("{}: set the clock: {e}", self.name()));
    }

    fn clock_file(&self) -> PathBuf {
        self.folder().join("clock")
    }

    /// What makes a program of this host live by the host's clock: variables of its environment.
    #[must_use]
    pub fn clock_env(&self) -> Vec<(&'static str, String)> {
        if !self.has_clock() {
            return Vec::new();
        }
        let library = binaries::clock_jump().display().to_string();
        let file = self.clock_file().display().to_string();
        vec![("LD_PRELOAD", library), ("RFS_CLOCK_OFFSET", file)]
    }
}
