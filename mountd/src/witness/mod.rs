//! This machine's vote, lent to the bricks of the volume that is mounted: a witness without data.
//!
//! It is served before, and without regard to, any session: the bricks may need it to elect the leader that the mount
//! waits for. It has a thread and a ring of its own, since it fsyncs before it answers and must answer heartbeats in time.
//! One process a machine serves the register of a volume; when it exits, another one that has the volume mounted takes over.

mod class;
mod serve;

use std::path::Path;
use std::sync::mpsc;

use rfs_engine::witness::{LEAVE_PATIENCE, registers};

use crate::fuse::Net;
use crate::transport::ring;

/// The thread that serves this machine's seat.
pub struct Seat {
    leave: tokio::sync::mpsc::UnboundedSender<mpsc::Sender<()>>,
}

impl Seat {
    /// Asks for the seat to be moved to another machine, and waits for that for at most 2 s. Returns at once where this
    /// machine does not hold it.
    pub fn leave(&self) {
        let (done, is_done) = mpsc::channel();
        if self.leave.send(done).is_ok() {
            let _ = is_done.recv_timeout(LEAVE_PATIENCE);
        }
    }
}

/// Serves the seat of the volume that `net` mounts, as soon as it is known which one that is. The register is kept in
/// `state_dir`.
///
/// # Errors
/// Those of starting a thread.
pub fn start(net: Net, host: String, state_dir: &Path) -> std::io::Result<Seat> {
    let (leave, leaving) = tokio::sync::mpsc::unbounded_channel();
    let dir = registers(state_dir);
    let body = move || ring(serve::serve(net, host, dir, leaving));
    std::thread::Builder::new().name("rfs-witness".into()).spawn(body)?;
    Ok(Seat { leave })
}
