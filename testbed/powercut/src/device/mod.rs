//! A block device that records: this side of it.

mod file;
pub mod serve;

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rfs_cluster::wait;
use rustix::fs::{MemfdFlags, memfd_create};

use crate::image::Image;
use crate::record::Record;

const STOPS: Duration = Duration::from_secs(20);

/// A loop device over a recorded disk. A process of its own serves it: whoever waits for the disk, this process
/// included, may be killed without the device hanging, and the device is gone once the server has ended and nobody has
/// it mounted or open.
#[derive(Debug)]
pub struct Device {
    server: Child,
    path: PathBuf,
    image: Image,
    record: File,
}

impl Device {
    /// Makes a device with these contents.
    pub fn start(image: Image) -> io::Result<Device> {
        let record = File::from(memfd_create("record", MemfdFlags::CLOEXEC)?);
        let mut command = Command::new(program());
        command.arg("serve").arg(image.path()).arg(descriptor(&record));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut server = command.spawn()?;
        let mut line = String::new();
        if let Some(said) = server.stdout.take() {
            BufReader::new(said).read_line(&mut line)?;
        }
        let path = PathBuf::from(line.trim());
        let device = Device { server, path, image, record };
        if device.path.starts_with("/dev") { Ok(device) } else { Err(device.why()) }
    }

    /// `/dev/loop7` or the like.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was told so far.
    pub fn record(&self) -> io::Result<Record> {
        Record::read(File::open(descriptor(&self.record))?)
    }

    /// Takes the device away; nobody may have it mounted. Returns what it was told, and what it holds.
    pub fn stop(mut self) -> io::Result<(Record, Image)> {
        drop(self.server.stdin.take());
        let ended = wait::poll(STOPS, || self.server.try_wait().transpose());
        if !ended.transpose()?.is_some_and(|status| status.success()) {
            return Err(self.why());
        }
        let record = self.record()?;
        let image = Image::of(File::options().read(true).write(true).open(self.image.path())?)?;
        Ok((record, image))
    }

    fn why(mut self) -> io::Error {
        let _ = self.server.kill();
        let mut said = String::new();
        if let Some(mut stderr) = self.server.stderr.take() {
            let _ = stderr.read_to_string(&mut said);
        }
        io::Error::other(format!("recorded device: {}", said.trim()))
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        drop(self.server.stdin.take());
        if wait::poll(STOPS, || self.server.try_wait().transpose()).is_none() {
            let _ = self.server.kill();
        }
        let _ = self.server.wait();
    }
}

fn descriptor(file: &File) -> String {
    format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd())
}

/// This crate's program: the running one, or the one beside the running test.
#[must_use]
pub fn program() -> PathBuf {
    let running = std::env::current_exe().expect("path of this program");
    let folder = running.parent().expect("a program lies in a folder");
    let folder = if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder };
    let program = folder.join("rfs-powercut");
    assert!(fs::exists(&program).is_ok_and(|e| e), "{} is not there", program.display());
    program
}
