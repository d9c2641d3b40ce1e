//! One connection to the daemon, and what may be said on it.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use bytes::Bytes;
use rfs_engine::pool::auth::{Handshake, Side, proof};
use rfs_model::admin::{self, Request, Response};
use rfs_model::attr::FileKind;
use rfs_model::client::{Answer, Done, Mutation, Query, ToBrick, ToMount};
use rfs_model::codec::Decode;
use rfs_model::frame::{Deframer, FrameKind, frame};
use rfs_model::hello::{Hello, Purpose, Standing, VERSIONS};
use rfs_model::{Index, InodeId, NodeId, Seq, SessionId};

use crate::VOLUME;
use crate::server::{Server, wait_for};

pub enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.write_all(bytes),
            Self::Unix(stream) => stream.write_all(bytes),
        }
    }

    fn patience(&self, limit: Duration) {
        let set = match self {
            Self::Tcp(stream) => stream.set_read_timeout(Some(limit)),
            Self::Unix(stream) => stream.set_read_timeout(Some(limit)),
        };
        set.unwrap();
    }
}

/// See the module.
pub struct Caller {
    stream: Stream,
    deframer: Deframer,
    seq: Seq,
    /// What it says that it keeps; `None`: nothing but the newest request.
    keeps: Option<Seq>,
    tag: u64,
}

pub fn hello_of_mount(session: u8) -> Hello {
    Hello::Mount {
        versions: VERSIONS.to_vec(),
        volume: VOLUME.into(),
        session: SessionId([session; 16]),
        purpose: Purpose::Session,
        host: "caller".into(),
        resumed: false,
        opens: Vec::new(),
    }
}

impl Caller {
    pub fn of(stream: Stream) -> Self {
        stream.patience(Duration::from_secs(20));
        Self { stream, deframer: Deframer::new(), seq: Seq::ZERO, keeps: None, tag: 0 }
    }

    pub fn connect(server: &Server) -> Self {
        Self::of(Stream::Tcp(server.connect().unwrap()))
    }

    /// A mount with a session of its own, as soon as the brick leads.
    pub fn mount(server: &Server, session: u8) -> Self {
        wait_for("a welcome", || {
            let mut caller = Self::connect(server);
            caller.hello(&hello_of_mount(session));
            let standing = match caller.hear_hello()? {
                Hello::Welcome { standing, .. } => standing,
                other => panic!("{other:?}"),
            };
            (standing == Standing::Ready).then_some(caller)
        })
    }

    /// A link of a brick that knows the secret.
    pub fn peer(server: &Server, node: NodeId) -> Self {
        let (caller, answer) = Self::dial(server, node);
        assert!(matches!(answer, Some(Hello::Welcome { .. })), "{answer:?}");
        caller
    }

    /// Who knows the secret asks for a link; the answer.
    pub fn dial(server: &Server, node: NodeId) -> (Self, Option<Hello>) {
        let mut caller = Self::connect(server);
        let (volume, nonce) = (server.volume(), [4; 32]);
        caller.hello(&Hello::Peer { versions: VERSIONS.to_vec(), node, volume, nonce });
        let Some(Hello::Challenge { node: accepter, nonce: theirs, .. }) = caller.hear_hello() else {
            panic!("no challenge")
        };
        let purpose = format!("peer {volume}");
        let handshake = Handshake {
            purpose: &purpose,
            dialer: node,
            accepter,
            dialer_nonce: nonce,
            accepter_nonce: theirs,
        };
        caller.hello(&Hello::Proof { proof: proof(server.secret(), Side::Dial, &handshake) });
        let answer = caller.hear_hello();
        (caller, answer)
    }

    /// What the daemon does with it is its affair: a connection that it has closed is no error here.
    pub fn send(&mut self, bytes: &[u8]) {
        let _ = self.stream.write_all(bytes);
    }

    pub fn hello(&mut self, hello: &Hello) {
        self.send(&frame(FrameKind::Hello, hello));
    }

    /// The next frame; `None` at the end of the connection.
    fn hear(&mut self) -> Option<(FrameKind, Bytes)> {
        let mut buffer = vec![0; 256 * 1024];
        loop {
            if let Some(got) = self.deframer.next_frame().unwrap() {
                return Some(got);
            }
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Ok(n) => self.deframer.push(&buffer[..n]),
                Err(e) if e.kind() == io::ErrorKind::ConnectionReset => return None,
                Err(e) => panic!("no answer: {e}"),
            }
        }
    }

    pub fn hear_hello(&mut self) -> Option<Hello> {
        let (kind, payload) = self.hear()?;
        assert_eq!(kind, FrameKind::Hello);
        Some(Hello::from_all(&payload).unwrap())
    }

    /// Reads until the daemon hangs up, or the time has passed.
    pub fn wait_for_end_or(&mut self, limit: Duration) {
        self.stream.patience(limit);
        let mut buffer = [0; 4096];
        while self.stream.read(&mut buffer).is_ok_and(|n| n > 0) {}
    }

    pub fn admin(&mut self, request: &Request) -> Response {
        self.send(&admin::to_frame(request));
        let (kind, payload) = self.hear().expect("an answer");
        assert_eq!(kind, FrameKind::Admin);
        admin::from_payload(&payload).unwrap()
    }

    /// The answer, or why there is none.
    pub fn ask(&mut self, op: Query) -> Result<Answer, String> {
        self.tag += 1;
        self.send(&frame(FrameKind::Client, &ToBrick::Query { tag: self.tag, at: Index::ZERO, op }));
        loop {
            match self.word()? {
                ToMount::Answer { tag, answer } if tag == self.tag => return Ok(answer),
                ToMount::NoAnswer { tag, why } if tag == self.tag => return Err(why.to_string()),
                _ => {}
            }
        }
    }

    fn word(&mut self) -> Result<ToMount, String> {
        let (_, payload) = self.hear().ok_or("the connection is closed")?;
        ToMount::from_all(&payload).map_err(|e| e.to_string())
    }

    pub fn mutate(&mut self, op: Mutation) -> Result<Done, String> {
        self.seq = self.seq.next();
        let (seq, lowest_kept) = (self.seq, self.keeps.unwrap_or(self.seq));
        self.send(&frame(FrameKind::Client, &ToBrick::Mutate { seq, lowest_kept, op }));
        loop {
            match self.word()? {
                ToMount::Done { seq, done } if seq == self.seq => return Ok(done),
                ToMount::Refused { seq, why } if seq == self.seq => return Err(why.to_string()),
                _ => {}
            }
        }
    }

    /// Leaves numbers out that it says it keeps.
    pub fn skip(&mut self, numbers: u64) {
        self.keeps = Some(self.seq.next());
        self.seq.0 += numbers;
    }

    pub fn try_make(&mut self, parent: InodeId, name: &[u8]) -> Result<InodeId, String> {
        let op = Mutation::Make {
            parent,
            name: Bytes::copy_from_slice(name),
            kind: FileKind::File,
            mode: 0o644,
            umask: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: Bytes::new(),
            as_id: InodeId::NIL,
            open: false,
        };
        self.mutate(op).map(|done| done.id)
    }

    pub fn make(&mut self, name: &[u8]) -> InodeId {
        self.try_make(InodeId::ROOT, name).unwrap()
    }
}
