//! POSIX.1e draft access control lists, in the form of the extended attributes `system.posix_acl_access` and
//! `system.posix_acl_default`, version 2: what is well formed, what a new inode inherits, and when a list says no more than
//! nine mode bits.
//!
//! ```text
//! offset  size  field
//!      0     4  version, little-endian: 2
//!    4+8i    2  tag of entry i
//!    6+8i    2  permissions (read 4, write 2, execute 1)
//!    8+8i    4  uid or gid of a named entry, else 0xffffffff
//! ```

use bytes::Bytes;

/// Name of the extended attribute with the list that is enforced.
pub const ACCESS: &[u8] = b"system.posix_acl_access";
/// Name of the extended attribute with the list that new inodes in a directory start from.
pub const DEFAULT: &[u8] = b"system.posix_acl_default";

const VERSION: u32 = 2;
const NO_ID: u32 = u32::MAX;

/// Whom an entry is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    Owner,
    User(u32),
    OwningGroup,
    Group(u32),
    Mask,
    Other,
}

/// One entry. `permissions` has three bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Entry {
    pub who: Who,
    pub permissions: u16,
}

/// A well-formed list: one entry each for owner, owning group and others, named ones between them, and a mask if there are
/// any named ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    entries: Vec<Entry>,
}

/// Why bytes are no list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    #[error("the length fits no list")]
    Length,
    #[error("not version 2")]
    Version,
    #[error("an entry has an unknown tag, permission or id")]
    Entry,
    #[error("the entries are not in order, or one is missing")]
    Order,
}

impl Acl {
    /// Reads an attribute's value. `None`: a list without entries, which stands for no list.
    ///
    /// # Errors
    /// [`AclError`].
    pub fn parse(value: &[u8]) -> Result<Option<Self>, AclError> {
        if value.is_empty() {
            return Ok(None);
        }
        let (version, rest) = value.split_first_chunk::<4>().ok_or(AclError::Length)?;
        if u32::from_le_bytes(*version) != VERSION {
            return Err(AclError::Version);
        }
        let (chunks, left) = rest.as_chunks::<8>();
        if !left.is_empty() {
            return Err(AclError::Length);
        }
        let entries = chunks.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
        if entries.is_empty() {
            return Ok(None);
        }
        in_order(&entries)?;
        Ok(Some(Self { entries }))
    }

    #[must_use]
    pub fn to_bytes(&self) -> Bytes {
        let mut out = Vec::with_capacity(4 + 8 * self.entries.len());
        out.extend_from_slice(&VERSION.to_le_bytes());
        for e in &self.entries {
            let (tag, id) = tag_and_id(e.who);
            out.extend_from_slice(&tag.to_le_bytes());
            out.extend_from_slice(&e.permissions.to_le_bytes());
            out.extend_from_slice(&id.to_le_bytes());
        }
        out.into()
    }

    #[must_use]
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// The nine mode bits, when the list says nothing that they cannot.
    #[must_use]
    pub fn as_mode(&self) -> Option<u32> {
        let plain = self.entries.iter().all(|e| matches!(e.who, Who::Owner | Who::OwningGroup | Who::Other));
        plain.then(|| self.mode())
    }

    /// The nine mode bits that `stat` shows of an inode with this access list: the mask stands in for the group.
    #[must_use]
    pub fn mode(&self) -> u32 {
        let masked = self.entries.iter().any(|e| e.who == Who::Mask);
        self.entries.iter().filter_map(|e| Some(u32::from(e.permissions) << mode_shift(e.who, masked)?)).sum()
    }

    /// This access list after chmod(2).
    #[must_use]
    pub fn with_mode(&self, mode: u32) -> Self {
        let mut own = self.clone();
        let masked = own.entries.iter().any(|e| e.who == Who::Mask);
        for e in &mut own.entries {
            if let Some(shift) = mode_shift(e.who, masked) {
                e.permissions = (mode >> shift & 7) as u16;
            }
        }
        own
    }

    /// What a new inode gets from this default list when a program asked for `mode`: its own list (`None` when mode bits
    /// say it all) and its mode. The umask plays no part. Bits above the nine pass through.
    #[must_use]
    pub fn inherit(&self, mode: u32) -> (Option<Self>, u32) {
        let mut own = self.clone();
        let mut bits = mode & 0o777;
        let masked = own.entries.iter().any(|e| e.who == Who::Mask);
        for e in &mut own.entries {
            if let Some(shift) = mode_shift(e.who, masked) {
                e.permissions &= (bits >> shift) as u16 & 7;
                bits &= !(7 << shift) | u32::from(e.permissions) << shift;
            }
        }
        let mode = mode & !0o777 | bits;
        if own.as_mode().is_some() { (None, mode) } else { (Some(own), mode) }
    }
}

/// Where an entry's permissions stand in the mode, if they do.
fn mode_shift(who: Who, masked: bool) -> Option<u32> {
    match who {
        Who::Owner => Some(6),
        Who::Mask => Some(3),
        Who::OwningGroup if !masked => Some(3),
        Who::Other => Some(0),
        _ => None,
    }
}

fn entry(bytes: &[u8; 8]) -> Result<Entry, AclError> {
    let tag = u16::from_le_bytes([bytes[0], bytes[1]]);
    let permissions = u16::from_le_bytes([bytes[2], bytes[3]]);
    let id = u32::from_le_bytes([bytes[4], bytes[5], bytes[6], bytes[7]]);
    let who = match tag {
        0x01 => Who::Owner,
        0x02 => Who::User(id),
        0x04 => Who::OwningGroup,
        0x08 => Who::Group(id),
        0x10 => Who::Mask,
        0x20 => Who::Other,
        _ => return Err(AclError::Entry),
    };
    let unnamed = matches!(who, Who::User(NO_ID) | Who::Group(NO_ID));
    if unnamed || permissions > 7 { Err(AclError::Entry) } else { Ok(Entry { who, permissions }) }
}

