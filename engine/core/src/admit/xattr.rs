//! Extended attributes. What a brick's file system would refuse is refused here: after the commit it would be a fault.

use bytes::Bytes;
use rfs_model::attr::CAPABILITY;
use rfs_model::{FileKind, InodeId, Op, Refusal};

use super::scene::{Inode, Judged, Ruling, Scene, Stop, blocks};
use crate::acl::{self, Acl};
use crate::sessions::Outcome;

const CREATE: u32 = 1;
const REPLACE: u32 = 2;
/// Longest name, as the kernel has it.
const NAME_BYTES: usize = 255;

/// Whether mounts never see the attribute: it is the brick's own, or it is how a brick's xfs shows ACLs once more
/// (`trusted.SGI_ACL_FILE`, `trusted.SGI_ACL_DEFAULT`), which other file systems would take for something else.
#[must_use]
pub fn is_hidden(name: &[u8]) -> bool {
    name.starts_with(b"trusted.rfs.") || name.starts_with(b"trusted.SGI_ACL_")
}

/// [`Mutation::SetXattr`](rfs_model::client::Mutation::SetXattr).
pub(super) fn set(scene: &Scene<'_>, id: InodeId, name: &Bytes, value: &Bytes, flags: u32) -> Judged {
    if !matches!(flags, 0 | CREATE | REPLACE) {
        return Err(Refusal::Invalid.into());
    }
    check_name(name)?;
    if value.len() > scene.limits.xattr_value_bytes {
        return Err(Refusal::Range.into());
    }
    let inode = scene.inode(id)?;
    check_place(&inode, name)?;
    if check_value(name, value)? == Content::Nothing {
        return remove(scene, id, name);
    }
    scene.xattrs_settled(id)?;
    let old = scene.tree.xattr(id, name)?;
    match (flags, &old) {
        (CREATE, Some(_)) => return Err(Refusal::Exists.into()),
        (REPLACE, None) => return Err(Refusal::NoAttribute.into()),
        _ => {}
    }
    let after = scene.tree.xattr_bytes(id)? + stored(name, value.len())
        - old.map_or(0, |old| stored(name, old.len()));
    if after > scene.limits.xattr_total_bytes {
        return Err(Refusal::NoSpace.into());
    }
    let charge = blocks(value.len() as u64);
    scene.must_have_room(charge)?;
    let op = Op::SetXattr { id, name: name.clone(), value: value.clone() };
    Ok(Ruling { charge, ..Ruling::free(op) })
}

/// [`Mutation::RemoveXattr`](rfs_model::client::Mutation::RemoveXattr).
pub(super) fn remove(scene: &Scene<'_>, id: InodeId, name: &Bytes) -> Judged {
    check_name(name)?;
    scene.inode(id)?;
    scene.xattrs_settled(id)?;
    if scene.tree.xattr(id, name)?.is_some() {
        return Ok(Ruling::free(Op::RemoveXattr { id, name: name.clone() }));
    }
    if is_acl(name) {
        return Err(Stop::Nothing(Outcome::Done { id, offset: 0, attr: false }));
    }
    Err(Refusal::NoAttribute.into())
}

/// Bytes that an attribute counts on disk: see [`crate::admit::TreeView::xattr_bytes`].
fn stored(name: &[u8], value_bytes: usize) -> u64 {
    (16 + name.len() + value_bytes).next_multiple_of(4) as u64
}

fn is_acl(name: &[u8]) -> bool {
    name == acl::ACCESS || name == acl::DEFAULT
}

fn check_name(name: &[u8]) -> Result<(), Refusal> {
    if name.is_empty() || name.len() > NAME_BYTES {
        return Err(Refusal::Range);
    }
    if name.contains(&0) {
        return Err(Refusal::Invalid);
    }
    if is_hidden(name) {
        return Err(Refusal::NotPermitted);
    }
    let free = [&b"user."[..], b"trusted."].iter().find_map(|space| name.strip_prefix(*space));
    match free {
        Some(b"") => Err(Refusal::Invalid),
        Some(_) => Ok(()),
        None if is_acl(name) || name == CAPABILITY => Ok(()),
        None => Err(Refusal::NotSupported),
    }
}

/// Which kinds of inodes take the attribute.
fn check_place(inode: &Inode, name: &[u8]) -> Result<(), Refusal> {
    let plain = matches!(inode.kind, FileKind::File | FileKind::Dir);
    match name {
        _ if name.starts_with(b"user.") && !plain => Err(Refusal::NotPermitted),
        _ if is_acl(name) && inode.kind == FileKind::Symlink => Err(Refusal::NotSupported),
        _ if name == acl::DEFAULT && inode.kind != FileKind::Dir => Err(Refusal::NotPermitted),
        _ if name == CAPABILITY && inode.kind != FileKind::File => Err(Refusal::Invalid),
        _ => Ok(()),
    }
}

#[derive(PartialEq, Eq)]
enum Content {
    Something,
    /// A list without entries: setting it removes the list.
    Nothing,
}

fn check_value(name: &[u8], value: &[u8]) -> Result<Content, Refusal> {
    if is_acl(name) {
        return match Acl::parse(value) {
            Ok(Some(_)) => Ok(Content::Something),
            Ok(None) => Ok(Content::Nothing),
            Err(_) => Err(Refusal::Invalid),
        };
    }
    if name == CAPABILITY && !is_capability(value) {
        return Err(Refusal::Invalid);
    }
    Ok(Content::Something)
}

/// A `vfs_cap_data` of revision 2 or 3, as capabilities(7) has it.
fn is_capability(value: &[u8]) -> bool {
    let Some((magic, rest)) = value.split_first_chunk::<4>() else {
        return false;
    };
    match (u32::from_le_bytes(*magic) & !1, rest.len()) {
        (0x0200_0000, 16) => true,
        (0x0300_0000, 20) => rest[16..] != [0xff; 4],
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_table() {
        let table: &[(&[u8], Result<(), Refusal>)] = &[
            (b"user.a", Ok(())),
            (b"trusted.a", Ok(())),
            (b"security.capability", Ok(())),
            (b"system.posix_acl_access", Ok(())),
            (b"system.posix_acl_default", Ok(())),
            (b"trusted.rfs.id", Err(Refusal::NotPermitted)),
            (b"trusted.SGI_ACL_FILE", Err(Refusal::NotPermitted)),
            (b"user.", Err(Refusal::Invalid)),
            (b"user.a\0b", Err(Refusal::Invalid)),
            (b"", Err(Refusal::Range)),
            (&[b'u'; 256], Err(Refusal::Range)),
            (b"plain", Err(Refusal::NotSupported)),
            (b"security.selinux", Err(Refusal::NotSupported)),
            (b"system.other", Err(Refusal::NotSupported)),
        ];
        for (name, want) in table {
            assert_eq!(check_name(name), *want, "{name:?}");
        }
    }

    #[test]
    fn capabilities_are_checked_as_the_kernel_does() {
        let value = |magic: u32, len: usize| [&magic.to_le_bytes()[..], &vec![0; len]].concat();
        assert!(is_capability(&value(0x0200_0001, 16)));
        assert!(is_capability(&value(0x0300_0000, 20)));
        assert!(!is_capability(&value(0x0100_0000, 8)), "the kernel takes revision 1 no more");
        assert!(!is_capability(&value(0x0200_0000, 20)));
        assert!(!is_capability(b""));
    }
}
