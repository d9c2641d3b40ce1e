//! The executor that everything of a daemon runs on, and what it needs of the machine.

use std::future::Future;
use std::time::Duration;

use glommio::{LocalExecutorBuilder, Placement, PoolPlacement};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use super::pulse::Pulse;

/// Locked memory that an executor's rings need, bytes (measured: below it even root is refused).
const MEMLOCK_BYTES: u64 = 512 * 1024;
/// Threads for system calls that may take long.
const BLOCKING_THREADS: usize = 4;

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
    let placement = pin.map_or(Placement::Unbound, Placement::Fixed);
    let handle = LocalExecutorBuilder::new(placement)
        .name("rfs-shard")
        .preempt_timer(Duration::from_millis(5))
        .blocking_thread_pool_placement(PoolPlacement::Unbound(BLOCKING_THREADS))
        .spawn(move || async move {
            let _pulse = Pulse::of_this_executor();
            // The first sleep of an executor costs 30 to 50 ms more than it should: pay now, not in an election.
            glommio::timer::sleep(Duration::from_millis(1)).await;
            make().await
        })
        .map_err(|e| ExecutorError::Start(e.to_string()))?;
    handle.join().map_err(|e| ExecutorError::Broken(e.to_string()))
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
