//! What this mount knows of one inode.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rfs_model::attr::{ASKED_OFTEN, Bare, FileKind};
use rfs_model::limits::BELIEF_MS;
use rfs_model::{Attr, Index, InodeId, Seq};

use super::lost::Losses;

/// See [`Inode::is_bare`].
const WHOLLY: u8 = 1 << 7;

/// A state of the volume, as far as this mount knows: its own newest change, and how many of others it was told of.
pub type Moment = (Seq, u64);

/// Attributes that the leader told.
#[derive(Debug)]
struct Told {
    attr: Attr,
    at: Instant,
    /// When nothing at all had changed since, they are right.
    moment: Moment,
    /// They are right until this mount hears of a change of the inode.
    firm: bool,
}

/// What this mount knows of one inode. Shared with open handles.
#[derive(Debug)]
pub struct Inode {
    pub number: u64,
    pub id: InodeId,
    /// This session's newest write to it, or of a directory, file made in it ahead of the leader; 0: none.
    last_write: AtomicU64,
    /// Bit n: it certainly has no `ASKED_OFTEN[n]`. [`WHOLLY`]: it has no extended attributes.
    absent: AtomicU8,
    /// How often its attributes may have changed.
    doubts: AtomicU64,
    /// What `doubts` was when it had no privileges that a write takes away.
    unprivileged: AtomicU64,
    /// The version that it had when all pages that the kernel may hold were dropped or found valid; 0: unknown.
    pages: AtomicU64,
    /// The kernel has read of it, and may hold pages.
    read: AtomicBool,
    /// The kernel believes in no smaller size than this.
    least_size: AtomicU64,
    /// Handles of this mount that append.
    appenders: AtomicU32,
    /// An append of this mount has ended elsewhere than the kernel thinks.
    misplaced: AtomicBool,
    /// The listing of it that the kernel holds, or is about to make, is right as far as we were told.
    listed: AtomicBool,
    /// Of a directory: its attributes.
    told: Mutex<Option<Box<Told>>>,
    /// The kernel is about to look at what it has just been told, once.
    looked_at: AtomicBool,
    /// This mount has made it ahead of the leader, and the leader has yet to confirm that.
    unconfirmed: AtomicBool,
    /// When, milliseconds.
    born_at: AtomicU64,
    /// What this mount has made of it, until it is closed.
    newborn: Mutex<Option<Box<Attr>>>,
    /// Of a directory: files in it that are not confirmed.
    births: AtomicU32,
    /// Writes to it that had returned and did not come to be.
    pub(super) lost: Losses,
    /// Owners that may hold locks on it by this session.
    lockers: Mutex<BTreeSet<u64>>,
}

impl Inode {
    pub(super) fn new(id: InodeId) -> Self {
        Self {
            number: id.number(),
            id,
            last_write: AtomicU64::default(),
            absent: AtomicU8::default(),
            doubts: AtomicU64::default(),
            unprivileged: AtomicU64::new(u64::MAX),
            pages: AtomicU64::default(),
            read: AtomicBool::default(),
            // Until it is told of any.
            least_size: AtomicU64::new(u64::MAX),
            appenders: AtomicU32::default(),
            misplaced: AtomicBool::default(),
            listed: AtomicBool::default(),
            told: Mutex::default(),
            looked_at: AtomicBool::new(true),
            unconfirmed: AtomicBool::default(),
            born_at: AtomicU64::default(),
            newborn: Mutex::default(),
            births: AtomicU32::default(),
            lost: Losses::default(),
            lockers: Mutex::default(),
        }
    }

    pub fn wrote(&self, seq: Seq) {
        self.last_write.fetch_max(seq.0, Ordering::Relaxed);
    }

    #[must_use]
    pub fn last_write(&self) -> Seq {
        Seq(self.last_write.load(Ordering::Relaxed))
    }

    fn bit(name: &[u8]) -> u8 {
        ASKED_OFTEN.iter().position(|asked| *asked == name).map_or(0, |n| 1 << n)
    }

    /// True only when it is certain that the inode has no such attribute.
    #[must_use]
    pub fn lacks(&self, name: &[u8]) -> bool {
        self.absent.load(Ordering::Relaxed) & (Self::bit(name) | WHOLLY) != 0
    }

