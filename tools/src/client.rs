//! A conversation with a daemon, over plain blocking sockets.

use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rfs_model::admin::{self, PORT, Reply, Request, Response, Right};
use rfs_model::codec::Decode;
use rfs_model::frame::{Deframer, FrameKind, frame};
use rfs_model::hello::{Hello, VERSIONS};
use rfs_model::ids::NodeId;

use crate::args::STATE_DIR;

/// Name of the socket in a state directory.
const SOCKET: &str = "rfs.sock";
/// Where an embedded engine (`rfs-mountd DIR`) listens.
const EMBEDDED_DIR: &str = "/run/rfs";
const CONNECT: Duration = Duration::from_secs(5);
/// Longer than any request takes: a create on slow disks is the longest.
const ANSWER: Duration = Duration::from_secs(120);

#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Nobody is there to ask.
    #[error("{0}")]
    NoDaemon(String),
    /// The daemon said no, in one line.
    #[error("{0}")]
    Refused(String),
    #[error("the daemon does not answer: {0}; its log says more")]
    Broken(String),
}

trait Stream: Read + Write {}
impl<T: Read + Write> Stream for T {}

/// Where requests go.
pub struct Client {
    stream: Box<dyn Stream>,
    deframer: Deframer,
    /// The host to which changes are relayed by this node's own daemon.
    relay: Option<String>,
}

impl Client {
    /// Connects for `request`: to the node's own daemon, or to `server`. A change at another server travels through the
    /// own daemon if there is one, since servers take changes from their own pool only.
    ///
    /// # Errors
    /// [`ClientError::NoDaemon`] with what to do about it.
    pub fn connect(
        server: Option<&str>,
        state_dir: Option<&Path>,
        right: Right,
    ) -> Result<Self, ClientError> {
        let Some(server) = server else { return Self::local(state_dir) };
        if right != Right::Anybody
            && let Ok(mut own) = Self::local(state_dir)
        {
            own.relay = Some(server.to_owned());
            return Ok(own);
        }
        let stream = dial(server).map_err(ClientError::NoDaemon)?;
        Self::greet(Box::new(stream))
    }

    fn local(state_dir: Option<&Path>) -> Result<Self, ClientError> {
        let places: Vec<PathBuf> = match state_dir {
            Some(dir) => vec![dir.join(SOCKET)],
            None => vec![Path::new(STATE_DIR).join(SOCKET), Path::new(EMBEDDED_DIR).join(SOCKET)],
        };
        let mut why = None;
        for path in &places {
            match UnixStream::connect(path) {
                Ok(stream) => {
                    let limits =
                        stream.set_read_timeout(Some(ANSWER)).and(stream.set_write_timeout(Some(ANSWER)));
                    limits.map_err(|e| ClientError::Broken(e.to_string()))?;
                    return Self::greet(Box::new(stream));
                }
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => {
                    return Err(ClientError::NoDaemon(format!(
                        "{}: permission denied; run this as root",
                        path.display()
                    )));
                }
                Err(_) => why = why.or(Some(path)),
            }
        }
        let path = why.map_or_else(String::new, |p| format!(" ({})", p.display()));
        let text =
            format!("no rfs daemon runs here{path}: start rfs-brickd, or name a server with --server HOST");
        Err(ClientError::NoDaemon(text))
    }

    fn greet(stream: Box<dyn Stream>) -> Result<Self, ClientError> {
        let mut client = Self { stream, deframer: Deframer::new(), relay: None };
        let hello = Hello::Control { versions: VERSIONS.to_vec(), node: NodeId::NIL, nonce: [0; 32] };
        client.send(&frame(FrameKind::Hello, &hello))?;
        let payload = client.receive(FrameKind::Hello)?;
        match Hello::from_all(&payload) {
            Ok(Hello::Welcome { .. }) => Ok(client),
            Ok(Hello::Refused { text, .. }) => Err(ClientError::Refused(text)),
            Ok(_) => Err(ClientError::Broken("it greets in another protocol".into())),
            Err(e) => Err(ClientError::Broken(e.to_string())),
        }
    }

    /// One request, one answer.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn ask(&mut self, request: Request) -> Result<Reply, ClientError> {
        let request = match &self.relay {
            Some(host) => Request::Relay { host: host.clone(), request: Box::new(request) },
            None => request,
        };
        self.send(&admin::to_frame(&request))?;
        let payload = self.receive(FrameKind::Admin)?;
        match admin::from_payload(&payload).map_err(ClientError::Broken)? {
            Response::Ok(reply) => Ok(reply),
            Response::Err { text } => Err(ClientError::Refused(text)),
        }
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        self.stream.write_all(bytes).map_err(|e| broken(&e))
    }

    fn receive(&mut self, want: FrameKind) -> Result<Bytes, ClientError> {
        let mut scratch = vec![0; 64 * 1024];
        loop {
            match self.deframer.next_frame().map_err(|e| ClientError::Broken(e.to_string()))? {
                Some((kind, payload)) if kind == want => return Ok(payload),
                Some((kind, _)) => {
                    return Err(ClientError::Broken(format!("it sent a frame of kind {kind:?}")));
                }
                None => {}
            }
            match self.stream.read(&mut scratch) {
                Ok(0) => return Err(ClientError::Broken("it closed the connection".into())),
                Ok(n) => self.deframer.push(&scratch[..n]),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(broken(&e)),
            }
        }
    }
}

