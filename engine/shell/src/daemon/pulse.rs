//! A thread that ends an executor's sleep, now and then.

use std::future::poll_fn;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::task::{Poll, Waker};
use std::thread::JoinHandle;
use std::time::Duration;

/// How long an executor sleeps by mistake at most.
const PERIOD: Duration = Duration::from_millis(100);

/// glommio 0.9 can go to sleep with work to do (ADR 2): the timer that preempts a task queue is due before the first queue runs,
/// and the executor takes "nothing has run" for "there is nothing to run". Timers of the executor's own are no remedy: the task
/// that one of them woke, and that would set it again, may be the work that waits. This thread needs nobody's help to go on.
///
/// To be dropped on the executor, which the waker must not outlive: the thread gives it back.
pub(super) struct Pulse {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<Option<Waker>>>,
}

impl Pulse {
    /// Begins. Where the system gives no thread, the executor is as glommio made it.
    pub fn of_this_executor() -> Self {
        let (stop, stopped) = channel::<()>();
        let (give, given) = channel::<Waker>();
        let beat = move || {
            let waker = given.recv().ok()?;
            while stopped.recv_timeout(PERIOD) == Err(RecvTimeoutError::Timeout) {
                waker.wake_by_ref();
            }
            Some(waker)
        };
        let thread = std::thread::Builder::new().name("rfs-pulse".into()).spawn(beat);
        let thread = thread.inspect_err(|e| tracing::warn!("no thread for the pulse: {e}")).ok();
        let mut give = Some(give);
        glommio::spawn_local(poll_fn::<(), _>(move |context| {
            if let Some(give) = give.take() {
                let _ = give.send(context.waker().clone());
            }
            Poll::Pending
        }))
        .detach();
        Self { stop: Some(stop), thread }
    }
}

impl Drop for Pulse {
    fn drop(&mut self) {
        drop(self.stop.take());
        // It does nothing that could panic.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::daemon::executor;

    /// Without it this executor would run two tasks in that time: the one that sleeps, before and after.
    #[test]
    fn it_ends_sleeps_again_and_again() {
        let runs = executor::run(None, || async {
            let runs = || glommio::executor().executor_stats().tasks_executed();
            let before = runs();
            glommio::timer::sleep(PERIOD * 8).await;
            runs() - before
        });
        let runs = runs.unwrap();
        assert!(runs >= 4, "{runs}");
    }
}
