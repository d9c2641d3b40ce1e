//! After a loss of power the disk may show effects of records that no log has any more. Directories that have changed since
//! the checkpoint are looked at as a whole: each of their names is claimed for whom the index has there, as if a record had
//! set it, and recovery makes it so. Files that have changed are doubted.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;

use rfs_core::converge::Plan;
use rfs_model::{FileKind, Index, InodeId, Timestamp};
use rustix::fs::{AtFlags, Stat, ftruncate, statat};

use crate::tree::entry::{Entry, Place};
use crate::tree::handle::{Access, identity_at, kind_of};
use crate::tree::layout::{LIMBO_DIR, ORPHANS_DIR, is_private};
use crate::tree::listing::names_of;
use crate::tree::planted::Planted;
use crate::tree::times::Times;
use crate::tree::{Fault, Tree};

/// Entries of the index that are read at once.
const PAGE: usize = 4096;

/// A name on disk and who stands there, if he has an identity.
type Seen = (Box<[u8]>, Option<InodeId>);

fn ctime_of(stat: &Stat) -> Timestamp {
    Timestamp { secs: stat.st_ctime, nanos: stat.st_ctime_nsec as u32 }
}

/// The tree as it is on disk, from the root downwards.
struct Walk<'a> {
    tree: &'a mut Tree,
    from: Timestamp,
    /// The checkpoint.
    base: Index,
    /// Directories by their parents, as the index has them.
    below: HashMap<InodeId, Vec<InodeId>>,
    visited: HashSet<InodeId>,
    /// Directories that have changed, with all that is in them, and their modification times.
    changed: HashMap<InodeId, Vec<Seen>>,
    mtimes: Vec<(InodeId, Times)>,
    /// Inodes that were seen in a directory that has changed, or aside.
    seen: HashSet<InodeId>,
    /// Of these, those that neither the index nor a record knows.
    strays: Vec<InodeId>,
}

