//! Figures of the journal: appends alone, appends that wait for their sync, and appends while syncs run.
//!
//! `cargo run --release -p rfs-engine --example journal_bench -- DIR [SECONDS]`; DIR should be on the disk in question.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use glommio::{Latency, LocalExecutorBuilder, Placement, Shares};
use rfs_engine::journal::{Journal, Options, Position};
use rfs_model::{Index, Record, RecordKind, Term};

const BATCHES: [usize; 3] = [1, 16, 64];
const RECORD_BYTES: usize = 4096;

fn main() {
    let mut args = std::env::args().skip(1);
    let dir = args.next().expect("a directory");
    let seconds = args.next().and_then(|s| s.parse().ok()).unwrap_or(2.0);
    let dir = Path::new(&dir).join("journal-bench");
    let run = move || async move {
        glommio::spawn_local(async {
            loop {
                glommio::timer::sleep(Duration::from_millis(5)).await;
            }
        })
        .detach();
        let latency = Latency::Matters(Duration::from_millis(5));
        let queue = glommio::executor().create_task_queue(Shares::default(), latency, "journal");
        glommio::spawn_local_into(bench(dir, Duration::from_secs_f64(seconds)), queue)
            .expect("a queue")
            .await;
    };
    LocalExecutorBuilder::new(Placement::Unbound).spawn(run).expect("an executor").join().expect("the bench");
}