    /// True only when it is certain that the inode has no extended attribute.
    #[must_use]
    pub fn is_bare(&self) -> bool {
        self.absent.load(Ordering::Relaxed) & WHOLLY != 0
    }

    pub fn found_lacking(&self, name: &[u8]) {
        self.absent.fetch_or(Self::bit(name), Ordering::Relaxed);
    }

    pub fn found_bare(&self, bare: Bare) {
        let found = match bare {
            Bare::Unknown => return,
            Bare::Often => 0,
            Bare::Wholly => WHOLLY,
        };
        let often = ASKED_OFTEN.iter().fold(found, |bits, name| bits | Self::bit(name));
        self.absent.fetch_or(often, Ordering::Relaxed);
    }

    /// Attributes may have been set.
    pub fn attributes_unknown(&self) {
        self.doubts.fetch_add(1, Ordering::Relaxed);
        self.absent.store(0, Ordering::Relaxed);
        self.told.lock().expect("no holder panics").take();
    }

    /// Goes up whenever attributes may have changed.
    #[must_use]
    pub fn doubts(&self) -> u64 {
        self.doubts.load(Ordering::Relaxed)
    }

    /// It was asked for when [`Inode::doubts`] was this, and has no privileges that a write takes away.
    pub fn found_unprivileged(&self, doubts: u64) {
        self.unprivileged.store(doubts, Ordering::Relaxed);
    }

    /// True only when it certainly has no privileges that a write takes away.
    #[must_use]
    pub fn is_unprivileged(&self) -> bool {
        self.unprivileged.load(Ordering::Relaxed) == self.doubts()
    }

    /// The version of which all pages are that the kernel holds, and its size; 0: unknown.
    #[must_use]
    pub fn pages(&self) -> Index {
        Index(self.pages.load(Ordering::Relaxed))
    }

    /// Data of this version the kernel may have read already; 0: none that would still be right.
    #[must_use]
    pub fn read_version(&self) -> Index {
        if self.read.load(Ordering::Relaxed) { self.pages() } else { Index::ZERO }
    }

    pub fn was_read(&self) {
        self.read.store(true, Ordering::Relaxed);
    }

    /// The kernel holds nothing older.
    pub fn pages_are_of(&self, version: Index) {
        self.pages.store(version.0, Ordering::Relaxed);
    }

    pub fn pages_unknown(&self) {
        self.pages.store(0, Ordering::Relaxed);
    }

    /// The kernel is told this size, and may believe it.
    pub fn size_told(&self, size: u64) {
        self.least_size.fetch_min(size, Ordering::Relaxed);
    }

    /// The kernel has grown the file to this size if it was smaller.
    pub fn size_grown(&self, size: u64) {
        self.least_size.fetch_max(size, Ordering::Relaxed);
    }

    #[must_use]
    pub fn least_size(&self) -> u64 {
        self.least_size.load(Ordering::Relaxed)
    }

    pub fn appender_came(&self) {
        self.appenders.fetch_add(1, Ordering::Relaxed);
    }

    pub fn appender_left(&self) {
        self.appenders.fetch_sub(1, Ordering::Relaxed);
    }

    /// An append has ended elsewhere than the kernel thinks: others append, too.
    pub fn append_misplaced(&self) {
        self.misplaced.store(true, Ordering::Relaxed);
    }

    /// Whether the size that the kernel believes may be one that the file never had. It adds what was appended to what it
    /// held for the size before, and the right one, which it asks for at the next read, it does not take when it was told of
    /// another change meanwhile. So this ends only when the kernel forgets the inode.
    #[must_use]
    pub fn size_is_guessed(&self) -> bool {
        self.misplaced.load(Ordering::Relaxed) || self.appenders.load(Ordering::Relaxed) > 0
    }

    /// Attributes of a directory, as of that moment.
    pub fn tell(&self, attr: Attr, moment: Moment) {
        self.tell_if(attr, moment, false);
    }

    /// The same, by an answer to a question that was asked when [`Inode::doubts`] was this: unless there was news meanwhile, they
    /// are those of the newest version, whatever happens elsewhere.
    pub fn tell_firmly(&self, attr: Attr, moment: Moment, doubts: u64) {
        self.tell_if(attr, moment, doubts == self.doubts());
    }

