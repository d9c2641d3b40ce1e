//! The clock of `request-timeout`: it stands still while a brick recovers, so that a long recovery times nobody out.

use std::cell::Cell;
use std::future::Future;
use std::pin::pin;
use std::time::Duration;

use super::Failure;

/// How often the clock is looked at, and moved on.
pub const TICK: Duration = Duration::from_millis(100);

/// Time that counts against requests, since the start.
#[derive(Debug, Default)]
pub struct Patience {
    spent: Cell<Duration>,
    /// `None`: requests wait for ever.
    limit: Cell<Option<Duration>>,
}

impl Patience {
    #[must_use]
    pub fn new(limit: Option<Duration>) -> Self {
        Self { spent: Cell::default(), limit: Cell::new(limit) }
    }

    /// For requests that begin from now on.
    pub fn set_limit(&self, limit: Option<Duration>) {
        self.limit.set(limit);
    }

    /// Called each [`TICK`] unless a brick recovers.
    pub fn pass(&self, time: Duration) {
        self.spent.set(self.spent.get() + time);
    }

    #[must_use]
    pub fn now(&self) -> Duration {
        self.spent.get()
    }

    /// When a request that begins now has waited long enough; `None`: never.
    #[must_use]
    pub fn deadline(&self) -> Option<Duration> {
        self.limit.get().map(|limit| self.now() + limit)
    }

    /// Waits for something that is not a socket.
    ///
    /// # Errors
    /// [`Failure::TimedOut`].
    pub async fn within<T>(&self, wait: impl Future<Output = T>) -> Result<T, Failure> {
        let deadline = self.deadline();
        let mut wait = pin!(wait);
        loop {
            if let Ok(value) = tokio::time::timeout(TICK, &mut wait).await {
                return Ok(value);
            }
            if deadline.is_some_and(|deadline| self.now() >= deadline) {
                return Err(Failure::TimedOut);
            }
        }
    }
}
