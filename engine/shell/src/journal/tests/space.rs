//! Segments that are put to use again, kept, or given back.

use std::collections::BTreeSet;

use rfs_model::Index;
use tempfile::tempdir;

use super::*;
use crate::journal::JournalError;

fn files(dir: &std::path::Path) -> BTreeSet<String> {
    let entries = std::fs::read_dir(dir).unwrap();
    entries.map(|e| e.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn released_segments_are_used_again() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let mut most = 0;
        for _ in 0..30 {
            let wrote = fill(&mut journal, 150, 5000);
            let synced = journal.sync_start().await.unwrap();
            journal.release(synced);
            journal.settle();
            most = most.max(files(dir.path()).len());
            let tail = journal.read(wrote[149].meta.index, Index(u64::MAX), 1).await.unwrap();
            assert_eq!(tail, wrote[149..]);
        }
        assert!(most <= 2 * 6, "{most} files");
        assert!(journal.base().index > Index(4000));
        let (base, last) = (journal.base(), journal.last());
        drop(journal);
        let (journal, recovered) = open(dir.path());
        assert_eq!((recovered.base, recovered.last), (base, last));
        let from = journal.base().index;
        assert_eq!(read_all(&journal).await.len() as u64, journal.last().index.0 - from.0);
        assert_eq!(journal.term_at(from), Some(base.term));
    });
}

#[test]
fn retention_pins_and_syncs_keep_segments() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let options = Options { retain_bytes: 5 << 20, ..small() };
        let (mut journal, _) = Journal::open(dir.path(), options).unwrap();
        fill(&mut journal, 1500, 5000);
        journal.release(Index(1500));
        assert_eq!(journal.base().index, Index::ZERO, "what is not synced stays");
        journal.sync_start().await.unwrap();
        let pin = journal.pin(Index(250));
        journal.release(Index(1500));
        let first = journal.base().index;
        assert!(first > Index::ZERO && first < Index(250), "{first}");
        drop(pin);
        journal.release(Index(1500));
        assert_eq!(journal.stats().segments, 5, "what retain_bytes allows");
        journal.log.borrow_mut().options.retain_age = Duration::ZERO;
        journal.release(Index(1500));
        assert_eq!(journal.stats().segments, 1, "the rest is too old");
        assert!(journal.read(Index(1500), Index(1500), 1).await.is_ok());
    });
}

#[test]
fn a_new_journal_is_small_and_prepares_ahead() {
    let dir = tempdir().unwrap();
    let options = Options { segment_bytes: 16 << 20, ..small() };
    let (mut journal, _) = Journal::open(dir.path(), options).unwrap();
    journal.settle();
    assert_eq!(files(dir.path()).len(), 2, "one segment and its header copy");
    let room = journal.room();
    assert_eq!((room.bytes, room.problem), ((2 << 20) - 4096, None));
    fill(&mut journal, 150, 10_000);
    journal.settle();
    assert_eq!((journal.stats().spares, journal.stats().bytes), (1, 10 << 20));
    fill(&mut journal, 100, 10_000);
    journal.settle();
    assert_eq!((journal.stats().spares, journal.stats().segments), (2, 2));
    assert!(journal.room().bytes > 32 << 20);
}

#[test]
fn other_segment_sizes_are_phased_out() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        fill(&mut journal, 500, 5000);
        drop(journal);
        let options = Options { segment_bytes: 2 << 20, ..small() };
        let (mut journal, _) = Journal::open(dir.path(), options).unwrap();
        fill(&mut journal, 1000, 5000);
        assert_eq!(read_all(&journal).await.len(), 1500);
        let synced = journal.sync_start().await.unwrap();
        journal.release(synced);
        journal.settle();
        for name in files(dir.path()).iter().filter(|n| n.ends_with(".seg")) {
            assert_eq!(std::fs::metadata(dir.path().join(name)).unwrap().len(), 2 << 20, "{name}");
        }
    });
}

#[test]
fn what_has_rotted_behind_the_checkpoint_is_let_go_of() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let wrote = fill(&mut journal, 700, 5000);
        journal.sync_start().await.unwrap();
        journal.give_up(Index(300));
        assert_eq!(journal.base().index, Index::ZERO, "no checkpoint has it");
        drop(journal);
        let path = dir.path().join("000001.seg");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[9000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        let options = Options { trusted_upto: Index(600), ..small() };
        let (mut journal, recovered) = Journal::open(dir.path(), options).unwrap();
        assert_eq!(recovered.rot, None, "nobody has read it");
        let error = journal.read_disk(Index(1), 1 << 20).await.unwrap_err();
        let JournalError::Damaged { index, .. } = error else { panic!("{error}") };
        journal.release(Index(600));
        journal.give_up(index);
        let base = journal.base().index;
        assert!(base >= index && base < Index(600), "{base}");
        // It is held until what reads it has closed it.
        for _ in 0..1000 {
            journal.settle();
            if !files(dir.path()).contains("000001.seg") {
                break;
            }
            glommio::timer::sleep(Duration::from_millis(10)).await;
        }
        assert!(!files(dir.path()).contains("000001.seg"), "a file that has rotted is not used again");
        let mut at = base.next();
        while at <= Index(700) {
            let records = journal.read_disk(at, 1 << 20).await.unwrap();
            assert_eq!(records[0], wrote[at.0 as usize - 1]);
            at = records[records.len() - 1].meta.index.next();
        }
        drop(journal);
        let (_, recovered) = open(dir.path());
        assert_eq!((recovered.base.index, recovered.rot), (base, None));
    });
}
