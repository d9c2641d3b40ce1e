//! Random histories against a model that is a list.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rfs_model::{Index, Record, RecordKind, Term};
use tempfile::{TempDir, tempdir};

use super::shadow::Shadow;
use super::*;
use crate::journal::{Pin, Watch};

/// SplitMix64 (Steele, Lea, Flood 2014).
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }
}

/// What the log must hold. Also what lies before its base, since a crash may bring a longer log back.
#[derive(Default)]
pub(super) struct Model {
    /// The place before the first of the records.
    pub(super) origin: Position,
    pub(super) records: Vec<Record>,
    pub(super) synced: Index,
}

impl Model {
    pub(super) fn last(&self) -> Position {
        self.records.last().map_or(self.origin, |r| Position::of(&r.meta))
    }

    pub(super) fn from(&self, index: Index) -> &[Record] {
        &self.records[(index.0 - self.origin.index.0 - 1) as usize..]
    }

    pub(super) fn truncate_after(&mut self, index: Index) {
        self.records.truncate((index.0 - self.origin.index.0) as usize);
        self.synced = self.synced.min(index);
    }
}

/// One history: a journal in a directory, and the model beside it.
pub(super) struct History {
    pub(super) random: Random,
    pub(super) model: Model,
    journal: Option<Journal>,
    dir: TempDir,
    pub(super) shadow: Option<Arc<Shadow>>,
    /// Whether header copies may stand for released records at open.
    pub(super) trusting: bool,
    released: Index,
    pins: Vec<Pin>,
}

impl History {
    /// With `power`, the directory is watched so that power cuts can be played.
    pub(super) fn new(seed: u64, power: bool) -> Self {
        let dir = tempdir().unwrap();
        let shadow = power.then(|| Arc::new(Shadow::of(dir.path())));
        let (random, model) = (Random(seed), Model::default());
        let mut history = Self {
            random,
            model,
            journal: None,
            dir,
            shadow,
            trusting: true,
            released: Index::ZERO,
            pins: Vec::new(),
        };
        let (journal, _) = history.open();
        history.journal = Some(journal);
        history
    }

    pub(super) fn path(&self) -> &Path {
        self.dir.path()
    }

    pub(super) fn journal(&mut self) -> &mut Journal {
        self.journal.as_mut().expect("open")
    }

    /// As when the process dies: only that a sync in flight is waited for, so that it does not run into the next life.
    pub(super) async fn close(&mut self) {
        self.pins.clear();
        let Some(journal) = self.journal.take() else { return };
        let log = Rc::downgrade(&journal.log);
        drop(journal);
        while log.strong_count() > 0 {
            glommio::timer::sleep(Duration::from_micros(100)).await;
        }
    }

    fn open(&mut self) -> (Journal, Recovered) {
        let watch = self.shadow.clone().map(|s| s as Arc<dyn Watch>);
        let cache_bytes = if self.random.below(2) == 0 { 0 } else { 100_000 };
        let retain_bytes = self.random.below(4) << 20;
        let trusted_upto = Index(if self.trusting { self.random.below(self.released.0 + 1) } else { 0 });
        let spares = self.random.below(3) as usize;
        let options = Options { watch, cache_bytes, retain_bytes, trusted_upto, spares, ..small() };
        Journal::open(self.dir.path(), options).expect("the journal opens")
    }

    /// Opens the directory again, which must be a crash of the present one, and checks what comes back.
    pub(super) async fn reopen(&mut self) -> Recovered {
        let (journal, recovered) = self.open();
        self.journal = Some(journal);
        assert!(recovered.base.index >= self.model.origin.index, "records from before the reset");
        let journal = self.journal.as_ref().expect("just set");
        assert_eq!((journal.base(), journal.last()), (recovered.base, recovered.last));
        assert!(recovered.last.index <= self.model.last().index, "records out of nowhere");
        let count = (recovered.last.index.0 - recovered.base.index.0) as usize;
        let got = read_all(journal).await;
        let want = &self.model.from(recovered.base.index.next())[..count];
        let differs = got.iter().zip(want).find(|(a, b)| a != b);
        assert!(
            differs.is_none() && got.len() == want.len(),
            "wrong content at {:?}",
            differs.map(|d| d.0.meta)
        );
        let configs: Vec<_> = want.iter().filter(|r| r.meta.kind == RecordKind::Config).cloned().collect();
        assert_eq!(recovered.configs, configs);
        for record in want {
            assert_eq!(journal.term_at(record.meta.index), Some(record.meta.term));
        }
        recovered
    }

