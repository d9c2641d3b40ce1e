//! A daemon in a process of its own, with a volume of one brick.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rfs_engine::pool::PoolFile;
use rfs_model::admin::{CreateVolume, PoolSecret, Request, Response, VolumeChange};
use rfs_model::hello::{Hello, VERSIONS};
use rfs_model::{NodeId, VolumeId};
use tempfile::TempDir;

use crate::VOLUME;
use crate::caller::{Caller, Stream};

/// See the module. It ends with the test.
pub struct Server {
    child: Child,
    dir: TempDir,
    pub address: SocketAddr,
    file: PoolFile,
}

impl Server {
    pub fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        // A port that was free a moment ago.
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let log = fs::File::create(dir.path().join("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_rfs-brickd"))
            .arg("--state-dir")
            .arg(dir.path().join("state"))
            .args(["--listen", &address.to_string(), "--name", "here", "--log-level", "info"])
            .stdin(Stdio::null())
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        let file = PoolFile::new("unknown", 0).unwrap();
        let mut server = Self { child, dir, address, file };
        server.create();
        server
    }

    fn create(&mut self) {
        let socket = self.dir.path().join("state/rfs.sock");
        let mut admin =
            wait_for("the daemon", || UnixStream::connect(&socket).ok().map(Stream::Unix).map(Caller::of));
        admin.hello(&Hello::Control { versions: VERSIONS.to_vec(), node: NodeId::NIL, nonce: [1; 32] });
        assert!(matches!(admin.hear_hello(), Some(Hello::Welcome { .. })));
        let brick = format!("here:{}", self.dir.path().join("brick").display());
        let create =
            CreateVolume { name: VOLUME.into(), replica: None, transport: None, bricks: vec![brick] };
        match admin.admin(&Request::VolumeCreate(create)) {
            Response::Ok(_) => {}
            Response::Err { text } => panic!("{text}"),
        }
        wait_for("the volume", || {
            let start = Request::VolumeChange { volume: VOLUME.into(), change: VolumeChange::Start };
            matches!(admin.admin(&start), Response::Ok(_)).then_some(())
        });
        let text = fs::read_to_string(self.dir.path().join("state/pool.toml")).unwrap();
        self.file = PoolFile::parse(&text).unwrap();
    }

    pub fn connect(&self) -> io::Result<TcpStream> {
        TcpStream::connect_timeout(&self.address, Duration::from_secs(2))
    }

    pub fn volume(&self) -> VolumeId {
        *self.file.bricks.keys().next().expect("a volume")
    }

    pub fn node(&self) -> NodeId {
        self.file.node
    }

    pub fn secret(&self) -> &PoolSecret {
        &self.file.secret
    }

    /// Memory of the daemon, bytes.
    pub fn resident(&self) -> usize {
        let statm = fs::read_to_string(format!("/proc/{}/statm", self.child.id())).expect("the daemon lives");
        statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    /// Lines of the daemon's log.
    pub fn lines(&self) -> usize {
        fs::read_to_string(self.log()).unwrap().lines().count()
    }

    /// It ends in good order: nothing has broken it.
    pub fn stop(mut self) {
        let pid = rustix::process::Pid::from_child(&self.child);
        rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
        let status = self.child.wait().unwrap();
        assert!(status.success(), "{status}\n{}", fs::read_to_string(self.log()).unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let log = fs::read_to_string(self.log()).unwrap_or_default();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("{}", lines[lines.len().saturating_sub(30)..].join("\n"));
        }
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Asks again until it is there.
pub fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < Duration::from_secs(30), "{what} does not come");
        std::thread::sleep(Duration::from_millis(20));
    }
}
