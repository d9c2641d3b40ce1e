//! Which names a directory entry may have.

use rfs_model::{InodeId, Refusal};

use super::limits::Limits;

/// Names in the volume's root that belong to the brick or to its file system. Mounts never see them.
pub use rfs_model::sound::RESERVED;

/// Whether a name is the brick's own.
#[must_use]
pub fn is_reserved(parent: InodeId, name: &[u8]) -> bool {
    parent == InodeId::ROOT && RESERVED.contains(&name)
}

/// A name that is looked up: to be removed, or moved away.
pub(super) fn check_old(parent: InodeId, name: &[u8], limits: &Limits) -> Result<(), Refusal> {
    check(name, limits)?;
    if is_reserved(parent, name) { Err(Refusal::NoEntry) } else { Ok(()) }
}

/// A name that is given.
pub(super) fn check_new(parent: InodeId, name: &[u8], limits: &Limits) -> Result<(), Refusal> {
    check(name, limits)?;
    if is_reserved(parent, name) { Err(Refusal::NotPermitted) } else { Ok(()) }
}

fn check(name: &[u8], limits: &Limits) -> Result<(), Refusal> {
    match name {
        b"" => Err(Refusal::NoEntry),
        b"." | b".." => Err(Refusal::Invalid),
        _ if name.len() > limits.name_bytes => Err(Refusal::NameTooLong),
        _ if name.iter().any(|b| matches!(b, 0 | b'/')) => Err(Refusal::Invalid),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_table() {
        let long = [b'x'; 256];
        let table: &[(&[u8], Result<(), Refusal>)] = &[
            (b"a", Ok(())),
            (b"...", Ok(())),
            (b"\xff\xfe", Ok(())),
            (&long[..255], Ok(())),
            (&long, Err(Refusal::NameTooLong)),
            (b"", Err(Refusal::NoEntry)),
            (b".", Err(Refusal::Invalid)),
            (b"..", Err(Refusal::Invalid)),
            (b"a/b", Err(Refusal::Invalid)),
            (b"a\0", Err(Refusal::Invalid)),
            (b".rfs", Err(Refusal::NotPermitted)),
            (b"lost+found", Err(Refusal::NotPermitted)),
            (b".rfs2", Ok(())),
        ];
        for (name, want) in table {
            assert_eq!(check_new(InodeId::ROOT, name, &Limits::default()), *want, "{name:?}");
        }
        assert_eq!(check_old(InodeId::ROOT, b".rfs", &Limits::default()), Err(Refusal::NoEntry));
        let elsewhere = InodeId { index: rfs_model::Index(9), ..InodeId::ROOT };
        assert_eq!(check_new(elsewhere, b".rfs", &Limits::default()), Ok(()));
    }
}
