//! What a journal does when nothing goes wrong.

use rfs_model::{Index, RecordKind, Term};
use tempfile::tempdir;

use super::*;
use crate::journal::JournalError;

#[test]
fn an_empty_directory_is_an_empty_log() {
    let dir = tempdir().unwrap();
    for _ in 0..2 {
        let (journal, recovered) = open(dir.path());
        assert_eq!((recovered.base, recovered.last), (Position::default(), Position::default()));
        assert_eq!((recovered.rot, recovered.torn), (None, None));
        assert_eq!(journal.term_at(Index::ZERO), Some(Term::ZERO));
        assert_eq!(journal.term_at(Index(1)), None);
    }
}

#[test]
fn records_come_back_over_many_segments() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let wrote = fill(&mut journal, 700, 5000);
        assert!(journal.stats().segments > 3);
        assert_eq!(read_all(&journal).await, wrote);
        drop(journal);
        let (journal, recovered) = open(dir.path());
        assert_eq!(recovered.last, Position::of(&wrote.last().unwrap().meta));
        assert_eq!((recovered.rot, recovered.torn), (None, None));
        assert_eq!(recovered.synced, Index::ZERO, "nothing was synced");
        assert_eq!(read_all(&journal).await, wrote);
    });
}

/// More slices than the system takes in one call, large payloads and small ones.
#[test]
fn a_batch_of_thousands_of_records_is_appended_whole() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let options = || Options { segment_bytes: 32 << 20, ..small() };
        let (mut journal, _) = Journal::open(dir.path(), options()).unwrap();
        let mut at = journal.last();
        let batch: Vec<Record> = (0..4000)
            .map(|n| {
                let record =
                    record(at, 1, RecordKind::Op, if n % 5 == 0 { 77 } else { 4096 + n % 9 }, n as u8);
                at = Position::of(&record.meta);
                record
            })
            .collect();
        journal.append(&batch).unwrap();
        drop(journal);
        let (journal, recovered) = Journal::open(dir.path(), options()).unwrap();
        assert_eq!((recovered.rot, recovered.torn), (None, None));
        assert!(read_all(&journal).await == batch);
    });
}

#[test]
fn the_cache_answers_for_what_is_recent() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let options = Options { cache_bytes: 200_000, ..small() };
        let (mut journal, _) = Journal::open(dir.path(), options).unwrap();
        let wrote = fill(&mut journal, 400, 2000);
        assert_eq!(journal.meta_at(Index(1)), None);
        assert_eq!(journal.meta_at(Index(399)), Some(wrote[398].meta));
        let got = journal.read(Index(390), Index(395), usize::MAX).await.unwrap();
        assert_eq!(got[0].payload.as_ptr(), wrote[389].payload.as_ptr(), "payloads are shared");
        assert_eq!(got, wrote[389..395]);
        assert_eq!(read_all(&journal).await, wrote);
        assert!(journal.stats().cached_bytes <= 200_000);
        for index in [0, 1, 57, 300, 399, 400] {
            let wanted = if index == 0 { 0 } else { wrote[index - 1].meta.crc() };
            assert_eq!(journal.chain_at(Index(index as u64)).unwrap(), wanted);
        }
    });
}

#[test]
fn a_read_keeps_to_its_bounds() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let wrote = fill(&mut journal, 50, 10_000);
        let one = journal.read(Index(7), Index(50), 1).await.unwrap();
        assert_eq!(one, wrote[6..7], "the first one always");
        let three = journal.read(Index(7), Index(50), 3 * wrote[0].meta.stored_bytes()).await.unwrap();
        assert_eq!(three, wrote[6..9]);
        let upto = journal.read(Index(7), Index(8), usize::MAX).await.unwrap();
        assert_eq!(upto, wrote[6..8]);
        assert_eq!(journal.read(Index(51), Index(60), 1).await.unwrap(), []);
        for index in [0, 52] {
            let error = journal.read(Index(index), Index(60), 1).await.unwrap_err();
            assert!(matches!(error, JournalError::NotHeld { .. }), "{error}");
        }
    });
}