fn tag_and_id(who: Who) -> (u16, u32) {
    match who {
        Who::Owner => (0x01, NO_ID),
        Who::User(id) => (0x02, id),
        Who::OwningGroup => (0x04, NO_ID),
        Who::Group(id) => (0x08, id),
        Who::Mask => (0x10, NO_ID),
        Who::Other => (0x20, NO_ID),
    }
}

/// Owner, users, owning group, groups, mask, others: in this order, as the kernel wants them.
fn in_order(entries: &[Entry]) -> Result<(), AclError> {
    let rank = |e: &Entry| match e.who {
        Who::Owner => 0,
        Who::User(_) => 1,
        Who::OwningGroup => 2,
        Who::Group(_) => 3,
        Who::Mask => 4,
        Who::Other => 5,
    };
    let count = |r: u32| entries.iter().filter(|e| rank(e) == r).count();
    let sorted = entries.is_sorted_by_key(rank);
    let singles = [0, 2, 5].iter().all(|r| count(*r) == 1) && count(4) <= 1;
    let masked = count(4) == 1 || count(1) + count(3) == 0;
    if sorted && singles && masked { Ok(()) } else { Err(AclError::Order) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn acl(entries: &[(Who, u16)]) -> Acl {
        Acl {
            entries: entries
                .iter()
                .map(|(who, permissions)| Entry { who: *who, permissions: *permissions })
                .collect(),
        }
    }

    const O: Who = Who::Owner;
    const G: Who = Who::OwningGroup;
    const X: Who = Who::Other;
    const M: Who = Who::Mask;
    const U: Who = Who::User(1000);

    #[test]
    fn a_list_survives_its_bytes() {
        let list = acl(&[(O, 7), (U, 5), (G, 5), (Who::Group(7), 1), (M, 7), (X, 0)]);
        assert_eq!(Acl::parse(&list.to_bytes()), Ok(Some(list)));
    }

    #[test]
    fn the_bytes_are_the_kernels() {
        let hex: String = acl(&[(O, 6), (U, 4), (G, 4), (M, 4), (X, 0)])
            .to_bytes()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(
            hex,
            "0200000001000600ffffffff02000400e803000004000400ffffffff10000400ffffffff20000000ffffffff"
        );
    }

    #[test]
    fn what_is_no_list_is_refused() {
        let good = acl(&[(O, 7), (G, 5), (X, 0)]).to_bytes();
        let mut old = good.to_vec();
        old[0] = 1;
        let mut odd = good.to_vec();
        odd[4] = 3;
        let table: &[(&[u8], AclError)] = &[
            (&good[..5], AclError::Length),
            (&good[..3], AclError::Length),
            (&old, AclError::Version),
            (&odd, AclError::Entry),
            (&acl(&[(O, 8), (G, 5), (X, 0)]).to_bytes(), AclError::Entry),
            (&acl(&[(O, 7), (Who::User(NO_ID), 5), (G, 5), (M, 7), (X, 0)]).to_bytes(), AclError::Entry),
            (&acl(&[(O, 7), (G, 5)]).to_bytes(), AclError::Order),
            (&acl(&[(G, 5), (O, 7), (X, 0)]).to_bytes(), AclError::Order),
            (&acl(&[(O, 7), (O, 7), (G, 5), (X, 0)]).to_bytes(), AclError::Order),
            (&acl(&[(O, 7), (U, 5), (G, 5), (X, 0)]).to_bytes(), AclError::Order),
        ];
        for (bytes, why) in table {
            assert_eq!(Acl::parse(bytes), Err(*why), "{bytes:?}");
        }
        assert_eq!(Acl::parse(&[]), Ok(None));
        assert_eq!(Acl::parse(&[2, 0, 0, 0]), Ok(None));
    }

    /// Expected values were worked out from the kernel's rules (acl(5), "Object creation and default ACLs").
    #[test]
    fn inheritance_follows_the_table() {
        let plain = acl(&[(O, 7), (G, 5), (X, 1)]);
        let named = acl(&[(O, 7), (U, 7), (G, 5), (M, 7), (X, 1)]);
        let table: &[(&Acl, u32, Option<Acl>, u32)] = &[
            (&plain, 0o666, None, 0o640),
            (&plain, 0o777, None, 0o751),
            (&plain, 0o2700, None, 0o2700),
            (&named, 0o666, Some(acl(&[(O, 6), (U, 7), (G, 5), (M, 6), (X, 0)])), 0o660),
            (&named, 0o777, Some(named.clone()), 0o771),
            (&named, 0o1000, Some(acl(&[(O, 0), (U, 7), (G, 5), (M, 0), (X, 0)])), 0o1000),
        ];
        for (default, asked, list, mode) in table {
            assert_eq!(default.inherit(*asked), (list.clone(), *mode), "{default:?} {asked:o}");
        }
    }

    #[test]
    fn the_mask_stands_in_for_the_group() {
        let list = acl(&[(O, 7), (U, 5), (G, 5), (M, 4), (X, 1)]);
        assert_eq!(list.mode(), 0o741);
        assert_eq!(list.with_mode(0o620), acl(&[(O, 6), (U, 5), (G, 5), (M, 2), (X, 0)]));
    }

    #[test]
    fn three_entries_are_a_mode() {
        assert_eq!(acl(&[(O, 7), (G, 5), (X, 1)]).as_mode(), Some(0o751));
        assert_eq!(acl(&[(O, 7), (G, 5), (M, 5), (X, 1)]).as_mode(), None);
    }
}
