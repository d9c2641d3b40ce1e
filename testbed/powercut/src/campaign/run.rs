//! Cutting, recovering, judging; several cuts at a time.

use std::any::Any;
use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::{Cut, Failure, Figures, Job};
use crate::check::{History, Verdict, Window, judge};
use crate::cut::{Builder, Losses};
use crate::image::Image;
use crate::site::{Alive, Difference, Recording, Stage, Stretch};

/// How to go about it.
#[derive(Clone, Debug)]
pub struct Options {
    pub seed: u64,
    /// The numbers of the cuts.
    pub cuts: Vec<u64>,
    /// Sets of hosts at the same time.
    pub stages: usize,
    /// The disks lie ([`Losses::Flushed`]): to show that it is noticed.
    pub lie: bool,
    /// Where the logs of a failed cut are kept.
    pub keep: Option<PathBuf>,
}

/// For how long, and for how many operations of each worker, work goes on after a recovery.
const GOES_ON: Duration = Duration::from_secs(1);
const MORE: u64 = 200;

struct Common<'a> {
    recording: &'a Recording,
    options: &'a Options,
    work: Mutex<(VecDeque<Cut>, Vec<Builder<'a>>)>,
    figures: Mutex<Figures>,
}

/// Carries out all cuts; `step` is called after each.
pub fn run(recording: &Recording, options: &Options, step: impl Fn(&Figures) + Sync) -> io::Result<Figures> {
    let mut cuts: Vec<Cut> = options.cuts.iter().map(|n| Cut::new(recording, options.seed, *n)).collect();
    if options.lie {
        cuts.iter_mut().for_each(|cut| cut.losses.fill(Losses::Flushed));
    }
    cuts.sort_by_key(|cut| cut.moment.at_ns);
    let builder = |disk: &'_ crate::site::Taken| disk.initial.copy();
    let copies = recording.disks.iter().map(builder).collect::<io::Result<Vec<Image>>>()?;
    let builders =
        recording.disks.iter().zip(copies).map(|(d, copy)| Builder::new(&d.record, copy)).collect();
    let operations = recording.history.workers.iter().map(|w| w.len() as u64).sum();
    let figures = Mutex::new(Figures::of(recording.figures(), operations));
    let common = Common { recording, options, work: Mutex::new((cuts.into(), builders)), figures };
    std::thread::scope(|scope| {
        let stages: Vec<_> = (0..options.stages).map(|_| scope.spawn(|| one_stage(&common, &step))).collect();
        stages.into_iter().try_for_each(|s| s.join().unwrap_or_else(|e| Err(io::Error::other(said(&*e)))))
    })?;
    Ok(common.figures.into_inner().unwrap_or_else(PoisonError::into_inner))
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn one_stage(common: &Common<'_>, step: &(impl Fn(&Figures) + Sync)) -> io::Result<()> {
    let mut stage = None;
    while let Some(job) = next(common)? {
        locked(&common.figures).begin(&job);
        let (number, at_ns) = (job.cut.number, job.cut.moment.at_ns);
        let here: &Stage = stage.get_or_insert_with(Stage::new);
        let result = catch_unwind(AssertUnwindSafe(|| bring_back(common, here, job)));
        let what = match result {
            Ok(Ok(outcome)) => counted(common, at_ns, outcome),
            Ok(Err(error)) => vec![error.to_string()],
            Err(panic) => vec![said(&*panic)],
        };
        if !what.is_empty() {
            if let Some(keep) = &common.options.keep {
                std::fs::create_dir_all(keep)?;
                std::fs::write(
                    keep.join(format!("cut-{number}.log")),
                    format!("{what:#?}\n{}", here.logs()),
                )?;
            }
            // What is left of it may be in any state.
            stage = None;
            locked(&common.figures).failures.push(Failure { cut: number, what });
        }
        step(&locked(&common.figures));
    }
    Ok(())
}

fn next(common: &Common<'_>) -> io::Result<Option<Job>> {
    let mut work = locked(&common.work);
    let (cuts, builders) = &mut *work;
    cuts.pop_front().map(|cut| cut.build(common.options.seed, builders)).transpose()
}

/// The panic's message.
fn said(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().cloned();
    text.or_else(|| panic.downcast_ref::<&str>().map(|s| (*s).to_owned()))
        .unwrap_or_else(|| "panicked".to_owned())
}

/// What came of one cut.
struct Outcome {
    lost: Vec<String>,
    mixed: Vec<String>,
    differences: Vec<Difference>,
    /// What was wrong when the work had gone on.
    later: Vec<String>,
    /// How many operations of each worker are there, when all together are the state of one moment.
    exact: Option<Vec<usize>>,
    took: Duration,
    hung: u64,
}

fn bring_back(common: &Common<'_>, stage: &Stage, job: Job) -> io::Result<Outcome> {
    let Job { cut, disks, .. } = job;
    if !cut.twice {
        return judged(common, cut.moment.at_ns, stage.recover(disks)?);
    }
    let initial = disks.iter().map(Image::copy).collect::<io::Result<Vec<Image>>>()?;
    let first = stage.recover(disks)?;
    let (span, hung) = ((first.from_ns, first.until_ns), first.hung);
    let again = cut.again(common.options.seed, initial, &first.end()?, span)?;
    let outcome = judged(common, cut.moment.at_ns, stage.recover(again)?)?;
    Ok(Outcome { hung: outcome.hung + hung, ..outcome })
}

/// Compares a volume that came back with what was done, and works on it where the work had been cut off.
fn judged(common: &Common<'_>, at_ns: u64, alive: Alive<'_>) -> io::Result<Outcome> {
    let history = &common.recording.history;
    let (folders, differences) = alive.look()?;
    let mut later = Vec::new();
    let windows: Vec<Window> = history.windows(at_ns);
    let verdicts: Vec<Verdict> = (0..)
        .zip(history.workers.iter().zip(&windows).zip(&folders))
        .map(|(worker, ((steps, window), found))| judge(worker, steps, *window, found))
        .collect();
    let lost: Vec<String> = verdicts.iter().flat_map(|v| v.wrong.clone()).collect();
    let mixed: Vec<String> = verdicts.iter().flat_map(|v| v.mixed.clone()).collect();
    let lengths: Vec<Vec<usize>> = verdicts.into_iter().map(|v| v.lengths).collect();
    let exact = fit_together(history, &lengths);
    if let Some(done) = exact.as_ref().filter(|_| lost.is_empty()) {
        later = go_on(common.recording.about.plan.seed, &alive, done.clone())?;
    }
    let (took, hung) = (alive.took, alive.hung);
    alive.end()?;
    Ok(Outcome { lost, mixed, differences, later, exact, took, hung })
}

/// The work goes on where the power cut it off: the same names and files are touched again. Returns what is wrong after
/// that.
fn go_on(seed: u64, alive: &Alive<'_>, done: Vec<usize>) -> io::Result<Vec<String>> {
    let most = done.iter().max().copied().unwrap_or(0) as u64 + MORE;
    let history = alive.go_on(Stretch { seed, done, most }, GOES_ON)?;
    let (folders, differences) = alive.look()?;
    let all = (0..).zip(history.workers.iter().zip(&folders));
    let wrong = all.flat_map(|(worker, (steps, found))| {
        let window = Window { least: steps.len(), most: steps.len() };
        let verdict = judge(worker, steps, window, found);
        verdict.wrong.into_iter().chain(verdict.mixed)
    });
    let differences = differences.iter().map(ToString::to_string);
    Ok(wrong.chain(differences).map(|what| format!("after going on: {what}")).collect())
}

/// Adds up; returns what is wrong.
fn counted(common: &Common<'_>, at_ns: u64, outcome: Outcome) -> Vec<String> {
    let (history, mut figures) = (&common.recording.history, locked(&common.figures));
    let left_over = |d: &Difference| matches!(d, Difference::LeftOver(_));
    let unequal = !outcome.differences.is_empty();
    figures.losses += u64::from(!outcome.lost.is_empty());
    figures.mixed += u64::from(!outcome.mixed.is_empty());
    figures.unequal += u64::from(unequal);
    figures.left_over += u64::from(unequal && outcome.differences.iter().all(left_over));
    figures.later += u64::from(!outcome.later.is_empty());
    figures.exact += u64::from(outcome.exact.is_some());
    figures.fsyncs_checked += history.fsyncs(at_ns) as u64;
    figures.operations_checked += history.windows(at_ns).iter().map(|w| w.least as u64).sum::<u64>();
    figures.hung += outcome.hung;
    figures.slowest_ms = figures.slowest_ms.max(u64::try_from(outcome.took.as_millis()).unwrap_or(u64::MAX));
    let unequal = outcome.differences.iter().map(|d| format!("unequal trees: {d}"));
    let mixed = outcome.mixed.iter().map(|m| format!("mixed contents: {m}"));
    outcome.lost.into_iter().chain(mixed).chain(unequal).chain(outcome.later).collect()
}

/// A length for each worker so that all together are the state of one moment. Operations that change nothing leave
/// several lengths; those of a worker lie next to each other.
fn fit_together(history: &History, lengths: &[Vec<usize>]) -> Option<Vec<usize>> {
    let mut chosen = lengths.iter().map(|l| l.first().copied()).collect::<Option<Vec<usize>>>()?;
    while !history.is_prefix(&chosen) {
        // The worker whose next operation ended first is the one that lags.
        let next = |worker: usize| history.workers.get(worker)?.get(*chosen.get(worker)?).map(|s| s.ended_ns);
        let lags = (0..chosen.len()).filter(|w| next(*w).is_some()).min_by_key(|w| next(*w))?;
        let more = lengths.get(lags)?.iter().find(|n| **n > chosen[lags])?;
        chosen[lags] = *more;
    }
    Some(chosen)
}
