//! A machine's vote without data, lent to the bricks of a volume. The daemon lends that of a node that has no brick of the
//! volume; a mount that of any other machine. Both keep it in one register file for each volume, in the same place, so that
//! a machine has one vote whoever serves it.
//!
//! | file | what |
//! |---|---|
//! | `register` | the file, and the lock that makes one process serve it |
//! | `holder` | the seat while it is served: `core::witness` over that file |
//! | `serve` | the daemon's: connections to the bricks, which ask |

mod holder;
mod register;
mod serve;

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rfs_model::codec::Decode;
use rfs_model::hello::Hello;

pub use holder::Holder;
pub use register::Held;
pub use serve::Seats;

/// How often bricks are looked for anew, and a register that another process serves is tried.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// A brick that is gone is called again after this.
pub const CALL_AGAIN: Duration = Duration::from_millis(100);
/// How long a brick may take to be reached, and to greet.
pub const CONNECT_PATIENCE: Duration = Duration::from_millis(1000);
/// How long a leader may take to move the seat away before this machine goes.
pub const LEAVE_PATIENCE: Duration = Duration::from_secs(2);
/// How often a witness that wants to leave looks whether it may.
pub const LOOK_RELEASED: Duration = Duration::from_millis(20);

/// Where a machine keeps its registers.
#[must_use]
pub fn registers(state_dir: &Path) -> PathBuf {
    state_dir.join("witness")
}

/// Whether a brick takes the seat that it was offered.
#[must_use]
pub fn is_welcome(hello: &Bytes) -> bool {
    matches!(Hello::from_all(hello), Ok(Hello::Welcome { .. }))
}
