//! A file that is there before the leader has heard of it.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rfs_model::attr::Bare;
use rfs_model::client::{Done, Mutation, WantAttr};
use rfs_model::{Attr, FileKind, Index, Refusal, Timestamp};

use super::keep::now_ms;
use crate::fs::ahead::Touched;
use crate::fs::attrs::changed_by;
use crate::fs::calls::{CHOWN, is_in};
use crate::fs::{Entry, Inode, Invalidation, NewNode, Opened, Quick, Shared};
use crate::session::Failure;
use crate::session::window::Waiter;

impl Shared {
    /// Whether a name is certainly not there. Called on the kernel's own thread.
    #[must_use]
    pub fn lacks(&self, parent: u64, name: &[u8]) -> bool {
        let dir = self.inodes().get(parent);
        self.trusted() && dir.is_some_and(|dir| self.leases().lacks(dir.id, name, now_ms()))
    }

    /// Attributes of a directory, or of a file that was just born, where no question is needed. Called on the kernel's own thread, for
    /// that thread.
    #[must_use]
    pub fn known_attributes(&self, number: u64, thread: u32) -> Option<(Attr, Duration)> {
        let inode = self.inodes().get(number)?;
        // In chown(2) the kernel wants to know which bits go with the owner: no program sees the times.
        let born = inode.first_look().or_else(|| inode.newborn().filter(|_| is_in(thread, &CHOWN)));
        let born = born.map(|attr| (attr, Duration::ZERO));
        born.or_else(|| inode.told_firmly(self.attr_ttl_of(inode.id)))
    }

    /// open(2) with `O_CREAT`, on the kernel's own thread, for a name in a directory that nobody else changes. What is returned goes
    /// into the window. `None`: the leader is to be asked.
    ///
    /// The kernel gets attributes that it must not keep: times are the leader's.
    #[must_use]
    pub fn give_birth(self: &Arc<Self>, node: &NewNode, flags: i32) -> Option<(Entry, Opened, Quick)> {
        if !self.trusted() || self.is_down() {
            return None;
        }
        let dir = self.inodes().get(node.parent)?;
        let credit = self.credit().try_take(0)?;
        let moment = now_ms();
        let birth = self.leases().birth(dir.id, &node.name, moment)?;
        let gid = birth.gid.unwrap_or(node.caller.gid);
        let mode = node.mode & 0o7777 & !(node.umask & 0o777);
        let attr = Attr::new(birth.id, FileKind::File, mode, now(), Index::ZERO);
        let attr = Attr { uid: node.caller.uid, gid, ..attr };
        let Some(inode) = self.remember(&attr, (node.parent, node.name.clone())) else {
            self.leases().submitted(dir.id);
            return None;
        };
        inode.size_told(0);
        inode.found_bare(Bare::Wholly);
        if mode & 0o6000 == 0 {
            inode.found_unprivileged(inode.doubts());
        }
        inode.born(attr, moment);
        dir.bears();
        let op = node.asked(dir.id, birth.id, true);
        self.ahead().changing(&Touched::by(&op));
        let waiter = self.at_birth(node, &inode, &dir);
        let opened = self.hand_out(inode.clone(), flags, false);
        let entry = Entry { attr, attr_ttl: Duration::ZERO, entry_ttl: self.entry_ttl() };
        let epoch = self.epoch();
        Some((entry, opened, Quick { op, credit, waiter, inode, epoch, birth_in: Some(dir) }))
    }

    /// Hears what became of it.
    fn at_birth(self: &Arc<Self>, node: &NewNode, inode: &Arc<Inode>, dir: &Arc<Inode>) -> Waiter {
        let (shared, inode, dir, doubts) = (self.clone(), inode.clone(), dir.clone(), dir.doubts());
        let (parent, name) = (node.parent, node.name.clone());
        Box::new(move |result| {
            match result {
                Ok(Done { attr, dir: told, spare, .. }) => {
                    shared.leases().spare(spare);
                    if let Some(attr) = attr.filter(|_| inode.pages() == Index::ZERO) {
                        inode.pages_are_of(attr.version);
                    }
                    if let Some(told) = told {
                        dir.tell_firmly(told, NEVER, doubts);
                    }
                }
                Err(why) => {
                    tracing::error!("{} in directory {} was not made: {why}", name.escape_ascii(), dir.id);
                    inode.lost.add(lost(why));
                    dir.attributes_unknown();
                    shared.invalidate(Invalidation::Entry { parent, name });
                }
            }
            dir.bore();
            inode.confirmed();
        })
    }

    /// Attributes of a file that was born a moment ago and is still open, on the kernel's own thread: they ride in the window, as
    /// its data does.
    #[must_use]
    pub fn raise(self: &Arc<Self>, number: u64, want: WantAttr) -> Option<(Attr, Quick)> {
        if self.is_down() || want.size.is_some() {
            return None;
        }
        let inode = self.inodes().get(number).filter(|inode| !inode.is_in_doubt(now_ms))?;
        let credit = self.credit().try_take(0)?;
        let attr = inode.raised(|attr| changed_by(attr, &want, now()))?;
        if want.mode.is_some() || want.uid.is_some() || want.gid.is_some() {
            inode.attributes_unknown();
            inode.found_bare(Bare::Wholly);
        }
        let (shared, raised) = (self.clone(), inode.clone());
        let waiter: Waiter = Box::new(move |result| match result {
            Ok(done) => shared.leases().spare(done.spare),
            Err(why) => {
                tracing::error!("attributes of inode {} were not set: {why}", raised.id);
                raised.lost.add(lost(why));
                raised.attributes_unknown();
            }
        });
        let op = Mutation::SetAttr { id: inode.id, want };
        self.ahead().changing(&Touched::by(&op));
        let epoch = self.epoch();
        Some((attr, Quick { op, credit, waiter, inode, epoch, birth_in: None }))
    }
}

/// No moment at all: what was told then is believed only until there is news.
const NEVER: crate::fs::inode::Moment = (rfs_model::Seq::ZERO, u64::MAX);

/// What programs hear of it, who have been told that it was done.
fn lost(why: Failure) -> Failure {
    match why {
        Failure::Refused(Refusal::NoSpace | Refusal::Quota) => why,
        _ => Failure::Unconfirmed,
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp { secs: since.as_secs() as i64, nanos: since.subsec_nanos() }
}
