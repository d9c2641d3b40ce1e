//! One system call after the other, for many files.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::ValueEnum;

use super::inside::inside_host;
use super::{Done, Place};

/// What is done with each of many files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Call {
    /// create, write 4 KiB, close
    Create,
    Stat,
    /// open, read, close
    Read,
    Rename,
    Chmod,
    Unlink,
    Mkdir,
    Rmdir,
}

const FILE: usize = 4096;
/// What a file is called once it has been moved.
const RENAMED: &str = "f*.renamed";
const LIMIT: Duration = Duration::from_secs(1200);

impl Call {
    fn makes(self) -> bool {
        matches!(self, Call::Create | Call::Mkdir)
    }

    /// Folders and files of one round, each kind made by one call and used by the others.
    fn dir(self, place: &Place<'_>) -> String {
        let kind = if matches!(self, Call::Mkdir | Call::Rmdir) { "folders" } else { "files" };
        place.path(&format!("{kind}-{}", place.round))
    }

    fn name(self) -> String {
        self.to_possible_value().map(|v| v.get_name().to_owned()).unwrap_or_default()
    }

    pub fn prepare(self, place: &Place<'_>) {
        let dir = self.dir(place);
        let sh = |script: String| place.host().run_within(&["sh", "-ec", &script], LIMIT).ok();
        if self.makes() {
            sh(format!("rm -rf {dir}; mkdir {dir}"));
        } else if sh(format!("mkdir -p {dir}; ls -U {dir} | wc -l")).trim() != place.amounts.files.to_string()
        {
            sh(format!("rm -rf {dir}; mkdir {dir}"));
            let maker = if self == Call::Rmdir { Call::Mkdir } else { Call::Create };
            maker.run(place);
        }
    }

    pub fn run(self, place: &Place<'_>) -> Done {
        let (count, dir) = (place.amounts.files, self.dir(place));
        let done = inside_host(place, &["calls", &self.name(), &dir, &count.to_string()]);
        Done { ops: count, ..done }
    }

    fn one(self, path: &Path) -> io::Result<()> {
        match self {
            Call::Create => File::create_new(path)?.write_all(&[b'r'; FILE]),
            Call::Stat => fs::symlink_metadata(path).map(drop),
            Call::Read => {
                let mut bytes = Vec::with_capacity(FILE + 1);
                OpenOptions::new().read(true).open(path)?.read_to_end(&mut bytes)?;
                if bytes.len() == FILE { Ok(()) } else { Err(io::Error::other("not what was written")) }
            }
            Call::Rename => fs::rename(path, path.with_extension("renamed")),
            Call::Chmod => fs::set_permissions(path, Permissions::from_mode(0o640)),
            Call::Unlink => fs::remove_file(path),
            Call::Mkdir => fs::create_dir(path),
            Call::Rmdir => fs::remove_dir(path),
        }
    }

    /// How long each took. The folder is not listed: that would tell of every file what a stat asks for.
    pub fn each(self, dir: &Path, count: u64) -> anyhow::Result<Vec<Duration>> {
        let renamed = dir.join(RENAMED.replace('*', &format!("{:06}", 0))).exists();
        let form = if renamed { RENAMED } else { "f*" };
        let names = (0..count).map(|n| dir.join(form.replace('*', &format!("{n:06}"))));
        let timed = |path: PathBuf| {
            let begun = Instant::now();
            self.one(&path).with_context(|| path.display().to_string())?;
            Ok(begun.elapsed())
        };
        names.map(timed).collect()
    }
}
