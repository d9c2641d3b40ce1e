//! One system call, or nearly so: each of these takes effect as a whole.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{OFlags, XattrFlags, setxattr};

/// An operation; paths are relative to the worker's folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Must not exist yet.
    Create {
        path: String,
    },
    /// Overwrites or extends, with [`filled`].
    Write {
        path: String,
        offset: u64,
        length: usize,
    },
    /// The same, through `O_DSYNC`: durable when it returns.
    WriteSync {
        path: String,
        offset: u64,
        length: usize,
    },
    Append {
        path: String,
        length: usize,
    },
    Truncate {
        path: String,
        bytes: u64,
    },
    Chmod {
        path: String,
        mode: u32,
    },
    /// An extended attribute, of the operation's number.
    Mark {
        path: String,
    },
    Mkdir {
        path: String,
    },
    Rmdir {
        path: String,
    },
    Unlink {
        path: String,
    },
    Rename {
        from: String,
        to: String,
    },
    Link {
        from: String,
        to: String,
    },
    Symlink {
        path: String,
        target: String,
    },
    /// Of a file or a folder. The tree stays as it is.
    Fsync {
        path: String,
    },
}

/// The attribute that [`Op::Mark`] sets.
pub const MARK: &str = "user.mark";

/// Bytes of one identity in [`filled`].
const STAMP: usize = 32;

/// The contents of a write: every 32 bytes say which worker wrote them, in which of its operations, and where.
#[must_use]
pub fn filled(worker: u64, number: u64, length: usize) -> Vec<u8> {
    let stamps =
        (0..length.div_ceil(STAMP)).map(|n| format!("w{worker:02} op{number:08} at{:012}...\n", n * STAMP));
    let mut bytes: Vec<u8> = stamps.flat_map(String::into_bytes).collect();
    bytes.truncate(length);
    bytes
}

impl Op {
    /// Whether, once it has returned, all that was asked for before it is durable.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        matches!(self, Op::Fsync { .. } | Op::WriteSync { .. })
    }

    /// Carries it out below `top`; `number` is its place in the worker's stream.
    pub fn carry_out(&self, top: &Path, worker: u64, number: u64) -> io::Result<()> {
        match self {
            Op::Create { path } => {
                File::options().write(true).create_new(true).mode(0o644).open(top.join(path)).map(drop)
            }
            Op::Write { path, offset, length } => {
                writing(top, path, OFlags::empty())?.write_all_at(&filled(worker, number, *length), *offset)
            }
            Op::WriteSync { path, offset, length } => {
                writing(top, path, OFlags::DSYNC)?.write_all_at(&filled(worker, number, *length), *offset)
            }
            Op::Append { path, length } => {
                writing(top, path, OFlags::APPEND)?.write_all(&filled(worker, number, *length))
            }
            Op::Truncate { path, bytes } => writing(top, path, OFlags::empty())?.set_len(*bytes),
            Op::Chmod { path, mode } => fs::set_permissions(top.join(path), Permissions::from_mode(*mode)),
            Op::Mark { path } => {
                let value = number.to_string();
                Ok(setxattr(top.join(path), MARK, value.as_bytes(), XattrFlags::empty())?)
            }
            Op::Mkdir { path } => fs::create_dir(top.join(path)),
            Op::Rmdir { path } => fs::remove_dir(top.join(path)),
            Op::Unlink { path } => fs::remove_file(top.join(path)),
            Op::Rename { from, to } => fs::rename(top.join(from), top.join(to)),
            Op::Link { from, to } => fs::hard_link(top.join(from), top.join(to)),
            Op::Symlink { path, target } => symlink(target, top.join(path)),
            Op::Fsync { path } => File::open(top.join(path))?.sync_all(),
        }
    }
}

fn writing(top: &Path, path: &str, flags: OFlags) -> io::Result<File> {
    let flags = i32::try_from(flags.bits()).map_err(io::Error::other)?;
    OpenOptions::new().write(true).custom_flags(flags).open(top.join(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_stamp_says_whose_it_is() {
        let text = String::from_utf8(filled(3, 17, 100)).unwrap();
        assert_eq!(text.len(), 100);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[..2], ["w03 op00000017 at000000000000...", "w03 op00000017 at000000000032..."]);
    }
}
