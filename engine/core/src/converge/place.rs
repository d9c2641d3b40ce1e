//! Making the names true: wrong occupants to limbo, missing inodes made there, everything placed, limbo emptied.

use rfs_model::InodeId;

use super::plan::{Made, Plan, Slot};

/// Who is found in a slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Occupant {
    /// Nobody, or the slot's directory does not exist (yet).
    Nobody,
    /// An entry without identity: a create that the crash tore.
    Torn,
    Is(InodeId),
}

/// Why names could not be made true.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError<E> {
    #[error("inode {0} must exist and is nowhere on this brick")]
    Missing(InodeId),
    #[error(transparent)]
    Bench(E),
}

impl<E> From<E> for PlaceError<E> {
    fn from(e: E) -> Self {
        Self::Bench(e)
    }
}

/// The steps that recovery asks of a brick's tree, each of which may be cut short by another crash. *Limbo* is a flat
/// directory of the brick's own, where an inode's entry is named by its identity.
pub trait Workbench {
    type Error;

    /// Who has the slot.
    ///
    /// # Errors
    /// When the disk fails.
    fn occupant(&mut self, slot: &Slot) -> Result<Occupant, Self::Error>;

    /// Removes a torn entry, a directory with all that may be in it.
    ///
    /// # Errors
    /// When the disk fails.
    fn remove_torn(&mut self, slot: &Slot) -> Result<(), Self::Error>;

    /// Moves the slot's entry to limbo; when limbo has the inode already (another hard link), removes the slot's entry.
    ///
    /// # Errors
    /// When the disk fails.
    fn to_limbo(&mut self, slot: &Slot, id: InodeId) -> Result<(), Self::Error>;

    /// Whether the inode exists anywhere on the brick, limbo included. The index may lag behind the tree after a crash: what
    /// it names is to be verified, and what it misses looked for in limbo and in [`Plan::slots`].
    ///
    /// # Errors
    /// When the disk fails.
    fn exists(&mut self, id: InodeId) -> Result<bool, Self::Error>;

    /// Makes the inode in limbo, identity included, in one step that a crash cannot tear (a temporary name, then a rename).
    ///
    /// # Errors
    /// When the disk fails.
    fn create_in_limbo(&mut self, id: InodeId, made: &Made) -> Result<(), Self::Error>;

    /// Gives an existing inode the slot, which is free. A directory moves (out of limbo, or from where it is); a file gets a
    /// hard link, and its limbo entry stays until the sweep.
    ///
    /// # Errors
    /// When the disk fails.
    fn place(&mut self, id: InodeId, slot: &Slot) -> Result<(), Self::Error>;

    /// All that limbo holds, entries left there by earlier, interrupted work included.
    ///
    /// # Errors
    /// When the disk fails.
    fn limbo(&mut self) -> Result<Vec<InodeId>, Self::Error>;

    /// Whether the inode has a name in the tree besides its entry in limbo.
    ///
    /// # Errors
    /// When the disk fails.
    fn has_name(&mut self, id: InodeId) -> Result<bool, Self::Error>;

    /// Removes the limbo entry; a directory there is empty by then.
    ///
    /// # Errors
    /// When the disk fails.
    fn remove_from_limbo(&mut self, id: InodeId) -> Result<(), Self::Error>;
}

/// Makes all names of `plan` true. `keep` says which orphans stay: those of the replicated state after the plan's last
/// record. Returns what is left in limbo although no record explains it; it is kept.
///
/// # Errors
/// [`PlaceError::Missing`]: the tree lacks what the checkpoint promised; the brick must be resynced.
pub fn place<W: Workbench>(
    plan: &Plan,
    keep: &dyn Fn(InodeId) -> bool,
    bench: &mut W,
) -> Result<Vec<InodeId>, PlaceError<W::Error>> {
    clear(plan, bench)?;
    create(plan, bench)?;
    for (slot, id) in plan.slots().iter().filter_map(|(slot, want)| want.map(|id| (slot, id))) {
        if bench.occupant(slot)? != Occupant::Is(id) {
            bench.place(id, slot)?;
        }
    }
    sweep(plan, keep, bench)
}

fn clear<W: Workbench>(plan: &Plan, bench: &mut W) -> Result<(), W::Error> {
    for (slot, want) in plan.slots() {
        match bench.occupant(slot)? {
            Occupant::Nobody => {}
            Occupant::Torn => bench.remove_torn(slot)?,
            Occupant::Is(id) if Some(id) == *want => {}
            Occupant::Is(id) => bench.to_limbo(slot, id)?,
        }
    }
    Ok(())
}

fn create<W: Workbench>(plan: &Plan, bench: &mut W) -> Result<(), PlaceError<W::Error>> {
    for id in plan.wanted() {
        if !bench.exists(id)? {
            let made = plan.made(id).ok_or(PlaceError::Missing(id))?;
            bench.create_in_limbo(id, made)?;
        }
    }
    Ok(())
}

fn sweep<W: Workbench>(
    plan: &Plan,
    keep: &dyn Fn(InodeId) -> bool,
    bench: &mut W,
) -> Result<Vec<InodeId>, PlaceError<W::Error>> {
    let mut strays = Vec::new();
    for id in bench.limbo()? {
        if keep(id) {
            continue;
        }
        if plan.dead().contains(&id) || bench.has_name(id)? {
            bench.remove_from_limbo(id)?;
        } else {
            strays.push(id);
        }
    }
    Ok(strays)
}
