//! Running fio.

use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, process};

use super::catalog::Job;
use super::report::{Row, Run, rows};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("fio is not installed; it is in the package 'fio' of all distributions")]
    Missing,
    #[error("fio: {0}")]
    Start(#[source] io::Error),
    #[error("fio failed at {job}: {why}")]
    Failed { job: &'static str, why: String },
    #[error("fio's report of {job} cannot be read: {source}")]
    Report { job: &'static str, source: serde_json::Error },
}

fn start(error: io::Error) -> Error {
    if error.kind() == ErrorKind::NotFound { Error::Missing } else { Error::Start(error) }
}

/// The version of the installed fio.
pub fn version() -> Result<String, Error> {
    let said = Command::new("fio").arg("--version").output().map_err(start)?;
    Ok(String::from_utf8_lossy(&said.stdout).trim().to_owned())
}

/// Runs a job in a folder of its own inside `dir`, and removes that.
pub fn run(job: &Job, dir: &Path, runtime_s: u32, size: &str) -> Result<Vec<Row>, Error> {
    let folder = Scratch::new(dir).map_err(|e| failed(job, &e.to_string()))?;
    let mut fio = Command::new("fio");
    fio.args(["--output-format=json", "-"]);
    fio.env("DIR", folder.path()).env("RUNTIME", runtime_s.to_string()).env("SIZE", size);
    let mut child =
        fio.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(start)?;
    if let Some(mut stdin) = child.stdin.take() {
        stdin.write_all(job.text.as_bytes()).map_err(|e| failed(job, &e.to_string()))?;
    }
    let done = child.wait_with_output().map_err(Error::Start)?;
    if !done.status.success() {
        return Err(failed(job, &why(&done)));
    }
    let parsed: Run =
        serde_json::from_slice(&done.stdout).map_err(|source| Error::Report { job: job.name, source })?;
    Ok(rows(job, &parsed))
}

fn failed(job: &Job, why: &str) -> Error {
    Error::Failed { job: job.name, why: why.to_owned() }
}

/// The line in which fio says what went wrong: it may come first, on either stream, with more behind it.
fn why(done: &process::Output) -> String {
    let said = [&done.stderr, &done.stdout].map(|s| String::from_utf8_lossy(s).into_owned());
    let mut lines = said.iter().flat_map(|s| s.lines()).filter(|l| !l.trim().is_empty());
    lines.find(|l| l.starts_with("fio:") || l.contains("err=")).unwrap_or("no reason given").trim().to_owned()
}

/// A new folder, removed on drop.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    pub fn new(dir: &Path) -> io::Result<Scratch> {
        for n in 0..u32::MAX {
            let path = dir.join(format!("rfs-bench-{}-{n}", process::id()));
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Scratch(path)),
                Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
                Err(e) => return Err(e),
            }
        }
        Err(ErrorKind::AlreadyExists.into())
    }

    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(e) = fs::remove_dir_all(&self.0) {
            eprintln!("{} is left over: {e}", self.0.display());
        }
    }
}
