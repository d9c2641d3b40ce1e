//! Callers at the door of a shard: peers, witnesses, mounts.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use rfs_core::admit::Attach;
use rfs_core::consensus::api::{Input, RoleView, WaitReason};
use rfs_model::client::ToBrick;
use rfs_model::codec::Decode;
use rfs_model::frame::{FrameKind, frame};
use rfs_model::hello::{Denial, Hello, Purpose, Standing, VERSIONS};
use rfs_model::options::AuthRules;
use rfs_model::{Index, NodeId, SessionId};

use super::mounts::{ConnId, MountConn, MountHello};
use super::queue::Outbox;
use super::throttle::Gate;
use super::wire::PeerFrame;
use super::{Event, Inner, Shard, TreeState};
use crate::net::framed::FrameSource;
use crate::net::{Connection, NetError};

/// How long a mount that looks for the leader is kept waiting for a better answer. Others know that another brick leads as
/// soon as it does, hence the shorter time.
const HOLD_WITHOUT_LEADER: Duration = Duration::from_millis(300);
const HOLD_AS_FOLLOWER: Duration = Duration::from_millis(75);
const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// A mount whose session's first record is on its way.
struct Opening {
    hello: MountHello,
    connection: Connection,
}

/// Sessions that begin: a mount is welcomed when the first record of its session is durable. Before that a loss of power
/// can take the session back, and a mount that was welcomed once is told that it has expired.
#[derive(Default)]
pub(crate) struct Openings {
    waiting: Vec<Opening>,
    /// Applied, not yet durable.
    young: BTreeMap<SessionId, Index>,
}

impl Openings {
    /// Nobody waits here any more; they ask again.
    pub fn clear(&mut self) {
        self.waiting.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Of two connections of a session the newer one counts.
    fn wait(&mut self, hello: MountHello, connection: Connection) {
        self.waiting.retain(|opening| opening.hello.session != hello.session);
        self.waiting.push(Opening { hello, connection });
    }

    /// Those whose session is durable. A session that is not applied yet is not known in `young`: `applied` tells.
    fn ripe(&mut self, durable: Index, applied: impl Fn(SessionId) -> bool) -> Vec<Opening> {
        self.young.retain(|_, index| *index > durable);
        let young = &self.young;
        let is_ripe = |o: &Opening| applied(o.hello.session) && !young.contains_key(&o.hello.session);
        let (ripe, waiting) = std::mem::take(&mut self.waiting).into_iter().partition(is_ripe);
        self.waiting = waiting;
        ripe
    }

    /// What has to become durable for those who wait.
    fn wanted(&self) -> Option<Index> {
        self.waiting.iter().filter_map(|o| self.young.get(&o.hello.session)).max().copied()
    }
}

impl Shard {
    /// Serves another brick's outgoing link until it ends.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn accept_peer(
        self: Rc<Self>,
        mut connection: Connection,
        from: NodeId,
    ) -> Result<(), NetError> {
        if self.end().is_some() {
            // To the others a brick that has stopped is as one whose daemon does not run.
            return Err(crate::net::handshake::refuse(&mut connection, Denial::NoVolume).await);
        }
        // A learner that has not heard of it yet lets a newcomer in; a brick that was replaced is turned away where that is known.
        if self.inner.borrow().is_stranger(from) {
            return Err(crate::net::handshake::refuse(&mut connection, Denial::NoVolume).await);
        }
        let welcome = self.inner.borrow().welcome(Standing::Ready);
        connection.send(frame(FrameKind::Hello, &welcome)).await?;
        let (mut source, _sink, hangup) = connection.split();
        let Some(number) = self.callers.enter(from, hangup.clone()) else {
            hangup.hang_up();
            return Err(NetError::Unexpected("too many bricks have a link".into()));
        };
        let allowance = Rc::new(super::callers::Allowance::default());
        let ended = loop {
            let payload = match source.recv().await {
                Ok((FrameKind::Peer, payload)) => payload,
                Ok((other, _)) => {
                    break NetError::Unexpected(format!("a frame of kind {other:?} from a brick"));
                }
                Err(e) => break e,
            };
            match PeerFrame::decode(&payload) {
                Ok(frame) if self.end().is_none() => {
                    let part = allowance.take(payload.len()).await;
                    self.inbox.push(Event::Peer { from, frame, part });
                }
                Ok(_) => break NetError::Closed,
                Err(e) => break e,
            }
        };
        self.callers.leave(from, number);
        hangup.hang_up();
        Err(ended)
    }

    /// Lets a mount in, or says why not.
    ///
    /// # Errors
    /// [`NetError`].
    pub async fn accept_mount(
        self: Rc<Self>,
        mut connection: Connection,
        hello: MountHello,
    ) -> Result<(), NetError> {
        let standing = match self.standing_soon(&hello, connection.peer()).await {
            Ok(standing) => standing,
            Err(why) => return Err(crate::net::handshake::refuse(&mut connection, why).await),
        };
        let standing = match self.end() {
            Some(_) => Standing::NoLeader { why: format!("the brick {} has stopped", self.path.display()) },
            None => standing,
        };
        if standing == Standing::Ready {
            self.inbox.push(Event::MountUp { hello, connection });
            return Ok(());
        }
        let welcome = self.inner.borrow().welcome(standing);
        connection.send(frame(FrameKind::Hello, &welcome)).await
    }