async fn bench(dir: std::path::PathBuf, time: Duration) {
    let _ = std::fs::remove_dir_all(&dir);
    let started = Instant::now();
    let (journal, _) = Journal::open(&dir, Options::default()).expect("a journal");
    println!("create: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    drop(journal);
    let started = Instant::now();
    let (journal, _) = Journal::open(&dir, Options::default()).expect("a journal");
    println!("open, empty: {:.1} ms", started.elapsed().as_secs_f64() * 1e3);
    let journal = Rc::new(RefCell::new(journal));
    println!(
        "{:<34}{:>11}{:>9}  append µs p50/p99/max     sync µs p50/p99/max",
        "4 KiB records", "records/s", "MB/s"
    );
    for batch in BATCHES {
        appends(&journal, batch, time).await;
    }
    for batch in BATCHES {
        synced(&journal, batch, time).await;
    }
    for batch in BATCHES {
        overlapped(&journal, batch, time).await;
    }
    opening(journal, &dir).await;
    let _ = std::fs::remove_dir_all(&dir);
}

/// Latencies in microseconds.
#[derive(Default)]
struct Latencies(Vec<f64>);

impl Latencies {
    fn note(&mut self, since: Instant) {
        self.0.push(since.elapsed().as_secs_f64() * 1e6);
    }

    fn show(&mut self) -> String {
        self.0.sort_by(f64::total_cmp);
        let at = |share: f64| self.0.get((self.0.len() as f64 * share) as usize).copied().unwrap_or_default();
        let max = self.0.last().copied().unwrap_or_default();
        if self.0.is_empty() { "-".into() } else { format!("{:.1}/{:.1}/{max:.0}", at(0.5), at(0.99)) }
    }
}

fn report(what: &str, count: usize, time: Duration, append: &mut Latencies, sync: &mut Latencies) {
    let rate = count as f64 / time.as_secs_f64();
    let mb = rate * RECORD_BYTES as f64 / 1e6;
    println!("{what:<34}{rate:>11.0}{mb:>9.0}  {:<24}  {}", append.show(), sync.show());
}

fn batch_after(before: Position, count: usize, payload: &Bytes) -> Vec<Record> {
    let mut at = before;
    let term = Term(at.term.0.max(1));
    (0..count)
        .map(|_| {
            let record = Record::new(at.index.next(), term, RecordKind::Op, at.chain, payload.clone());
            at = Position { index: record.meta.index, term, chain: record.meta.crc() };
            record
        })
        .collect()
}

/// Gives the log back behind the writer, as a checkpoint does.
fn release(journal: &RefCell<Journal>) {
    let mut journal = journal.borrow_mut();
    let keep = 100_000;
    let synced = journal.synced();
    journal.release(Index(synced.0.saturating_sub(keep)));
}

fn append(journal: &RefCell<Journal>, count: usize, payload: &Bytes, latencies: &mut Latencies) {
    let mut journal = journal.borrow_mut();
    let batch = batch_after(journal.last(), count, payload);
    let started = Instant::now();
    journal.append(&batch).expect("appended");
    latencies.note(started);
}

async fn appends(journal: &Rc<RefCell<Journal>>, batch: usize, time: Duration) {
    let payload = Bytes::from(vec![7; RECORD_BYTES]);
    let (mut latencies, mut count, started) = (Latencies::default(), 0, Instant::now());
    // As far as one second's worth of segments reaches: afterwards it is the disk that is measured.
    while started.elapsed() < time && count * RECORD_BYTES < 512 << 20 {
        append(journal, batch, &payload, &mut latencies);
        count += batch;
        glommio::yield_if_needed().await;
    }
    let elapsed = started.elapsed();
    let synced = Instant::now();
    let mut sync = Latencies::default();
    let future = journal.borrow().sync_start();
    future.await.expect("synced");
    sync.note(synced);
    release(journal);
    report(&format!("append b={batch}, one sync at the end"), count, elapsed, &mut latencies, &mut sync);
}

async fn synced(journal: &Rc<RefCell<Journal>>, batch: usize, time: Duration) {
    let payload = Bytes::from(vec![7; RECORD_BYTES]);
    let (mut latencies, mut syncs, mut count) = (Latencies::default(), Latencies::default(), 0);
    let started = Instant::now();
    while started.elapsed() < time {
        append(journal, batch, &payload, &mut latencies);
        let asked = Instant::now();
        let future = journal.borrow().sync_start();
        future.await.expect("synced");
        syncs.note(asked);
        count += batch;
    }
    release(journal);
    report(&format!("append b={batch}, sync, wait"), count, started.elapsed(), &mut latencies, &mut syncs);
}

async fn overlapped(journal: &Rc<RefCell<Journal>>, batch: usize, time: Duration) {
    let payload = Bytes::from(vec![7; RECORD_BYTES]);
    let stop = Rc::new(Cell::new(false));
    let syncer = {
        let (journal, stop) = (journal.clone(), stop.clone());
        glommio::spawn_local(async move {
            let mut syncs = Latencies::default();
            while !stop.get() {
                let asked = Instant::now();
                let future = journal.borrow().sync_start();
                future.await.expect("synced");
                syncs.note(asked);
                glommio::timer::sleep(Duration::from_millis(1)).await;
            }
            syncs
        })
        .detach()
    };
    let (mut latencies, mut count, started) = (Latencies::default(), 0, Instant::now());
    while started.elapsed() < time {
        append(journal, batch, &payload, &mut latencies);
        count += batch;
        // 2000 batches a second: a load that the disk keeps up with.
        glommio::timer::sleep(Duration::from_micros(400)).await;
    }
    let elapsed = started.elapsed();
    stop.set(true);
    let mut syncs = syncer.await.expect("the syncer");
    release(journal);
    report(&format!("append b={batch} while syncs run"), count, elapsed, &mut latencies, &mut syncs);
}

async fn opening(journal: Rc<RefCell<Journal>>, dir: &Path) {
    let (bytes, last) = {
        let mut journal = journal.borrow_mut();
        journal.settle();
        (journal.stats().bytes, journal.last().index)
    };
    drop(journal);
    for (what, trusted_upto) in [("every record verified", Index::ZERO), ("header copies trusted", last)] {
        let started = Instant::now();
        let (journal, recovered) =
            Journal::open(dir, Options { trusted_upto, ..Options::default() }).expect("opens");
        let took = started.elapsed().as_secs_f64();
        assert_eq!((recovered.last.index, recovered.rot), (last, None));
        println!("open, {} MiB, {what}: {:.0} ms", bytes >> 20, took * 1e3);
        let (from, read) = (journal.base().index.next(), Instant::now());
        let (mut at, mut got) = (from, 0);
        while got < 64 << 20 && at <= last {
            let records = journal.read(at, last, 1 << 20).await.expect("readable");
            got += records.len() * RECORD_BYTES;
            at = Index(at.0 + records.len() as u64);
        }
        let rate = got as f64 / read.elapsed().as_secs_f64() / 1e6;
        println!("catch-up reads of 1 MiB: {rate:.0} MB/s");
        drop(journal);
    }
}
