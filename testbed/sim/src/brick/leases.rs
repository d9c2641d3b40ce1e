//! Leases on directories: questions whether they are still there, and words to those who are to give one back.

use std::collections::BTreeMap;

use rfs_core::consensus::api::{Input, Ticket};
use rfs_model::client::{Answer, ToMount};
use rfs_model::limits::BELIEF_MS;
use rfs_model::op::{LEASE, LockOwner, Stamped};
use rfs_model::{FileKind, Index, InodeId, Op, Seq, SessionId};

use super::Running;
use crate::outside::Heard;

/// A question whether there is a leader.
#[derive(Clone, Copy, Debug)]
struct Renewal {
    conn: u64,
    tag: u64,
    session: SessionId,
    /// The last request of the session that came before it.
    after: Option<Seq>,
}

/// All that are open; they go the way of every question of a mount.
#[derive(Clone, Debug, Default)]
pub struct Renewals {
    fresh: Vec<Renewal>,
    reading: BTreeMap<Ticket, Renewal>,
    /// What must be applied, and whether that needs a lease at the end.
    ripe: Vec<(Index, bool, Renewal)>,
    /// For a planted fault: leases that are wanted back, since when and of whom.
    wanted: Vec<(u64, InodeId, SessionId)>,
}

impl Renewals {
    pub fn ready(&mut self, ticket: Ticket, index: Index, confirmed: bool) {
        if let Some(renewal) = self.reading.remove(&ticket) {
            self.ripe.push((index, confirmed, renewal));
        }
    }

    /// The mount asks again.
    pub fn refused(&mut self, ticket: Ticket) {
        self.reading.remove(&ticket);
    }
}

impl Running<'_> {
    pub fn ask_renewal(&mut self, conn: u64, tag: u64, session: SessionId) {
        let after = self.p.front.progress(session).map(|progress| progress.received);
        let renewal = Renewal { conn, tag, session, after };
        if self.out.setup.mutants.driver.renews_unsure {
            return self.renew(renewal);
        }
        self.p.renewals.fresh.push(renewal);
    }

    /// Begins with those before which all requests of their session are admitted.
    pub fn begin_renewals(&mut self) {
        for renewal in std::mem::take(&mut self.p.renewals.fresh) {
            let next = self.p.front.progress(renewal.session).map(|progress| progress.next);
            if renewal.after.is_none_or(|after| next.is_none_or(|next| next > after)) {
                self.read_for(renewal);
            } else {
                self.p.renewals.fresh.push(renewal);
            }
        }
    }

    fn read_for(&mut self, renewal: Renewal) {
        self.p.next_ticket += 1;
        let ticket = Ticket(self.p.next_ticket);
        self.p.renewals.reading.insert(ticket, renewal);
        self.step(Input::Read { ticket });
    }

    pub fn answer_renewals(&mut self) {
        let applied = self.p.applied();
        let ripe = std::mem::take(&mut self.p.renewals.ripe);
        let (due, later): (Vec<_>, Vec<_>) = ripe.into_iter().partition(|(need, ..)| *need <= applied);
        self.p.renewals.ripe = later;
        for (_, confirmed, renewal) in due {
            if confirmed || self.p.core.lease_valid(self.p.now) {
                self.renew(renewal);
            } else {
                self.read_for(renewal);
            }
        }
    }

    fn renew(&mut self, renewal: Renewal) {
        let answer = ToMount::Answer { tag: renewal.tag, answer: Answer::Done };
        self.out.to_client(renewal.conn, Heard::message(answer));
    }

    /// Asks for the leases that are in the way of what was admitted.
    pub fn recall(&mut self) {
        for (holder, dir) in self.p.front.take_recalls() {
            self.out.stats.recalls += 1;
            self.out.say(format_args!("brick {} wants the lease on {dir} back", self.n));
            self.tell(holder, ToMount::Recall { id: dir });
            if self.out.setup.mutants.driver.revokes_at_once {
                self.take_away(dir, holder);
            }
            if self.out.setup.mutants.driver.revokes_soon {
                self.p.renewals.wanted.push((self.p.now, dir, holder));
            }
        }
        self.revoke_soon();
    }

    /// A planted fault: patience as long as belief.
    fn revoke_soon(&mut self) {
        let now = self.p.now;
        let is_due = |(since, ..): &(u64, InodeId, SessionId)| now >= since + 1000 * BELIEF_MS;
        let wanted = std::mem::take(&mut self.p.renewals.wanted);
        let (due, later): (Vec<_>, Vec<_>) = wanted.into_iter().partition(is_due);
        self.p.renewals.wanted = later;
        due.into_iter().for_each(|(_, dir, holder)| self.take_away(dir, holder));
    }

    /// A planted fault: nobody has a lease under a new leader.
    pub fn end_all_leases(&mut self) {
        let all = self.p.front.state().locks().all();
        for (dir, held) in all.into_iter().filter(|(_, held)| held.owner.owner == LEASE) {
            self.take_away(dir, held.owner.session);
        }
    }

    fn take_away(&mut self, id: InodeId, session: SessionId) {
        let Some((term, next)) = self.p.core.leading() else { return };
        let op = Op::Unlock { id, owner: LockOwner { session, owner: LEASE } };
        let time = self.time();
        if let Some(stamped) = self.p.front.record_repair(op, time, next) {
            let meta = self.enter_outcome(next, term, &stamped);
            self.step(Input::Proposed { meta });
        }
    }

    /// What an applied record means for leases: anybody may look for a new directory, and the end of a lease that its holder did
    /// not ask for excuses what it told its programs.
    pub fn note_leases(&mut self, stamped: &Stamped) {
        match &stamped.op {
            Op::Make { id, kind: FileKind::Dir, .. } => self.out.births.finds(*id),
            Op::Unlock { id, owner } if owner.owner == LEASE && stamped.session.is_nil() => self.revoked(*id),
            _ => {}
        }
    }

    fn revoked(&mut self, dir: InodeId) {
        if self.out.births.revokes(dir) {
            self.out.stats.revoked += 1;
            self.out.say(format_args!("the lease on {dir} is taken away"));
        }
    }
}
