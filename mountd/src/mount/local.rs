//! Which volume does the daemon of this machine serve?

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use rfs_model::NodeId;
use rfs_model::admin::{self, Reply, Request, Response};
use rfs_model::codec::Decode;
use rfs_model::frame::{Deframer, FrameKind, frame};
use rfs_model::hello::{Hello, VERSIONS};

use super::point;

/// File name of a daemon's socket in its state directory.
pub const SOCKET: &str = "rfs.sock";
/// Where a daemon's state and socket are.
pub const STATE_DIR: &str = "/var/lib/rfs";
/// Where an embedded engine's socket is.
pub const EMBEDDED_DIR: &str = "/run/rfs";
/// How the file name of this program begins.
const PROGRAM: &[u8] = b"rfs-mountd";
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// Sockets at which a daemon of this machine may listen.
#[must_use]
pub fn sockets(state_dir: Option<&Path>) -> Vec<PathBuf> {
    match state_dir {
        Some(dir) => vec![dir.join(SOCKET)],
        None => [STATE_DIR, EMBEDDED_DIR].iter().map(|dir| Path::new(dir).join(SOCKET)).collect(),
    }
}

/// Of `sockets`, the first one at which somebody listens who stays.
#[must_use]
pub fn daemon(sockets: &[PathBuf]) -> Option<PathBuf> {
    let stays = |socket: &&PathBuf| UnixStream::connect(socket).is_ok_and(|stream| !ends(&stream));
    sockets.iter().find(stays).cloned()
}

/// An embedded engine lives as long as its mount. While it ends it still answers; whoever attached to it then would be
/// left without a brick. The kernel takes the mount out of its table before umount(8) returns.
fn ends(stream: &UnixStream) -> bool {
    let Ok(peer) = rustix::net::sockopt::socket_peercred(stream) else { return false };
    let program = std::fs::read_link(format!("/proc/{}/exe", peer.pid)).unwrap_or_default();
    let embedded = program.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(PROGRAM));
    embedded && !point::is_mounted(rfs_engine::embedded::VOLUME)
}

/// The one volume of the daemon that listens at `socket`.
///
/// # Errors
/// One line.
pub fn only_volume(socket: &Path) -> Result<String, String> {
    let names = ask(socket, &Request::VolumeList).map_err(|why| format!("{}: {why}", socket.display()))?;
    match names {
        Reply::Names(names) => match names.as_slice() {
            [name] => Ok(name.clone()),
            [] => {
                Err("this machine's rfs-brickd has no volume: create one with rfs-tools volume create".into())
            }
            _ => Err(format!(
                "this machine's rfs-brickd has several volumes ({}): say which, as in rfs-mountd localhost:/{} DIR",
                names.join(", "),
                names[0]
            )),
        },
        _ => Err(format!("{}: the daemon gave an answer that makes no sense", socket.display())),
    }
}

fn ask(socket: &Path, request: &Request) -> Result<Reply, String> {
    let mut stream = UnixStream::connect(socket).map_err(|error| error.to_string())?;
    stream.set_read_timeout(Some(ANSWER_PATIENCE)).map_err(|error| error.to_string())?;
    let mut deframer = Deframer::new();
    let hello = Hello::Control { versions: VERSIONS.to_vec(), node: NodeId::NIL, nonce: [0; 32] };
    stream.write_all(&frame(FrameKind::Hello, &hello)).map_err(|error| error.to_string())?;
    match Hello::from_all(&receive(&mut stream, &mut deframer, FrameKind::Hello)?) {
        Ok(Hello::Welcome { .. }) => {}
        Ok(Hello::Refused { text, .. }) => return Err(text),
        _ => return Err("it greets in another protocol".into()),
    }
    stream.write_all(&admin::to_frame(request)).map_err(|error| error.to_string())?;
    match admin::from_payload(&receive(&mut stream, &mut deframer, FrameKind::Admin)?)? {
        Response::Ok(reply) => Ok(reply),
        Response::Err { text } => Err(text),
    }
}

fn receive(stream: &mut UnixStream, deframer: &mut Deframer, want: FrameKind) -> Result<Bytes, String> {
    let mut buffer = [0; 16 * 1024];
    loop {
        match deframer.next_frame().map_err(|problem| problem.to_string())? {
            Some((kind, payload)) if kind == want => return Ok(payload),
            Some((kind, _)) => return Err(format!("it sent a frame of kind {kind:?}")),
            None => {}
        }
        match stream.read(&mut buffer).map_err(|error| error.to_string())? {
            0 => return Err("it closed the connection".into()),
            n => deframer.push(&buffer[..n]),
        }
    }
}