    /// The crash is over: what came back is the log now.
    pub(super) fn adopt(&mut self, recovered: &Recovered) {
        let lost = self.model.from(recovered.last.index.next()).to_vec();
        self.model.truncate_after(recovered.last.index);
        self.model.synced = self.model.synced.max(recovered.synced);
        self.released = self.released.min(recovered.last.index);
        // As a leader would: some of what was lost comes again. What stood behind it must not join on by itself.
        if self.random.below(2) == 0 && recovered.rot.is_none() {
            self.append_some(&lost);
        }
    }

    fn append_some(&mut self, records: &[Record]) {
        if !records.is_empty() {
            let count = 1 + self.random.below(records.len() as u64) as usize;
            self.journal().append(&records[..count]).expect("appended");
            self.model.records.extend_from_slice(&records[..count]);
        }
    }

    /// Makes the directory what a power cut leaves of it.
    pub(super) async fn cut_power(&mut self) {
        let next = tempdir().unwrap();
        let shadow = self.shadow.clone().expect("a watched history");
        shadow.cut(next.path(), &mut self.random);
        self.close().await;
        self.shadow = Some(Arc::new(Shadow::of(next.path())));
        self.dir = next;
    }

    /// A power cut somewhere in the cleaning up: at a random call of a start, a release, and what the keeper does then.
    pub(super) async fn cut_power_in_passing(&mut self) {
        let next = tempdir().unwrap();
        let shadow = self.shadow.clone().expect("a watched history");
        let calls = 1 + self.random.below(60);
        shadow.arm(calls, next.path(), Random(self.random.next()));
        if self.random.below(2) == 0 {
            self.close().await;
            let recovered = self.reopen().await;
            assert_eq!(recovered.last, self.model.last(), "everything written survives");
        }
        self.pins.clear();
        self.released = self.model.synced.max(self.released);
        let released = self.released;
        self.journal().release(released);
        self.journal().settle();
        if shadow.disarm() {
            shadow.cut(next.path(), &mut self.random);
        }
        self.close().await;
        self.shadow = Some(Arc::new(Shadow::of(next.path())));
        self.dir = next;
    }

    /// Does one random thing.
    pub(super) async fn step(&mut self) {
        match self.random.below(100) {
            0..55 => self.append(),
            55..75 => self.sync().await,
            75..80 => self.append_while_syncing().await,
            80..86 => self.truncate(),
            86..93 => self.release(),
            93..95 => self.pin(),
            95..99 => self.read().await,
            _ => self.reset(),
        }
    }

    fn batch(&mut self) -> Vec<Record> {
        let count = 1 + self.random.below(12);
        let mut at = self.model.last();
        let mut out = Vec::new();
        for _ in 0..count {
            let len = match self.random.below(10) {
                0..4 => self.random.below(200),
                4..9 => self.random.below(9000),
                _ => self.random.below(150_000),
            };
            let term = at.term.0.max(1) + u64::from(self.random.below(30) == 0);
            let kind = if self.random.below(20) == 0 { RecordKind::Config } else { RecordKind::Op };
            // Often the same content as anything else at this index, so that stale records would fit.
            let fill = if self.random.below(2) == 0 { 0 } else { self.random.next() as u8 };
            let record = record(at, term, kind, len as usize, fill);
            at = Position::of(&record.meta);
            out.push(record);
        }
        out
    }

    pub(super) fn append(&mut self) {
        let batch = self.batch();
        self.journal().append(&batch).expect("appended");
        self.model.records.extend(batch);
        let last = self.model.last();
        assert_eq!(self.journal().last(), last);
    }

    pub(super) async fn sync(&mut self) {
        let synced = self.journal().sync_start().await.expect("synced");
        assert_eq!(synced, self.model.last().index);
        self.model.synced = synced;
    }

    async fn append_while_syncing(&mut self) {
        let (target, before) = (self.model.last().index, self.model.synced);
        let sync = glommio::spawn_local(self.journal().sync_start()).detach();
        for _ in 0..self.random.below(6) {
            self.append();
            if self.random.below(2) == 0 {
                glommio::executor().yield_task_queue_now().await;
            }
        }
        if self.random.below(4) == 0 {
            return; // In flight when the next thing happens, perhaps a crash.
        }
        let synced = sync.await.expect("not cancelled").expect("synced");
        assert!(synced >= target && synced <= self.model.last().index);
        self.model.synced = synced.max(before);
    }

