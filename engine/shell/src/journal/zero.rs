//! Writing zeros. A block that was written before is overwritten without a file system transaction: its fdatasync costs a
//! tenth of what it costs on a block that was only reserved.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rfs_model::segment::DATA_OFFSET;

use super::disk::{Disk, Result};

/// Written at a time, bytes.
const CHUNK: u64 = 512 * 1024;
/// Made durable at a time, bytes.
const BATCH: u64 = 4 * 1024 * 1024;

#[repr(align(4096))]
struct Page([u8; CHUNK as usize]);
static ZEROS: Page = Page([0; CHUNK as usize]);

/// Makes the bytes from `from` up to `upto` zero, durably. Past the page cache where the file system lets us: a writer in
/// the same machine must not be slowed down by our dirty pages.
pub(super) fn zero(disk: &Disk, path: &Path, from: u64, upto: u64) -> Result<()> {
    let aligned = from.is_multiple_of(DATA_OFFSET) && upto.is_multiple_of(DATA_OFFSET);
    let direct = File::options().write(true).custom_flags(libc::O_DIRECT).open(path).ok().filter(|_| aligned);
    let file = direct.map_or_else(|| Disk::open(path), Ok)?;
    let mut at = from;
    while at < upto {
        disk.go_on(path)?;
        let len = (upto - at).min(CHUNK);
        disk.write(&file, path, &ZEROS.0[..len as usize], at)?;
        at += len;
        if at == upto || (at - from).is_multiple_of(BATCH) {
            disk.sync(&file, path)?;
        }
    }
    Ok(())
}

/// Where the first block lies that was never written, at or behind the headers; the end if there is none.
pub(super) fn first_hole(file: &File, bytes: u64) -> u64 {
    let hole = rustix::fs::seek(file, rustix::fs::SeekFrom::Hole(DATA_OFFSET)).unwrap_or(bytes);
    (hole / DATA_OFFSET * DATA_OFFSET).clamp(DATA_OFFSET, bytes)
}
