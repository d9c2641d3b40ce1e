//! The protocol's times.

use rfs_core::consensus::api::Timing;
use rfs_model::options::{Options, SyncMode};

use super::Inner;

/// The protocol's times as the volume wants them.
pub(super) fn timing(options: &Options) -> Timing {
    Timing {
        peer_us: options.peer_timeout_ms * 1000,
        max_lag_us: options.max_lag_ms.map(|ms| ms * 1000),
        sync_us: match options.sync {
            SyncMode::Always => None,
            SyncMode::Interval(ms) => Some(ms * 1000),
        },
        ..Timing::default()
    }
}

impl Inner {
    /// The protocol's times as they are now.
    pub(super) fn timing(&self) -> Timing {
        let timing = timing(&self.options);
        Timing { sync_us: timing.sync_us.filter(|_| !self.syncing.strict), ..timing }
    }
}
