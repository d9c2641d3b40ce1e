//! `FUSE_NOTIFY_PRUNE` (protocol 7.45, Linux 6.18), which fuser does not speak yet: the kernel drops its names of inodes, and
//! with them the inodes, unless they are in use. It says so afterwards, like always when it forgets.

use std::io::IoSlice;
use std::os::fd::{BorrowedFd, RawFd};

use rustix::io::{Errno, writev};

/// `fuse_notify_code`.
const PRUNE: i32 = 9;
/// `fuse_out_header`, and `fuse_notify_prune_out`.
const HEAD_BYTES: usize = 16 + 16;

/// Asks the kernel to forget inodes, unless it has turned out not to know how.
pub struct Prune {
    device: RawFd,
    known: bool,
}

impl Prune {
    /// `device`: the descriptor by which the kernel hears us, as long as this is in use.
    pub fn new(device: RawFd) -> Self {
        Self { device, known: true }
    }

    /// False: this kernel cannot be asked.
    pub fn ask(&mut self, numbers: &[u64]) -> bool {
        if !self.known {
            return false;
        }
        let message = message(numbers);
        // SAFETY: the thread that asks keeps the descriptor open.
        let device = unsafe { BorrowedFd::borrow_raw(self.device) };
        // That is how it answers what it does not know. Any other error means that the mount is gone.
        if let Err(Errno::INVAL) = writev(device, &[IoSlice::new(&message)]) {
            self.known = false;
        }
        self.known
    }
}

fn message(numbers: &[u64]) -> Vec<u8> {
    let len = HEAD_BYTES + size_of_val(numbers);
    let mut message = Vec::with_capacity(len);
    message.extend((len as u32).to_ne_bytes());
    message.extend(PRUNE.to_ne_bytes());
    // Of no request.
    message.extend(0u64.to_ne_bytes());
    message.extend((numbers.len() as u32).to_ne_bytes());
    // Padding and spare.
    message.extend([0; 4 + 8]);
    numbers.iter().for_each(|number| message.extend(number.to_ne_bytes()));
    message
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_as_the_kernel_reads_it() {
        let message = message(&[7, 1 << 40]);
        let words: Vec<u32> =
            message.chunks(4).map(|word| u32::from_ne_bytes(word.try_into().unwrap())).collect();
        let low_first = cfg!(target_endian = "little");
        assert_eq!(words[..8], [48, 9, 0, 0, 2, 0, 0, 0]);
        assert_eq!(words[8..], if low_first { [7, 0, 0, 256] } else { [0, 7, 256, 0] });
    }
}
