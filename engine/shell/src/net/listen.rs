//! Listening sockets. glommio's own `bind` sets SO_REUSEPORT, with which a second daemon would steal half of the
//! connections; ours are made with std and handed over.

use std::fs;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use glommio::net::TcpListener;

use super::framed::{Connection, NetError};

/// A listening socket of either family.
pub struct Listener(TcpListener);

impl Listener {
    fn adopt(fd: OwnedFd) -> Self {
        // SAFETY: the descriptor is owned here and handed over once. glommio's listener only accepts on it.
        Self(unsafe { TcpListener::from_raw_fd(fd.into_raw_fd()) })
    }

    /// # Errors
    /// The system's own, above all `AddrInUse`.
    pub fn tcp(addr: &str) -> io::Result<Self> {
        let listener = std::net::TcpListener::bind(addr)?;
        listener.set_nonblocking(true)?;
        Ok(Self::adopt(listener.into()))
    }

    /// Listens on `path`, which only root may connect to. A socket file left by a dead daemon is replaced: whoever calls
    /// this holds the state directory's lock.
    ///
    /// # Errors
    /// The system's own.
    pub fn unix(path: &Path) -> io::Result<Self> {
        match fs::remove_file(path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(e),
            _ => {}
        }
        let listener = std::os::unix::net::UnixListener::bind(path)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Self::adopt(listener.into()))
    }

    /// # Errors
    /// The system's own, such as too many open files; accepting may go on after it.
    pub async fn accept(&self) -> Result<Connection, NetError> {
        let stream = self.0.accept().await.map_err(io::Error::from)?;
        let _ = stream.set_nodelay(true);
        // SAFETY: the descriptor is open as long as `stream` lives, and is duplicated before that ends.
        let fd = unsafe { BorrowedFd::borrow_raw(stream.as_raw_fd()) };
        Connection::new(fd.try_clone_to_owned()?)
    }
}
