//! Taking leases, believing in them, and giving them back.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rfs_model::client::{Mutation, Query};
use rfs_model::op::LEASE;
use rfs_model::{InodeId, Refusal};

use super::Part;
use crate::fs::{Fs, Inode};
use crate::session::Failure;
use crate::session::window::Waiter;

/// Between two questions whether there is a leader.
const RENEWAL: Duration = Duration::from_millis(250);

const DEFAULT_ACL: &[u8] = b"system.posix_acl_default";

/// Milliseconds of the machine's clock that goes on while it sleeps.
#[must_use]
pub fn now_ms() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    now.tv_sec as u64 * 1000 + now.tv_nsec as u64 / 1_000_000
}

impl Fs {
    /// This mount is about to make a name in a directory. If that is one of its own, and the name the first, it asks for the lease,
    /// and what it will be told is ahead of what comes after it.
    pub(in crate::fs) fn about_to_name(self: &Rc<Self>, dir: &Arc<Inode>, name: &Bytes) {
        let leases = self.shared.leases();
        leases.naming(dir.id, name);
        if !self.shared.options().leases || !self.shared.trusted() {
            return;
        }
        let Some(version) = leases.wants(dir.id, name, now_ms()) else { return };
        let Some(credit) = self.shared.credit().try_take(0) else { return leases.ended(dir.id) };
        let (id, shared) = (dir.id, self.shared.clone());
        let waiter: Waiter = Box::new(move |result| match result {
            Ok(_) => shared.leases().got(id, Part::Lock),
            Err(why) => {
                tracing::debug!("no lease on directory {id}: {why}");
                shared.leases().ended(id);
            }
        });
        self.client.submit(Mutation::Lease { id, version }, credit, waiter);
        tokio::task::spawn_local(self.clone().look_for_default_acl(id));
    }

    /// New files would inherit it, which is the leader's to work out.
    async fn look_for_default_acl(self: Rc<Self>, id: InodeId) {
        let query = Query::GetXattr { id, name: Bytes::from_static(DEFAULT_ACL) };
        let none = self.client.ask(query).await == Err(Failure::Refused(Refusal::NoAttribute));
        if none {
            self.shared.leases().got(id, Part::NoDefaultAcl);
        } else {
            self.shared.leases().give_back(id);
        }
    }

    /// Renews and gives back, for as long as the mount lives.
    pub async fn keep_leases(self: Rc<Self>) {
        loop {
            let idle = self.shared.leases().table().is_idle();
            let work = self.shared.leases().work.notified();
            if idle {
                work.await;
            } else {
                let _ = tokio::time::timeout(RENEWAL, work).await;
            }
            let due = self.shared.leases().table().due(now_ms());
            for dir in due.give_back {
                self.give_back(dir).await;
            }
            if due.renew {
                tokio::task::spawn_local(self.clone().renew());
            }
        }
    }

    async fn give_back(&self, id: InodeId) {
        let op = Mutation::Unlock { id, owner: LEASE };
        if let Err(why) = self.client.enqueue_quietly(op).await {
            tracing::warn!("the lease on directory {id} is not given back: {why}");
        }
    }

    async fn renew(self: Rc<Self>) {
        let sent = now_ms();
        if self.client.renew().await.is_ok() {
            self.shared.leases().table().renewed(sent);
        }
    }
}
