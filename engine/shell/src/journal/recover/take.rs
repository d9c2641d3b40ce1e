//! Putting an open journal together from what was found, and cleaning up behind a crash.

use std::collections::VecDeque;
use std::path::Path;

use rfs_model::Index;
use rfs_model::segment::Start;

use super::super::blank::Slot;
use super::super::cache::Cache;
use super::super::disk::{Disk, Result};
use super::super::gather::Gather;
use super::super::keeper::{Job, Keeper};
use super::super::log::Log;
use super::super::names::Kind;
use super::super::options::Options;
use super::super::position::Position;
use super::super::release::Pins;
use super::super::runs::Runs;
use super::super::sync::Syncs;
use super::adopt::adopt;
use super::judge::{Marks, judge};
use super::scan::Gathered;
use super::survey::{Found, Verdict};
use super::{Piece, Recovered, walk};

/// All files, sorted by what they are.
pub(super) struct Files {
    pub(super) pieces: Vec<Piece>,
    /// Segments that later ones have made void.
    pub(super) void: Vec<Found>,
    pub(super) rest: Vec<Found>,
    /// The highest generation seen.
    pub(super) generation: u64,
    /// The highest slot number seen.
    pub(super) slot: u32,
}

pub(super) fn take(dir: &Path, disk: Disk, options: Options, files: Files) -> Result<(Log, Recovered)> {
    let Files { mut pieces, void, rest, generation, slot } = files;
    let base = pieces.first().map_or(Position::default(), |p| Position::before(&p.header));
    let runs = Runs::starting(base.index, base.term);
    let mut gathered = Gathered { at: base, runs, configs: Vec::new() };
    let marks = marks(&pieces);
    let broken = walk(&mut pieces, &mut gathered, options.trusted_upto);
    let found = judge(&pieces, broken, gathered.at.index, marks, &rest);
    let mut behind = void;
    behind.extend(pieces.split_off(found.keep).into_iter().map(|p| p.found));
    let bytes = pieces.iter().map(|p| p.header.bytes).sum();

    let mut log = empty_log(dir, disk, options, base)?;
    (log.next_generation, log.next_slot) = (generation + 1, slot + 1);
    (log.last, log.runs) = (gathered.at, gathered.runs.clone());
    log.synced = marks.vouched.min(log.last.index);
    log.tail_void = found.tail_void;
    let floor = pieces.last().map_or(Index::ZERO, |p| p.header.floor);
    let open = if floor > log.synced { floor } else { Index::ZERO };
    log.floor = found.rot.as_ref().map_or(open, |rot| rot.upto);
    adopt(&mut log, pieces, found.rotten)?;
    if log.segments.is_empty() {
        let blank = log.first_blank()?;
        let start = if generation == 0 { Start::Reset } else { Start::Cut };
        log.begin(start, log.last, blank)?;
    }
    sweep(&mut log, behind, rest)?;
    log.top_up();
    let (last, synced) = (log.last, log.synced);
    let Gathered { runs, configs, .. } = gathered;
    let (torn, rot) = (found.torn, found.rot);
    Ok((log, Recovered { base, last, synced, runs, configs, bytes, torn, rot }))
}

fn marks(pieces: &[Piece]) -> Marks {
    let vouched = pieces.iter().map(Piece::vouched_upto).max().unwrap_or_default();
    Marks { vouched, floor: pieces.last().map_or(Index::ZERO, |p| p.header.floor) }
}

fn empty_log(dir: &Path, disk: Disk, options: Options, base: Position) -> Result<Log> {
    Ok(Log {
        dir: dir.to_owned(),
        keeper: Keeper::start(disk.clone(), dir.to_owned())?,
        disk,
        cache: Cache::new(options.cache_bytes),
        options,
        base,
        last: base,
        synced: base.index,
        runs: Runs::starting(base.index, base.term),
        segments: VecDeque::new(),
        tail_void: false,
        floor: Index::ZERO,
        aside: Vec::new(),
        retired: VecDeque::new(),
        next_generation: 1,
        next_slot: 1,
        spares: Vec::new(),
        spare_problem: None,
        gather: Gather::default(),
        syncs: Syncs::default(),
        released: Index::ZERO,
        pins: Pins::default(),
        resets: 0,
        cuts: 0,
        poison: None,
    })
}

/// Sees to the slots that are no part of the log: those behind its end or void, and those that are no segments.
fn sweep(log: &mut Log, behind: Vec<Found>, rest: Vec<Found>) -> Result<()> {
    if !behind.is_empty() {
        // The headers that make them void must be on the disk before they go.
        for segment in log.segments.iter().filter(|s| s.header.start != Start::Continue) {
            log.disk.sync(&segment.file, &segment.path)?;
        }
    }
    let healing = log.floor > log.synced;
    for found in behind {
        if healing {
            log.aside.push((found.path, found.copy_path));
        } else {
            put_away(log, found);
        }
    }
    for found in rest {
        if found.verdict == Verdict::Unknown {
            let rot = Kind::Rotten.path(&log.dir, found.number);
            log.disk.rename(&found.path, &rot)?;
            log.aside.push((rot, found.copy_path));
        } else {
            put_away(log, found);
        }
    }
    Ok(())
}

fn put_away(log: &mut Log, found: Found) {
    let Found { number, path, copy_path, file, copy, rotten, .. } = found;
    match (file, copy) {
        (Some(file), Some(copy)) => {
            let bytes = file.metadata().map_or(0, |m| m.len());
            log.recycle_or_remove(Slot { number, path, copy_path, file, copy, bytes }, true, rotten);
        }
        _ => log.keeper.send(Job::Remove { path, copy_path }),
    }
}
