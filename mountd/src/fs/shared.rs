//! What the kernel's requests may look at without going to the network thread.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, TrySendError};
use std::sync::{Arc, Mutex, MutexGuard, Once, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rfs_model::{Attr, InodeId};
use tokio::sync::oneshot;

use super::ahead::Ahead;
use super::lease::Leases;
use super::names::Place;
use super::{Handles, Inode, Inodes, OpenFile};
use crate::session::Credit;

/// Between two looks for room in the queue to the kernel.
const QUEUE_LOOK: Duration = Duration::from_millis(1);

/// How long the kernel may believe the root's attributes at the most.
const ROOT_TTL: Duration = Duration::from_secs(1);

const DEAF: &str =
    "this kernel cannot be asked to forget inodes: the names of those that are not open are dropped instead";

/// How a mount behaves towards the kernel.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub attr_ttl: Duration,
    pub entry_ttl: Duration,
    /// Of names that are not there.
    pub absent_ttl: Duration,
    /// The kernel may keep listings.
    pub cache_listings: bool,
    /// Files may be made ahead of the leader, in directories that nobody else changes.
    pub leases: bool,
    /// Every file bypasses the page cache.
    pub direct_io: bool,
    /// Of more inodes than these the kernel is asked to forget some; 0: of none.
    pub inodes: usize,
}

/// What the kernel is to drop from its caches. Carried out by a thread of its own, in order: the kernel may make that wait
/// for a request of its own that we have yet to answer.
#[derive(Debug)]
pub enum Invalidation {
    /// Attributes, and data as in [`rfs_model::client::Change::Inode`].
    Inode {
        number: u64,
        offset: u64,
        len: u64,
    },
    Entry {
        parent: u64,
        name: Bytes,
    },
    All,
    /// Inodes that it need not know, if nothing uses them there. Then [`Shared::was_asked`].
    Forget {
        numbers: Vec<u64>,
    },
    /// The file has at least this size, and this is the last byte of so much of it.
    Grow {
        number: u64,
        size: u64,
        last: u8,
    },
    /// Everything before this has been dropped.
    Barrier(oneshot::Sender<()>),
}

/// State of one mount that all its threads see.
pub struct Shared {
    options: Options,
    inodes: Mutex<Inodes>,
    ahead: Ahead,
    leases: Leases,
    files: Mutex<Handles<OpenFile>>,
    credit: Arc<Credit>,
    /// Counts sessions.
    epoch: AtomicU64,
    /// We are told of others' changes: the kernel may cache.
    trusted: AtomicBool,
    /// Held while the kernel's own thread answers from what is known here, and wholly while news is taken in.
    answering: RwLock<()>,
    /// Threads look up once more what they were told was gone.
    retrying: AtomicBool,
    /// Every request is refused, until further notice.
    down: AtomicBool,
    changes: AtomicU64,
    invalidations: SyncSender<Invalidation>,
    /// An invalidation found the queue full: everything is to be dropped instead.
    flooded: AtomicBool,
    /// The kernel is being asked to forget inodes.
    asks: AtomicBool,
    /// It does not know how to.
    deaf: AtomicBool,
    deaf_is_logged: Once,
}

impl Shared {
    #[must_use]
    pub fn new(options: Options, credit: Arc<Credit>, invalidations: SyncSender<Invalidation>) -> Arc<Self> {
        Arc::new(Self {
            inodes: Mutex::new(Inodes::new(options.inodes)),
            options,
            credit,
            ahead: Ahead::default(),
            leases: Leases::default(),
            files: Mutex::default(),
            epoch: AtomicU64::default(),
            trusted: AtomicBool::default(),
            answering: RwLock::default(),
            retrying: AtomicBool::default(),
            down: AtomicBool::default(),
            changes: AtomicU64::default(),
            invalidations,
            flooded: AtomicBool::default(),
            asks: AtomicBool::default(),
            deaf: AtomicBool::default(),
            deaf_is_logged: Once::new(),
        })
    }

    #[must_use]
    pub fn options(&self) -> &Options {
        &self.options
    }

