//! Buffers that frames are received into, used again once nobody looks at what they hold: new memory has to be zeroed, and its
//! pages to be made, each time.

use std::sync::{Mutex, MutexGuard};

/// Free buffers of the process together, bytes.
const FREE_BYTES: usize = 16 * 1024 * 1024;
/// Smaller ones are not worth it.
const LEAST_BYTES: usize = 64 * 1024;
/// A buffer that is so many times too large is left for others.
const TOO_LARGE: usize = 2;

static FREE: Mutex<Free> = Mutex::new(Free { buffers: Vec::new(), bytes: 0 });

struct Free {
    buffers: Vec<Vec<u8>>,
    bytes: usize,
}

fn free() -> MutexGuard<'static, Free> {
    FREE.lock().expect("no holder panics")
}

/// At least `least` bytes, whatever they are.
pub(super) fn take(least: usize) -> Vec<u8> {
    if least >= LEAST_BYTES {
        let mut free = free();
        let fits = |buffer: &Vec<u8>| (least..=least.saturating_mul(TOO_LARGE)).contains(&buffer.len());
        if let Some(at) = free.buffers.iter().rposition(fits) {
            let buffer = free.buffers.remove(at);
            free.bytes -= buffer.len();
            return buffer;
        }
    }
    vec![0; least]
}

pub(super) fn give_back(buffer: Vec<u8>) {
    if buffer.len() < LEAST_BYTES {
        return;
    }
    let mut free = free();
    if free.bytes + buffer.len() <= FREE_BYTES {
        free.bytes += buffer.len();
        free.buffers.push(buffer);
    }
}

/// A buffer that others hold slices of.
pub(super) struct Shared {
    pub(super) buffer: Vec<u8>,
    /// Of which so much has been received.
    pub(super) len: usize,
}

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.buffer[..self.len]
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        give_back(std::mem::take(&mut self.buffer));
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    /// A length that no other test asks for.
    const ODD: usize = 3 * LEAST_BYTES + 77;

    fn is_free(at: *const u8) -> bool {
        free().buffers.iter().any(|buffer| buffer.as_ptr() == at)
    }

    #[test]
    fn a_buffer_is_used_again_when_nobody_looks_at_it() {
        let buffer = take(ODD);
        let at = buffer.as_ptr();
        let shared = Bytes::from_owner(Shared { buffer, len: 10 });
        let slice = shared.slice(2..5);
        drop(shared);
        assert!(!is_free(at), "somebody holds a slice of it");
        drop(slice);
        assert!(is_free(at));
        let again = take(ODD);
        assert_eq!(again.as_ptr(), at);
    }

    #[test]
    fn what_is_kept_has_a_bound() {
        let large: Vec<Vec<u8>> = (0..40).map(|_| vec![0; FREE_BYTES / 16]).collect();
        large.into_iter().for_each(give_back);
        give_back(vec![0; LEAST_BYTES - 1]);
        let free = free();
        assert!(free.bytes <= FREE_BYTES);
        assert_eq!(free.bytes, free.buffers.iter().map(Vec::len).sum::<usize>());
        assert!(free.buffers.iter().all(|buffer| buffer.len() >= LEAST_BYTES));
    }
}
