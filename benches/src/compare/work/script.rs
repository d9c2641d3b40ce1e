//! What people do with trees of files, by the programs with which they do it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

use super::inside::inside_host;
use super::{Done, Place};

/// One command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Script {
    Untar,
    Copy,
    List,
    Remove,
    Clone,
    Status,
}

const LIMIT: Duration = Duration::from_secs(1200);

/// Bytes of a file in the tree: from 100 to 16,000, as sources are.
fn size(n: u64) -> usize {
    let spread = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 40;
    100 + usize::try_from(spread % 15_900).unwrap_or(0)
}

/// The tree, as a tar file and as a bare git repository, in a folder of the machine that is made when it is missing.
pub fn sources(folder: &Path, files: u64) -> io::Result<()> {
    if folder.join("tree.git").is_dir() {
        return Ok(());
    }
    let tree = folder.join("tree");
    for n in 0..files {
        let dir = tree.join(format!("dir-{:03}/{}", n / 40, if n.is_multiple_of(2) { "src" } else { "doc" }));
        fs::create_dir_all(&dir)?;
        let mut text = String::new();
        while text.len() < size(n) {
            writeln!(text, "{:016x} line of file {n}", n.wrapping_mul(text.len() as u64 + 7))
                .map_err(io::Error::other)?;
        }
        fs::write(dir.join(format!("file-{n:05}.txt")), text)?;
    }
    let git =
        "git init -q . && git add -A && git -c user.name=bench -c user.email=bench@localhost commit -qm tree";
    let script = format!("tar cf ../tree.tar . && {git} && git clone -q --bare . ../tree.git");
    let made = std::process::Command::new("sh").args(["-ec", &script]).current_dir(&tree).output()?;
    if !made.status.success() {
        return Err(io::Error::other(String::from_utf8_lossy(&made.stderr).into_owned()));
    }
    fs::remove_dir_all(&tree)
}

impl Script {
    fn from(place: &Place<'_>) -> PathBuf {
        place.system.cluster().folder().join("sources")
    }

    fn line(self, place: &Place<'_>) -> String {
        let (from, dir) = (Script::from(place).display().to_string(), place.path(""));
        let (tree, copy, clone) =
            (Script::tree(place), format!("{dir}copy-{}", place.round), format!("{dir}clone"));
        match self {
            Script::Untar => format!("mkdir {tree} && tar xf {from}/tree.tar -C {tree}"),
            Script::Copy => format!("cp -a {tree} {copy}"),
            Script::List => format!("ls -lR {tree}"),
            Script::Remove => format!("rm -rf {tree}"),
            Script::Clone => format!("git clone -q file://{from}/tree.git {clone}"),
            Script::Status => format!("git -C {clone} status --short"),
        }
    }

    fn tree(place: &Place<'_>) -> String {
        place.path(&format!("tree-{}", place.round))
    }

    fn sh(place: &Place<'_>, line: &str) {
        place.host().run_within(&["sh", "-ec", line], LIMIT).ok();
    }

    /// What it needs is there, made if need be by the same commands; what it makes is not.
    pub fn prepare(self, place: &Place<'_>) {
        let made = sources(&Script::from(place), place.amounts.tree);
        made.unwrap_or_else(|e| panic!("the tree to copy: {e}"));
        let dir = place.path("");
        match self {
            Script::Untar => Script::sh(place, &format!("rm -rf {}", Script::tree(place))),
            Script::Clone => Script::sh(place, &format!("rm -rf {dir}clone")),
            Script::Copy | Script::List | Script::Remove => {
                let (tree, make) = (Script::tree(place), Script::Untar.line(place));
                Script::sh(place, &format!("rm -rf {dir}copy-*; [ -d {tree} ] || ({make})"));
            }
            Script::Status => {
                let make = Script::Clone.line(place);
                Script::sh(place, &format!("[ -d {dir}clone ] || ({make})"));
            }
        }
    }

    pub fn run(self, place: &Place<'_>) -> Done {
        let line = self.line(place);
        let done = inside_host(place, &["run", "sh", "-ec", &format!("{line} >/dev/null")]);
        Done { ops: place.amounts.tree, ..done }
    }
}
