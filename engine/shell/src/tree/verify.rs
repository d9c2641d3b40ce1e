//! Whether an index can be believed, looked at as a whole before a brick lives by it.

use std::path::Path;

use super::Fault;
use super::layout::{INDEX, PRIVATE};
use super::store::Store;

/// Entries read at a time.
const PAGE: usize = 1024;

/// Reads all of a brick's index, which nobody may have open, and checks it; an interrupted transaction is undone.
///
/// # Errors
/// [`Fault::Index`]: it is damaged.
///
/// # Panics
/// When it is damaged, too: redb panics over many a flipped bit. See [`crate::shard::index_check`].
pub fn verify_index(brick: &Path) -> Result<(), Fault> {
    let path = brick.join(PRIVATE).join(INDEX);
    let store = Store::open_checked(&path)?;
    let snapshot = store.snapshot()?;
    snapshot.checkpoint()?;
    let mut after = None;
    loop {
        let page = snapshot.page(after, PAGE)?;
        match page.last() {
            Some((id, _)) => after = Some(*id),
            None => return Ok(()),
        }
    }
}
