//! Tails that are cut off, and logs that begin anew.

use rfs_model::{Index, Term};
use tempfile::tempdir;

use super::*;
use crate::journal::JournalError;

#[test]
fn a_cut_tail_never_comes_back() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let mut wrote = fill(&mut journal, 700, 5000);
        journal.sync_start().await.unwrap();
        for cut in [690, 400, 401, 400, 399, 3] {
            let keep = cut.min(journal.last().index.0);
            journal.truncate_after(Index(keep)).unwrap();
            wrote.truncate(keep as usize);
            assert_eq!(journal.last(), Position::of(&wrote.last().unwrap().meta));
            drop(journal);
            let (again, recovered) = open(dir.path());
            assert_eq!((recovered.last.index, recovered.rot), (Index(keep), None));
            journal = again;
            // The very same record again: what once stood behind it must not join on.
            let same = chain(journal.last(), 1, 5000, 0);
            journal.append(&same).unwrap();
            wrote.extend(same);
            drop(journal);
            let (again, recovered) = open(dir.path());
            assert_eq!((recovered.last.index, recovered.rot), (Index(keep + 1), None));
            assert_eq!(read_all(&again).await, wrote);
            journal = again;
        }
    });
}

#[test]
fn a_cut_takes_the_syncs_in_flight_along() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        fill(&mut journal, 100, 3000);
        let sync = journal.sync_start();
        journal.truncate_after(Index(40)).unwrap();
        let other = chain(journal.last(), 20, 100, 9);
        journal.append(&other).unwrap();
        assert_eq!(sync.await, Ok(Index(40)), "no word about the new records");
        assert_eq!(journal.sync_start().await, Ok(Index(60)));
        drop(journal);
        let (journal, recovered) = open(dir.path());
        assert_eq!((recovered.last.index, recovered.synced), (Index(60), Index(60)));
        assert_eq!(read_all(&journal).await[40..], other);
    });
}

#[test]
fn a_cut_outside_the_log_is_refused() {
    let dir = tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    fill(&mut journal, 5, 10);
    assert!(matches!(journal.truncate_after(Index(6)), Err(JournalError::NotHeld { .. })));
    journal.truncate_after(Index(0)).unwrap();
    assert_eq!(journal.last(), Position::default());
    fill(&mut journal, 5, 10);
    assert_eq!(open_after(journal, dir.path()).1.last.index, Index(5));
}

fn open_after(journal: Journal, dir: &std::path::Path) -> (Journal, Recovered) {
    drop(journal);
    open(dir)
}

#[test]
fn a_new_base_drops_everything() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        fill(&mut journal, 500, 5000);
        journal.sync_start().await.unwrap();
        for (base, term) in [(9000, 7), (100, 9)] {
            let sync = journal.sync_start();
            journal.set_base(Index(base), Term(term), 0xabcd).unwrap();
            sync.await.unwrap();
            let want = Position { index: Index(base), term: Term(term), chain: 0xabcd };
            assert_eq!((journal.base(), journal.last()), (want, want));
            assert_eq!(journal.term_at(Index(base)), Some(Term(term)));
            let (again, recovered) = open_after(journal, dir.path());
            assert_eq!((recovered.base, recovered.last, recovered.rot), (want, want, None));
            journal = again;
            let wrote = fill(&mut journal, 300, 5000);
            let (mut again, recovered) = open_after(journal, dir.path());
            assert_eq!(recovered.base, want);
            assert_eq!(read_all(&again).await, wrote);
            again.settle();
            journal = again;
        }
    });
}

#[test]
fn a_read_survives_a_cut_under_its_hands() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let wrote = fill(&mut journal, 300, 5000);
        let read = glommio::spawn_local(journal.read(Index(100), Index(300), 1 << 20)).detach();
        glommio::executor().yield_task_queue_now().await;
        journal.truncate_after(Index(120)).unwrap();
        let got = read.await.unwrap().unwrap();
        assert!(got.len() <= 201 && got[..] == wrote[99..99 + got.len()]);
        let now = journal.read(Index(100), Index(300), 1 << 20).await.unwrap();
        assert_eq!(now, wrote[99..120]);
    });
}

/// Its header would be taken for a damaged one at the next start.
#[test]
fn no_log_begins_behind_what_cannot_be() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        fill(&mut journal, 3, 100);
        for (index, term, chain) in [(0, 1, 0), (0, 0, 1), (7, u64::MAX, 0)] {
            let refused = journal.set_base(Index(index), Term(term), chain);
            assert!(matches!(refused, Err(JournalError::NoSuchBase { .. })), "{refused:?}");
        }
        drop(journal);
        assert_eq!(open(dir.path()).1.last.index, Index(3));
    });
}