fn broken(e: &io::Error) -> ClientError {
    ClientError::Broken(match e.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("nothing within {} s", ANSWER.as_secs())
        }
        _ => e.to_string(),
    })
}

fn dial(server: &str) -> Result<TcpStream, String> {
    let target = with_port(server);
    let mut addresses = target.to_socket_addrs().map_err(|_| format!("unknown host '{server}'"))?;
    let first = addresses.next().ok_or_else(|| format!("unknown host '{server}'"))?;
    let connected = std::iter::once(first).chain(addresses).map(|a| TcpStream::connect_timeout(&a, CONNECT));
    let mut why = String::new();
    for result in connected {
        match result {
            Ok(stream) => {
                let limits = stream.set_read_timeout(Some(ANSWER)).and(stream.set_nodelay(true));
                return limits.map(|()| stream).map_err(|e| e.to_string());
            }
            Err(e) => why = e.to_string(),
        }
    }
    Err(format!("no rfs daemon answers at {target} ({why}): is rfs-brickd running there?"))
}

/// `host`, `host:port`, `[v6]:port` or a bare v6 address, with the port that is meant.
fn with_port(server: &str) -> String {
    let bare_v6 = server.parse::<std::net::Ipv6Addr>().is_ok();
    if bare_v6 {
        return format!("[{server}]:{PORT}");
    }
    let has_port = server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok());
    if has_port { server.to_owned() } else { format!("{server}:{PORT}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::net::UnixListener;
    use std::thread;

    #[test]
    fn the_port_may_be_left_out() {
        let table = [
            ("server2", "server2:24007"),
            ("server2:7", "server2:7"),
            ("10.0.0.1", "10.0.0.1:24007"),
            ("::1", "[::1]:24007"),
            ("[::1]:7", "[::1]:7"),
            ("[::1]", "[::1]:24007"),
        ];
        for (given, want) in table {
            assert_eq!(with_port(given), want);
        }
    }

    #[test]
    fn without_a_daemon_one_line_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let Err(why) = Client::connect(None, Some(dir.path()), Right::Anybody) else {
            panic!("who answers?")
        };
        assert!(matches!(why, ClientError::NoDaemon(_)));
        let why = why.to_string();
        assert!(why.contains("rfs-brickd") && !why.contains('\n'), "{why}");
    }

    /// A daemon of one connection: welcomes, then sends `answer` to whatever is asked.
    fn daemon(dir: &Path, answer: Vec<u8>) -> thread::JoinHandle<Request> {
        let listener = UnixListener::bind(dir.join(SOCKET)).unwrap();
        thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut deframer = Deframer::new();
            let mut next = |stream: &mut UnixStream| loop {
                if let Some(frame) = deframer.next_frame().unwrap() {
                    return frame;
                }
                let mut scratch = [0; 4096];
                let n = stream.read(&mut scratch).unwrap();
                assert!(n > 0, "the client went away");
                deframer.push(&scratch[..n]);
            };
            let (kind, payload) = next(&mut stream);
            assert_eq!(kind, FrameKind::Hello);
            assert!(matches!(Hello::from_all(&payload), Ok(Hello::Control { node: NodeId::NIL, .. })));
            let welcome = Hello::Welcome {
                version: 1,
                node: NodeId([1; 16]),
                volume: rfs_model::VolumeId::NIL,
                standing: rfs_model::hello::Standing::Ready,
                bricks: vec![],
                config: rfs_model::Index::ZERO,
                options: vec![],
            };
            stream.write_all(&frame(FrameKind::Hello, &welcome)).unwrap();
            let (_, payload) = next(&mut stream);
            stream.write_all(&answer).unwrap();
            admin::from_payload(&payload).unwrap()
        })
    }

    #[test]
    fn a_request_is_answered() {
        let dir = tempfile::tempdir().unwrap();
        let served = daemon(dir.path(), admin::to_frame(&Response::Ok(Reply::Names(vec!["datavol".into()]))));
        let mut client = Client::connect(None, Some(dir.path()), Right::Anybody).unwrap();
        let reply = client.ask(Request::VolumeList).unwrap();
        assert_eq!(reply, Reply::Names(vec!["datavol".into()]));
        assert_eq!(served.join().unwrap(), Request::VolumeList);
    }

    #[test]
    fn a_change_elsewhere_travels_through_the_own_daemon() {
        let dir = tempfile::tempdir().unwrap();
        let served = daemon(dir.path(), admin::to_frame(&Response::Err { text: "no".into() }));
        let mut client = Client::connect(Some("server2"), Some(dir.path()), Right::Admin).unwrap();
        let probe = Request::PeerProbe { host: "x".into() };
        assert!(matches!(client.ask(probe.clone()), Err(ClientError::Refused(text)) if text == "no"));
        let relayed = Request::Relay { host: "server2".into(), request: Box::new(probe) };
        assert_eq!(served.join().unwrap(), relayed);
    }

    #[test]
    fn a_foreign_protocol_is_an_error_of_one_line() {
        let dir = tempfile::tempdir().unwrap();
        let served = daemon(dir.path(), b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec());
        let mut client = Client::connect(None, Some(dir.path()), Right::Anybody).unwrap();
        let why = client.ask(Request::VolumeList).unwrap_err().to_string();
        assert!(why.contains("not the rfs protocol") && !why.contains('\n'), "{why}");
        served.join().unwrap();
    }
}
