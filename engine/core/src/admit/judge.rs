//! Which rules a request is judged by.

use rfs_model::client::Mutation;
use rfs_model::op::LockOwner;

use super::make::{self, Make};
use super::rename::Rename;
use super::scene::{Judged, Scene, Stop};
use super::{attrs, data, lease, lock, remove, xattr};
use crate::sessions::Outcome;

pub(super) fn judge(scene: &Scene<'_>, op: &Mutation) -> Judged {
    let owner = |owner: u64| LockOwner { session: scene.session, owner };
    match op {
        Mutation::Make { parent, name, kind, mode, umask, uid, gid, rdev, target, as_id, open: _ } => Make {
            parent: *parent,
            name,
            kind: *kind,
            mode: *mode,
            umask: *umask,
            uid: *uid,
            gid: *gid,
            rdev: *rdev,
            target,
            as_id: *as_id,
        }
        .judge(scene),
        Mutation::Link { id, parent, name } => make::link(scene, *id, *parent, name),
        Mutation::Unlink { parent, name, dir } => remove::unlink(scene, *parent, name, *dir),
        Mutation::Rename { from, from_name, to, to_name, flags } => {
            Rename { from: *from, from_name, to: *to, to_name, flags: *flags }.judge(scene)
        }
        Mutation::Write { id, offset, data } => data::write(scene, *id, data::At::Offset(*offset), data),
        Mutation::Append { id, data } => data::write(scene, *id, data::At::End, data),
        Mutation::SetAttr { id, want } => attrs::set_attr(scene, *id, want),
        Mutation::SetXattr { id, name, value, flags } => xattr::set(scene, *id, name, value, *flags),
        Mutation::RemoveXattr { id, name } => xattr::remove(scene, *id, name),
        Mutation::Allocate { id, range } => data::allocate(scene, *id, *range),
        Mutation::Lock { id, owner: who, range } => lock::lock(scene, *id, owner(*who), *range),
        Mutation::Unlock { id, owner: who } => lock::unlock(scene, *id, owner(*who)),
        Mutation::Lease { id, version } => lease::take(scene, *id, *version),
        Mutation::Void {} => Err(Stop::Nothing(Outcome::NOTHING)),
    }
}
