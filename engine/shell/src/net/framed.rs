//! One connection as a stream of frames.
//!
//! glommio's `TcpStream` speaks to any stream socket, so Unix sockets travel in the same type. Reading never loses bytes
//! when a future is dropped (measured), writing is one contiguous buffer at a time (glommio sends only the first slice of
//! a vectored write).

use std::io;
use std::net::ToSocketAddrs;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd};
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use futures_lite::{AsyncReadExt, AsyncWriteExt};
use glommio::net::TcpStream;
use rfs_model::frame::{Deframer, FrameKind, FrameProblem};

#[derive(Debug, thiserror::Error)]
pub enum NetError {
    #[error("the other side closed the connection")]
    Closed,
    #[error("{0}")]
    Frame(#[from] FrameProblem),
    #[error("{0}")]
    Message(#[from] rfs_model::DecodeError),
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("no answer within {} ms", .0.as_millis())]
    Timeout(Duration),
    #[error("cannot resolve '{0}'")]
    Unresolved(String),
    #[error("{0}")]
    Unexpected(String),
    /// The daemon there runs no such brick: it stopped itself, or did not open.
    #[error("{0}")]
    NoBrick(String),
}

impl NetError {
    /// Somebody answered that nobody listens there: evidence that the brick is gone, unlike silence.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Io(e) => e.kind() == io::ErrorKind::ConnectionRefused,
            Self::NoBrick(_) => true,
            _ => false,
        }
    }
}

/// Ends a connection from outside its reader and writer: both then see it closed.
#[derive(Clone, Debug)]
pub struct Hangup(Rc<OwnedFd>);

impl Hangup {
    pub fn hang_up(&self) {
        // The socket may be closed already; there is nothing else to do about it.
        let _ = rustix::net::shutdown(self.0.as_fd(), rustix::net::Shutdown::Both);
    }
}

/// The reading half.
pub struct FrameSource {
    stream: TcpStream,
    deframer: Deframer,
}

impl FrameSource {
    /// The next frame. May be dropped and called again.
    ///
    /// # Errors
    /// [`NetError::Closed`] at the end of the stream, [`NetError::Frame`] for bytes that are no frame of ours.
    pub async fn recv(&mut self) -> Result<(FrameKind, Bytes), NetError> {
        self.recv_counted(|_| Ok(())).await
    }

    /// As [`FrameSource::recv`]; `count` hears how many bytes came, and may refuse them.
    ///
    /// # Errors
    /// Those of `count` too.
    async fn recv_counted(
        &mut self,
        mut count: impl FnMut(usize) -> Result<(), NetError>,
    ) -> Result<(FrameKind, Bytes), NetError> {
        loop {
            if let Some(frame) = self.deframer.next_frame()? {
                return Ok(frame);
            }
            let n = self.stream.read(self.deframer.room()).await?;
            if n == 0 {
                return Err(NetError::Closed);
            }
            count(n)?;
            self.deframer.filled(n);
        }
    }

    /// A frame that has been received already, without waiting.
    ///
    /// # Errors
    /// [`NetError::Frame`].
    pub fn received(&mut self) -> Result<Option<(FrameKind, Bytes)>, NetError> {
        Ok(self.deframer.next_frame()?)
    }
}

/// The writing half.
pub struct FrameSink {
    stream: TcpStream,
}

impl FrameSink {
    /// Sends bytes that are whole frames. Returns when the kernel has taken them.
    ///
    /// # Errors
    /// [`NetError::Io`]; the connection is then of no use.
    pub async fn send(&mut self, frames: &[u8]) -> Result<(), NetError> {
        Ok(self.stream.write_all(frames).await?)
    }
}

/// Both halves, for dialogues.
pub struct Connection {
    source: FrameSource,
    sink: FrameSink,
    hangup: Hangup,
    peer: String,
}

impl Connection {
    /// Takes over a connected stream socket.
    ///
    /// # Errors
    /// When the descriptor cannot be duplicated.
    pub fn new(fd: OwnedFd) -> Result<Self, NetError> {
        let peer = peer_name(&fd);
        let spare = fd.try_clone()?;
        let writer = fd.try_clone()?;
        // SAFETY: both descriptors are owned here and handed over exactly once.
        let (read, write) = unsafe {
            (TcpStream::from_raw_fd(fd.into_raw_fd()), TcpStream::from_raw_fd(writer.into_raw_fd()))
        };
        let source = FrameSource { stream: read, deframer: Deframer::new() };
        Ok(Self { source, sink: FrameSink { stream: write }, hangup: Hangup(Rc::new(spare)), peer })
    }

    /// Address of the other side; `local` for a Unix socket.
    #[must_use]
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// # Errors
    /// See [`FrameSource::recv`].
    pub async fn recv(&mut self) -> Result<(FrameKind, Bytes), NetError> {
        self.source.recv().await
    }