    fn tell_if(&self, attr: Attr, moment: Moment, firm: bool) {
        let mut told = self.told.lock().expect("no holder panics");
        // What is firm stays, unless this is newer, or says the same of a later time.
        let stays = told.as_ref().is_some_and(|told| {
            told.firm && (told.attr.version > attr.version || told.attr.version == attr.version && !firm)
        });
        if attr.kind == FileKind::Dir && !stays {
            *told = Some(Box::new(Told { attr, at: Instant::now(), moment, firm }));
        }
    }

    /// A directory's attributes, and for how long they may still be believed: until they are of that age, if nothing at all has
    /// changed since they were told, or nothing of it.
    #[must_use]
    pub fn told(&self, now: Moment, ttl: Duration) -> Option<(Attr, Duration)> {
        let told = self.told.lock().expect("no holder panics");
        let told = told.as_deref().filter(|told| told.firm || told.moment == now)?;
        let left = ttl.saturating_sub(told.at.elapsed());
        (!left.is_zero()).then_some((told.attr, left))
    }

    /// As [`Inode::told`], where nothing but the directory itself has to be looked at.
    #[must_use]
    pub fn told_firmly(&self, ttl: Duration) -> Option<(Attr, Duration)> {
        let told = self.told.lock().expect("no holder panics");
        let told = told.as_deref().filter(|told| told.firm && !self.is_bearing())?;
        let left = ttl.saturating_sub(told.at.elapsed());
        (!left.is_zero()).then_some((told.attr, left))
    }

    /// This mount makes it, ahead of the leader, at this time in milliseconds.
    pub fn born(&self, attr: Attr, now: u64) {
        self.born_at.store(now, Ordering::Relaxed);
        self.unconfirmed.store(true, Ordering::Release);
        *self.newborn.lock().expect("no holder panics") = Some(Box::new(attr));
        self.looked_at.store(false, Ordering::Release);
    }

    /// What the kernel was told of it with its birth. It must not keep that, and so asks for it once more before the program's
    /// open returns, to check permissions. What programs ask for later is the leader's to answer.
    pub fn first_look(&self) -> Option<Attr> {
        if self.looked_at.load(Ordering::Acquire) || self.looked_at.swap(true, Ordering::AcqRel) {
            return None;
        }
        self.newborn.lock().expect("no holder panics").as_deref().copied()
    }

    /// The leader has made it, or has not.
    pub fn confirmed(&self) {
        self.unconfirmed.store(false, Ordering::Release);
    }

    #[must_use]
    pub fn is_unconfirmed(&self) -> bool {
        self.unconfirmed.load(Ordering::Acquire)
    }

    /// Whether it may be another mount's by now: not confirmed, and no lease in the name of which it was made is believed in any
    /// more. Programs have to wait for the leader then.
    #[must_use]
    pub fn is_in_doubt(&self, now: impl FnOnce() -> u64) -> bool {
        self.is_unconfirmed() && now().saturating_sub(self.born_at.load(Ordering::Relaxed)) >= BELIEF_MS
    }

    /// Changes what is known of a file that this mount has made, and whose size is what it has written since.
    pub fn raised(&self, change: impl FnOnce(&mut Attr)) -> Option<Attr> {
        let mut newborn = self.newborn.lock().expect("no holder panics");
        let attr = newborn.as_deref_mut()?;
        change(attr);
        attr.size = self.least_size();
        attr.blocks = attr.size.div_ceil(4096) * 8;
        Some(*attr)
    }

    /// What is known of a file that this mount has made and not closed yet. Its times are not the leader's.
    #[must_use]
    pub fn newborn(&self) -> Option<Attr> {
        self.raised(|_| ())
    }

    /// What is known of it may not be all.
    pub fn grown_up(&self) {
        self.newborn.lock().expect("no holder panics").take();
    }

    /// A file is made in the directory, ahead of the leader.
    pub fn bears(&self) {
        self.births.fetch_add(1, Ordering::AcqRel);
    }

