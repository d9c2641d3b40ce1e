//! Attributes.

use rfs_model::client::{SetTime, WantAttr};
use rfs_model::{FileKind, InodeId, Op, Refusal, SetAttr, Timestamp};

use super::scene::{Inode, Judged, Ruling, Scene};

/// [`Mutation::SetAttr`](rfs_model::client::Mutation::SetAttr).
pub(super) fn set_attr(scene: &Scene<'_>, id: InodeId, want: &WantAttr) -> Judged {
    if want.uid == Some(u32::MAX) || want.gid == Some(u32::MAX) {
        return Err(Refusal::Invalid.into());
    }
    let atime = time(scene, want.atime)?;
    let mtime = time(scene, want.mtime)?;
    let inode = match want.size {
        Some(size) if size > scene.limits.file_bytes => return Err(Refusal::TooLarge.into()),
        Some(_) => scene.file(id)?,
        None => scene.inode(id)?,
    };
    if want.mode.is_some() && inode.kind == FileKind::Symlink {
        return Err(Refusal::NotSupported.into());
    }
    let owned = want.uid.is_some() || want.gid.is_some();
    let set = SetAttr {
        mode: match want.mode {
            Some(mode) => Some(mode & 0o7777),
            None if owned => kept_mode(scene, &inode)?,
            None => None,
        },
        uid: want.uid,
        gid: want.gid,
        size: want.size,
        atime,
        // truncate(2) and ftruncate(2) are changes of the content.
        mtime: mtime.or(want.size.map(|_| scene.time)),
    };
    let op = Op::SetAttr { id, set };
    Ok(Ruling { kind: Some(inode.kind), size: want.size, ..Ruling::free(op) })
}

/// A file that changes hands keeps setuid and setgid, of which the kernel of a brick deprives it: a brick that crashes then
/// must find in the record what to restore.
fn kept_mode(scene: &Scene<'_>, inode: &Inode) -> Judged<Option<u32>> {
    if matches!(inode.kind, FileKind::Dir | FileKind::Symlink) {
        return Ok(None);
    }
    let mode = scene.mode(inode.id)? & 0o7777;
    Ok((mode & 0o6000 != 0).then_some(mode))
}

fn time(scene: &Scene<'_>, want: Option<SetTime>) -> Judged<Option<Timestamp>> {
    match want {
        None => Ok(None),
        Some(SetTime::Now) => Ok(Some(scene.time)),
        Some(SetTime::At { time }) if time.nanos < 1_000_000_000 => Ok(Some(time)),
        Some(SetTime::At { .. }) => Err(Refusal::Invalid.into()),
    }
}
