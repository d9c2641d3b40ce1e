//! Directories in which nobody else changes names, and of which this mount knows all names: what it has made itself.
//!
//! While the leader's [lease](rfs_model::client::Mutation::Lease) on one is believed in, what is not there is known without a
//! question, and a new file is there as soon as a program has asked for it: its request rides in the window as a write does, and
//! its close waits for both. The lease is given back when another mount wants to change a name there, when it was not used for
//! a while, and when anything happens that makes what is known doubtful.

mod birth;
mod keep;
mod table;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;
use rfs_model::client::Change;
use rfs_model::{Attr, Index, InodeId};
use tokio::sync::Notify;

pub(in crate::fs) use keep::now_ms;
use table::Table;
pub use table::{Birth, Part};

/// The leases of one mount. Times are those of a clock that goes on while the machine sleeps, milliseconds.
#[derive(Debug, Default)]
pub struct Leases {
    table: Mutex<Table>,
    /// There may be one: most requests need not look.
    any: AtomicBool,
    /// There is one to be renewed, or something is to be given back.
    work: Notify,
}

impl Leases {
    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().expect("no holder panics")
    }

    fn held(&self) -> Option<MutexGuard<'_, Table>> {
        self.any.load(Ordering::Acquire).then(|| self.table())
    }

    /// What may give work to [`Fs::keep_leases`](super::Fs::keep_leases).
    fn change<T>(&self, act: impl FnOnce(&mut Table) -> T) -> Option<T> {
        let mut table = self.held()?;
        let done = act(&mut table);
        let work = table.has_work();
        drop(table);
        if work {
            self.work.notify_one();
        }
        Some(done)
    }

    /// This mount has made a directory: nothing is in it.
    pub fn made(&self, dir: &Attr) {
        self.table().made(dir);
    }

    /// This mount is about to make a name in the directory. `Some`: it is the first one, and the lease is to be asked for before, with
    /// this version; [`Leases::got`] and [`Leases::ended`] tell what came of it.
    pub fn wants(&self, dir: InodeId, name: &Bytes, now: u64) -> Option<Index> {
        let wants = self.table().wants(dir, name, now);
        if wants.is_some() {
            self.any.store(true, Ordering::Release);
            self.work.notify_one();
        }
        wants
    }

    /// A part of what a lease needs has come.
    pub fn got(&self, dir: InodeId, part: Part) {
        self.change(|table| table.got(dir, part));
    }

    /// There will be no lease.
    pub fn ended(&self, dir: InodeId) {
        self.change(|table| table.ended(dir));
    }

    /// Whether a name is certainly not there.
    #[must_use]
    pub fn lacks(&self, dir: InodeId, name: &[u8], now: u64) -> bool {
        self.held().is_some_and(|mut table| table.lacks(dir, name, now))
    }

    /// A file may be made under a name, before the leader has heard of it. To be followed by [`Leases::submitted`].
    #[must_use]
    pub fn birth(&self, dir: InodeId, name: &Bytes, now: u64) -> Option<Birth> {
        self.held()?.birth(dir, name, now)
    }

    /// What [`Leases::birth`] allowed is in the window, or will never be.
    pub fn submitted(&self, dir: InodeId) {
        self.change(|table| table.submitted(dir));
    }

    /// This mount asks to change names in directories of which others may have leases: until the guard is dropped.
    #[must_use]
    pub fn asking<const N: usize>(&self, dirs: [InodeId; N], now: u64) -> Asking<'_> {
        let alone = self.held().is_some_and(|table| dirs.iter().all(|dir| table.believes(*dir, now)));
        if !alone {
            self.table().asking += 1;
        }
        Asking { leases: self, counted: !alone }
    }

    /// This mount has taken a name away.
    pub fn removed(&self, dir: InodeId, name: &[u8]) {
        self.change(|table| table.removed(dir, name));
    }

    /// This mount is about to make a name, in the ordinary way.
    pub fn naming(&self, dir: InodeId, name: &Bytes) {
        self.change(|table| table.naming(dir, name));
    }

    /// An identity that this mount may give to a file.
    pub fn spare(&self, id: InodeId) {
        if id != InodeId::NIL {
            self.table().spare(id);
        }
    }

    /// Somebody else waits for the lease, or what new files inherit from the directory may have changed.
    pub fn give_back(&self, dir: InodeId) {
        self.change(|table| table.give_back(dir));
    }

    /// Somebody else has changed something.
    pub fn news(&self, change: &Change) {
        let (Change::Inode { id, .. } | Change::Entry { parent: id, .. }) = change;
        self.table().stranger(*id);
        self.give_back(*id);
    }

    /// The leader may be another one.
    pub fn lost(&self) {
        self.table().forget_made();
        self.change(Table::give_back_all);
    }

    /// The session is over, and with it its leases.
    pub fn expired(&self) {
        self.table().clear();
    }
}

/// See [`Leases::asking`].
#[derive(Debug)]
pub struct Asking<'a> {
    leases: &'a Leases,
    counted: bool,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.leases.table().asking -= 1;
        }
    }
}
