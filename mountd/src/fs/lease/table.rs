//! What is known of leases: a table without a clock.

use std::collections::{HashMap, HashSet, VecDeque};

use bytes::Bytes;
use rfs_model::limits::{BELIEF_MS, NAME_BYTES};
use rfs_model::{Attr, Index, InodeId};

/// New directories that are remembered until something is made in them.
const MADE: usize = 4096;
/// Leases at a time, and names in all of them.
const LEASES: usize = 256;
const NAMES: usize = 64 * 1024;
/// Identities that are kept for new files.
const SPARES: usize = 1024;
/// A lease that was not used for so long is given back, milliseconds.
const IDLE_MS: u64 = 5_000;

const SETGID: u32 = 0o2000;

/// What a lease needs: that it was had, and that new files inherit no access list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Lock,
    NoDefaultAcl,
}

/// What a new file is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Birth {
    pub id: InodeId,
    /// The directory's group, where its files are to have that.
    pub gid: Option<u32>,
}

/// A directory that this mount has made, and in which nothing is.
#[derive(Clone, Copy, Debug)]
struct Made {
    version: Index,
    gid: Option<u32>,
}

#[derive(Debug)]
struct Lease {
    /// When it was asked for.
    sent: u64,
    lock: bool,
    no_default_acl: bool,
    /// Until then it is believed in, once it is whole.
    until: u64,
    /// It is to be given back, once nothing done in its name is on its way to the window.
    leaves: bool,
    queued: usize,
    used: u64,
    /// All names that there may be.
    names: HashSet<Bytes>,
    gid: Option<u32>,
}

impl Lease {
    fn new(made: Made, now: u64) -> Self {
        let (lock, no_default_acl, leaves, queued) = (false, false, false, 0);
        let (sent, until, used, names) = (now, 0, now, HashSet::new());
        Self { sent, lock, no_default_acl, until, leaves, queued, used, names, gid: made.gid }
    }

    fn is_whole(&self) -> bool {
        self.lock && self.no_default_acl
    }

    fn believed(&self, now: u64) -> bool {
        self.is_whole() && !self.leaves && now < self.until
    }
}

/// Work for who keeps the leases.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Due {
    pub give_back: Vec<InodeId>,
    /// Some are believed in, and are to be asked for again.
    pub renew: bool,
}

#[derive(Debug, Default)]
pub struct Table {
    made: HashMap<InodeId, Made>,
    /// In the order in which they were made; some are in `made` no more.
    order: VecDeque<InodeId>,
    leases: HashMap<InodeId, Lease>,
    names: usize,
    spares: VecDeque<InodeId>,
    /// Changes of names outside of this mount's leases that are on their way. Such a one may wait for another mount's lease, and
    /// what is behind it waits, too: nothing that programs were told of already may be there, or two mounts that wait for each other
    /// could not give back anything.
    pub asking: usize,
}

impl Table {
    /// An answer that tells of a later version may be one from memory: others may have been there since.
    pub fn made(&mut self, dir: &Attr) {
        if dir.version != dir.id.index {
            return;
        }
        let gid = (dir.mode & SETGID != 0).then_some(dir.gid);
        self.made.insert(dir.id, Made { version: dir.version, gid });
        self.order.push_back(dir.id);
        while self.order.len() > MADE {
            if let Some(oldest) = self.order.pop_front() {
                self.made.remove(&oldest);
            }
        }
    }

    /// Somebody else has changed the directory.
    pub fn stranger(&mut self, dir: InodeId) {
        self.made.remove(&dir);
    }

    pub fn forget_made(&mut self) {
        self.made.clear();
        self.order.clear();
    }

    /// Forgets all but what is on its way.
    pub fn clear(&mut self) {
        *self = Self { asking: self.asking, ..Self::default() };
    }

    pub fn wants(&mut self, dir: InodeId, name: &Bytes, now: u64) -> Option<Index> {
        let made = self.made.remove(&dir)?;
        if self.leases.len() >= LEASES {
            return None;
        }
        self.leases.insert(dir, Lease::new(made, now));
        self.naming(dir, name);
        Some(made.version)
    }

    pub fn got(&mut self, dir: InodeId, part: Part) {
        let Some(lease) = self.leases.get_mut(&dir) else { return };
        match part {
            Part::Lock => lease.lock = true,
            Part::NoDefaultAcl => lease.no_default_acl = true,
        }
        if lease.is_whole() {
            lease.until = lease.until.max(lease.sent + BELIEF_MS);
        }
    }

