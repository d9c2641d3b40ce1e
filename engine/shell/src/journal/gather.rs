//! Bytes that one call writes one behind the other: small ones copied together, large ones where they are.

use std::io::IoSlice;

use bytes::Bytes;

/// What is as long as this is written from where it is: a slice of its own costs the kernel less than a copy does.
const LARGE_BYTES: usize = 4096;

#[derive(Default)]
pub(super) struct Gather {
    own: Vec<u8>,
    /// Large ones, and how much of `own` stands before each.
    shared: Vec<(usize, Bytes)>,
    len: usize,
}

impl Gather {
    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn copy(&mut self, bytes: &[u8]) {
        self.own.extend_from_slice(bytes);
        self.len += bytes.len();
    }

    pub(super) fn zeros(&mut self, n: usize) {
        self.own.resize(self.own.len() + n, 0);
        self.len += n;
    }

    pub(super) fn share(&mut self, bytes: &Bytes) {
        if bytes.len() < LARGE_BYTES {
            return self.copy(bytes);
        }
        self.shared.push((self.own.len(), bytes.clone()));
        self.len += bytes.len();
    }

    pub(super) fn clear(&mut self) {
        self.own.clear();
        self.shared.clear();
        self.len = 0;
    }

    /// All of it, in order.
    pub(super) fn slices(&self) -> Vec<IoSlice<'_>> {
        let mut slices = Vec::with_capacity(2 * self.shared.len() + 1);
        let mut from = 0;
        for (upto, bytes) in &self.shared {
            slices.push(IoSlice::new(&self.own[from..*upto]));
            slices.push(IoSlice::new(bytes));
            from = *upto;
        }
        slices.push(IoSlice::new(&self.own[from..]));
        slices
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_is_that_of_what_was_put() {
        let large = |byte: u8| Bytes::from(vec![byte; LARGE_BYTES + usize::from(byte)]);
        let mut gather = Gather::default();
        let mut wanted = Vec::new();
        for byte in 0..5 {
            gather.copy(&[byte; 3]);
            gather.share(&large(byte));
            gather.share(&Bytes::from(vec![byte; LARGE_BYTES - 1]));
            gather.zeros(5);
            wanted.extend([byte; 3]);
            wanted.extend_from_slice(&large(byte));
            wanted.extend([byte; LARGE_BYTES - 1]);
            wanted.extend([0; 5]);
        }
        let written = gather.slices().iter().flat_map(|slice| slice.to_vec()).collect::<Vec<_>>();
        assert_eq!(gather.len(), wanted.len());
        assert!(written == wanted);
        assert_eq!(gather.shared.len(), 5, "only the large ones stay where they are");
        gather.clear();
        assert_eq!((gather.len(), gather.slices().iter().map(|s| s.len()).sum()), (0, 0));
    }
}
