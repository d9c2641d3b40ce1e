//! Disks as they come from mkfs.

use std::io;
use std::process::Command;

use serde::{Deserialize, Serialize};

use crate::image::Image;

/// What a brick lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FileSystem {
    Ext4,
    Xfs,
}

impl FileSystem {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            FileSystem::Ext4 => "ext4",
            FileSystem::Xfs => "xfs",
        }
    }

    /// An empty file system of that size.
    pub fn format(self, bytes: u64) -> io::Result<Image> {
        let image = Image::new(bytes)?;
        let program = format!("mkfs.{}", self.name());
        let made = Command::new(&program).arg("-q").arg(image.path()).output()?;
        if made.status.success() {
            return Ok(image);
        }
        Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&made.stderr).trim())))
    }
}
