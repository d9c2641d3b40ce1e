//! The transport on tokio-uring. Connecting is left to tokio's own sockets, which may be abandoned half-way; only the
//! finished connection goes to the ring.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::Shutdown;
use std::rc::Rc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use rfs_model::frame::{Deframer, FrameKind};
use tokio::sync::mpsc;
use tokio_uring::BufResult;
use tokio_uring::net::{TcpStream, UnixStream};
use tracing::{debug, warn};

use super::connection::INBOX_FRAMES;
use super::{Address, Connecting, Connection, Outbox, Transport};

/// Operations that a ring holds at once.
const RING_ENTRIES: u32 = 256;
/// One read takes at most this much, bytes.
const READ_BUFFER_BYTES: usize = 256 * 1024;

/// Connections on this thread's ring.
#[derive(Clone, Copy, Debug, Default)]
pub struct Uring;

/// Lets the ring submit what has been queued, which it does only when its thread has nothing else to do. Whoever could
/// keep the thread busy for long calls this now and then.
pub async fn breathe() {
    let _ = tokio_uring::no_op().await;
}

/// Runs `body` on a ring of this thread.
///
/// # Panics
/// When the kernel has no io_uring, or forbids it.
pub fn ring(body: impl Future<Output = ()>) {
    let mut tuned = tokio_uring::uring_builder();
    tuned.setup_coop_taskrun().setup_taskrun_flag().setup_single_issuer();
    let mut builder = tokio_uring::builder();
    builder.entries(RING_ENTRIES);
    let plain = tokio_uring::Runtime::new(&builder);
    let runtime = match tokio_uring::Runtime::new(builder.uring_builder(&tuned)) {
        Ok(runtime) => runtime,
        Err(_) => plain.expect("this kernel offers io_uring (Linux 5.11 or newer, not disabled by sysctl)"),
    };
    runtime.block_on(body);
}

impl Uring {
    /// As [`Transport::connect`] by TCP; the connection breaks by itself when the other machine is gone without a word,
    /// which a side that only answers would not notice otherwise.
    ///
    /// # Errors
    /// As [`Transport::connect`].
    pub async fn connect_watched(&self, host_port: &str, patience: Duration) -> io::Result<Connection> {
        let connect = tokio::net::TcpStream::connect(host_port);
        let stream = tokio::time::timeout(patience, connect)
            .await
            .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        rfs_engine::net::notice_death(&stream);
        Ok(spawn(tcp(stream)?, Address::Tcp(host_port.to_owned())))
    }
}

impl Transport for Uring {
    fn connect(&self, to: &Address, patience: Duration) -> Connecting {
        let to = to.clone();
        Box::pin(async move {
            let stream = tokio::time::timeout(patience, open(&to))
                .await
                .map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
            Ok(spawn(stream, to))
        })
    }
}

async fn open(to: &Address) -> io::Result<Stream> {
    match to {
        Address::Tcp(host) => tcp(tokio::net::TcpStream::connect(host.as_str()).await?),
        Address::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?.into_std()?;
            stream.set_nonblocking(false)?;
            Ok(Stream::Unix(UnixStream::from_std(stream)))
        }
    }
}

fn tcp(stream: tokio::net::TcpStream) -> io::Result<Stream> {
    let stream = stream.into_std()?;
    stream.set_nonblocking(false)?;
    stream.set_nodelay(true)?;
    Ok(Stream::Tcp(TcpStream::from_std(stream)))
}

enum Stream {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Stream {
    async fn read(&self, buffer: Vec<u8>) -> BufResult<usize, Vec<u8>> {
        match self {
            Self::Tcp(stream) => stream.read(buffer).await,
            Self::Unix(stream) => stream.read(buffer).await,
        }
    }

    async fn write_all(&self, buffer: Vec<u8>) -> BufResult<(), Vec<u8>> {
        match self {
            Self::Tcp(stream) => stream.write_all(buffer).await,
            Self::Unix(stream) => stream.write_all(buffer).await,
        }
    }

    /// Makes operations under way return. An error means that the peer was faster.
    fn shutdown(&self) {
        let _ = match self {
            Self::Tcp(stream) => stream.shutdown(Shutdown::Both),
            Self::Unix(stream) => stream.shutdown(Shutdown::Both),
        };
    }
}

fn spawn(stream: Stream, to: Address) -> Connection {
    let stream = Rc::new(stream);
    let outbox = Outbox::default();
    let heard = Rc::new(Cell::new(Instant::now()));
    let (frames, inbox) = mpsc::channel(INBOX_FRAMES);
    tokio_uring::spawn(write(stream.clone(), outbox.clone()));
    tokio_uring::spawn(read(stream.clone(), to, outbox.clone(), heard.clone(), frames));
    Connection::new(outbox, inbox, heard, Box::new(move || stream.shutdown()))
}

async fn write(stream: Rc<Stream>, outbox: Outbox) {
    while let Some(batch) = outbox.batch().await {
        let (result, buffer) = stream.write_all(batch).await;
        outbox.written(buffer);
        if result.is_err() {
            break;
        }
    }
    outbox.close();
    stream.shutdown();
}

async fn read(
    stream: Rc<Stream>,
    from: Address,
    outbox: Outbox,
    heard: Rc<Cell<Instant>>,
    frames: mpsc::Sender<(FrameKind, Bytes)>,
) {
    let mut deframer = Deframer::new();
    let mut buffer = Vec::with_capacity(READ_BUFFER_BYTES);
    loop {
        let (result, back) = stream.read(buffer).await;
        buffer = back;
        let Ok(n @ 1..) = result else { break };
        heard.set(Instant::now());
        deframer.push(&buffer[..n]);
        if !deliver(&mut deframer, &frames, &from).await {
            break;
        }
    }
    debug!("connection to {from} ended");
    outbox.close();
    stream.shutdown();
}

/// Hands on every whole frame; false when the connection is of no more use.
async fn deliver(deframer: &mut Deframer, frames: &mpsc::Sender<(FrameKind, Bytes)>, from: &Address) -> bool {
    loop {
        match deframer.next_frame() {
            Ok(Some(frame)) => {
                if frames.send(frame).await.is_err() {
                    return false;
                }
            }
            Ok(None) => return true,
            Err(problem) => {
                warn!("{from}: {problem}: closing the connection");
                return false;
            }
        }
    }
}
