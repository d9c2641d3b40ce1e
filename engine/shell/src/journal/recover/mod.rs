//! Opening a journal: which segments make up the log, how far their records are good, and what that means.
//!
//! A record that is bad, or missing, ends the log there. If the header copies say that it was once synced, it is *rot*:
//! nothing behind it is thrown away, the state is written down and shown again at each open, until the log has been
//! supplied that far again. Otherwise it is a *torn* tail that a power cut left, and it is dropped.

mod adopt;
mod judge;
mod order;
mod scan;
mod survey;
mod take;

use std::path::{Path, PathBuf};

use rfs_model::segment::SegmentHeader;
use rfs_model::{Index, Record};

use super::disk::{Disk, Result};
use super::error::{Damage, JournalError};
use super::log::Log;
use super::options::Options;
use super::position::Position;
use super::runs::Runs;
use scan::{Gathered, Scanned, Scope};
use survey::{Found, Verdict};

/// What was found at open.
#[derive(Clone, Debug)]
pub struct Recovered {
    pub base: Position,
    pub last: Position,
    /// Everything up to here is known to be on the disk. What lies behind was read back, but was perhaps never synced.
    pub synced: Index,
    pub runs: Runs,
    /// All configuration records of the log, oldest first.
    pub configs: Vec<Record>,
    /// Of all segment files that make up the log.
    pub bytes: u64,
    pub torn: Option<Torn>,
    pub rot: Option<Rot>,
}

/// A tail that was never synced and is incomplete. It has been dropped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Torn {
    /// The first record that is not whole.
    pub index: Index,
    pub segment: PathBuf,
    pub offset: u64,
    pub problem: Damage,
}

/// Records that were synced once, and are not there any more. The log ends before them, and takes appends there: from a
/// peer, which has them. A brick alone must stop; [`super::Journal::truncate_after`] its last record accepts the loss.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rot {
    pub from: Index,
    /// The last record known to have been synced.
    pub upto: Index,
    /// Where the first of them should be. The file is kept under a name ending in `.rot`.
    pub segment: PathBuf,
    pub offset: u64,
    pub problem: Damage,
}

/// A segment of the log, as far as it is known.
struct Piece {
    found: Found,
    header: SegmentHeader,
    /// Where the next one begins.
    limit: Option<Index>,
    scanned: Option<Scanned>,
    /// Last good record.
    last: Index,
}

/// Where the log ends before its segments do.
struct Break {
    /// In which piece, and where in it.
    piece: usize,
    offset: u64,
    problem: Damage,
}

pub(super) fn open(dir: &Path, options: Options) -> Result<(Log, Recovered)> {
    options.check()?;
    std::fs::create_dir_all(dir).map_err(|e| JournalError::io("create", dir, &e))?;
    let disk = Disk::new(options.watch.clone());
    let (mut segments, rest): (Vec<_>, Vec<_>) =
        survey::survey(dir)?.into_iter().partition(|f| matches!(f.verdict, Verdict::Segment(_)));
    segments.sort_by_key(|f| f.header().map(|h| h.generation));
    let headers: Vec<_> = segments.iter().filter_map(Found::header).collect();
    let live = order::live(&headers);
    let slot = segments.iter().chain(&rest).map(|f| f.number).max().unwrap_or(0);
    let generation = headers.last().map_or(0, |h| h.generation);
    let (mut pieces, mut void) = (Vec::new(), Vec::new());
    for (at, found) in segments.into_iter().enumerate() {
        match found.header().filter(|_| live.contains(&at)) {
            Some(header) => {
                pieces.push(Piece { found, header, limit: None, scanned: None, last: Index::ZERO })
            }
            None => void.push(found),
        }
    }
    let limits = order::limits(&pieces.iter().map(|p| p.header).collect::<Vec<_>>());
    pieces.iter_mut().zip(limits).for_each(|(piece, limit)| piece.limit = limit);
    take::take(dir, disk, options, take::Files { pieces, void, rest, generation, slot })
}

impl Found {
    fn header(&self) -> Option<SegmentHeader> {
        match self.verdict {
            Verdict::Segment(header) => Some(header),
            Verdict::Spare | Verdict::Unknown => None,
        }
    }
}

impl Piece {
    fn scope(&self) -> Option<Scope<'_>> {
        let (header, limit, vouched) = (&self.header, self.limit, &self.found.vouched);
        self.found.file.as_ref().map(|file| Scope { file, header, limit, vouched })
    }

    /// The last record of this piece that is known to have been synced, if it counts.
    fn vouched_upto(&self) -> Index {
        let most = self.limit.map_or(Index(u64::MAX), Index::prev);
        self.found.vouched.upto.min(most)
    }
}

/// Walks over the pieces, and ends at the first place where a record is not as it should be.
fn walk(pieces: &mut [Piece], gathered: &mut Gathered, trusted_upto: Index) -> Option<Break> {
    for at in 0..pieces.len() {
        let piece = pieces.get_mut(at)?;
        if let Some(problem) = gap(&piece.header, &gathered.at) {
            return Some(Break { piece: at, offset: 0, problem });
        }
        let Some(scope) = piece.scope() else {
            return Some(Break { piece: at, offset: 0, problem: Damage::Missing });
        };
        let trusted = scope.limit.is_some_and(|limit| limit.prev() <= trusted_upto);
        let scanned = trusted.then(|| scope.trust(gathered)).flatten();
        let scanned = scanned.unwrap_or_else(|| scope.scan(gathered, trusted_upto));
        let (stopped, offset) = (scanned.stopped, scanned.end);
        (piece.scanned, piece.last) = (Some(scanned), gathered.at.index);
        if let Some(problem) = stopped {
            return Some(Break { piece: at, offset, problem });
        }
    }
    None
}

fn gap(header: &SegmentHeader, at: &Position) -> Option<Damage> {
    if header.first != at.index.next() {
        return Some(Damage::Missing);
    }
    (Position::before(header) != *at).then_some(Damage::Chain)
}
