//! Damage: flipped bits and lost files, anywhere. Never wrong content; what was synced is there, or is missed by name.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rfs_model::Index;

use super::random::{History, Random, Replay, seeds};
use super::shadow::Shadow;
use super::*;
use crate::journal::{JournalError, Watch};

fn files(dir: &Path) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    files
}

fn flip(history: &mut History) -> String {
    let files = files(history.path());
    let path = &files[history.random.below(files.len() as u64) as usize];
    let mut bytes = fs::read(path).unwrap();
    if bytes.is_empty() {
        return format!("{} is empty", path.display());
    }
    let region = match history.random.below(4) {
        0 => 64,
        1 => 4096 + 400,
        2 => 64 * 1024,
        _ => bytes.len() as u64,
    };
    let at = history.random.below(region.min(bytes.len() as u64)) as usize;
    let bit = history.random.below(8);
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).unwrap();
    format!("bit {bit} of byte {at} of {}", path.display())
}

fn lose(history: &mut History) -> String {
    let files = files(history.path());
    let path = &files[history.random.below(files.len() as u64) as usize];
    fs::remove_file(path).unwrap();
    format!("{} lost", path.display())
}

/// Everything is synced, then something is damaged: all must be there, or missed by name; and a peer can supply it.
async fn damage(history: &mut History, what: fn(&mut History) -> String) {
    for _ in 0..40 {
        history.step().await;
    }
    history.sync().await;
    history.close().await;
    history.trusting = false;
    let what = what(history);
    let recovered = history.reopen().await;
    let last = history.model.last().index;
    if recovered.last.index == last {
        assert!(recovered.rot.is_none() || what.ends_with("lost"), "a false alarm after {what}");
        return;
    }
    let rot =
        recovered.rot.clone().unwrap_or_else(|| panic!("{what}: silently cut to {}", recovered.last.index));
    assert_eq!((rot.from, rot.upto), (recovered.last.index.next(), last), "{what}");
    // It is not forgotten at the next start, nor when only a part has been supplied.
    history.close().await;
    let again = history.reopen().await.rot.unwrap_or_else(|| panic!("{what}: forgotten"));
    assert_eq!((again.from, again.upto), (rot.from, rot.upto), "{what}");
    let missing = history.model.from(rot.from).to_vec();
    let part = history.random.below(missing.len() as u64) as usize;
    history.journal().append(&missing[..part]).unwrap();
    if history.random.below(2) == 0 {
        history.journal().sync_start().await.unwrap();
    }
    history.close().await;
    let part_of = history.reopen().await;
    let rot = part_of.rot.unwrap_or_else(|| panic!("{what}: forgotten after {part} records"));
    assert_eq!((rot.from.0, rot.upto), (again.from.0 + part as u64, last), "{what}");
    history.journal().append(&missing[part..]).unwrap();
    history.sync().await;
    history.close().await;
    let healed = history.reopen().await;
    assert_eq!((healed.last.index, healed.rot), (last, None), "{what}");
    history.step().await;
}

fn run(test: &'static str, count: u64, what: fn(&mut History) -> String) {
    for seed in seeds(count) {
        on_executor(move || async move {
            let mut history = History::new(seed, false);
            let _replay = Replay { seed, test };
            damage(&mut history, what).await;
        });
    }
}

#[test]
fn a_flipped_bit_is_healed_or_named() {
    run("a_flipped_bit_is_healed_or_named", 25, flip);
}

#[test]
fn a_flipped_bit_after_a_power_cut_never_shows_wrong_content() {
    for seed in seeds(10) {
        on_executor(move || async move {
            let mut history = History::new(seed, true);
            let test = "a_flipped_bit_after_a_power_cut_never_shows_wrong_content";
            let _replay = Replay { seed, test };
            history.trusting = false;
            for _ in 0..20 + history.random.below(40) {
                history.step().await;
            }
            history.cut_power().await;
            flip(&mut history);
            // The check is in here. What was synced in the last moments may count as torn: its copies were not yet.
            let recovered = history.reopen().await;
            history.adopt(&recovered);
            if recovered.rot.is_none() {
                history.append();
                history.sync().await;
            }
        });
    }
}