    pub fn ended(&mut self, dir: InodeId) {
        if let Some(lease) = self.leases.remove(&dir) {
            self.names -= lease.names.len();
        }
    }

    #[must_use]
    pub fn believes(&self, dir: InodeId, now: u64) -> bool {
        self.leases.get(&dir).is_some_and(|lease| lease.believed(now))
    }

    fn believed(&mut self, dir: InodeId, now: u64) -> Option<&mut Lease> {
        let lease = self.leases.get_mut(&dir).filter(|lease| lease.believed(now))?;
        lease.used = now;
        Some(lease)
    }

    /// Of names that no brick can have the leader has more to say than that.
    #[must_use]
    pub fn lacks(&mut self, dir: InodeId, name: &[u8], now: u64) -> bool {
        name.len() <= NAME_BYTES && self.believed(dir, now).is_some_and(|lease| !lease.names.contains(name))
    }

    #[must_use]
    pub fn birth(&mut self, dir: InodeId, name: &Bytes, now: u64) -> Option<Birth> {
        if self.asking > 0 || self.spares.is_empty() || !self.lacks(dir, name, now) {
            return None;
        }
        let id = self.spares.pop_front()?;
        let lease = self.leases.get_mut(&dir)?;
        lease.queued += 1;
        let gid = lease.gid;
        self.naming(dir, name);
        Some(Birth { id, gid })
    }

    pub fn submitted(&mut self, dir: InodeId) {
        if let Some(lease) = self.leases.get_mut(&dir) {
            lease.queued = lease.queued.saturating_sub(1);
        }
    }

    pub fn naming(&mut self, dir: InodeId, name: &Bytes) {
        let Some(lease) = self.leases.get_mut(&dir) else { return };
        // The name's own memory: it may be a part of a larger message.
        if !lease.names.contains(name) && lease.names.insert(Bytes::copy_from_slice(name)) {
            self.names += 1;
        }
        lease.leaves |= self.names > NAMES;
    }

    pub fn removed(&mut self, dir: InodeId, name: &[u8]) {
        if let Some(lease) = self.leases.get_mut(&dir)
            && lease.names.remove(name)
        {
            self.names -= 1;
        }
    }

    pub fn spare(&mut self, id: InodeId) {
        if self.spares.len() < SPARES {
            self.spares.push_back(id);
        }
    }

    pub fn give_back(&mut self, dir: InodeId) {
        if let Some(lease) = self.leases.get_mut(&dir) {
            lease.leaves = true;
        }
    }

    pub fn give_back_all(&mut self) {
        self.leases.values_mut().for_each(|lease| lease.leaves = true);
    }

    /// A question that was sent then has been answered by a leader.
    pub fn renewed(&mut self, sent: u64) {
        for lease in self.leases.values_mut().filter(|lease| lease.is_whole()) {
            lease.until = lease.until.max(sent + BELIEF_MS);
        }
    }

