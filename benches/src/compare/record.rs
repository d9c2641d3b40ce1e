//! perf beside a work: what the processes of a system do while it runs, and only then.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{CWD, FileType, Mode, mknodat};
use serde::Serialize;

use super::systems::System;

/// Samples a second of each processor: no multiple of what the machine itself does at regular times.
const RATE: &str = "1999";
/// How often it is looked whether perf is still there.
const LOOK: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };
/// What it says when it has done as it was told.
const ACK: &[u8] = b"ack\n";

/// Who a sample may belong to.
#[derive(Debug, Serialize)]
struct Process {
    pid: u32,
    host: String,
    program: String,
    /// On the host of the brick that leads.
    leads: bool,
}

/// perf, recording.
pub struct Recording {
    perf: Child,
    folder: PathBuf,
    control: File,
    acks: File,
}

impl Recording {
    /// Begins to record all processes of the system; what came before this returns is in no sample. `perf.data`, what perf needs
    /// to name functions, and `processes.json` will be in the folder.
    #[track_caller]
    pub fn start(system: &dyn System, folder: &Path) -> Recording {
        let begun = Recording::try_start(system, folder);
        begun.unwrap_or_else(|e| panic!("cannot record with perf into {}: {e}", folder.display()))
    }

    fn try_start(system: &dyn System, folder: &Path) -> io::Result<Recording> {
        fs::create_dir_all(folder)?;
        let processes = processes(system);
        fs::write(folder.join("processes.json"), serde_json::to_vec_pretty(&processes)?)?;
        let (control, acks) = (fifo(&folder.join("control"))?, fifo(&folder.join("acks"))?);
        let pids: Vec<String> = processes.iter().map(|p| p.pid.to_string()).collect();
        let mut perf = Command::new("perf");
        perf.arg("--buildid-dir").arg(folder.join("symbols"));
        perf.args(["record", "--quiet", "--call-graph", "fp", "--freq", RATE, "--delay=-1"]);
        perf.arg(format!("--control=fifo:{0}/control,{0}/acks", folder.display()));
        perf.args(["--pid", &pids.join(","), "--output"]).arg(folder.join("perf.data"));
        let perf = perf.spawn()?;
        let mut recording = Recording { perf, folder: folder.to_owned(), control, acks };
        recording.tell("enable")?;
        Ok(recording)
    }

    /// Ends it. The processes must still be there: perf reads their programs.
    #[track_caller]
    pub fn end(mut self) {
        let ended = self.tell("disable").and_then(|()| self.control.write_all(b"stop\n"));
        let status = ended.and_then(|()| self.perf.wait());
        let status = status.unwrap_or_else(|e| panic!("cannot end perf in {}: {e}", self.folder.display()));
        assert!(status.success(), "perf: {status}");
        for fifo in ["control", "acks"] {
            let _ = fs::remove_file(self.folder.join(fifo));
        }
    }

    /// Returns when perf has done it.
    fn tell(&mut self, word: &str) -> io::Result<()> {
        writeln!(self.control, "{word}")?;
        let mut answer = Vec::new();
        while !answer.ends_with(b"\n") {
            if let Some(status) = self.perf.try_wait()? {
                return Err(io::Error::other(format!("it ended: {status}")));
            }
            if poll(&mut [PollFd::new(&self.acks, PollFlags::IN)], Some(&LOOK))? > 0 {
                let mut byte = [0];
                self.acks.read_exact(&mut byte)?;
                // It ends what it says as C does, behind the line.
                answer.extend(byte.into_iter().filter(|byte| *byte != 0));
            }
        }
        if answer == ACK { Ok(()) } else { Err(io::Error::other("it said something else than 'ack'")) }
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if matches!(self.perf.try_wait(), Ok(None)) {
            let _ = self.perf.kill();
            let _ = self.perf.wait();
        }
    }
}

/// Opened both ways, so that nobody waits for the other end.
fn fifo(path: &Path) -> io::Result<File> {
    let _ = fs::remove_file(path);
    mknodat(CWD, path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0)?;
    OpenOptions::new().read(true).write(true).open(path)
}

fn processes(system: &dyn System) -> Vec<Process> {
    let leader = system.leader();
    let on = |host: &rfs_cluster::Host| {
        let (name, leads) = (host.name().to_owned(), leader.as_deref() == Some(host.name()));
        let of = move |pid| Some(Process { pid, host: name.clone(), program: program(pid)?, leads });
        host.all_pids().into_iter().filter_map(of).collect::<Vec<_>>()
    };
    system.cluster().hosts().flat_map(on).collect()
}

/// None of a process that has just ended.
fn program(pid: u32) -> Option<String> {
    let exe = fs::read_link(format!("/proc/{pid}/exe")).ok()?;
    Some(exe.file_name()?.to_string_lossy().into_owned())
}
