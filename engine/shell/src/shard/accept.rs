//! Callers at the door of a shard: peers, witnesses, mounts.

use std::net::IpAddr;
use std::rc::Rc;

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
use super::wire::PeerFrame;
use super::{Event, Inner, Shard, TreeState};
use crate::net::framed::FrameSource;
use crate::net::{Connection, NetError};

/// A mount whose session's first record is on its way.
pub(crate) struct Opening {
    session: SessionId,
    /// The record, once it is applied; the mount is welcomed when it is durable.
    index: Option<Index>,
    hello: MountHello,
    connection: Connection,
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
        let welcome = self.inner.borrow().welcome(Standing::Ready);
        connection.send(frame(FrameKind::Hello, &welcome)).await?;
        let (mut source, _sink, hangup) = connection.split();
        let ended = loop {
            let payload = match source.recv().await {
                Ok((FrameKind::Peer, payload)) => payload,
                Ok((other, _)) => {
                    break NetError::Unexpected(format!("a frame of kind {other:?} from a brick"));
                }
                Err(e) => break e,
            };
            match PeerFrame::decode(&payload) {
                Ok(frame) if self.end().is_none() => self.inbox.push(Event::Peer { from, frame }),
                Ok(_) => break NetError::Closed,
                Err(e) => break e,
            }
        };
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
        let standing = self.inner.borrow().standing(&hello, connection.peer());
        let standing = match standing {
            Ok(standing) => standing,
            Err(why) => return Err(crate::net::handshake::refuse(&mut connection, why).await),
        };
        if standing == Standing::Ready && self.end().is_none() {
            self.inbox.push(Event::MountUp { hello, connection });
            return Ok(());
        }
        let welcome = self.inner.borrow().welcome(standing);
        connection.send(frame(FrameKind::Hello, &welcome)).await
    }

    async fn serve_mount(self: Rc<Self>, mut source: FrameSource, conn: ConnId) {
        let ended = loop {
            match source.recv().await {
                Ok((FrameKind::Client, payload)) => match ToBrick::from_all(&payload) {
                    Ok(message) => self.inbox.push(Event::Mount { conn, message }),
                    Err(e) => break NetError::from(e),
                },
                Ok((other, _)) => {
                    break NetError::Unexpected(format!("a frame of kind {other:?} from a mount"));
                }
                Err(e) => break e,
            }
        };
        if !matches!(ended, NetError::Closed | NetError::Io(_)) {
            tracing::warn!("a mount's connection is closed: {ended}");
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
        if hello.purpose == Purpose::LocalReads {
            return if self.state.started { self.judge(peer) } else { Ok(Standing::Stopped) };
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
        if hello.purpose == Purpose::LocalReads {
            return self.attach(shard, &hello, connection);
        }
        let host = bytes::Bytes::from(hello.host.clone());
        match self.front.attach(hello.session, hello.resumed, &host, &hello.opens) {
            Attach::Ready => self.attach(shard, &hello, connection),
            Attach::Opening => {
                self.opening.retain(|o| o.session != hello.session);
                let (session, index) = (hello.session, None);
                self.opening.push(Opening { session, index, hello, connection });
            }
            // A later leader may know the session.
            Attach::Expired if !self.core.lease_valid(crate::clock::boottime_us()) => {
                let standing = Standing::NoLeader { why: self.blocked_text() };
                say_and_close(connection, self.welcome(standing));
            }
            Attach::Expired => refuse(connection, Denial::Expired),
            Attach::Full => refuse(connection, Denial::Nonsense),
            Attach::NotLeading => {
                let standing = Standing::NoLeader { why: self.blocked_text() };
                say_and_close(connection, self.welcome(standing));
            }
        }
        let _ = now_us;
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
        let conn = self.mounts.attach(MountConn::new(hello, peer, outbox));
        glommio::spawn_local(Rc::clone(shard).serve_mount(source, conn)).detach();
    }

    pub(super) fn session_opened(&mut self, session: SessionId, index: Index) {
        for opening in self.opening.iter_mut().filter(|o| o.session == session) {
            opening.index = Some(index);
        }
    }

    /// Asks for the sessions that begin to become durable, and welcomes those that are.
    pub(super) fn welcome_opened(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let durable = self.durable;
        let all = std::mem::take(&mut self.opening);
        let (done, rest): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|o| o.index.is_some_and(|index| index <= durable));
        self.opening = rest;
        for opening in done {
            self.attach(shard, &opening.hello, opening.connection);
        }
        if let Some(upto) = self.opening.iter().filter_map(|o| o.index).max() {
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
