//! The daemon: one executor with the pool service, the bricks, and the sockets through which they are spoken to.

mod accept;
mod door;
pub mod executor;
pub mod notify;
pub mod options;
mod pulse;
pub mod signals;

use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use rfs_model::NodeId;
use rfs_model::admin::{CreateVolume, Request, Right, VolumeChange};
use rfs_model::hello::{BrickPlace, Denial, Hello, Standing, VERSIONS};
use rfs_model::volume::VolumeState;

pub use executor::ExecutorError;
pub use options::{Args, DaemonOptions, OptionsError, PORT, SOCKET};

use crate::net::handshake::{Secret, refuse, send_hello};
use crate::net::listen::Listener;
use crate::net::{Connection, NetError};
use crate::pool::{Asker, FileError, Pool, StateDir, Tcp};
use crate::shard::{Addresses, NodeBricks, Surroundings};
use crate::witness::Seats;

/// All parts of a running daemon.
pub struct Daemon {
    pub node: NodeId,
    pub secret: Secret,
    pub pool: Rc<Pool>,
    pub bricks: Rc<NodeBricks>,
    door: Rc<door::Door>,
}

/// How a daemon ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// Every brick left in good order and is marked clean.
    pub clean: bool,
}

#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    #[error(transparent)]
    State(#[from] FileError),
    #[error("cannot listen on {0}: {1}")]
    Listen(String, std::io::Error),
    #[error(transparent)]
    Executor(#[from] ExecutorError),
    #[error("{0}")]
    Other(String),
}

/// Log lines on stderr, from `level` on; `RUST_LOG` overrides it.
pub fn log_to_stderr(level: &str) {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new(level));
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).init();
}

/// Runs a daemon until `stop` becomes readable, on an executor of its own.
///
/// # Errors
/// [`DaemonError`], one line: the state directory is in use, the port is taken, too little memory may be locked.
pub fn run(
    options: DaemonOptions,
    stop: OwnedFd,
    ready: impl FnOnce() + Send + 'static,
) -> Result<Outcome, DaemonError> {
    let pin = options.pin;
    executor::run(pin, move || serve(options, stop, ready, None))?
}

/// A volume that an embedded daemon makes for itself when there is none yet.
#[derive(Clone, Debug)]
pub struct OwnVolume {
    pub name: String,
    pub brick: std::path::PathBuf,
}

pub(crate) async fn serve(
    options: DaemonOptions,
    stop: OwnedFd,
    ready: impl FnOnce(),
    own: Option<OwnVolume>,
) -> Result<Outcome, DaemonError> {
    let state_dir = StateDir::open(&options.state_dir)?;
    let port = options.listen.as_deref().and_then(|l| l.rsplit_once(':')?.1.parse().ok()).unwrap_or(PORT);
    let file = state_dir.load(&options.name, port)?;
    let listener = match &options.listen {
        Some(addr) => Some(Listener::tcp(addr).map_err(|e| DaemonError::Listen(addr.clone(), e))?),
        None => None,
    };
    let socket = options.state_dir.join(SOCKET);
    let local = Listener::unix(&socket).map_err(|e| DaemonError::Listen(socket.display().to_string(), e))?;
    let daemon = assemble(state_dir, file, port);
    daemon.pool.start().await;
    if let Some(own) = &own {
        embedded_volume(&daemon, own, &options.name).await.map_err(DaemonError::Other)?;
    }
    if let Some(listener) = listener {
        glommio::spawn_local(accept::serve(Rc::clone(&daemon), listener, false)).detach();
    }
    glommio::spawn_local(accept::serve(Rc::clone(&daemon), local, true)).detach();
    let seats = Seats::new(Rc::clone(&daemon.pool));
    glommio::spawn_local(Rc::clone(&seats).serve()).detach();
    tracing::info!(node = %daemon.node, name = options.name, "rfs-brickd is ready");
    ready();
    wait_for(stop).await;
    tracing::info!("stopping");
    notify::notify("STOPPING=1");
    let (clean, ()) = futures_lite::future::zip(daemon.bricks.leave_all(), seats.leave_all()).await;
    // The socket's name goes with the daemon; if it cannot be removed, the next one replaces it.
    let _ = std::fs::remove_file(&socket);
    Ok(Outcome { clean })
}

fn assemble(state_dir: StateDir, file: crate::pool::PoolFile, port: u16) -> Rc<Daemon> {
    let bricks = Rc::new(NodeBricks::default());
    let pool = Pool::new(state_dir, file, port, Rc::clone(&bricks) as _, Rc::new(Tcp));
    let node = pool.node();
    let secret: Secret = {
        let pool = Rc::clone(&pool);
        Rc::new(move || pool.secret())
    };
    let addresses: Addresses = {
        let pool = Rc::clone(&pool);
        Rc::new(move |node| pool.addresses(node))
    };
    let volume_changed = Rc::new(|_: &VolumeState| {});
    bricks.settle_in(Surroundings { me: node, secret: Rc::clone(&secret), addresses, volume_changed });
    Rc::new(Daemon { node, secret, pool, bricks, door: door::Door::new() })
}

/// Makes the embedded volume where there is none.
async fn embedded_volume(daemon: &Rc<Daemon>, own: &OwnVolume, host: &str) -> Result<(), String> {
    if !daemon.bricks.all().is_empty() {
        return Ok(());
    }
    if daemon.pool.volume_named(&own.name).is_some() {
        return Err(format!("the brick {} is missing or does not open: see the log", own.brick.display()));
    }
    let asker = Asker { right: Right::Admin, node: None, address: None };
    let brick = format!("{host}:{}", own.brick.display());
    let (name, bricks) = (own.name.clone(), vec![brick]);
    let create = CreateVolume { name: name.clone(), replica: None, transport: None, bricks };
    daemon.pool.handle(asker, Request::VolumeCreate(create)).await?;
    // The brick leads as soon as its first record is applied: a few milliseconds.
    for _ in 0..START_TRIES {
        let start = Request::VolumeChange { volume: name.clone(), change: VolumeChange::Start };
        match daemon.pool.handle(asker, start).await {
            Ok(_) => return Ok(()),
            Err(e) => tracing::debug!("the volume does not start yet: {e}"),
        }
        glommio::timer::sleep(START_PAUSE).await;
    }
    Err("the embedded volume does not start".into())
}

const START_TRIES: usize = 200;
const START_PAUSE: Duration = Duration::from_millis(25);

impl Daemon {
    /// A mount asks a node that has no brick of the volume: it is told who has.
    pub(crate) async fn redirect_mount(
        &self,
        connection: &mut Connection,
        volume: &str,
    ) -> Result<(), NetError> {
        let Some((id, entry)) = self.pool.volume_named(volume) else {
            return Err(refuse(connection, Denial::NoVolume).await);
        };
        let bricks =
            entry.bricks.iter().map(|b| BrickPlace { addresses: self.pool.addresses(b.node), ..b.clone() });
        let welcome = Hello::Welcome {
            version: VERSIONS[VERSIONS.len() - 1],
            node: self.node,
            volume: id,
            standing: Standing::NotLeader { leader: NodeId::NIL },
            bricks: bricks.collect(),
            config: rfs_model::Index::ZERO,
            options: Vec::new(),
        };
        send_hello(connection, &welcome).await
    }
}

/// Waits until a byte arrives or the other end is closed.
async fn wait_for(stop: OwnedFd) {
    if let Ok(mut connection) = Connection::new(stop) {
        // A byte that is no frame, or the end: either means stop.
        let _ = connection.recv_exact::<1>().await;
    }
}
