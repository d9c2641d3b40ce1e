//! Several daemons in one process: real sockets on the loopback network, real state directories, replica sets that are
//! only remembered.

mod changing;
mod command_line;
mod creating;
mod fake;
mod joining;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use glommio::LocalExecutor;
use rfs_model::admin::{CreateVolume, PORT, Reply, Request, Right};
use rfs_model::codec::Decode;
use rfs_model::hello::Hello;

use super::file::StateDir;
use super::line::Dial;
use super::seam::LocalBoxFuture;
use super::service::{Asker, Outcome, Pool};
use crate::net::listen::Listener;
use crate::net::{Connection, Hangup, NetError, connect};
use fake::{FakeBricks, World};

/// Runs a test on an executor of its own.
fn on_executor<F: Future<Output = ()> + 'static>(test: impl FnOnce() -> F) {
    LocalExecutor::default().run(async { test().await });
}

/// A machine: its state directory and its brick directories outlive its daemon.
struct Machine {
    address: String,
    dir: PathBuf,
    running: RefCell<Option<Daemon>>,
}

struct Daemon {
    pool: Rc<Pool>,
    accepting: glommio::Task<()>,
    wires: Rc<Wires>,
}

/// All connections of a daemon, so that its death can cut them.
#[derive(Default)]
struct Wires {
    dead: std::cell::Cell<bool>,
    all: RefCell<Vec<Hangup>>,
}

/// Host names of the test network; anything else does not exist.
struct Names {
    known: Rc<RefCell<BTreeMap<String, String>>>,
    wires: Rc<Wires>,
}

impl Dial for Names {
    fn dial(&self, address: String) -> LocalBoxFuture<'_, Result<Connection, NetError>> {
        Box::pin(async move {
            if self.wires.dead.get() {
                return Err(NetError::Closed);
            }
            let host = address.rsplit_once(':').map_or(address.as_str(), |(host, _)| host);
            let known = self.known.borrow().get(host).cloned();
            let real = known.ok_or_else(|| NetError::Unresolved(host.to_owned()))?;
            let connection = connect(&real, Duration::from_secs(1)).await?;
            self.wires.all.borrow_mut().push(connection.hangup());
            Ok(connection)
        })
    }
}

struct Net {
    _dir: tempfile::TempDir,
    root: PathBuf,
    names: Rc<RefCell<BTreeMap<String, String>>>,
    world: Rc<World>,
    machines: BTreeMap<String, Machine>,
}

static NETWORKS: AtomicU8 = AtomicU8::new(1);

impl Net {
    /// Machines on a loopback network of their own, each with its daemon running.
    async fn up(names: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let root = std::fs::canonicalize(dir.path()).unwrap();
        let network =
            format!("127.{}.{}", std::process::id() % 250 + 1, NETWORKS.fetch_add(1, Ordering::Relaxed));
        let mut net = Self {
            _dir: dir,
            root: root.clone(),
            names: Rc::default(),
            world: Rc::default(),
            machines: BTreeMap::new(),
        };
        for (i, name) in names.iter().enumerate() {
            let address = format!("{network}.{}:{PORT}", i + 1);
            net.names.borrow_mut().insert((*name).to_owned(), address.clone());
            let dir = root.join(name);
            std::fs::create_dir_all(dir.join("data")).unwrap();
            net.machines.insert((*name).to_owned(), Machine { address, dir, running: RefCell::new(None) });
            net.start(name).await;
        }
        net
    }

    /// As [`Net::up`], all in one pool.
    async fn pool(names: &[&str]) -> Self {
        let net = Self::up(names).await;
        for name in &names[1..] {
            net.ok(names[0], Request::PeerProbe { host: (*name).to_owned() }).await;
        }
        net
    }

