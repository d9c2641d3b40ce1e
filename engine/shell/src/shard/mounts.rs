//! The connections of mounts: who is attached, what waits to be told.

use std::collections::BTreeMap;
use std::rc::Rc;

use rfs_model::client::{Answer, Change, Done, ToBrick, ToMount};
use rfs_model::codec::Encode;
use rfs_model::frame::{FrameKind, put_frame};
use rfs_model::hello::{OpenInode, Purpose};
use rfs_model::{InodeId, Refusal, Seq, SessionId};

use super::interest::Interest;
use super::queue::Outbox;
use super::throttle::{Gate, Keeper, Load};

/// What a mount said of itself when it came.
#[derive(Clone, Debug)]
pub struct MountHello {
    pub session: SessionId,
    pub purpose: Purpose,
    pub host: String,
    pub resumed: bool,
    pub opens: Vec<OpenInode>,
    /// It came through the Unix socket.
    pub local: bool,
}

/// A connection, numbered in the order of arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnId(pub u64);

/// Changes gathered for one mount before they are pushed; beyond it, the oldest go out at once.
const CHANGES_PER_FRAME: usize = 256;
/// Silence after which the other side wants to hear something, microseconds.
const BEAT_US: u64 = 250_000;
/// A mount says something four times a second. One that has not for so long is cut off, or dead, microseconds: its connection
/// is closed, so that nothing comes late that its machine still has to send. One that lives attaches anew, and sends what
/// was not answered again.
const SILENT_US: u64 = 3_000_000;
/// A brick that did not look for so long stood still itself.
const STILL_US: u64 = 1_000_000;
/// Between two looks.
const LOOK_US: u64 = 100_000;

/// One attached mount.
pub struct MountConn {
    pub session: SessionId,
    pub purpose: Purpose,
    pub peer: String,
    pub outbox: Rc<Outbox>,
    /// The durable prefix that it was told last.
    durable_told: Seq,
    changes: Vec<Change>,
    interest: Interest,
    last_said_us: u64,
    heard_us: u64,
    load: Load,
    gate: Keeper,
}

impl MountConn {
    #[must_use]
    pub fn new(hello: &MountHello, peer: String, outbox: Rc<Outbox>, gate: Rc<Gate>) -> Self {
        let (session, purpose) = (hello.session, hello.purpose);
        let mut interest = Interest::default();
        interest.opens(&hello.opens);
        Self {
            interest,
            session,
            purpose,
            peer,
            outbox,
            durable_told: Seq::ZERO,
            changes: vec![],
            last_said_us: 0,
            heard_us: 0,
            load: Load::default(),
            gate: Keeper(gate),
        }
    }

    pub fn say(&self, message: &ToMount) {
        self.outbox.put(|out| put_frame(out, FrameKind::Client, |out| message.encode(out)));
    }

    fn flush_changes(&mut self) {
        if !self.changes.is_empty() {
            let changes = std::mem::take(&mut self.changes);
            self.say(&ToMount::Changes { changes });
        }
    }
}

/// All attached mounts of one brick.
#[derive(Default)]
pub struct Mounts {
    next: u64,
    conns: BTreeMap<ConnId, MountConn>,
    looked_us: u64,
    sessions: BTreeMap<SessionId, ConnId>,
}

impl Mounts {
    /// Adds a connection. A session has one connection: an older one is told to go.
    pub fn attach(&mut self, conn: MountConn) -> ConnId {
        let id = ConnId(self.next);
        self.next += 1;
        if conn.purpose == Purpose::Session
            && let Some(old) = self.sessions.insert(conn.session, id)
            && let Some(old) = self.conns.remove(&old)
        {
            old.outbox.close();
        }
        self.conns.insert(id, conn);
        id
    }

    /// Connections, those for local reads among them.
    #[must_use]
    pub fn len(&self) -> usize {
        self.conns.len()
    }

    pub fn detach(&mut self, id: ConnId) -> Option<MountConn> {
        let conn = self.forget(id)?;
        conn.outbox.close();
        Some(conn)
    }

    fn forget(&mut self, id: ConnId) -> Option<MountConn> {
        let conn = self.conns.remove(&id)?;
        if self.sessions.get(&conn.session) == Some(&id) {
            self.sessions.remove(&conn.session);
        }
        Some(conn)
    }

    #[must_use]
    pub fn get(&self, id: ConnId) -> Option<&MountConn> {
        self.conns.get(&id)
    }

    /// The connection of a session, if it is attached here.
    #[must_use]
    pub fn of(&self, session: SessionId) -> Option<&MountConn> {
        self.sessions.get(&session).and_then(|id| self.conns.get(id))
    }

    pub fn done(&mut self, session: SessionId, seq: Seq, done: &Done) {
        let conn = self.sessions.get(&session).and_then(|id| self.conns.get_mut(id));
        if let Some(conn) = conn {
            conn.interest.made(done.id);
            conn.say(&ToMount::Done { seq, done: *done });
        }
    }

    pub fn refused(&self, session: SessionId, seq: Seq, why: Refusal) {
        if let Some(conn) = self.of(session) {
            conn.say(&ToMount::Refused { seq, why });
        }
    }