    /// What a mount is told. While nobody leads, or another brick, that may change at any moment: the mount hears of it
    /// at that moment instead of asking again and again.
    async fn standing_soon(&self, hello: &MountHello, peer: &str) -> Result<Standing, Denial> {
        let begun = Instant::now();
        loop {
            let standing = self.inner.borrow().standing(hello, peer)?;
            let hold = match standing {
                Standing::NoLeader { .. } if hello.purpose == Purpose::Session => HOLD_WITHOUT_LEADER,
                Standing::NotLeader { .. } if hello.purpose == Purpose::Session => HOLD_AS_FOLLOWER,
                _ => return Ok(standing),
            };
            if begun.elapsed() >= hold || self.end().is_some() {
                return Ok(standing);
            }
            glommio::timer::sleep(LOOK_AGAIN).await;
        }
    }

    async fn serve_mount(self: Rc<Self>, mut source: FrameSource, conn: ConnId, gate: Rc<Gate>) {
        let ended = loop {
            gate.pass().await;
            match source.recv().await {
                Ok((FrameKind::Client, payload)) => match ToBrick::from_all(&payload) {
                    Ok(message) => {
                        gate.enter(&message);
                        self.inbox.push(Event::Mount { conn, message });
                    }
                    Err(e) => break NetError::from(e),
                },
                Ok((other, _)) => {
                    break NetError::Unexpected(format!("a frame of kind {other:?} from a mount"));
                }
                Err(e) => break e,
            }
        };
        if !matches!(ended, NetError::Closed | NetError::Io(_)) {
            let complaints = &self.inner.borrow().complaints;
            complaints.say(|more| tracing::warn!(more, "a mount's connection is closed: {ended}"));
        }
        self.inbox.push(Event::MountDown { conn });
    }
}

impl Inner {
    /// What a caller is told of the volume.
    pub(super) fn welcome(&self, standing: Standing) -> Hello {
        Hello::Welcome {
            version: VERSIONS[VERSIONS.len() - 1],
            node: self.me,
            volume: self.state.id,
            standing,
            bricks: self.state.bricks.clone(),
            config: self.core.config().at.index,
            options: self.state.options.clone(),
        }
    }

    /// Whether a mount may come in. Only a brick whose state is the newest judges that: while it recovers, or where another
    /// leads, the options and the status that it knows may be old.
    fn standing(&self, hello: &MountHello, peer: &str) -> Result<Standing, Denial> {
        if !matches!(self.tree, TreeState::Ready(_)) || self.applied() < self.committed {
            return Ok(Standing::Recovering { percent: self.recovered_percent() });
        }
        // That a volume is stopped only its leader knows for certain: a brick that follows may not have heard yet that it was started,
        // and whoever is told so gives up.
        if hello.purpose == Purpose::LocalReads && self.state.started {
            return self.judge(peer);
        }
        let leader = self.core.leader().unwrap_or(NodeId::NIL);
        match self.core.role() {
            RoleView::Leader if self.front.is_leading() => self.judge(peer),
            RoleView::Leader => Ok(Standing::NoLeader { why: self.blocked_text() }),
            _ if !leader.is_nil() => Ok(Standing::NotLeader { leader }),
            _ => Ok(Standing::NoLeader { why: self.blocked_text() }),
        }
    }

    fn judge(&self, peer: &str) -> Result<Standing, Denial> {
        if !allowed(&self.options.auth, peer) {
            return Err(Denial::NotAllowed);
        }
        Ok(if self.state.started { Standing::Ready } else { Standing::Stopped })
    }

    /// How much of what recovery has to bring back is in the sessions and the tree.
    fn recovered_percent(&self) -> u32 {
        let (done, all) =
            (self.applied().0 - self.checkpoint.index.0.min(self.applied().0), self.committed.0);
        let all = all.saturating_sub(self.checkpoint.index.0);
        (done * 100).checked_div(all).map_or(0, |percent| percent.min(99) as u32)
    }

    /// Whom the volume waits for, for people.
    pub(crate) fn blocked_text(&self) -> String {
        let waiting = self.core.waiting_for();
        let names: Vec<String> = waiting.bricks.iter().map(|b| self.brick_name(*b)).collect();
        match waiting.reason {
            WaitReason::None | WaitReason::Election => "an election is under way".into(),
            _ if names.is_empty() => "the volume waits for its witness".into(),
            _ => format!("the volume waits for {}", names.join(" or ")),
        }
    }

    /// `host:/path` of a brick.
    pub(crate) fn brick_name(&self, node: NodeId) -> String {
        let place = self.state.bricks.iter().find(|b| b.node == node);
        place.map_or_else(|| node.to_string(), |b| format!("{}:{}", b.host, b.path))
    }

