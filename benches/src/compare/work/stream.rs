//! A long file, from its beginning to its end.

use std::fs::File;
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use clap::ValueEnum;

use super::inside::inside_host;
use super::{Done, Place};

/// By calls of 1 MiB.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Stream {
    Write,
    /// And fsync() at the end.
    WriteSync,
    Read,
}

const CALL: usize = 1 << 20;
const LIMIT: Duration = Duration::from_secs(900);

impl Stream {
    fn file(place: &Place<'_>) -> String {
        place.path("long")
    }

    /// What is read is there; what is written is not.
    pub fn prepare(self, place: &Place<'_>) {
        let (host, file, mib) = (place.host(), Stream::file(place), place.amounts.long_mib);
        if self != Stream::Read {
            host.run(&["rm", "-f", &file]).ok();
            return;
        }
        if host.run(&["stat", "-c", "%s", &file]).stdout.trim().parse() != Ok(mib << 20) {
            let (of, count) = (format!("of={file}"), format!("count={mib}"));
            host.run_within(&["dd", "if=/dev/urandom", &of, "bs=1M", &count, "status=none"], LIMIT).ok();
        }
    }

    pub fn run(self, place: &Place<'_>) -> Done {
        let mib = place.amounts.long_mib;
        let name = self.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default();
        let done = inside_host(place, &["stream", &name, &Stream::file(place), &mib.to_string()]);
        Done { ops: mib, bytes: mib << 20, ..done }
    }

    /// The file is closed when this returns.
    pub fn through(self, path: &Path, mib: u64) -> io::Result<()> {
        // Not all the same, lest somebody leaves it out.
        let mut block: Vec<u8> = (0..CALL).map(|n| (n.wrapping_mul(0x9e37_79b1) >> 13) as u8).collect();
        if self == Stream::Read {
            let mut file = File::open(path)?;
            return (0..mib).try_for_each(|_| file.read_exact(&mut block));
        }
        let mut file = File::create(path)?;
        for n in 0..mib {
            block[..8].copy_from_slice(&n.to_le_bytes());
            file.write_all(&block)?;
        }
        if self == Stream::WriteSync { file.sync_all() } else { Ok(()) }
    }
}
