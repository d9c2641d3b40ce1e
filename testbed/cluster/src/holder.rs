//! The process that keeps a host's namespaces alive.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::{binaries, processes, wait};

/// What the first process of a host is told.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Plan {
    pub host: String,
    /// The host's folder on the machine.
    pub folder: PathBuf,
    /// The folder that becomes `/usr/local/sbin`.
    pub programs: PathBuf,
    /// The text of `/etc/hosts`.
    pub hosts: String,
    pub machine_id: String,
    pub data: DataDisk,
}

/// What `/data` is when the host starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DataDisk {
    Folder,
    Memory { bytes: u64 },
    Image,
}

/// Ends the host on drop.
#[derive(Debug)]
pub struct Holder {
    child: Child,
    init: u32,
}

impl Holder {
    /// Makes the namespaces as planned; returns when they are ready. Writes `plan.json` and `boot-id` into the folder.
    pub fn start(plan: &Plan) -> io::Result<Holder> {
        fs::create_dir_all(&plan.folder)?;
        fs::write(plan.folder.join("boot-id"), new_uuid()?)?;
        let file = plan.folder.join("plan.json");
        fs::write(&file, serde_json::to_vec(plan)?)?;
        let mut command = Command::new(binaries::testload());
        command.arg("hold").arg(file).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let init = ready(&mut child).map_err(|e| why(&mut child, &e))?;
        Ok(Holder { child, init })
    }

    /// The pid of the host's first process, as the machine sees it.
    #[must_use]
    pub fn init(&self) -> u32 {
        self.init
    }

    /// Where the machine reaches a path of the host.
    #[must_use]
    pub fn path(&self, inside: &Path) -> PathBuf {
        Path::new("/proc")
            .join(self.init.to_string())
            .join("root")
            .join(inside.strip_prefix("/").unwrap_or(inside))
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let ended = wait::poll(Duration::from_secs(5), || self.child.try_wait().transpose());
        if ended.is_none() {
            processes::kill_tree(self.child.id());
            let _ = self.child.wait();
        }
    }
}

/// Reads `pid N`, from the holder, and `ready`, from the first process; they come in any order.
fn ready(child: &mut Child) -> io::Result<u32> {
    let mut lines = BufReader::new(child.stdout.take().ok_or_else(closed)?).lines();
    let said = [lines.next().ok_or_else(closed)??, lines.next().ok_or_else(closed)??];
    let pid = said.iter().find_map(|line| line.strip_prefix("pid ")?.parse().ok());
    pid.filter(|_| said.iter().any(|line| line == "ready"))
        .ok_or_else(|| io::Error::other(format!("said {said:?}")))
}

fn closed() -> io::Error {
    io::Error::other("ended before it was ready")
}

fn why(child: &mut Child, error: &io::Error) -> io::Error {
    drop(child.stdin.take());
    let mut said = String::new();
    if let Some(mut stderr) = child.stderr.take() {
        let _ = stderr.read_to_string(&mut said);
    }
    let _ = child.wait();
    io::Error::other(format!("host: {error}: {}", said.trim()))
}

/// A fresh random id, as the kernel writes its boot id.
pub(crate) fn new_uuid() -> io::Result<String> {
    fs::read_to_string("/proc/sys/kernel/random/uuid")
}