    fn truncate(&mut self) {
        let lowest = self.released.max(self.journal().base().index).0;
        let last = self.model.last().index.0;
        let depth = if self.random.below(3) == 0 { last - lowest } else { (last - lowest).min(20) };
        let index = Index(last - self.random.below(depth + 1));
        self.journal().truncate_after(index).expect("cut");
        // Half of the time the same records come again, some of them.
        let again: Vec<_> = self.model.from(index.next()).to_vec();
        self.model.truncate_after(index);
        if self.random.below(2) == 0 {
            self.append_some(&again);
        }
    }

    fn release(&mut self) {
        let upto = self.random.below(self.model.synced.0 + 1);
        self.released = self.released.max(Index(upto));
        let released = self.released;
        let lowest = (!self.pins.is_empty()).then(|| self.journal().base());
        self.journal().release(released);
        assert!(self.journal().base().index <= released);
        if let Some(pinned) = lowest {
            assert_eq!(self.journal().base(), pinned, "a pin holds");
        }
    }

    fn pin(&mut self) {
        if self.pins.is_empty() {
            let pin = self.journal().base().index;
            let pin = self.journal().pin(pin);
            self.pins.push(pin);
        } else {
            self.pins.clear();
        }
    }

    async fn read(&mut self) {
        let (base, last) = (self.journal().base().index.0, self.model.last().index.0);
        let from = Index(base + 1 + self.random.below(last - base + 1));
        let bytes = self.random.below(400_000) as usize;
        let got = self.journal().read(from, Index(u64::MAX), bytes).await.expect("readable");
        assert_eq!(got[..], self.model.from(from)[..got.len()]);
        assert_eq!(got.is_empty(), from.0 > last);
    }

    fn reset(&mut self) {
        let last = self.model.last();
        let index = match self.random.below(2) {
            0 => Index(last.index.0 + self.random.below(1000)),
            _ => Index(self.random.below(last.index.0 + 1)),
        };
        // Sometimes the very log that was there before, from an index in the middle.
        let held = index > self.model.origin.index && index < last.index;
        let (origin, tail) = match held && self.random.below(2) == 0 {
            true => {
                let at = (index.0 - self.model.origin.index.0 - 1) as usize;
                (Position::of(&self.model.records[at].meta), self.model.records[at + 1..].to_vec())
            }
            // Before the first record of all there is none.
            false if index == Index::ZERO => (Position::default(), Vec::new()),
            false => (
                Position { index, term: Term(last.term.0 + 1), chain: self.random.next() as u32 },
                Vec::new(),
            ),
        };
        self.pins.clear();
        self.journal().set_base(origin.index, origin.term, origin.chain).expect("reset");
        let count = self.random.below(tail.len() as u64 + 1) as usize;
        self.journal().append(&tail[..count]).expect("appended");
        let records = tail[..count].to_vec();
        self.model = Model { origin, records, synced: origin.index };
        self.released = origin.index;
    }
}

/// The seeds to run: one from the environment, or `count` of them.
pub(super) fn seeds(count: u64) -> Vec<u64> {
    let number = |name: &str| std::env::var(name).ok().and_then(|v| v.parse::<u64>().ok());
    match (number("RFS_JOURNAL_SEED"), number("RFS_JOURNAL_SEEDS")) {
        (Some(seed), _) => vec![seed],
        (None, Some(many)) => {
            let from = number("RFS_JOURNAL_FROM").unwrap_or(0);
            (from..from + many).collect()
        }
        (None, None) => (0..count).collect(),
    }
}

/// Names the seed of a history that fails.
pub(super) struct Replay {
    pub(super) seed: u64,
    pub(super) test: &'static str,
}

impl Drop for Replay {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let Self { seed, test, .. } = self;
            eprintln!("to replay: RFS_JOURNAL_SEED={seed} cargo test -p rfs-engine {test}");
        }
    }
}

#[test]
fn histories_with_process_crashes() {
    for seed in seeds(10) {
        on_executor(move || async move {
            let mut history = History::new(seed, false);
            let _replay = Replay { seed, test: "histories_with_process_crashes" };
            for _ in 0..4 {
                for _ in 0..15 + history.random.below(40) {
                    history.step().await;
                }
                history.close().await;
                let recovered = history.reopen().await;
                assert_eq!(recovered.last, history.model.last(), "everything written survives");
                assert_eq!((&recovered.rot, &recovered.torn), (&None, &None));
                history.adopt(&recovered);
            }
        });
    }
}
