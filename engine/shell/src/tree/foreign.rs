//! What somebody put into the brick's directory by hand. It is no part of the volume: mounts do not see it, no record names
//! it, and other bricks do not have it. Where a record needs its name, or removes the directory that it is in, it is moved
//! to `.rfs/foreign`; nothing is deleted, and the brick goes on.

use std::cell::RefCell;
use std::collections::BTreeSet;

use rfs_model::InodeId;
use rustix::fs::{Mode, RenameFlags, mkdirat, renameat_with};
use rustix::io::Errno;

use super::entry::Place;
use super::handle::{Handle, identity_at};
use super::layout::{FOREIGN, PRIVATE};
use super::listing::names_of;
use super::{Fault, Tree};

/// Names that were told of are remembered up to this many; then nothing is told any more.
const TOLD: usize = 1000;
/// Of a name that is moved aside so much is kept, bytes: a number may have to follow.
const NAME_BYTES: usize = 200;

/// Places whose foreign occupants were told of.
#[derive(Default)]
pub(super) struct Told(RefCell<BTreeSet<Place>>);

impl Tree {
    /// Whether the occupant of a place is foreign: it has no identity, or one that the index does not know, or it is a copy
    /// of an inode that is where it belongs. An inode that the index has elsewhere and that is not there is no such case:
    /// then the tree is wrong.
    pub(super) fn is_foreign(&self, place: &Place, found: Option<InodeId>) -> Result<bool, Fault> {
        let Some(id) = found else { return Ok(true) };
        let Some(entry) = self.index.get(id)? else { return Ok(true) };
        if entry.has(place.parent, &place.name) || id == InodeId::ROOT {
            return Ok(id == InodeId::ROOT);
        }
        let home = self.place_of(id, &entry);
        Ok(self.occupant(&home)? == Some(Some(id)))
    }

    /// Says once that somebody put a file there.
    pub(super) fn tell_foreign(&self, place: &Place) {
        let mut told = self.told.0.borrow_mut();
        if told.len() < TOLD && told.insert(place.clone()) {
            tracing::warn!(
                "{}{}: put there by hand and not through a mount: no part of the volume, and not shown to mounts",
                self.path.display(),
                self.display(place)
            );
        }
    }

    /// Moves a foreign occupant away from a name that a record needs; false when there is none.
    pub(super) fn clear_foreign(&self, place: &Place) -> Result<bool, Fault> {
        match self.occupant(place)? {
            Some(found) if self.is_foreign(place, found)? => {
                self.set_foreign_aside(&*self.dir(place.parent)?, &place.name, &self.display(place))?;
                self.listings.borrow_mut().remove(place);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Moves foreign names out of a directory that a record removes; false when it holds others.
    pub(super) fn clear_foreign_in(&self, dir: &Place) -> Result<bool, Fault> {
        let path = self.display(dir);
        let wrong = |e| Fault::system("list", &*path, e);
        let handle = Handle::open_dir(self.dir(dir.parent)?.fd(), &dir.name).map_err(wrong)?;
        let Some(id) = handle.identity().map_err(wrong)? else { return Ok(false) };
        let names = handle.scan().and_then(|fd| names_of(id, fd)).map_err(wrong)?;
        for name in names.collect::<Result<Vec<_>, _>>().map_err(wrong)? {
            let found = identity_at(handle.fd(), &name).map_err(wrong)?;
            let place = Place { parent: id, name };
            match found {
                Some(found) if self.is_foreign(&place, found)? => {
                    let name = String::from_utf8_lossy(&place.name).into_owned();
                    self.set_foreign_aside(&handle, &place.name, &format!("{path}/{name}"))?;
                }
                Some(_) => return Ok(false),
                None => {}
            }
        }
        Ok(true)
    }

    fn set_foreign_aside(&self, dir: &Handle, name: &[u8], path: &str) -> Result<(), Fault> {
        let wrong = |e| Fault::system("set aside", path, e);
        let aside = self.foreign_dir().map_err(wrong)?;
        let kept = &name[..name.len().min(NAME_BYTES)];
        for number in 0u32.. {
            let suffix = if number == 0 { String::new() } else { format!(".{number}") };
            let new = [kept, suffix.as_bytes()].concat();
            self.step()?;
            match rename_to_free(dir, name, &aside, &new) {
                Ok(()) => {
                    let new = String::from_utf8_lossy(&new);
                    let brick = self.path.display();
                    tracing::warn!(
                        "{brick}{path}: put there by hand and in the volume's way: \
                         it is now {brick}/{PRIVATE}/{FOREIGN}/{new}"
                    );
                    return Ok(());
                }
                Err(Errno::EXIST) => {}
                Err(e) => return Err(wrong(e)),
            }
        }
        Err(wrong(Errno::EXIST))
    }

    fn foreign_dir(&self) -> Result<Handle, Errno> {
        let path = format!("{PRIVATE}/{FOREIGN}");
        match mkdirat(self.root.fd(), &*path, Mode::from_raw_mode(0o700)) {
            Ok(()) | Err(Errno::EXIST) => Handle::open_dir(self.root.fd(), path.as_bytes()),
            Err(e) => Err(e),
        }
    }
}

/// Moves to a name that must be free. Nobody else changes the directory of foreign files while a record is applied, so that
/// looking first is as good where the file system has no such call.
fn rename_to_free(from: &Handle, name: &[u8], to: &Handle, new: &[u8]) -> Result<(), Errno> {
    match renameat_with(from.fd(), name, to.fd(), new, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS) => match identity_at(to.fd(), new)? {
            None => rustix::fs::renameat(from.fd(), name, to.fd(), new),
            Some(_) => Err(Errno::EXIST),
        },
        other => other,
    }
}
