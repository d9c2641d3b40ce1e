//! What fuser does not tell the kernel yet, in `fuse_notify_code`s of the kernel's `fuse.h`.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{Errno, writev};

const INVAL_ENTRY: i32 = 3;
const PRUNE: i32 = 9;
/// `FUSE_EXPIRE_ONLY`.
const EXPIRE_ONLY: u32 = 1;
/// `fuse_out_header`.
const HEADER_BYTES: usize = 16;

/// A way to tell the kernel, unasked.
pub struct Notices {
    device: RawFd,
    /// The kernel knows how to prune, or was not asked yet.
    prunes: bool,
}

impl Notices {
    /// `device`: the descriptor by which the kernel hears us, as long as this is in use.
    pub fn new(device: RawFd) -> Self {
        Self { device, prunes: true }
    }

    /// `FUSE_NOTIFY_PRUNE` (protocol 7.45, Linux 6.18): the kernel drops its names of inodes, and with them the inodes, unless
    /// they are in use. It says so afterwards, like always when it forgets. False: this kernel cannot be asked.
    pub fn prune(&mut self, numbers: &[u64]) -> bool {
        // That is how it answers what it does not know. Any other error means that the mount is gone.
        self.prunes = self.prunes && self.tell(&prune(numbers)) != Err(Errno::INVAL);
        self.prunes
    }

    /// The kernel asks before it believes in a name once more (`FUSE_EXPIRE_ONLY`: protocol 7.38, Linux 6.2). Where it drops a
    /// name instead, as it does before that, what stands there has no path until somebody looks it up: getcwd(2) in a
    /// directory fails. An error means that the kernel knows no such name, or that the
    /// mount is gone.
    pub fn expire(&self, parent: u64, name: &[u8]) {
        let _ = self.tell(&expire(parent, name));
    }

    fn tell(&self, message: &[u8]) -> Result<usize, Errno> {
        // SAFETY: the thread that tells keeps the descriptor open.
        let device = unsafe { BorrowedFd::borrow_raw(self.device) };
        writev(device, &[IoSlice::new(message)])
    }
}

/// Of no request: a notice.
fn header(code: i32, body_bytes: usize) -> Vec<u8> {
    let len = HEADER_BYTES + body_bytes;
    let mut message = Vec::with_capacity(len);
    message.extend((len as u32).to_ne_bytes());
    message.extend(code.to_ne_bytes());
    message.extend(0u64.to_ne_bytes());
    message
}

fn prune(numbers: &[u64]) -> Vec<u8> {
    let mut message = header(PRUNE, 16 + size_of_val(numbers));
    message.extend((numbers.len() as u32).to_ne_bytes());
    // Padding and spare.
    message.extend([0; 4 + 8]);
    numbers.iter().for_each(|number| message.extend(number.to_ne_bytes()));
    message
}

fn expire(parent: u64, name: &[u8]) -> Vec<u8> {
    let mut message = header(INVAL_ENTRY, 16 + name.len() + 1);
    message.extend(parent.to_ne_bytes());
    message.extend((name.len() as u32).to_ne_bytes());
    message.extend(EXPIRE_ONLY.to_ne_bytes());
    message.extend(name);
    message.push(0);
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOW_FIRST: bool = cfg!(target_endian = "little");

    fn words(message: &[u8]) -> Vec<u32> {
        message.chunks_exact(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect()
    }

    #[test]
    fn a_prune_is_as_the_kernel_reads_it() {
        let words = words(&prune(&[7, 1 << 40]));
        assert_eq!(words[..8], [48, 9, 0, 0, 2, 0, 0, 0]);
        assert_eq!(words[8..], if LOW_FIRST { [7, 0, 0, 256] } else { [0, 7, 256, 0] });
    }

    #[test]
    fn an_expiry_is_as_the_kernel_reads_it() {
        let message = expire(7, b"name");
        assert_eq!(message[32..], *b"name\0");
        let words = words(&message);
        assert_eq!(words[..4], [37, 3, 0, 0]);
        assert_eq!(words[4..6], if LOW_FIRST { [7, 0] } else { [0, 7] });
        assert_eq!(words[6..8], [4, 1]);
    }
}
