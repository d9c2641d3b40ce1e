//! Writes that had returned and were lost: whom that is told.
//!
//! As the kernel does it for its own file systems (`lib/errseq.c`): a loss is the file's, and every open handle's next fsync
//! tells of it, also where another handle or another program wrote; so a database whose checkpointer syncs what others wrote
//! hears of it. A close tells, too, but takes nothing away: a child that closes what it inherited must not eat the word that
//! was for its parent.

use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::session::Failure;

/// Losses of one file.
#[derive(Debug, Default)]
pub struct Losses {
    /// How many there were. Read before each close and fsync, without the lock.
    count: AtomicU32,
    newest: Mutex<Option<Newest>>,
}

#[derive(Clone, Copy, Debug)]
struct Newest {
    why: Failure,
    /// Some handle's fsync has told of it.
    told: bool,
}

impl Losses {
    pub fn add(&self, why: Failure) {
        *self.newest.lock().expect("no holder panics") = Some(Newest { why, told: false });
        self.count.fetch_add(1, Ordering::AcqRel);
    }

    /// What a handle that is opened now need not hear of: nothing that nobody has heard of yet.
    pub fn known(&self) -> AtomicU32 {
        let count = self.count.load(Ordering::Acquire);
        AtomicU32::new(if self.untold() { count.wrapping_sub(1) } else { count })
    }

    /// Nobody has heard of the newest yet.
    pub fn untold(&self) -> bool {
        self.newest.lock().expect("no holder panics").is_some_and(|newest| !newest.told)
    }

    /// For close(2): what was lost since `known`.
    ///
    /// # Errors
    /// The newest failure.
    pub fn since(&self, known: &AtomicU32) -> Result<(), Failure> {
        if self.count.load(Ordering::Acquire) == known.load(Ordering::Relaxed) {
            return Ok(());
        }
        self.newest.lock().expect("no holder panics").map_or(Ok(()), |newest| Err(newest.why))
    }

    /// For fsync(2): what was lost since `known`, told once.
    ///
    /// # Errors
    /// The newest failure.
    pub fn tell(&self, known: &AtomicU32) -> Result<(), Failure> {
        let mut newest = self.newest.lock().expect("no holder panics");
        let count = self.count.load(Ordering::Acquire);
        if known.swap(count, Ordering::Relaxed) == count {
            return Ok(());
        }
        newest.as_mut().map_or(Ok(()), |newest| {
            newest.told = true;
            Err(newest.why)
        })
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::Refusal;

    use super::*;

    #[test]
    fn each_handles_fsync_tells_once_and_close_takes_nothing_away() {
        let full: Failure = Refusal::NoSpace.into();
        let losses = Losses::default();
        let (writer, checkpointer) = (losses.known(), losses.known());
        assert_eq!(losses.since(&writer), Ok(()));
        assert_eq!(losses.tell(&writer), Ok(()));
        losses.add(full);
        assert_eq!(losses.since(&writer), Err(full));
        assert_eq!(losses.since(&writer), Err(full));
        assert_eq!(losses.tell(&writer), Err(full));
        assert_eq!(losses.tell(&writer), Ok(()));
        assert_eq!(losses.since(&writer), Ok(()));
        assert_eq!(losses.tell(&checkpointer), Err(full));
    }

    #[test]
    fn who_opens_later_hears_of_what_nobody_has_heard_of() {
        let losses = Losses::default();
        losses.add(Refusal::NoSpace.into());
        let (first, second) = (losses.known(), losses.known());
        assert!(losses.tell(&first).is_err());
        assert!(losses.tell(&second).is_err());
        assert_eq!(losses.tell(&losses.known()), Ok(()));
    }
}
