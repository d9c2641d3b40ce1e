//! A journal's directory that somebody has written into: segments, header copies and other files with right checksums and
//! wrong content, cut short, doubled, swapped, with flipped bits.
//!
//! Promises: no panic; opening gives a log or says why not; the log is a chain, can be read as far as it goes (or damage is
//! named), and is the same when it is opened again; memory of at most [`FACTOR`] times the input's length and [`SLACK`]
//! bytes, whatever sizes the headers claim.

mod files;

use std::path::Path;
use std::time::Duration;

use rfs_engine::journal::{Journal, JournalError, Options};
use rfs_model::Index;

use crate::alloc::peak;
use crate::source::Source;

pub const FACTOR: usize = 16 * 1024;
/// The largest segment that can be read in one piece, twice.
pub const SLACK: usize = 16 * 1024 * 1024;
/// Records whose chain is read back.
const READ: u64 = 200;

fn options() -> Options {
    Options {
        segment_bytes: 1 << 20,
        cache_bytes: 0,
        retain_bytes: 0,
        retain_age: Duration::from_secs(1 << 30),
        copy_interval: Duration::from_millis(1),
        spares: 0,
        ..Options::default()
    }
}

/// The target.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) {
    let fast = Path::new("/dev/shm");
    let dir = if fast.is_dir() { tempfile::tempdir_in(fast) } else { tempfile::tempdir() };
    let dir = dir.expect("a directory");
    files::lay_out(dir.path(), &mut Source::new(data));
    let (seen, most) = peak(|| look(dir.path()));
    let bound = FACTOR * data.len() + SLACK;
    assert!(most <= bound, "{most} bytes for an input of {}", data.len());
    if let Some(seen) = seen {
        assert_eq!(look(dir.path()), Some(seen), "the log is another one when it is opened again");
    }
}

/// Base and last record of the log, and the checksum of the last.
type Seen = (Index, Index, u32);

fn look(dir: &Path) -> Option<Seen> {
    let (journal, recovered) = match Journal::open(dir, options()) {
        Ok(open) => open,
        Err(JournalError::SegmentBytes(bytes)) => panic!("a segment of {bytes} bytes was asked for"),
        Err(_) => return None,
    };
    let (base, last) = (journal.base(), journal.last());
    assert!(base.index <= last.index && recovered.synced <= last.index, "{recovered:?}");
    assert_eq!((recovered.base, recovered.last), (base, last));
    for config in &recovered.configs {
        assert!(config.meta.index <= last.index && config.verify().is_ok());
    }
    let from = last.index.0.saturating_sub(READ).max(base.index.0);
    for index in from..=last.index.0 {
        let index = Index(index);
        assert!(journal.term_at(index).is_some(), "no term at {index}, from {base:?} to {last:?}");
        match journal.chain_at(index) {
            Ok(chain) => assert!(index != last.index || chain == last.chain),
            Err(JournalError::Damaged { .. } | JournalError::NotHeld { .. }) => {}
            Err(other) => panic!("record {index} cannot be read: {other}"),
        }
    }
    Some((base.index, last.index, last.chain))
}
