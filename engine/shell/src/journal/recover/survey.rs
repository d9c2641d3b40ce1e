//! What lies in the directory: each slot's files, what their headers say, and what the header copies vouch for.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rfs_model::record::HEADER_BYTES;
use rfs_model::segment::{DATA_OFFSET, SEGMENT_HEADER_BYTES, SegmentHeader, SegmentProblem, Side};
use rfs_model::{Index, Meta};

use super::super::disk::{Disk, Result};
use super::super::error::JournalError;
use super::super::names::{Kind, parse};

/// One slot as found.
pub(super) struct Found {
    pub(super) number: u32,
    pub(super) path: PathBuf,
    pub(super) copy_path: PathBuf,
    pub(super) file: Option<File>,
    pub(super) copy: Option<File>,
    /// The name says that damage was found in it before.
    pub(super) rotten: bool,
    pub(super) verdict: Verdict,
    pub(super) vouched: Vouched,
    /// The segment's own header is not what it should be, but the copy's is.
    pub(super) repair_header: bool,
    pub(super) repair_copy_header: bool,
}

/// What a slot is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Segment(SegmentHeader),
    Spare,
    /// It holds something, and nobody can say what: both headers are damaged.
    Unknown,
}

/// What a header copy says: record headers as written after their records were synced.
#[derive(Default)]
pub(super) struct Vouched {
    /// The file from [`DATA_OFFSET`] on.
    bytes: Vec<u8>,
    first: Index,
    /// The highest index in it.
    pub(super) upto: Index,
}

impl Vouched {
    fn new(bytes: Vec<u8>, header: &SegmentHeader) -> Self {
        let mut vouched = Self { bytes, first: header.first, upto: Index::ZERO };
        let entries = vouched.bytes.len() / HEADER_BYTES;
        let indexes = (0..entries as u64).map(|k| Index(header.first.0 + k));
        vouched.upto = indexes.filter(|i| vouched.get(*i).is_some()).max().unwrap_or_default();
        vouched
    }

    /// The header of a record, if it is in the copy and whole.
    pub(super) fn get(&self, index: Index) -> Option<Meta> {
        let at = usize::try_from(index.0.checked_sub(self.first.0)?).ok()?.checked_mul(HEADER_BYTES)?;
        let bytes = self.bytes.get(at..)?.first_chunk::<HEADER_BYTES>()?;
        Meta::from_header(bytes).ok().filter(|meta| meta.index == index)
    }
}

/// All slots in the directory, in the order of their numbers.
pub(super) fn survey(dir: &Path) -> Result<Vec<Found>> {
    let mut slots = BTreeMap::<u32, Vec<Kind>>::new();
    let entries = fs::read_dir(dir).map_err(|e| JournalError::io("list", dir, &e))?;
    for entry in entries {
        let entry = entry.map_err(|e| JournalError::io("list", dir, &e))?;
        if let Some((slot, kind)) = parse(&entry.file_name()) {
            slots.entry(slot).or_default().push(kind);
        }
    }
    slots.into_iter().map(|(number, kinds)| examine(dir, number, &kinds)).collect()
}

fn examine(dir: &Path, number: u32, kinds: &[Kind]) -> Result<Found> {
    let rotten = kinds.contains(&Kind::Rotten);
    if rotten && kinds.contains(&Kind::Segment) {
        // A segment that is found rotten is renamed: which of the two is the log's, nobody can say.
        let what = format!("the slot has a file {} as well", Kind::Segment.path(dir, number).display());
        return Err(JournalError::Foreign { path: Kind::Rotten.path(dir, number), what });
    }
    let kind = if rotten { Kind::Rotten } else { Kind::Segment };
    let (path, copy_path) = (kind.path(dir, number), Kind::Copy.path(dir, number));
    let open = |kind, path: &Path| kinds.contains(&kind).then(|| Disk::open(path)).transpose();
    let (file, copy) = (open(kind, &path)?, open(Kind::Copy, &copy_path)?);
    let own = file.as_ref().map(|f| header_of(f, Side::Segment));
    let other = copy.as_ref().map(|f| header_of(f, Side::Copy));
    let trusted = own.and_then(std::result::Result::ok).or(other.and_then(std::result::Result::ok));
    // A damaged header says nothing against the entries behind it: they are checked one by one.
    let same = other.is_some_and(|o| match o {
        Ok(header) => Some(header) == trusted,
        Err(problem) => problem != SegmentProblem::Blank,
    });
    let vouched = match (&copy, &trusted) {
        (Some(copy), Some(header)) if same => Vouched::new(contents(copy, &copy_path)?, header),
        _ => Vouched::default(),
    };
    let verdict = verdict(own, other, vouched.upto > Index::ZERO);
    let repair_header = file.is_some() && own.is_none_or(|o| o.is_err());
    let repair_copy_header = other.and_then(std::result::Result::ok) != trusted;
    Ok(Found {
        number,
        path,
        copy_path,
        file,
        copy,
        rotten,
        verdict,
        vouched,
        repair_header,
        repair_copy_header,
    })
}

