//! Room in the retained window: every mutation takes its share before it is sent, and gives it back when it is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use rfs_model::limits::WINDOW_OPS;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::Failure;

/// Bytes that a mutation's names and numbers take beside its data, at the most.
const ENVELOPE_BYTES: usize = 1024;

/// A share of the window; dropped, it is free again.
pub type Share = OwnedSemaphorePermit;

/// What is left of a window, in bytes. Waiters get theirs in the order in which they came.
#[derive(Debug)]
pub struct Credit {
    left: Arc<Semaphore>,
    window_bytes: AtomicUsize,
}

impl Credit {
    #[must_use]
    pub fn new(window_bytes: usize) -> Arc<Self> {
        let left = Arc::new(Semaphore::new(window_bytes));
        Arc::new(Self { left, window_bytes: AtomicUsize::new(window_bytes) })
    }

    fn window(&self) -> usize {
        self.window_bytes.load(Ordering::Relaxed)
    }

    /// Makes the window larger or smaller. Called before anything has taken a share.
    pub fn resize(&self, window_bytes: usize) {
        let old = self.window_bytes.swap(window_bytes, Ordering::Relaxed);
        match window_bytes.checked_sub(old) {
            Some(more) => self.left.add_permits(more),
            None => drop(self.left.forget_permits(old - window_bytes)),
        }
    }

    /// What a mutation with `data_bytes` of data takes: at least the share that keeps the number of mutations within
    /// [`WINDOW_OPS`], and never more than all of it.
    fn cost(&self, data_bytes: usize) -> u32 {
        let window = self.window();
        let share = window.div_ceil(WINDOW_OPS);
        let cost = (data_bytes + ENVELOPE_BYTES).max(share).min(window);
        u32::try_from(cost).unwrap_or(u32::MAX)
    }

    /// `None`: there is no room at the moment, or others wait for it.
    #[must_use]
    pub fn try_take(&self, data_bytes: usize) -> Option<Share> {
        self.left.clone().try_acquire_many_owned(self.cost(data_bytes)).ok()
    }

    /// Waits for room.
    ///
    /// # Errors
    /// [`Failure::Ending`].
    pub async fn take(&self, data_bytes: usize) -> Result<Share, Failure> {
        let share = self.left.clone().acquire_many_owned(self.cost(data_bytes)).await;
        share.map_err(|_| Failure::Ending)
    }

    /// Gives no share any more: who asks for one hears that the mount is ending.
    pub fn close(&self) {
        self.left.close();
    }

    /// Nobody has a share.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        self.left.available_permits() >= self.window()
    }

    /// Less than half of the window is left.
    #[must_use]
    pub fn runs_low(&self) -> bool {
        self.left.available_permits() < self.window() / 2
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_bound_the_window_as_well_as_bytes() {
        for window in [4 << 20, 64 << 20, 1 << 30] {
            let credit = Credit::new(window);
            assert!(window / credit.cost(0) as usize <= WINDOW_OPS);
            assert!(credit.cost(1 << 20) as usize > 1 << 20);
            assert_eq!(credit.cost(usize::MAX / 2) as usize, window);
        }
    }

    #[test]
    fn a_share_that_is_dropped_is_free_again() {
        let credit = Credit::new(4 << 20);
        let all = credit.try_take(8 << 20).unwrap();
        assert!(credit.try_take(0).is_none());
        assert!(credit.runs_low());
        drop(all);
        assert!(credit.try_take(0).is_some());
    }

    #[test]
    fn a_closed_window_gives_nothing_and_knows_when_all_is_back() {
        let credit = Credit::new(4 << 20);
        let share = credit.try_take(1 << 20).unwrap();
        credit.close();
        assert!(credit.try_take(0).is_none());
        assert!(!credit.is_whole());
        drop(share);
        assert!(credit.is_whole());
    }

    #[test]
    fn a_window_grows_and_shrinks() {
        let credit = Credit::new(4 << 20);
        credit.resize(8 << 20);
        let shares: Vec<_> = std::iter::from_fn(|| credit.try_take(1 << 20)).collect();
        assert_eq!(shares.len(), 7);
        drop(shares);
        credit.resize(2 << 20);
        let shares: Vec<_> = std::iter::from_fn(|| credit.try_take(1 << 20)).collect();
        assert_eq!(shares.len(), 1);
    }
}
