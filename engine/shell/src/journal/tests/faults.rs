//! Calls that fail: the journal says so, and never more than is true.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, Ordering};

use rfs_model::Index;
use tempfile::tempdir;

use super::*;
use crate::journal::{Call, JournalError, Watch};

/// Fails calls of one kind while it is armed.
struct Failing {
    kind: fn(&Call) -> bool,
    errno: AtomicI32,
    seen: AtomicU32,
}

impl Failing {
    fn new(kind: fn(&Call) -> bool) -> Arc<Self> {
        Arc::new(Self { kind, errno: AtomicI32::new(0), seen: AtomicU32::new(0) })
    }

    fn arm(&self, errno: i32) {
        self.errno.store(errno, Ordering::SeqCst);
    }
}

impl Watch for Failing {
    fn before(&self, call: Call, path: &Path) -> io::Result<()> {
        let errno = self.errno.load(Ordering::SeqCst);
        let segment = path.extension().is_some_and(|e| e == "seg");
        if errno == 0 || !segment || !(self.kind)(&call) {
            return Ok(());
        }
        self.seen.fetch_add(1, Ordering::SeqCst);
        Err(io::Error::from_raw_os_error(errno))
    }
}

fn open_with(dir: &Path, watch: &Arc<Failing>) -> Journal {
    let watch: Arc<dyn Watch> = watch.clone();
    let (mut journal, _) = Journal::open(dir, Options { watch: Some(watch), ..small() }).unwrap();
    journal.settle();
    journal
}

#[test]
fn a_failed_write_poisons() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let watch = Failing::new(|call| matches!(call, Call::Write { .. }));
        let mut journal = open_with(dir.path(), &watch);
        fill(&mut journal, 5, 100);
        watch.arm(libc::EIO);
        let error = journal.append(&chain(journal.last(), 1, 100, 0)).unwrap_err();
        assert!(matches!(error, JournalError::Io { errno: libc::EIO, .. }), "{error}");
        watch.arm(0);
        assert_eq!(journal.last().index, Index(5));
        let later = journal.append(&chain(journal.last(), 1, 100, 0)).unwrap_err();
        assert!(matches!(later, JournalError::Poisoned { errno: libc::EIO, .. }), "{later}");
        assert!(later.to_string().contains("000001.seg"), "{later}");
        assert!(journal.sync_start().await.is_err());
        assert!(journal.truncate_after(Index(1)).is_err());
        assert!(journal.set_base(Index(1), rfs_model::Term(1), 0).is_err());
        assert!(journal.poison().is_some());
    });
}

#[test]
fn a_failed_fdatasync_poisons_and_reaches_all_who_wait() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let watch = Failing::new(|call| matches!(call, Call::Sync));
        let mut journal = open_with(dir.path(), &watch);
        fill(&mut journal, 5, 100);
        journal.sync_start().await.unwrap();
        watch.arm(libc::EIO);
        fill(&mut journal, 5, 100);
        let waiting = [journal.sync_start(), journal.sync_start()].map(|s| glommio::spawn_local(s).detach());
        for sync in waiting {
            let error = sync.await.unwrap().unwrap_err();
            assert!(error.to_string().contains("000001.seg"), "{error}");
        }
        assert_eq!(
            (journal.synced(), watch.seen.load(Ordering::SeqCst)),
            (Index(5), 1),
            "one try, no second"
        );
        watch.arm(0);
        assert!(journal.sync_start().await.is_err(), "and it stays so");
        assert!(journal.append(&chain(journal.last(), 1, 100, 0)).is_err());
        drop(journal);
        let (_, recovered) = open(dir.path());
        assert_eq!((recovered.last.index, recovered.synced), (Index(10), Index(5)));
    });
}

#[test]
fn a_full_disk_is_foretold_and_survived() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let watch = Failing::new(|call| matches!(call, Call::Allocate));
        let mut journal = open_with(dir.path(), &watch);
        watch.arm(libc::ENOSPC);
        fill(&mut journal, 120, 5000);
        journal.settle();
        let room = journal.room();
        assert!(room.problem.is_some_and(|p| p.is_full()));
        assert_eq!(room.bytes, (1 << 20) - 4096 - 120 * 5040);
        let many = chain(journal.last(), 200, 5000, 0);
        let error = journal.append(&many).unwrap_err();
        assert!(error.is_full(), "{error}");
        assert_eq!((journal.poison(), journal.last().index), (None, Index(207)));
        assert!(journal.truncate_after(Index(100)).unwrap_err().is_full());
        assert!(journal.set_base(Index(999), rfs_model::Term(1), 0).unwrap_err().is_full());
        assert_eq!((journal.last().index, journal.base().index), (Index(207), Index(0)));
        watch.arm(0);
        journal.append(&many[87..]).unwrap();
        assert_eq!(journal.last().index, Index(320));
        assert_eq!(read_all(&journal).await[120..], many);
    });
}

#[test]
fn a_full_disk_makes_released_segments_go_before_their_time() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let watch = Failing::new(|call| matches!(call, Call::Allocate));
        let some: Arc<dyn Watch> = watch.clone();
        let options = Options { watch: Some(some), retain_bytes: u64::MAX, ..small() };
        let (mut journal, _) = Journal::open(dir.path(), options).unwrap();
        fill(&mut journal, 500, 5000);
        let synced = journal.sync_start().await.unwrap();
        journal.settle();
        watch.arm(libc::ENOSPC);
        journal.release(synced);
        assert_eq!(journal.base().index, Index::ZERO, "there is no need yet");
        loop {
            let record = chain(journal.last(), 1, 5000, 0);
            match journal.append(&record) {
                Ok(()) => continue,
                Err(error) => assert!(error.is_full(), "{error}"),
            }
            break;
        }
        let synced = journal.sync_start().await.unwrap();
        journal.release(synced);
        journal.settle();
        fill(&mut journal, 100, 5000);
        assert!(journal.base().index > Index::ZERO);
    });
}