impl Walk<'_> {
    fn walk(&mut self) -> Result<(), Fault> {
        let mut queue = VecDeque::from([InodeId::ROOT]);
        for aside in [LIMBO_DIR, ORPHANS_DIR] {
            for (name, id) in self.list(aside)? {
                self.met(id, Place { parent: aside, name }, &mut queue)?;
            }
        }
        while let Some(dir) = queue.pop_front() {
            if self.visited.insert(dir) {
                self.look(dir, &mut queue)?;
            }
        }
        Ok(())
    }

    /// A directory that cannot be looked at is one that a scrub has to put right.
    fn look(&mut self, dir: InodeId, queue: &mut VecDeque<InodeId>) -> Result<(), Fault> {
        let path = |tree: &Tree| format!("{}{}", tree.path().display(), tree.path_of(dir));
        let handle = match self.tree.dir(dir) {
            Ok(handle) => handle,
            Err(e @ Fault::Index { .. }) => return Err(e),
            Err(e) => {
                tracing::error!("{}: {e}", path(self.tree));
                return Ok(());
            }
        };
        let stat = match handle.stat() {
            Ok(stat) => stat,
            Err(e) => {
                tracing::error!("{}: {e}", path(self.tree));
                return Ok(());
            }
        };
        if ctime_of(&stat) < self.from {
            queue.extend(self.below.get(&dir).into_iter().flatten());
            return Ok(());
        }
        let names = self.list(dir)?;
        for (name, id) in &names {
            self.met(*id, Place { parent: dir, name: name.clone() }, queue)?;
        }
        let mtime = Timestamp { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 };
        self.mtimes.push((dir, Times { atime: None, mtime: Some(mtime) }));
        self.changed.insert(dir, names);
        Ok(())
    }

    /// Somebody was seen at a place.
    fn met(&mut self, id: Option<InodeId>, place: Place, queue: &mut VecDeque<InodeId>) -> Result<(), Fault> {
        let Some(id) = id else { return Ok(()) };
        let known = self.tree.index.get(id)?;
        if known.is_none() && !self.is_lost_record(id) && place.parent != LIMBO_DIR {
            // Somebody's copy of what is gone, or of another volume's.
            return Ok(());
        }
        if known.is_some() && self.is_copy(&place, id)? {
            return Ok(());
        }
        if self.seen.insert(id) && known.is_none() {
            self.strays.push(id);
        }
        let dir = match known {
            Some(entry) => entry.kind == FileKind::Dir,
            None => self.lend_entry(id, &place)?,
        };
        if dir && !self.visited.contains(&id) {
            self.tree.found.insert(id, place);
            queue.push_back(id);
        }
        Ok(())
    }

    /// A directory that a lost record made may hold what the index knows: until it is removed, the index knows it as well.
    fn lend_entry(&mut self, id: InodeId, place: &Place) -> Result<bool, Fault> {
        let stat = statat(self.tree.dir(place.parent)?.fd(), &*place.name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|e| Fault::system("stat", self.tree.display(place), e))?;
        if kind_of(&stat) != Some(FileKind::Dir) {
            return Ok(false);
        }
        let entry = Entry {
            kind: FileKind::Dir,
            version: Index::ZERO,
            ctime: Timestamp::default(),
            places: Vec::new(),
            size: None,
        };
        self.tree.index.put(id, Arc::new(entry));
        Ok(true)
    }

    /// Whether whoever stands there is none that people put there by hand.
    fn is_ours(&self, place: &Place, id: Option<InodeId>) -> Result<bool, Fault> {
        let Some(id) = id else { return Ok(true) };
        match self.tree.index.get(id)? {
            Some(_) => Ok(!self.is_copy(place, id)?),
            None => Ok(self.is_lost_record(id)),
        }
    }

    /// Whether a record that came after the checkpoint made it.
    fn is_lost_record(&self, id: InodeId) -> bool {
        id.index > self.base
    }

    /// Whether somebody copied an inode by hand, its identity included.
    fn is_copy(&self, place: &Place, id: InodeId) -> Result<bool, Fault> {
        let Some(entry) = self.tree.index.get(id)? else { return Ok(false) };
        let at = |place: &Place| {
            let dir = self.tree.dir(place.parent).ok()?;
            statat(dir.fd(), &*place.name, AtFlags::SYMLINK_NOFOLLOW).ok().map(|stat| stat.st_ino)
        };
        let here = at(place);
        for home in entry.places.iter().filter(|home| *home != place) {
            if self.tree.occupant(home).ok().flatten() == Some(Some(id)) && at(home) != here {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn list(&self, dir: InodeId) -> Result<Vec<Seen>, Fault> {
        let wrong = |e| Fault::system("list", self.tree.path_of(dir), e);
        let handle = self.tree.dir(dir)?;
        let mut out = Vec::new();
        for name in names_of(dir, handle.scan().map_err(wrong)?).map_err(wrong)? {
            let name = name.map_err(wrong)?;
            if is_private(dir, &name) {
                continue;
            }
            match identity_at(handle.fd(), &name) {
                Ok(Some(None)) if !self.is_fresh(dir, &name)? => {}
                Ok(Some(id)) => out.push((name, id)),
                Ok(None) => {}
                Err(e) => tracing::error!("{}: {e}", self.tree.display(&Place { parent: dir, name })),
            }
        }
        Ok(out)
    }

    /// Whether somebody without identity came after the checkpoint: a create that the crash tore.
    fn is_fresh(&self, dir: InodeId, name: &[u8]) -> Result<bool, Fault> {
        let stat = statat(self.tree.dir(dir)?.fd(), name, AtFlags::SYMLINK_NOFOLLOW);
        let stat = stat.map_err(|e| Fault::system("stat", self.tree.path_of(dir), e))?;
        Ok(ctime_of(&stat) >= self.from)
    }

    /// Whether the inode is anywhere.
    fn exists(&self, id: InodeId, entry: &Entry) -> bool {
        let unchanged =
            |place: &Place| self.visited.contains(&place.parent) && !self.changed.contains_key(&place.parent);
        self.seen.contains(&id) || entry.places.iter().any(unchanged)
    }
}

impl Tree {
    /// Claims the names of all directories that have changed since `from`. Returns the modification times that these
    /// directories are to keep.
    pub(super) fn claim_changed(
        &mut self,
        from: Timestamp,
        plan: &mut Plan,
    ) -> Result<Vec<(InodeId, Times)>, Fault> {
        let mut below: HashMap<InodeId, Vec<InodeId>> = HashMap::new();
        self.each_entry(|_, id, entry| {
            if let (FileKind::Dir, Some(place)) = (entry.kind, entry.places.first()) {
                below.entry(place.parent).or_default().push(id);
            }
            Ok(())
        })?;
        self.expect_made(plan)?;
        let base = self.checkpoint()?.index;
        let mut walk = Walk {
            tree: self,
            base,
            from,
            below,
            visited: HashSet::new(),
            changed: HashMap::new(),
            mtimes: Vec::new(),
            seen: HashSet::new(),
            strays: Vec::new(),
        };
        walk.walk()?;
        let mut claims: Vec<(Place, Option<InodeId>)> = Vec::new();
        walk.tree.each_entry(|tree, id, entry| {
            // What a record set, the record decides.
            let open = |place: &&Place| {
                walk.changed.contains_key(&place.parent) && !plan.sets(place.parent, &place.name)
            };
            for place in entry.places.iter().filter(open) {
                let there = walk.exists(id, entry);
                if !there {
                    tracing::error!(
                        "{}: gone with the power, though a checkpoint had it",
                        tree.display(place)
                    );
                }
                claims.push((place.clone(), there.then_some(id)));
            }
            Ok(())
        })?;
        for (dir, names) in &walk.changed {
            for (name, id) in names {
                let place = Place { parent: *dir, name: name.clone() };
                if walk.tree.has_fault(Planted::StraysKept) {
                    continue;
                }
                if walk.is_ours(&place, *id)? {
                    claims.push((place, None));
                }
            }
        }
        let Walk { mtimes, strays, .. } = walk;
        self.found.clear();
        for (place, value) in claims {
            plan.claim(place.parent, &place.name, value);
        }
        for id in strays {
            tracing::warn!("inode {id}: no log tells of it any more: removed");
            plan.bury(id);
        }
        Ok(mtimes)
    }

    /// Doubts all that has changed since `from`, and all that the records changed. The names are true by now.
    pub(super) fn doubt_changed(&mut self, from: Timestamp, plan: &Plan) -> Result<(), Fault> {
        let mut doubts: Vec<InodeId> = plan.touched().map(|(id, _)| id).collect();
        let mut after = None;
        loop {
            let page = self.index.page(after, PAGE)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            for (id, _) in page {
                let Some(entry) = self.index.get(id)? else { continue };
                if self.changed_since(from, id, &entry) {
                    doubts.push(id);
                }
            }
        }
        for id in &doubts {
            self.forget_what_is_known(*id)?;
        }
        tracing::info!(
            inodes = doubts.len(),
            "changed since the checkpoint: to be compared with the other bricks"
        );
        self.doubt(&doubts)
    }

    /// What lost records appended goes: it may lack its data, and the log says how long the file is.
    pub(super) fn cut_to_size(&mut self) -> Result<(), Fault> {
        for id in self.doubts_after(None, usize::MAX) {
            let Some(entry) = self.index.get(id)? else { continue };
            let Some(made) = entry.size.filter(|_| entry.kind == FileKind::File) else { continue };
            let handle = match self.handle(id, &entry, Access::Write) {
                Ok(handle) => handle,
                Err(e @ Fault::Index { .. }) => return Err(e),
                Err(e) => {
                    tracing::error!("{}: {e}", self.path().display());
                    continue;
                }
            };
            let wrong = |e| Fault::system("resize", self.path_of(id), e);
            let stat = handle.stat().map_err(wrong)?;
            if stat.st_size as u64 > made {
                ftruncate(handle.fd(), made).map_err(wrong)?;
                let mtime = Timestamp { secs: stat.st_mtime, nanos: stat.st_mtime_nsec as u32 };
                self.set_later(id, Times { atime: None, mtime: Some(mtime) });
            }
        }
        self.end_batch()
    }

    /// What cannot be looked at counts as changed.
    fn changed_since(&self, from: Timestamp, id: InodeId, entry: &Entry) -> bool {
        if id == InodeId::ROOT {
            return self.root.stat().map_or(true, |stat| ctime_of(&stat) >= from);
        }
        let place = self.place_of(id, entry);
        let Ok(dir) = self.dir(place.parent) else { return true };
        statat(dir.fd(), &*place.name, AtFlags::SYMLINK_NOFOLLOW).map_or(true, |stat| ctime_of(&stat) >= from)
    }

    fn each_entry(
        &self,
        mut each: impl FnMut(&Self, InodeId, &Entry) -> Result<(), Fault>,
    ) -> Result<(), Fault> {
        let mut after = None;
        loop {
            let page = self.index.page(after, PAGE)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            for (id, entry) in &page {
                each(self, *id, entry)?;
            }
        }
    }
}