    pub(super) fn mount_up(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        hello: MountHello,
        connection: Connection,
    ) {
        // What held when the caller was let in may have changed since.
        match self.standing(&hello, connection.peer()) {
            Ok(Standing::Ready) => {}
            Ok(standing) => return say_and_close(connection, self.welcome(standing)),
            Err(why) => return refuse(connection, why),
        }
        if self.mounts.len() >= 2 * rfs_model::limits::SESSIONS {
            return refuse(connection, Denial::Full);
        }
        if hello.purpose == Purpose::LocalReads {
            return self.attach(shard, &hello, connection);
        }
        let host = bytes::Bytes::from(hello.host.clone());
        match self.front.attach(hello.session, hello.resumed, &host, &hello.opens) {
            Attach::Ready | Attach::Opening => {
                self.opening.wait(hello, connection);
                self.welcome_opened(shard, now_us);
            }
            // A later leader may know the session.
            Attach::Expired if !self.core.lease_valid(crate::clock::boottime_us()) => {
                let standing = Standing::NoLeader { why: self.blocked_text() };
                say_and_close(connection, self.welcome(standing));
            }
            Attach::Expired => refuse(connection, Denial::Expired),
            Attach::Full => refuse(connection, Denial::Full),
            Attach::NotLeading => {
                let standing = Standing::NoLeader { why: self.blocked_text() };
                say_and_close(connection, self.welcome(standing));
            }
        }
    }

    /// Welcomes a mount and serves its connection from here on.
    fn attach(&mut self, shard: &Rc<Shard>, hello: &MountHello, connection: Connection) {
        let peer = connection.peer().to_owned();
        let (source, sink, hangup) = connection.split();
        let outbox = Outbox::new(hangup);
        let welcome = frame(FrameKind::Hello, &self.welcome(Standing::Ready));
        outbox.put(|out| out.extend_from_slice(&welcome));
        glommio::spawn_local(Rc::clone(&outbox).drain(sink)).detach();
        tracing::info!(session = %hello.session, host = hello.host, peer, "mount attached");
        let gate = Rc::new(Gate::default());
        let conn = self.mounts.attach(MountConn::new(hello, peer, outbox, Rc::clone(&gate)));
        glommio::spawn_local(Rc::clone(shard).serve_mount(source, conn, gate)).detach();
    }

    pub(super) fn session_opened(&mut self, session: SessionId, index: Index) {
        if index > self.durable {
            self.opening.young.insert(session, index);
        }
    }

    /// Welcomes the mounts whose sessions are durable, and asks for the others to become so.
    pub(super) fn welcome_opened(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let front = &self.front;
        for opening in self.opening.ripe(self.durable, |session| front.has(session)) {
            self.attach(shard, &opening.hello, opening.connection);
        }
        if let Some(upto) = self.opening.wanted() {
            self.step(shard, now_us, Input::WantDurable { upto });
        }
    }
}

/// Whether a mount at this address may come in. A caller on the brick's own machine has all of the machine's addresses.
pub(super) fn allowed(auth: &AuthRules, peer: &str) -> bool {
    let ip = peer.parse::<std::net::SocketAddr>().map(|a| a.ip().to_canonical());
    match ip {
        Ok(ip) => auth.allows(ip),
        Err(_) => own_addresses().into_iter().any(|ip| auth.allows(ip)),
    }
}

fn own_addresses() -> Vec<IpAddr> {
    let mut out = vec![IpAddr::from([127, 0, 0, 1])];
    let mut list: *mut libc::ifaddrs = std::ptr::null_mut();
    // SAFETY: getifaddrs fills `list`, which is freed below; each address is read by its own family's type.
    unsafe {
        if libc::getifaddrs(&raw mut list) != 0 {
            return out;
        }
        let mut at = list;
        while let Some(entry) = at.as_ref() {
            match entry.ifa_addr.as_ref().map(|a| i32::from(a.sa_family)) {
                Some(libc::AF_INET) => {
                    let addr = &*entry.ifa_addr.cast::<libc::sockaddr_in>();
                    out.push(IpAddr::from(addr.sin_addr.s_addr.to_ne_bytes()));
                }
                Some(libc::AF_INET6) => {
                    let addr = &*entry.ifa_addr.cast::<libc::sockaddr_in6>();
                    out.push(IpAddr::from(addr.sin6_addr.s6_addr));
                }
                _ => {}
            }
            at = entry.ifa_next;
        }
        libc::freeifaddrs(list);
    }
    out
}

fn refuse(mut connection: Connection, why: Denial) {
    glommio::spawn_local(async move {
        crate::net::handshake::refuse(&mut connection, why).await;
    })
    .detach();
}

fn say_and_close(mut connection: Connection, hello: Hello) {
    glommio::spawn_local(async move {
        // The caller may be gone: then there is nobody to tell.
        let _ = connection.send(frame(FrameKind::Hello, &hello)).await;
    })
    .detach();
}
