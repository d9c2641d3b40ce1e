//! The contents of a disk: a sparse file that lives in memory, and goes with its last descriptor.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::{FallocateFlags, MemfdFlags, SeekFrom, fallocate, memfd_create, seek};
use rustix::io::Errno;

const CHUNK: usize = 1 << 20;

/// A disk's contents.
#[derive(Debug)]
pub struct Image {
    file: File,
    bytes: u64,
}

impl Image {
    /// All zeroes.
    pub fn new(bytes: u64) -> io::Result<Image> {
        let file = File::from(memfd_create("disk", MemfdFlags::CLOEXEC)?);
        file.set_len(bytes)?;
        Ok(Image { file, bytes })
    }

    /// An existing file, which from then on is the disk.
    pub fn of(file: File) -> io::Result<Image> {
        let bytes = file.metadata()?.len();
        Ok(Image { file, bytes })
    }

    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Where every process of this PID namespace can open it, as long as this process lives.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }

    pub fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(into, at)
    }

    /// Zeroes take no room.
    pub fn write(&self, at: u64, data: &[u8]) -> io::Result<()> {
        if is_zero(data) { self.zero(at, data.len() as u64) } else { self.file.write_all_at(data, at) }
    }

    pub fn zero(&self, at: u64, length: u64) -> io::Result<()> {
        if length == 0 {
            return Ok(());
        }
        Ok(fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, at, length)?)
    }

    /// Another one with the same contents.
    pub fn copy(&self) -> io::Result<Image> {
        let copy = Image::new(self.bytes)?;
        copy_sparse(&self.file, &copy.file)?;
        Ok(copy)
    }

    pub fn save(&self, path: &Path) -> io::Result<()> {
        let file = File::create(path)?;
        file.set_len(self.bytes)?;
        copy_sparse(&self.file, &file)
    }

    pub fn load(path: &Path) -> io::Result<Image> {
        let file = File::open(path)?;
        let image = Image::new(file.metadata()?.len())?;
        copy_sparse(&file, &image.file)?;
        Ok(image)
    }
}

/// Whether there is nothing but zeroes.
#[must_use]
pub fn is_zero(data: &[u8]) -> bool {
    data.iter().all(|b| *b == 0)
}

/// Copies what is not a hole; the target is all holes and as long as the source.
fn copy_sparse(from: &File, to: &File) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK];
    let mut at = 0;
    loop {
        let begin = match seek(from, SeekFrom::Data(at)) {
            Ok(begin) => begin,
            Err(Errno::NXIO) => return Ok(()),
            Err(e) => return Err(e.into()),
        };
        let end = seek(from, SeekFrom::Hole(begin))?;
        at = begin;
        while at < end {
            let length = usize::try_from(end - at).map_or(CHUNK, |left| left.min(CHUNK));
            let part = buffer.get_mut(..length).unwrap_or_default();
            from.read_exact_at(part, at)?;
            to.write_all_at(part, at)?;
            at += length as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_is_equal_and_apart() {
        let image = Image::new(10 << 20).unwrap();
        image.write(4096, b"one").unwrap();
        image.write(5 << 20, &vec![7; 2 << 20]).unwrap();
        image.zero(6 << 20, 512).unwrap();
        let copy = image.copy().unwrap();
        image.write(4096, b"two").unwrap();
        let mut three = [0; 3];
        copy.read(4096, &mut three).unwrap();
        assert_eq!(&three, b"one");
        let mut block = [1; 1024];
        copy.read(6 << 20, &mut block).unwrap();
        assert!(is_zero(&block[..512]) && block[512..].iter().all(|b| *b == 7));
    }
}