    /// The first frame of a caller who may be anybody: `count` hears of each piece of it.
    ///
    /// # Errors
    /// See [`FrameSource::recv`], and those of `count`.
    pub async fn recv_counted(
        &mut self,
        count: impl FnMut(usize) -> Result<(), NetError>,
    ) -> Result<(FrameKind, Bytes), NetError> {
        self.source.recv_counted(count).await
    }

    /// # Errors
    /// See [`FrameSource::recv`]; [`NetError::Timeout`].
    pub async fn recv_within(&mut self, limit: Duration) -> Result<(FrameKind, Bytes), NetError> {
        within(limit, self.source.recv()).await
    }

    /// # Errors
    /// See [`FrameSink::send`].
    pub async fn send(&mut self, frames: Vec<u8>) -> Result<(), NetError> {
        self.sink.send(&frames).await
    }

    /// Exactly `N` bytes that are no frame, from a socket of our own.
    ///
    /// # Errors
    /// [`NetError::Io`], the end of the stream included.
    pub async fn recv_exact<const N: usize>(&mut self) -> Result<[u8; N], NetError> {
        let mut out = [0; N];
        self.source.stream.read_exact(&mut out).await?;
        Ok(out)
    }

    /// Makes the connection break when the other machine is gone without a word, though nothing is sent: see
    /// [`notice_death`].
    pub fn notice_death(&self) {
        notice_death(&*self.hangup.0);
    }

    #[must_use]
    pub fn hangup(&self) -> Hangup {
        self.hangup.clone()
    }

    #[must_use]
    pub fn split(self) -> (FrameSource, FrameSink, Hangup) {
        (self.source, self.sink, self.hangup)
    }
}

/// Between two questions of the kernel to a machine that is silent, and how many go unanswered before it is given up.
const DEATH: (Duration, u32) = (Duration::from_secs(1), 4);

/// Makes a TCP connection break within about five seconds when the other machine is gone without a word, whether something
/// is on its way or not. For connections that are silent for long and must be dialled anew by the side that has nothing to
/// say. On other sockets it does nothing.
pub fn notice_death(fd: impl AsFd) {
    use rustix::net::sockopt;
    let (pause, times) = DEATH;
    let set = || {
        sockopt::set_socket_keepalive(&fd, true)?;
        sockopt::set_tcp_keepidle(&fd, pause)?;
        sockopt::set_tcp_keepintvl(&fd, pause)?;
        sockopt::set_tcp_keepcnt(&fd, times)?;
        sockopt::set_tcp_user_timeout(&fd, pause.as_millis() as u32 * times)
    };
    // A Unix socket has no such options and needs none: the kernel knows who died.
    let _: rustix::io::Result<()> = set();
}

fn peer_name(fd: &OwnedFd) -> String {
    let addr = rustix::net::getpeername(fd).ok().flatten();
    let addr = addr.and_then(|a| std::net::SocketAddr::try_from(a).ok());
    addr.map_or_else(|| "local".to_owned(), |a| a.to_string())
}

/// Waits for `future` no longer than `limit`.
///
/// # Errors
/// Those of the future, and [`NetError::Timeout`].
pub async fn within<T>(
    limit: Duration,
    future: impl Future<Output = Result<T, NetError>>,
) -> Result<T, NetError> {
    let timer = async {
        glommio::timer::sleep(limit).await;
        Err(NetError::Timeout(limit))
    };
    futures_lite::future::or(future, timer).await
}

/// Connects to `host:port`; names are resolved off the executor.
///
/// # Errors
/// [`NetError::Unresolved`], [`NetError::Timeout`], or the system's own.
pub async fn connect(host_port: &str, limit: Duration) -> Result<Connection, NetError> {
    let wanted = host_port.to_owned();
    let resolve = async {
        let found =
            glommio::executor().spawn_blocking(move || wanted.to_socket_addrs().map(Vec::from_iter)).await;
        Ok(found)
    };
    let found = match host_port.parse::<std::net::SocketAddr>() {
        Ok(addr) => Ok(vec![addr]),
        Err(_) => within(limit, resolve).await?,
    };
    let addrs = found.unwrap_or_default();
    let addr = *addrs.first().ok_or_else(|| NetError::Unresolved(host_port.to_owned()))?;
    let stream = TcpStream::connect_timeout(addr, limit).await.map_err(io::Error::from)?;
    stream.set_nodelay(true).map_err(io::Error::from)?;
    // SAFETY: the descriptor is open as long as `stream` lives, and is duplicated before that ends.
    let borrowed = unsafe { std::os::fd::BorrowedFd::borrow_raw(stream.as_raw_fd()) };
    Connection::new(borrowed.try_clone_to_owned()?)
}

/// Connects to a daemon's Unix socket.
///
/// # Errors
/// The system's own. A local connect answers at once.
pub fn connect_unix(path: &Path) -> Result<Connection, NetError> {
    let stream = std::os::unix::net::UnixStream::connect(path)?;
    stream.set_nonblocking(true)?;
    Connection::new(stream.into())
}
