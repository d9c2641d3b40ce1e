//! The thread that prepares segments before they are needed and puts used ones away. It never wakes the executor: the
//! journal looks for results when it wants one.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::blank::{self, Blank, Slot};
use super::disk::{Disk, Result};
use super::error::JournalError;

/// Work for the keeper, done in the order given.
pub(super) enum Job {
    Make { number: u32, bytes: u64 },
    Recycle { slot: Box<Slot>, zero: bool, resets: u64 },
    Remove { path: PathBuf, copy_path: PathBuf },
}

/// What became of a job: a slot ready for use where the job was to make one.
pub(super) type Done = Result<Option<Blank>>;

pub(super) struct Keeper {
    jobs: Option<Sender<Job>>,
    results: Receiver<Done>,
    thread: Option<JoinHandle<()>>,
    stop: Disk,
    /// Jobs without a result yet.
    outstanding: usize,
    /// Of those, the ones that end in a spare.
    making: usize,
    kinds: VecDeque<bool>,
}

impl Keeper {
    pub(super) fn start(disk: Disk, dir: PathBuf) -> Result<Self> {
        let (jobs, inbox) = channel::<Job>();
        let (outbox, results) = channel();
        let place = dir.clone();
        let stop = disk.clone();
        let run = move || {
            for job in inbox {
                if disk.go_on(&dir).is_err() || outbox.send(work(&disk, &dir, job)).is_err() {
                    break;
                }
            }
        };
        let thread = std::thread::Builder::new().name("journal-keeper".into()).spawn(run);
        let thread = thread.map_err(|e| JournalError::io("start the keeper's thread for", &place, &e))?;
        let (jobs, thread) = (Some(jobs), Some(thread));
        Ok(Self { jobs, results, thread, stop, outstanding: 0, making: 0, kinds: VecDeque::new() })
    }

    pub(super) fn send(&mut self, job: Job) {
        let makes = matches!(job, Job::Make { .. } | Job::Recycle { .. });
        let jobs = self.jobs.as_ref().expect("taken only on drop");
        jobs.send(job).expect("the keeper's thread ends only after its sender");
        self.outstanding += 1;
        self.making += usize::from(makes);
        self.kinds.push_back(makes);
    }

    /// Spares that are being made.
    pub(super) fn making(&self) -> usize {
        self.making
    }

    /// The next result that is there already.
    pub(super) fn poll(&mut self) -> Option<Done> {
        let done = self.results.try_recv().ok()?;
        self.settle();
        Some(done)
    }

    /// The next result, waiting for it; nothing when no job is outstanding.
    pub(super) fn wait(&mut self) -> Option<Done> {
        if self.outstanding == 0 {
            return None;
        }
        let done = self.results.recv().expect("the keeper's thread answers every job");
        self.settle();
        Some(done)
    }

    fn settle(&mut self) {
        self.outstanding -= 1;
        let made = self.kinds.pop_front().expect("one kind for each outstanding job");
        self.making -= usize::from(made);
    }
}

impl Drop for Keeper {
    /// Waits for the call in hand, so that nobody writes to the directory once the journal is gone. Jobs not done are
    /// dropped: the next start finds the same work again.
    fn drop(&mut self) {
        self.stop.stop();
        drop(self.jobs.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn work(disk: &Disk, dir: &std::path::Path, job: Job) -> Done {
    match job {
        Job::Make { number, bytes } => Blank::create(disk, dir, number, bytes, true).map(Some),
        Job::Recycle { slot, zero, resets } => slot.recycle(disk, zero, resets).map(Some),
        Job::Remove { path, copy_path } => blank::remove(disk, dir, &path, &copy_path).map(|()| None),
    }
}