    /// The holder of the lease on a directory is to give it back. One that is not attached is told when it comes.
    pub fn recall(&self, holder: SessionId, dir: InodeId) {
        if let Some(conn) = self.of(holder) {
            conn.say(&ToMount::Recall { id: dir });
        }
    }

    /// Answers a query.
    pub fn answer(&mut self, id: ConnId, tag: u64, answer: Result<Answer, Refusal>) {
        let Some(conn) = self.conns.get_mut(&id) else { return };
        conn.load.answered(tag);
        match answer {
            Ok(answer) => {
                conn.interest.told(&answer);
                conn.say(&ToMount::Answer { tag, answer });
            }
            Err(why) => conn.say(&ToMount::NoAnswer { tag, why }),
        }
    }

    /// A message of this mount has left the shard's inbox: what it asks for waits from here on.
    pub fn noted(&mut self, id: ConnId, message: &ToBrick) {
        if let Some(conn) = self.conns.get_mut(&id) {
            conn.gate.taken(message);
            conn.load.note(message);
            conn.interest.asked(message);
            conn.heard_us = self.looked_us;
        }
    }

    /// Ends a turn: mounts that have too much waiting are not read from. `next` is the next request of a session to be
    /// admitted.
    pub fn throttle(&mut self, window: usize, next: impl Fn(SessionId) -> Option<Seq>) {
        for conn in self.conns.values_mut() {
            conn.load.turned(&conn.gate.0, next(conn.session), window, conn.outbox.waiting());
        }
    }

    /// Notes a change for every mount that may know what has changed, but the one that made it.
    pub fn changed(&mut self, by: SessionId, change: &Change) {
        for conn in self.conns.values_mut() {
            let hears = conn.purpose == Purpose::Session && conn.session != by;
            if hears && conn.interest.concerns(change) {
                conn.changes.push(change.clone());
                if conn.changes.len() >= CHANGES_PER_FRAME {
                    conn.flush_changes();
                }
            }
        }
    }

    /// Sessions that are attached.
    #[must_use]
    pub fn sessions(&self) -> usize {
        self.sessions.len()
    }

    /// True when nobody but `by` would hear of a change.
    #[must_use]
    pub fn alone(&self, by: SessionId) -> bool {
        self.conns.values().all(|c| c.session == by || c.purpose != Purpose::Session)
    }

    pub fn lock_freed(&self, id: InodeId) {
        for conn in self.conns.values().filter(|c| c.purpose == Purpose::Session) {
            conn.say(&ToMount::LockFreed { id });
        }
    }

    /// Ends a turn: pushes changes, durable watermarks and beats.
    pub fn flush(&mut self, now_us: u64, durable: impl Fn(SessionId) -> Seq) {
        for conn in self.conns.values_mut() {
            if conn.purpose == Purpose::Session {
                conn.flush_changes();
                let seq = durable(conn.session);
                if seq > conn.durable_told {
                    conn.durable_told = seq;
                    conn.say(&ToMount::Durable { seq });
                    conn.last_said_us = now_us;
                }
            }
            if now_us.saturating_sub(conn.last_said_us) >= BEAT_US {
                conn.last_said_us = now_us;
                conn.say(&ToMount::Beat);
            }
        }
    }

    /// Closes the connections of those that say nothing.
    pub fn hang_up_silent(&mut self, now_us: u64) {
        if now_us.saturating_sub(self.looked_us) < LOOK_US {
            return;
        }
        let still = now_us.saturating_sub(self.looked_us) > STILL_US;
        self.looked_us = now_us;
        for conn in self.conns.values_mut() {
            // What has come and was not looked at is heard, and so is whoever is kept waiting at the socket.
            if still || conn.heard_us == 0 || conn.gate.0.holds() {
                conn.heard_us = now_us;
            } else if now_us.saturating_sub(conn.heard_us) >= SILENT_US && !conn.outbox.is_closed() {
                let seconds = SILENT_US / 1_000_000;
                tracing::warn!(session = %conn.session, peer = conn.peer,
                    "a mount has been silent for {seconds} s: its connection is closed");
                conn.outbox.close();
            }
        }
    }

    /// Sends every mount away with a last word.
    pub fn dismiss_all(&mut self, word: &ToMount) {
        for conn in self.conns.values() {
            conn.say(word);
            conn.outbox.finish();
        }
        self.conns.clear();
        self.sessions.clear();
    }

    /// Breaks all connections: mounts come back at once, as after any break, and send again what was not answered.
    pub fn hang_up_all(&self) {
        self.conns.values().for_each(|conn| conn.outbox.close());
    }

    /// Sends away those whom `keep` does not know any more.
    pub fn dismiss_unless(&mut self, word: &ToMount, keep: impl Fn(&MountConn) -> bool) {
        let gone: Vec<ConnId> = self.conns.iter().filter(|(_, c)| !keep(c)).map(|(id, _)| *id).collect();
        for id in gone {
            if let Some(conn) = self.conns.get(&id) {
                conn.say(word);
                conn.outbox.finish();
            }
            self.forget(id);
        }
    }
}
