//! Data: writes, appends, allocation.

use bytes::Bytes;
use rfs_model::limits::WRITE_BYTES;
use rfs_model::op::Allocate;
use rfs_model::{FileKind, InodeId, Op, Refusal};

use super::scene::{Inode, Judged, Ruling, Scene, Stop, blocks};
use super::view::Room;
use crate::sessions::Outcome;

const KEEP_SIZE: u32 = 0x01;
const PUNCH_HOLE: u32 = 0x02;
const ZERO_RANGE: u32 = 0x10;

/// Where the data goes.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Offset(u64),
    /// Behind all that was ordered before.
    End,
}

/// [`Mutation::Write`](rfs_model::client::Mutation::Write) and `Append`.
pub(super) fn write(scene: &Scene<'_>, id: InodeId, at: At, data: &Bytes) -> Judged {
    if data.len() > WRITE_BYTES {
        return Err(Refusal::Invalid.into());
    }
    let file = scene.file(id)?;
    let offset = match at {
        At::Offset(offset) => offset,
        At::End => file.size,
    };
    if data.is_empty() {
        return Err(Stop::Nothing(Outcome::Done { id, offset, attr: false }));
    }
    let end = end_of(scene, offset, data.len() as u64)?;
    let charge = room_for_write(scene, &file, offset, end)?;
    let op = Op::Write { id, offset, data: data.clone() };
    Ok(Ruling { op, kind: Some(file.kind), size: Some(file.size.max(end)), charge })
}

fn end_of(scene: &Scene<'_>, offset: u64, len: u64) -> Judged<u64> {
    match offset.checked_add(len) {
        Some(end) if end <= scene.limits.file_bytes => Ok(end),
        _ => Err(Refusal::TooLarge.into()),
    }
}

/// When the room does not do, data may still go where blocks are: into a file without holes.
fn room_for_write(scene: &Scene<'_>, file: &Inode, offset: u64, end: u64) -> Judged<Room> {
    let first = offset & !4095;
    let need = blocks(end - first);
    if scene.must_have_room(need).is_ok() {
        return Ok(need);
    }
    let attr = scene.tree.attr(file.id)?.ok_or(Refusal::NoSpace)?;
    let allocated = attr.blocks.saturating_mul(512);
    let dense = allocated >= attr.size.next_multiple_of(4096).max(end.next_multiple_of(4096));
    if dense && file.size <= attr.size { Ok(Ruling::FREE) } else { Err(Refusal::NoSpace.into()) }
}

/// [`Mutation::Allocate`](rfs_model::client::Mutation::Allocate).
pub(super) fn allocate(scene: &Scene<'_>, id: InodeId, range: Allocate) -> Judged {
    const PUNCH: u32 = PUNCH_HOLE | KEEP_SIZE;
    const ZERO_KEEP: u32 = ZERO_RANGE | KEEP_SIZE;
    if !matches!(range.mode, 0 | KEEP_SIZE | PUNCH | ZERO_RANGE | ZERO_KEEP) {
        return Err(Refusal::NotSupported.into());
    }
    if range.len == 0 {
        return Err(Refusal::Invalid.into());
    }
    let file = scene.file(id)?;
    let end = end_of(scene, range.offset, range.len)?;
    let first = range.offset & !4095;
    let charge = if range.mode == PUNCH { Ruling::FREE } else { blocks(end - first) };
    scene.must_have_room(charge)?;
    let size = if range.mode & KEEP_SIZE == 0 { file.size.max(end) } else { file.size };
    let op = Op::Allocate { id, range };
    Ok(Ruling { op, kind: Some(FileKind::File), size: Some(size), charge })
}