    async fn start(&self, name: &str) {
        let machine = &self.machines[name];
        let state_dir = StateDir::open(&machine.dir.join("state")).unwrap();
        let file = state_dir.load(name, PORT).unwrap();
        self.world.nodes.borrow_mut().insert(name.to_owned(), file.node);
        self.world.alive.borrow_mut().insert(file.node);
        let wires = Rc::new(Wires::default());
        let dial = Rc::new(Names { known: Rc::clone(&self.names), wires: Rc::clone(&wires) });
        let bricks = FakeBricks::new(&self.world, file.node);
        let pool = Pool::new(state_dir, file, PORT, bricks, dial);
        let listener = Listener::tcp(&machine.address).unwrap();
        let local = Listener::unix(&machine.dir.join("state/rfs.sock")).unwrap();
        let from_network = accept(Rc::clone(&pool), listener, Rc::clone(&wires), false);
        let from_here = accept(Rc::clone(&pool), local, Rc::clone(&wires), true);
        let accepting = glommio::spawn_local(async {
            futures_lite::future::zip(from_network, from_here).await;
        });
        pool.start().await;
        *machine.running.borrow_mut() = Some(Daemon { pool, accepting, wires });
    }

    /// The daemon is gone, as by kill -9: nothing is said, nothing more is written.
    async fn kill(&self, name: &str) {
        let Daemon { pool, accepting, wires } = self.machines[name].running.take().unwrap();
        self.world.alive.borrow_mut().remove(&pool.node());
        wires.dead.set(true);
        wires.all.borrow().iter().for_each(Hangup::hang_up);
        accepting.cancel().await;
        pool.stop();
        self.until("the killed daemon lets its state directory go", || Rc::strong_count(&pool) == 1).await;
    }

    fn pool_of(&self, name: &str) -> Rc<Pool> {
        Rc::clone(&self.machines[name].running.borrow().as_ref().unwrap().pool)
    }

    /// What the machine's own administrator asks.
    async fn ask(&self, name: &str, request: Request) -> Outcome {
        let me = Asker { right: Right::Admin, node: None, address: None };
        let pool = self.pool_of(name);
        pool.handle(me, request).await
    }

    async fn ok(&self, name: &str, request: Request) -> Reply {
        let shown = format!("{request:?}");
        self.ask(name, request).await.unwrap_or_else(|why| panic!("{shown}: {why}"))
    }

    /// Refused in one line that has `want` in it.
    async fn refused(&self, name: &str, request: Request, want: &str) {
        let shown = format!("{request:?}");
        let why = self.ask(name, request).await.expect_err(&shown);
        assert!(why.contains(want) && !why.contains('\n'), "{shown}: {why}");
    }

    async fn until(&self, what: &str, mut done: impl FnMut() -> bool) {
        for _ in 0..1000 {
            if done() {
                return;
            }
            glommio::timer::sleep(Duration::from_millis(10)).await;
        }
        panic!("not within 10 s: {what}");
    }

    fn data(&self, name: &str) -> PathBuf {
        self.root.join(name).join("data")
    }

    /// `host:/path` of a directory of that machine.
    fn brick(&self, name: &str, sub: &str) -> String {
        format!("{name}:{}", self.data(name).join(sub).display())
    }

    fn create(&self, volume: &str, bricks: &[String]) -> Request {
        Request::VolumeCreate(CreateVolume {
            name: volume.to_owned(),
            replica: Some(bricks.len() as u32),
            transport: Some("tcp".to_owned()),
            bricks: bricks.to_vec(),
        })
    }

    async fn peers(&self, name: &str) -> Vec<(String, bool)> {
        let Reply::Peers(rows) = self.ok(name, Request::PeerStatus).await else { panic!("no peers") };
        rows.into_iter().map(|row| (row.hostname, row.connected)).collect()
    }

    async fn volumes(&self, name: &str) -> Vec<String> {
        let Reply::Names(names) = self.ok(name, Request::VolumeList).await else { panic!("no names") };
        names
    }
}

async fn accept(pool: Rc<Pool>, listener: Listener, wires: Rc<Wires>, local: bool) {
    while let Ok(mut connection) = listener.accept().await {
        wires.all.borrow_mut().push(connection.hangup());
        let pool = Rc::clone(&pool);
        glommio::spawn_local(async move {
            let Ok((_, payload)) = connection.recv().await else { return };
            if let Ok(Hello::Control { versions, node, nonce }) = Hello::from_all(&payload) {
                pool.serve(connection, &versions, node, nonce, local).await;
            }
        })
        .detach();
    }
}

/// Names in a directory, sorted.
fn list(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .unwrap()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}
