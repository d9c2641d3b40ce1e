//! A bell between tasks of one executor.

use std::cell::{Cell, RefCell};
use std::future::poll_fn;
use std::task::{Poll, Waker};
use std::time::Duration;

/// Rung by anybody, heard by one waiter. A ring that nobody waits for is kept, once.
#[derive(Debug, Default)]
pub struct Bell {
    rung: Cell<bool>,
    waiter: RefCell<Option<Waker>>,
}

impl Bell {
    pub fn ring(&self) {
        self.rung.set(true);
        if let Some(waker) = self.waiter.take() {
            waker.wake();
        }
    }

    /// Waits for a ring, at most so long.
    pub async fn wait(&self, limit: Duration) {
        let heard = poll_fn(|cx| {
            if self.rung.take() {
                return Poll::Ready(());
            }
            self.waiter.replace(Some(cx.waker().clone()));
            Poll::Pending
        });
        futures_lite::future::or(heard, glommio::timer::sleep(limit)).await;
    }
}