    pub fn bore(&self) {
        self.births.fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether files in the directory are not confirmed: its attributes are not known before.
    #[must_use]
    pub fn is_bearing(&self) -> bool {
        self.births.load(Ordering::Acquire) > 0
    }

    /// A directory is opened. Whether the kernel may keep the listing that it has; if not, it begins a new one.
    pub fn keeps_listing(&self) -> bool {
        self.listed.swap(true, Ordering::Relaxed)
    }

    /// The directory has changed.
    pub fn listing_is_old(&self) {
        self.listed.store(false, Ordering::Relaxed);
    }

    pub fn locked_by(&self, owner: u64) {
        self.lockers.lock().expect("no holder panics").insert(owner);
    }

    #[must_use]
    pub fn may_have_locked(&self, owner: u64) -> bool {
        self.lockers.lock().expect("no holder panics").contains(&owner)
    }

    /// True when this owner may have had locks.
    pub fn unlocked_by(&self, owner: u64) -> bool {
        self.lockers.lock().expect("no holder panics").remove(&owner)
    }

    /// The session has begun anew: what was true of the one before is not of this one.
    pub(super) fn forget_session(&self) {
        self.last_write.store(0, Ordering::Relaxed);
        self.lockers.lock().expect("no holder panics").clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernels_size_is_the_least_it_was_told_unless_it_has_grown_the_file() {
        let inode = Inode::new(InodeId::ROOT);
        inode.size_told(50);
        inode.size_told(70);
        assert_eq!(inode.least_size(), 50, "it need not have believed the second");
        inode.size_grown(60);
        inode.size_grown(10);
        assert_eq!(inode.least_size(), 60);
        inode.size_told(0);
        assert_eq!(inode.least_size(), 0);
    }

    fn directory(version: u64, size: u64) -> Attr {
        let attr =
            Attr::new(InodeId::ROOT, FileKind::Dir, 0o755, rfs_model::Timestamp::default(), Index(version));
        Attr { nlink: 2, size, ..attr }
    }

    #[test]
    fn what_was_told_firmly_holds_until_there_is_news_or_for_so_long() {
        const LONG: Duration = Duration::from_secs(3600);
        let (inode, then, now) = (Inode::new(InodeId::ROOT), (Seq(1), 0), (Seq(2), 0));
        let told = |now, ttl| inode.told(now, ttl).map(|(attr, _)| attr);
        inode.tell(directory(5, 1), then);
        assert_eq!(told(now, LONG), None, "something has changed since");
        inode.tell_firmly(directory(5, 2), then, inode.doubts());
        assert_eq!(told(now, LONG), Some(directory(5, 2)));
        assert_eq!(told(now, Duration::ZERO), None);
        // Answers may overtake each other.
        inode.tell_firmly(directory(4, 3), now, inode.doubts());
        inode.tell(directory(5, 4), then);
        assert_eq!(told(now, LONG), Some(directory(5, 2)));
        inode.tell_firmly(directory(6, 5), now, inode.doubts());
        assert_eq!(told((Seq(3), 1), LONG), Some(directory(6, 5)));
        let asked = inode.doubts();
        inode.attributes_unknown();
        assert_eq!(told(now, LONG), None);
        inode.tell_firmly(directory(7, 6), then, asked);
        assert_eq!(told(now, LONG), None, "it was asked for before the news");
    }

    #[test]
    fn absence_is_believed_until_doubted() {
        let inode = Inode::new(InodeId::ROOT);
        inode.found_lacking(b"security.capability");
        inode.found_lacking(b"user.other");
        assert!(inode.lacks(b"security.capability"));
        assert!(!inode.lacks(b"system.posix_acl_access"));
        assert!(!inode.lacks(b"user.other"));
        inode.attributes_unknown();
        assert!(!inode.lacks(b"security.capability"));
    }

    #[test]
    fn what_was_asked_for_before_a_change_says_nothing_of_privileges() {
        let inode = Inode::new(InodeId::ROOT);
        assert!(!inode.is_unprivileged());
        let asked = inode.doubts();
        inode.found_unprivileged(asked);
        assert!(inode.is_unprivileged());
        inode.attributes_unknown();
        assert!(!inode.is_unprivileged());
        inode.found_unprivileged(asked);
        assert!(!inode.is_unprivileged());
    }
}
