//! What it means that the log ends where it does.

use rfs_model::Index;
use rfs_model::record::RecordProblem;

use super::super::error::Damage;
use super::survey::{Found, Verdict};
use super::{Break, Piece, Rot, Torn};

/// How far the log is known to have been synced.
#[derive(Clone, Copy)]
pub(super) struct Marks {
    /// By the header copies.
    pub(super) vouched: Index,
    /// By the newest segment's header: what an earlier damage has left to be supplied again.
    pub(super) floor: Index,
}

#[derive(Default)]
pub(super) struct Judgement {
    /// So many pieces stay in the log.
    pub(super) keep: usize,
    /// The last of those has bytes behind its records that may look like records.
    pub(super) tail_void: bool,
    /// It holds damage itself.
    pub(super) rotten: bool,
    pub(super) torn: Option<Torn>,
    pub(super) rot: Option<Rot>,
}

/// `last` is the last good record; `rest` are the slots that are no segments.
pub(super) fn judge(
    pieces: &[Piece],
    broken: Option<Break>,
    last: Index,
    marks: Marks,
    rest: &[Found],
) -> Judgement {
    let mut judgement = broken.and_then(|b| judge_break(pieces, &b, last, marks)).unwrap_or_default();
    let unknown = rest.iter().find(|f| f.verdict == Verdict::Unknown);
    if let (None, Some(found)) = (&judgement.rot, unknown) {
        let (from, segment, problem) = (last.next(), found.path.clone(), Damage::Header);
        judgement.rot = Some(Rot { from, upto: from, segment, offset: 0, problem });
    }
    judgement
}

fn judge_break(pieces: &[Piece], broken: &Break, last: Index, marks: Marks) -> Option<Judgement> {
    let piece = pieces.get(broken.piece)?;
    let next = last.next();
    let keep = broken.piece + usize::from(piece.scanned.is_some());
    let (segment, offset, problem) = (piece.found.path.clone(), broken.offset, broken.problem);
    let damaged = next <= marks.vouched;
    let final_end = piece.scanned.is_some() && keep == pieces.len() && !damaged;
    let void = piece.scope().is_some_and(|scope| scope.void_behind(broken.offset, last));
    let tail_void = !final_end || void || matches!(problem, Damage::Unreadable(_));
    let upto = marks.vouched.max(marks.floor);
    let rot = (next <= upto).then(|| Rot { from: next, upto, segment: segment.clone(), offset, problem });
    let tail = tail_void || !is_plain_end(problem);
    let torn = (rot.is_none() && tail).then_some(Torn { index: next, segment, offset, problem });
    let rotten = damaged && piece.scanned.is_some();
    Some(Judgement { keep, tail_void, rotten, torn, rot })
}

/// Zeros, or a record of an earlier life of the segment: what lies behind a log that ended in peace.
fn is_plain_end(problem: Damage) -> bool {
    matches!(problem, Damage::Record(RecordProblem::Magic) | Damage::Index(_) | Damage::End)
}
