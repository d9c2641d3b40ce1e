//! Making open segments of the pieces that stay.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::SystemTime;

use rfs_model::Index;
use rfs_model::segment::{SegmentHeader, Side, Start, copy_offset};

use super::super::copy::HeaderCopy;
use super::super::disk::{Disk, Result};
use super::super::error::JournalError;
use super::super::log::Log;
use super::super::names::Kind;
use super::super::segment::{Segment, State, page_of};
use super::Piece;
use super::scan::Scanned;
use super::survey::Found;

/// Takes the pieces into the log, oldest first. `rotten` says that the last of them holds damage.
pub(super) fn adopt(log: &mut Log, pieces: Vec<Piece>, rotten: bool) -> Result<()> {
    let count = pieces.len();
    let starts: Vec<_> = pieces.iter().skip(1).map(|p| p.header.start).collect();
    for (at, piece) in pieces.into_iter().enumerate() {
        let newest = at + 1 == count;
        let damaged = piece.found.rotten || (newest && rotten);
        let cut = if newest { log.tail_void } else { starts.get(at) != Some(&Start::Continue) };
        let Piece { found, header, scanned, last, .. } = piece;
        let (Some(scanned), Some(_)) = (scanned, &found.file) else { continue };
        let segment = open_segment(log, found, header, scanned, last)?;
        {
            let mut state = segment.state.borrow_mut();
            (state.tainted, state.rotten) = (cut || damaged, damaged);
        }
        let segment = if damaged { mark_rotten(log, segment)? } else { segment };
        log.segments.push_back(Rc::new(segment));
    }
    Ok(())
}

fn open_segment(
    log: &Log,
    found: Found,
    header: SegmentHeader,
    scanned: Scanned,
    last: Index,
) -> Result<Segment> {
    let Found { number, path, copy_path, file, copy, repair_header, repair_copy_header, vouched, .. } = found;
    let Some(file) = file else { return Err(missing(&path)) };
    drop(vouched);
    if repair_header {
        tracing::warn!("{}: its header was damaged, and is written anew from the copy", path.display());
        log.disk.write_durable(&file, &path, &page_of(&header, Side::Segment), 0)?;
    }
    let created = copy.is_none();
    let copy = copy.map_or_else(|| log.disk.create(&copy_path), Ok)?;
    if created || repair_copy_header {
        let (which, segment) = (copy_path.display(), path.display());
        tracing::warn!("{which}: its header was missing or damaged, and is written anew from {segment}");
        log.disk.write(&copy, &copy_path, &page_of(&header, Side::Copy), 0)?;
    }
    let unsynced = last > log.synced;
    let repairs = scanned.uncopied.iter().any(|m| m.index <= log.synced);
    let quiet = !created && !repair_copy_header && !unsynced && !repairs;
    let copy = header_copy(log, (copy, copy_path), &header, &scanned, last, quiet)?;
    let mut state = State::new(&header).with_sparse(scanned.sparse);
    (state.end, state.last, state.dirty) = (scanned.end, last, unsynced);
    state.touched = file.metadata().and_then(|m| m.modified()).unwrap_or_else(|_| SystemTime::now());
    let segment = Segment::assemble(number, path, file, header, state, copy);
    if unsynced {
        write_again(&log.disk, &segment, log.synced)?;
    }
    Ok(segment)
}

fn missing(path: &std::path::Path) -> JournalError {
    JournalError::Io { doing: "open", path: path.to_owned(), errno: libc::ENOENT }
}

/// Puts right what the copy should have and has not; what was not synced yet waits for that.
fn header_copy(
    log: &Log,
    (copy, path): (File, PathBuf),
    header: &SegmentHeader,
    scanned: &Scanned,
    last: Index,
    quiet: bool,
) -> Result<HeaderCopy> {
    let mut pending = Vec::new();
    for meta in &scanned.uncopied {
        if meta.index <= log.synced {
            let (which, index) = (path.display(), meta.index);
            tracing::warn!(
                "{which}: record {index} was missing or damaged, and is written anew from the segment"
            );
            let offset = copy_offset(header.first, meta.index);
            HeaderCopy::repair(&log.disk, &copy, &path, offset, &meta.header())?;
        } else {
            pending.extend_from_slice(&meta.header());
        }
    }
    let next = log.synced.min(last).next().max(header.first);
    Ok(HeaderCopy::found(copy, path, header.first, next, pending, quiet))
}

/// Writes unsynced records once more where they are. A process that died after a failed fdatasync may have left them
/// readable in memory, but not on the disk, and the next fdatasync would not know.
fn write_again(disk: &Disk, segment: &Segment, synced: Index) -> Result<()> {
    let from = synced.next().max(segment.header.first);
    let (_, mut offset) = segment.place_before(from);
    let end = segment.state.borrow().end;
    let mut buffer = vec![0; (end - offset).min(1 << 20) as usize];
    while offset < end {
        let len = ((end - offset) as usize).min(buffer.len());
        let Some(part) = buffer.get_mut(..len) else { break };
        let read = segment.file.read_exact_at(part, offset);
        read.map_err(|e| JournalError::io("read", &segment.path, &e))?;
        disk.write(&segment.file, &segment.path, part, offset)?;
        offset += len as u64;
    }
    Ok(())
}

/// Gives the file a name that says what is in it, and that it is not to be used again.
fn mark_rotten(log: &Log, mut segment: Segment) -> Result<Segment> {
    let rot = Kind::Rotten.path(&log.dir, segment.number);
    if segment.path != rot {
        log.disk.rename(&segment.path, &rot)?;
        log.disk.sync_dir(&log.dir)?;
    }
    segment.path = rot;
    Ok(segment)
}
