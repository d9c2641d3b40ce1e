//! What programs were told of files in leased directories, and what must never follow from that.

use std::collections::{BTreeMap, BTreeSet};

use rfs_model::InodeId;

use crate::clock::Clock;

/// A name in a directory.
pub type Place = (InodeId, u64);

/// "It is made."
#[derive(Clone, Copy, Debug)]
struct Told {
    client: usize,
    /// A leader has said so.
    confirmed: bool,
    /// From then on, by the client's clock, its program waits for the leader before it goes on, unless that has confirmed it.
    doubt: (Clock, u64),
}

impl Told {
    fn in_doubt(&self, now: u64) -> bool {
        let (clock, from) = self.doubt;
        !self.confirmed && clock.at(now) >= from
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Births {
    /// Directories that anybody may have found.
    dirs: Vec<InodeId>,
    /// Those of which a leader has taken the lease away.
    revoked: BTreeSet<InodeId>,
    told: BTreeMap<Place, Vec<Told>>,
    /// What was carried out may be gone: nothing of this is promised any more.
    pub lossy: bool,
}

impl Births {
    pub fn finds(&mut self, dir: InodeId) {
        if !self.dirs.contains(&dir) {
            self.dirs.push(dir);
        }
    }

    /// The newest directories.
    #[must_use]
    pub fn newest(&self) -> &[InodeId] {
        &self.dirs[self.dirs.len().saturating_sub(4)..]
    }

    /// A leader took the lease away. Returns whether that is news.
    pub fn revokes(&mut self, dir: InodeId) -> bool {
        self.revoked.insert(dir)
    }

    /// A client tells its program, before it has asked. `until`: where its belief ends, by its clock.
    ///
    /// # Panics
    /// When another client's program may go on with that name.
    pub fn told(&mut self, client: usize, place: Place, doubt: (Clock, u64), now: u64) {
        self.tell(Told { client, confirmed: false, doubt }, place, now);
    }

    /// A client is told that it has made a file, and so is its program, if it was not before.
    ///
    /// # Panics
    /// When another client's program may go on with that name.
    pub fn made(&mut self, client: usize, place: Place, clock: Clock, now: u64) {
        self.tell(Told { client, confirmed: true, doubt: (clock, u64::MAX) }, place, now);
    }

    fn tell(&mut self, told: Told, place: Place, now: u64) {
        let all = self.told.entry(place).or_default();
        let other = all.iter().find(|other| other.client != told.client && !other.in_doubt(now));
        assert!(
            self.lossy || other.is_none(),
            "client {} is told that it made {place:?}, and so was client {:?}",
            told.client,
            other.map(|other| other.client)
        );
        all.retain(|mine| mine.client != told.client);
        all.push(told);
    }

    /// What a client has told its program is refused.
    ///
    /// # Panics
    /// When nobody took its lease away.
    pub fn refused(&mut self, client: usize, place: Place) {
        let may = self.lossy || self.revoked.contains(&place.0);
        assert!(may, "client {client} told its program that it made {place:?}, and is refused");
        if let Some(all) = self.told.get_mut(&place) {
            all.retain(|mine| mine.client != client);
        }
    }

    /// Its programs are gone.
    pub fn forget(&mut self, client: usize) {
        self.told.values_mut().for_each(|all| all.retain(|told| told.client != client));
    }
}
