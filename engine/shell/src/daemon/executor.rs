//! The executor that everything of a daemon runs on, and what it needs of the machine.

use std::future::Future;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::pulse::Pulse;

/// Locked memory that an executor's rings need, bytes (measured: below it even root is refused).
const MEMLOCK_BYTES: u64 = 512 * 1024;
/// Threads for system calls that may take long.
const BLOCKING_THREADS: usize = 4;
/// A task that runs for longer lets others come first.
const PREEMPT: Duration = Duration::from_millis(5);
/// One that has not begun by then is taken for one that never will.
const BEGINS: Duration = Duration::from_secs(1);

#[derive(Debug, thiserror::Error)]
pub enum ExecutorError {
    #[error(
        "the limit on locked memory is {0} bytes and {MEMLOCK_BYTES} are needed: raise it (ulimit -l, LimitMEMLOCK=)"
    )]
    Memlock(u64),
    #[error("the executor does not start: {0}")]
    Start(String),
    #[error("the executor ended in disorder: {0}")]
    Broken(String),
}

/// Runs `make()`'s future to its end on an executor of its own, on this thread's behalf.
///
/// # Errors
/// [`ExecutorError`].
pub fn run<T, F>(pin: Option<usize>, make: impl FnOnce() -> F + Send + 'static) -> Result<T, ExecutorError>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
{
    raise_files();
    raise_memlock()?;
    on_one_that_begins(pin, PREEMPT, make)
}

/// Tries executors until one begins. What makes one sleep with work to do (see [`Pulse`]) can happen before it has run anything
/// that could wake it: such a one is left alone, and the next gets more time.
fn on_one_that_begins<T, F, M>(
    pin: Option<usize>,
    mut preempt: Duration,
    mut make: M,
) -> Result<T, ExecutorError>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
    M: FnOnce() -> F + Send + 'static,
{
    loop {
        let work = Arc::new(Mutex::new(Some(make)));
        let (begun, begins) = mpsc::channel::<()>();
        let handle = start(pin, preempt, work.clone(), begun)?;
        if begins.recv_timeout(BEGINS) == Err(mpsc::RecvTimeoutError::Timeout)
            && let Some(back) = work.lock().expect("no holder panics").take()
        {
            tracing::warn!(
                "an executor did not begin within {} ms: another one is tried",
                BEGINS.as_millis()
            );
            (make, preempt) = (back, preempt * 4);
            continue;
        }
        let ended = handle.join().map_err(|e| ExecutorError::Broken(e.to_string()))?;
        return ended.ok_or_else(|| ExecutorError::Broken("it had nothing to do".into()));
    }
}

/// Starts one that takes `work` when it begins, if that is still there.
fn start<T, F, M>(
    pin: Option<usize>,
    preempt: Duration,
    work: Arc<Mutex<Option<M>>>,
    begun: mpsc::Sender<()>,
) -> Result<glommio::ExecutorJoinHandle<Option<T>>, ExecutorError>
where
    T: Send + 'static,
    F: Future<Output = T> + 'static,
    M: FnOnce() -> F + Send + 'static,
{
    LocalExecutorBuilder::new(pin.map_or(Placement::Unbound, Placement::Fixed))
        .name("rfs-shard")
        .preempt_timer(preempt)
        .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS))
        .spawn(move || async move {
            let _pulse = Pulse::of_this_executor();
            // The first sleep of an executor costs 30 to 50 ms more than it should: pay now, not in an election. One that does not
            // get through it has not begun.
            glommio::timer::sleep(Duration::from_millis(1)).await;
            let make = work.lock().expect("no holder panics").take()?;
            drop(begun);
            Some(make().await)
        })
        .map_err(|e| ExecutorError::Start(e.to_string()))
}

/// Connections are three descriptors each. What the system does not give, callers are told when they come.
fn raise_files() {
    let now = getrlimit(Resource::Nofile);
    let _ = setrlimit(Resource::Nofile, Rlimit { current: now.maximum, ..now });
}

fn raise_memlock() -> Result<(), ExecutorError> {
    let now = getrlimit(Resource::Memlock);
    let want = now.maximum.unwrap_or(u64::MAX).max(MEMLOCK_BYTES);
    // Root may raise the hard limit too; where that is refused, what there is may still be enough.
    let raised = Rlimit { current: Some(want), maximum: now.maximum.map(|m| m.max(MEMLOCK_BYTES)) };
    let _ = setrlimit(Resource::Memlock, raised);
    match getrlimit(Resource::Memlock).current {
        Some(bytes) if bytes < MEMLOCK_BYTES => Err(ExecutorError::Memlock(bytes)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A timer that is always due before the first task runs: without another try this would hang for ever.
    #[test]
    fn one_that_never_begins_is_replaced() {
        let due_at_once = Duration::from_micros(1);
        let told = on_one_that_begins(None, due_at_once, || async { 7 });
        assert_eq!(told.unwrap(), 7);
    }
}