    #[must_use]
    pub fn has_work(&self) -> bool {
        self.leases.values().any(|lease| lease.leaves && lease.queued == 0)
    }

    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.leases.is_empty()
    }

    /// What is to be done now. What is to be given back is not known here any more.
    pub fn due(&mut self, now: u64) -> Due {
        for lease in self.leases.values_mut() {
            lease.leaves |= now.saturating_sub(lease.used) >= IDLE_MS;
        }
        let done = self.leases.iter().filter(|(_, lease)| lease.leaves && lease.queued == 0);
        let give_back: Vec<InodeId> = done.map(|(dir, _)| *dir).collect();
        give_back.iter().for_each(|dir| self.ended(*dir));
        Due { give_back, renew: self.leases.values().any(|lease| lease.is_whole() && !lease.leaves) }
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::{FileKind, Term, Timestamp};

    use super::*;

    fn id(index: u64) -> InodeId {
        InodeId { term: Term(1), index: Index(index) }
    }

    fn name(n: usize) -> Bytes {
        Bytes::from(n.to_string())
    }

    const A: Bytes = Bytes::from_static(b"a");
    const B: Bytes = Bytes::from_static(b"b");

    /// A table with the lease on a directory in which `a` is, had at the time 1000, and spare identities.
    fn table(dir: InodeId, mode: u32) -> Table {
        let mut table = Table::default();
        let attr = Attr::new(dir, FileKind::Dir, mode, Timestamp::default(), dir.index);
        table.made(&Attr { gid: 7, ..attr });
        assert_eq!(table.wants(dir, &A, 1000), Some(dir.index));
        assert_eq!(table.wants(dir, &A, 1000), None, "once");
        table.got(dir, Part::Lock);
        assert!(!table.lacks(dir, b"b", 1000), "it may have a default list");
        table.got(dir, Part::NoDefaultAcl);
        (20..30).for_each(|n| table.spare(id(n)));
        table
    }

    #[test]
    fn it_is_believed_since_it_was_asked_for_and_no_longer_than_that() {
        let mut table = table(id(5), 0o755);
        assert!(table.lacks(id(5), b"b", 1000 + BELIEF_MS - 1) && !table.lacks(id(5), b"a", 1000));
        assert!(!table.lacks(id(5), b"b", 1000 + BELIEF_MS) && !table.lacks(id(6), b"b", 1000));
        table.renewed(1500);
        table.renewed(1200);
        assert!(
            table.lacks(id(5), b"b", 1500 + BELIEF_MS - 1) && !table.lacks(id(5), b"b", 1500 + BELIEF_MS)
        );
    }

    #[test]
    fn a_new_file_gets_an_identity_and_its_name_is_there() {
        let mut table = table(id(5), 0o2755);
        assert_eq!(table.birth(id(5), &Bytes::from(vec![b'x'; NAME_BYTES + 1]), 1000), None);
        assert_eq!(table.birth(id(5), &A, 1000), None, "there is one");
        assert_eq!(table.birth(id(5), &B, 1000), Some(Birth { id: id(20), gid: Some(7) }));
        assert_eq!(table.birth(id(5), &B, 1000), None);
        table.removed(id(5), b"b");
        assert_eq!(table.birth(id(5), &B, 1000).map(|birth| birth.id), Some(id(21)));
        table.asking += 1;
        assert_eq!(table.birth(id(5), &name(1), 1000), None, "another change may wait for other mounts");
    }

    #[test]
    fn it_is_given_back_behind_what_was_done_in_its_name() {
        let mut table = table(id(5), 0o755);
        let _ = table.birth(id(5), &B, 1000).unwrap();
        table.give_back(id(5));
        assert!(!table.lacks(id(5), b"c", 1000) && !table.has_work());
        assert_eq!(table.due(1000), Due::default());
        table.submitted(id(5));
        assert!(table.has_work());
        assert_eq!(table.due(1000), Due { give_back: vec![id(5)], renew: false });
        assert!(table.is_idle() && table.names == 0);
        table.got(id(5), Part::Lock);
        assert!(table.is_idle(), "an answer that comes too late");
    }

    #[test]
    fn one_that_is_not_used_is_given_back() {
        let mut table = table(id(5), 0o755);
        assert_eq!(table.due(1000 + IDLE_MS - 1), Due { give_back: vec![], renew: true });
        table.renewed(4000);
        assert!(table.lacks(id(5), b"b", 4500));
        assert_eq!(table.due(4500 + IDLE_MS - 1).give_back, []);
        assert_eq!(table.due(4500 + IDLE_MS).give_back, [id(5)]);
    }

    #[test]
    fn what_somebody_else_has_changed_is_not_asked_for() {
        let mut table = Table::default();
        let attr = Attr::new(id(5), FileKind::Dir, 0o755, Timestamp::default(), Index(5));
        table.made(&attr);
        table.stranger(id(5));
        assert_eq!(table.wants(id(5), &A, 1), None);
        table.made(&Attr { version: Index(9), ..attr });
        assert_eq!(table.wants(id(5), &A, 1), None, "it has changed since it was made");
    }

    #[test]
    fn there_are_only_so_many() {
        let mut table = table(id(5), 0o755);
        (0..=NAMES).for_each(|n| table.naming(id(5), &name(n)));
        assert!(table.has_work(), "too many names");
        for n in 0..MADE as u64 + 1 {
            table.made(&Attr::new(id(100 + n), FileKind::Dir, 0o755, Timestamp::default(), Index(100 + n)));
        }
        assert_eq!((table.made.len(), table.wants(id(100), &A, 1)), (MADE, None));
        for n in 1..=MADE as u64 {
            let _ = table.wants(id(100 + n), &A, 1);
        }
        assert_eq!(table.leases.len(), LEASES);
        (0..2 * SPARES).for_each(|_| table.spare(id(1)));
        assert_eq!(table.spares.len(), SPARES);
    }
}