    /// # Panics
    /// When a holder has panicked: the table may be half changed.
    pub fn inodes(&self) -> MutexGuard<'_, Inodes> {
        self.inodes.lock().expect("no holder panics")
    }

    /// # Panics
    /// As [`Shared::inodes`].
    pub fn files(&self) -> MutexGuard<'_, Handles<OpenFile>> {
        self.files.lock().expect("no holder panics")
    }

    pub(super) fn ahead(&self) -> &Ahead {
        &self.ahead
    }

    #[must_use]
    pub fn leases(&self) -> &Leases {
        &self.leases
    }

    /// As [`Inodes::remember`]. When there are too many, the kernel is asked to forget some.
    #[must_use]
    pub fn remember(&self, attr: &Attr, place: Place) -> Option<Arc<Inode>> {
        let mut inodes = self.inodes();
        let inode = inodes.remember(attr, place);
        let numbers = if self.asks.load(Ordering::Acquire) { Vec::new() } else { inodes.too_many() };
        drop(inodes);
        if !numbers.is_empty() {
            self.ask(Invalidation::Forget { numbers });
        }
        inode
    }

    /// One at a time, and when there is room in the queue: else they have their turn again later.
    fn ask(&self, forget: Invalidation) {
        self.asks.store(true, Ordering::Release);
        if self.invalidations.try_send(forget).is_err() {
            self.asks.store(false, Ordering::Release);
        }
        if self.deaf.load(Ordering::Relaxed) {
            self.deaf_is_logged.call_once(|| tracing::info!("{DEAF}"));
        }
    }

    /// The kernel may be asked to forget more. `understood`: it knew what was wanted. Logs nothing: the caller has no log.
    pub fn was_asked(&self, understood: bool) {
        self.deaf.store(!understood, Ordering::Relaxed);
        self.asks.store(false, Ordering::Release);
    }

    /// The retained window's free room.
    #[must_use]
    pub fn credit(&self) -> &Arc<Credit> {
        &self.credit
    }

    #[must_use]
    pub fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    pub fn next_epoch(&self) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
    }

    pub fn set_trusted(&self, trusted: bool) {
        self.trusted.store(trusted, Ordering::Release);
    }

    #[must_use]
    pub fn trusted(&self) -> bool {
        self.trusted.load(Ordering::Acquire)
    }

    /// To be held from before something known is looked at until the kernel has the answer: news that comes meanwhile is taken in
    /// after that, and what it makes the kernel drop is there to be dropped.
    ///
    /// # Panics
    /// As [`Shared::inodes`].
    pub fn answering(&self) -> RwLockReadGuard<'_, ()> {
        self.answering.read().expect("no holder panics")
    }

    pub(super) fn taking_news(&self) -> RwLockWriteGuard<'_, ()> {
        self.answering.write().expect("no holder panics")
    }

    pub(super) fn is_retrying(&self) -> bool {
        self.retrying.load(Ordering::Acquire)
    }

    pub(super) fn set_retrying(&self, retrying: bool) {
        self.retrying.store(retrying, Ordering::Release);
    }

    pub fn set_down(&self, down: bool) {
        self.down.store(down, Ordering::Release);
    }

    #[must_use]
    pub fn is_down(&self) -> bool {
        self.down.load(Ordering::Acquire)
    }

    #[must_use]
    pub fn attr_ttl(&self) -> Duration {
        if self.trusted() { self.options.attr_ttl } else { Duration::ZERO }
    }

    /// Who looks at a mount's root wants to know whether it lives.
    #[must_use]
    pub fn attr_ttl_of(&self, id: InodeId) -> Duration {
        let ttl = self.attr_ttl();
        if id == InodeId::ROOT { ttl.min(ROOT_TTL) } else { ttl }
    }

    #[must_use]
    pub fn entry_ttl(&self) -> Duration {
        if self.trusted() { self.options.entry_ttl } else { Duration::ZERO }
    }

    /// The kernel is about to be told that a name is not there. Returns for how long it may believe that.
    #[must_use]
    pub fn absent(&self, place: Place) -> Duration {
        let ttl = self.options.absent_ttl;
        let noted =
            self.trusted() && !ttl.is_zero() && self.inodes().note_absent(place, Instant::now() + ttl);
        if noted { ttl } else { Duration::ZERO }
    }

    pub fn count_change(&self) {
        self.changes.fetch_add(1, Ordering::Relaxed);
    }

    /// Others' changes that we were told of.
    #[must_use]
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    /// Never waits: when the queue is full, everything is dropped instead.
    pub fn invalidate(&self, what: Invalidation) {
        match self.invalidations.try_send(what) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => self.flooded.store(true, Ordering::Release),
            // The mount is ending, or has not begun.
            Err(TrySendError::Disconnected(_)) => {}
        }
    }

    /// True once after a flood; everything is to be dropped then.
    pub fn take_flooded(&self) -> bool {
        self.flooded.swap(false, Ordering::AcqRel)
    }

    /// Returns when the kernel has dropped what it was told to, and done `more`. Waits for room in the queue: what was to be
    /// dropped and found none is dropped before.
    pub async fn carried_out(&self, more: Option<Invalidation>) {
        let (done, wait) = oneshot::channel();
        for mut what in more.into_iter().chain([Invalidation::Barrier(done)]) {
            while let Err(TrySendError::Full(back)) = self.invalidations.try_send(what) {
                tokio::time::sleep(QUEUE_LOOK).await;
                what = back;
            }
        }
        let _ = wait.await;
    }
}