#[test]
fn a_lost_file_is_named_or_not_needed() {
    run("a_lost_file_is_named_or_not_needed", 20, lose);
}

/// Copies of a directory as it was just after a sync, of which nothing else has arrived; with a damage of their own.
#[test]
fn a_segment_header_is_found_twice_as_soon_as_a_record_is_synced() {
    on_executor(|| async {
        let dir = tempfile::tempdir().unwrap();
        let shadow = Arc::new(Shadow::of(dir.path()));
        let watch = Some(shadow.clone() as Arc<dyn Watch>);
        let slow = Duration::from_secs(3600);
        let options = Options { watch, copy_interval: slow, ..small() };
        let (mut journal, _) = Journal::open(dir.path(), options).unwrap();
        fill(&mut journal, 300, 5000);
        journal.sync_start().await.unwrap();
        journal.settle();
        let segments: Vec<_> =
            files(dir.path()).into_iter().filter(|f| f.extension().unwrap() == "seg").collect();
        for path in segments {
            let after = tempfile::tempdir().unwrap();
            shadow.cut_at(after.path(), 0, &mut Random(1));
            let path = after.path().join(path.file_name().unwrap());
            let mut bytes = fs::read(&path).unwrap();
            bytes[17] ^= 1;
            fs::write(&path, bytes).unwrap();
            let (_, recovered) = super::open(after.path());
            assert_eq!((recovered.last.index, recovered.rot), (Index(300), None), "{}", path.display());
        }
    });
}

#[test]
fn a_loss_can_be_accepted() {
    on_executor(|| async {
        let mut history = History::new(1, false);
        let dir = history.path().to_owned();
        history.close().await;
        let (mut journal, _) = super::open(&dir);
        fill(&mut journal, 300, 5000);
        journal.sync_start().await.unwrap();
        drop(journal);
        let path = dir.join("000001.seg");
        let mut bytes = fs::read(&path).unwrap();
        bytes[4096 + 5040 * 99 + 60] ^= 4;
        fs::write(&path, bytes).unwrap();
        let (mut journal, recovered) = super::open(&dir);
        let rot = recovered.rot.unwrap();
        assert_eq!((rot.from, rot.upto, rot.offset), (Index(100), Index(300), 4096 + 5040 * 99));
        assert!(dir.join("000001.seg.rot").exists());
        journal.truncate_after(Index(99)).unwrap();
        drop(journal);
        let (mut journal, recovered) = super::open(&dir);
        assert_eq!((recovered.last.index, recovered.rot), (Index(99), None));
        fill(&mut journal, 300, 5000);
        let synced = journal.sync_start().await.unwrap();
        journal.release(synced);
        journal.settle();
        assert!(!dir.join("000001.seg.rot").exists(), "never used again, and gone when it is not needed");
    });
}

/// A segment that is found damaged is renamed; nothing of ours leaves both names.
#[test]
fn a_segment_that_is_there_twice_is_named_and_left_alone() {
    on_executor(|| async {
        let dir = tempfile::tempdir().unwrap();
        let (mut journal, _) = super::open(dir.path());
        fill(&mut journal, 10, 100);
        journal.sync_start().await.unwrap();
        drop(journal);
        fs::write(dir.path().join("000001.seg.rot"), "x").unwrap();
        let before: Vec<_> = files(dir.path()).into_iter().map(|f| (fs::read(&f).unwrap(), f)).collect();
        let Err(error) = Journal::open(dir.path(), small()) else { panic!("it opened") };
        assert!(matches!(error, JournalError::Foreign { .. }), "{error}");
        assert!(error.to_string().contains("000001.seg.rot"), "{error}");
        let after: Vec<_> = files(dir.path()).into_iter().map(|f| (fs::read(&f).unwrap(), f)).collect();
        assert!(before == after, "it changed something");
        fs::remove_file(dir.path().join("000001.seg.rot")).unwrap();
        assert_eq!(super::open(dir.path()).1.last.index, Index(10));
    });
}
