//! How large, how old, how many.

use std::sync::Arc;
use std::time::Duration;

use rfs_model::Index;
use rfs_model::limits::SEGMENT_BYTES;
use rfs_model::segment::{DATA_OFFSET, SEGMENT_BYTES_MAX, SEGMENT_BYTES_MIN};

use super::disk::Watch;
use super::error::JournalError;

/// What a journal is opened with.
#[derive(Clone)]
pub struct Options {
    /// Size of segments once the log has grown, bytes: a multiple of 4096 from [`SEGMENT_BYTES_MIN`] to
    /// [`SEGMENT_BYTES_MAX`]. The first ones are smaller, existing ones keep their size.
    pub segment_bytes: u64,
    /// The latest records are kept in memory up to so many bytes of payload and header; 0 keeps none.
    pub cache_bytes: usize,
    /// Released segments stay while the log is no larger than this, bytes.
    pub retain_bytes: u64,
    /// Released segments go at this age, whatever the size of the log.
    pub retain_age: Duration,
    /// Segments of full size kept ready ahead of need.
    pub spares: usize,
    /// Records up to here are in a checkpoint: at open the header copy's word is taken for them, read or not. Damage among
    /// them shows when they are read.
    pub trusted_upto: Index,
    /// The header copy becomes durable this long after the records at the latest.
    pub copy_interval: Duration,
    /// Sees and can refuse the journal's system calls.
    pub watch: Option<Arc<dyn Watch>>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            segment_bytes: SEGMENT_BYTES,
            cache_bytes: 64 * 1024 * 1024,
            retain_bytes: 4 * 1024 * 1024 * 1024,
            retain_age: Duration::from_secs(7 * 24 * 3600),
            spares: 2,
            trusted_upto: Index::ZERO,
            copy_interval: Duration::from_millis(50),
            watch: None,
        }
    }
}

impl Options {
    pub(super) fn check(&self) -> Result<(), JournalError> {
        let fits = (SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX).contains(&self.segment_bytes);
        match fits && self.segment_bytes.is_multiple_of(DATA_OFFSET) {
            true => Ok(()),
            false => Err(JournalError::SegmentBytes(self.segment_bytes)),
        }
    }
}