type Header = std::result::Result<SegmentHeader, SegmentProblem>;

/// What a slot is, by its two headers (nothing: no such file) and whether the copy vouches for any record.
///
/// A header lies in one sector, so a crash leaves it old or new, never in between: one that is neither zero nor whole was
/// damaged. Before a segment's records count as synced, the copy's header is durable; before a slot is put away or its
/// segment file removed, the copy's header is zero or its file gone.
fn verdict(own: Option<Header>, copy: Option<Header>, vouched: bool) -> Verdict {
    match (own, copy) {
        (Some(Ok(header)), _) => Verdict::Segment(header),
        (None, Some(Ok(header))) => Verdict::Segment(header),
        (Some(Err(SegmentProblem::Blank)), Some(Ok(header))) if vouched => Verdict::Segment(header),
        (Some(Err(SegmentProblem::Blank)) | None, _) => Verdict::Spare,
        (Some(Err(_)), Some(Ok(header))) => Verdict::Segment(header),
        (Some(Err(_)), Some(Err(SegmentProblem::Blank))) => Verdict::Spare,
        (Some(Err(_)), _) => Verdict::Unknown,
    }
}

fn header_of(file: &File, side: Side) -> Header {
    let mut bytes = [0; SEGMENT_HEADER_BYTES];
    match file.read_exact_at(&mut bytes, 0) {
        Ok(()) => SegmentHeader::from_bytes(&bytes, side),
        Err(e) if e.kind() == std::io::ErrorKind::UnexpectedEof => Err(SegmentProblem::Blank),
        Err(_) => Err(SegmentProblem::Crc),
    }
}

/// The file from [`DATA_OFFSET`] on. What cannot be read vouches for nothing.
fn contents(file: &File, path: &Path) -> Result<Vec<u8>> {
    let len = file.metadata().map_err(|e| JournalError::io("examine", path, &e))?.len();
    let mut bytes = vec![0; len.saturating_sub(DATA_OFFSET) as usize];
    for (k, part) in bytes.chunks_mut(1 << 20).enumerate() {
        if file.read_exact_at(part, DATA_OFFSET + ((k as u64) << 20)).is_err() {
            part.fill(0);
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use rfs_model::Term;
    use rfs_model::segment::Start;

    #[test]
    fn two_headers_make_a_verdict() {
        let header = SegmentHeader {
            generation: 1,
            first: Index(1),
            before_term: Term::ZERO,
            before_chain: 0,
            start: Start::Reset,
            floor: Index::ZERO,
            bytes: 1 << 20,
        };
        let (good, blank, bad) =
            (Some(Ok(header)), Some(Err(SegmentProblem::Blank)), Some(Err(SegmentProblem::Crc)));
        let segment = Verdict::Segment(header);
        let table = [
            (good, good, true, segment),
            (good, blank, false, segment),
            (good, bad, false, segment),
            (good, None, false, segment),
            (blank, good, true, segment),
            (blank, good, false, Verdict::Spare),
            (blank, blank, false, Verdict::Spare),
            (blank, bad, false, Verdict::Spare),
            (bad, good, false, segment),
            (bad, blank, false, Verdict::Spare),
            (bad, bad, false, Verdict::Unknown),
            (bad, None, false, Verdict::Unknown),
            (None, good, true, segment),
            (None, good, false, segment),
            (None, bad, false, Verdict::Spare),
        ];
        for (own, copy, vouched, want) in table {
            assert_eq!(verdict(own, copy, vouched), want, "{own:?} {copy:?} {vouched}");
        }
    }
}
