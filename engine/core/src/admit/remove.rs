//! Names that go.

use bytes::Bytes;
use rfs_model::op::Fate;
use rfs_model::{Attr, FileKind, InodeId, Op, Refusal};

use super::names::check_old;
use super::scene::{Judged, Ruling, Scene};

/// [`Mutation::Unlink`](rfs_model::client::Mutation::Unlink): unlink, or rmdir when `dir`.
pub(super) fn unlink(scene: &Scene<'_>, parent: InodeId, name: &Bytes, dir: bool) -> Judged {
    check_old(parent, name, scene.limits)?;
    scene.own_dir(parent)?;
    let victim = scene.child(parent, name)?.ok_or(Refusal::NoEntry)?;
    match (dir, victim.kind == FileKind::Dir) {
        (false, true) => return Err(Refusal::IsDirectory.into()),
        (true, false) => return Err(Refusal::NotDirectory.into()),
        (true, true) => scene.may_go(victim.id)?,
        (false, false) => {}
    }
    let fate = fate(scene, &victim);
    Ok(Ruling::free(Op::Unlink { id: victim.id, parent, name: name.clone(), fate }))
}

/// What becomes of an inode, whose standing is settled, when one of its names goes. A directory ends with its name: a mount
/// that has it open finds it stale, and empty it was anyway.
pub(super) fn fate(scene: &Scene<'_>, victim: &Attr) -> Fate {
    if victim.kind == FileKind::Dir {
        Fate::Dies
    } else if victim.nlink > 1 {
        Fate::Stays
    } else if scene.opens.may_be_open(victim.id) {
        Fate::Orphan
    } else {
        Fate::Dies
    }
}