#[test]
fn what_does_not_follow_is_refused() {
    let dir = tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    let wrote = fill(&mut journal, 3, 10);
    let last = journal.last();
    let refused = |journal: &mut Journal, record: Record| journal.append(&[record]).unwrap_err();
    let again = refused(&mut journal, wrote[2].clone());
    assert_eq!(again, JournalError::NotNext { got: Index(3), wanted: Index(4) });
    let other = Position { chain: 1, ..last };
    let broken = refused(&mut journal, record(other, 1, RecordKind::Op, 1, 0));
    assert!(matches!(broken, JournalError::ChainBroken { .. }), "{broken}");
    let sank = refused(&mut journal, record(last, 0, RecordKind::Op, 1, 0));
    assert!(matches!(sank, JournalError::TermSank { .. }), "{sank}");
    let large = refused(&mut journal, record(last, 1, RecordKind::Op, 1 << 20, 0));
    assert!(matches!(large, JournalError::TooLarge { .. }), "{large}");
    assert_eq!(journal.last(), last);
    fill(&mut journal, 1, 10);
}

#[test]
fn terms_and_configurations_are_found_again() {
    let dir = tempdir().unwrap();
    let (mut journal, _) = open(dir.path());
    let mut configs = Vec::new();
    for n in 0..600u64 {
        let kind = if n % 97 == 5 { RecordKind::Config } else { RecordKind::Op };
        let record = record(journal.last(), 1 + n / 100, kind, 4000, n as u8);
        journal.append(std::slice::from_ref(&record)).unwrap();
        configs.extend((kind == RecordKind::Config).then_some(record));
    }
    let runs = journal.term_at(Index(250));
    drop(journal);
    let (journal, recovered) = open(dir.path());
    assert_eq!(recovered.configs, configs);
    assert_eq!((runs, journal.term_at(Index(250))), (Some(Term(3)), Some(Term(3))));
    assert_eq!(recovered.runs.as_slice().len(), 7, "the base's and six");
}

#[test]
fn syncs_are_shared_and_say_how_far() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        assert_eq!(journal.sync_start().await, Ok(Index::ZERO));
        let mut waiting = Vec::new();
        for _ in 0..40 {
            fill(&mut journal, 10, 5000);
            waiting.push((journal.last().index, glommio::spawn_local(journal.sync_start()).detach()));
        }
        assert!(journal.stats().unsynced_records > 0);
        for (index, sync) in waiting {
            let synced = sync.await.unwrap().unwrap();
            assert!(synced >= index, "{synced} < {index}");
        }
        assert_eq!(journal.synced(), Index(400));
        drop(journal.sync_start());
        drop(journal);
        let (_, recovered) = open(dir.path());
        assert_eq!(recovered.synced, Index(400), "the header copies say so");
    });
}

#[test]
fn trusted_segments_are_taken_from_their_header_copies() {
    on_executor(|| async {
        let dir = tempdir().unwrap();
        let (mut journal, _) = open(dir.path());
        let wrote = fill(&mut journal, 700, 5000);
        journal.sync_start().await.unwrap();
        drop(journal);
        // Damage that a full scan would see, in a segment that need not be read.
        let path = dir.path().join("000001.seg");
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[9000] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        // And in the segment that holds record 600, the header of record 590.
        let path = damage_header(&wrote[589], dir.path());
        let options = Options { trusted_upto: Index(600), ..small() };
        let (journal, recovered) = Journal::open(dir.path(), options).unwrap();
        assert_eq!((recovered.last.index, recovered.rot.clone()), (Index(700), None));
        for from in [591, 600] {
            let good = journal.read(Index(from), Index(700), 1 << 20).await.unwrap();
            assert_eq!(good[0], wrote[from as usize - 1]);
        }
        let error = journal.read(Index(590), Index(700), 1 << 20).await.unwrap_err();
        assert!(
            error.is_damage() && error.to_string().contains("record 590"),
            "{error} in {}",
            path.display()
        );
        let tail = journal.read(Index(650), Index(700), 1 << 20).await.unwrap();
        assert_eq!(tail, wrote[649..649 + tail.len()]);
        let error = journal.read(Index(1), Index(9), 1 << 20).await.unwrap_err();
        assert!(error.is_damage(), "{error}");
        let text = error.to_string();
        assert!(text.contains("000001.seg") && text.contains("record 1"), "{text}");
        drop(journal);
        let (_, recovered) = open(dir.path());
        assert_eq!(recovered.rot.map(|r| (r.from, r.upto)), Some((Index(1), Index(700))));
    });
}

/// Damages a record's header on the disk, and says in which file.
fn damage_header(record: &Record, dir: &std::path::Path) -> std::path::PathBuf {
    let header = record.meta.header();
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        let at = bytes.windows(header.len()).position(|w| w == header);
        if let (Some(at), true) = (at, path.extension().is_some_and(|e| e == "seg")) {
            bytes[at + 10] ^= 1;
            std::fs::write(&path, bytes).unwrap();
            return path;
        }
    }
    panic!("record {} is nowhere", record.meta.index);
}
