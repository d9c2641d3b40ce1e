//! A sparse file in memory.

use std::collections::BTreeMap;

const PAGE: u64 = 4096;

/// Bytes of a file; what was never written, or was punched, is zero and takes no memory.
#[derive(Clone, Default)]
pub struct Content {
    size: u64,
    pages: BTreeMap<u64, Vec<u8>>,
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let runs = self.runs();
        let shown = runs.iter().map(|(at, len, byte)| format!("{at}+{len}:{}", char::from(*byte)));
        write!(f, "Content({} bytes: {})", self.size, shown.collect::<Vec<_>>().join(" "))
    }
}

impl PartialEq for Content {
    /// Holes and zeros read alike, and are alike.
    fn eq(&self, other: &Self) -> bool {
        let full = |c: &Self| {
            let zero = |page: &Vec<u8>| page.iter().all(|b| *b == 0);
            c.pages.iter().filter(|(_, p)| !zero(p)).map(|(n, p)| (*n, p.clone())).collect::<Vec<_>>()
        };
        self.size == other.size && full(self) == full(other)
    }
}

impl Content {
    #[must_use]
    pub fn size(&self) -> u64 {
        self.size
    }

    /// 512-byte blocks that are taken.
    #[must_use]
    pub fn blocks(&self) -> u64 {
        self.pages.len() as u64 * (PAGE / 512)
    }

    /// Runs of equal bytes that are not zero: offset, length, byte.
    fn runs(&self) -> Vec<(u64, u64, u8)> {
        let mut runs: Vec<(u64, u64, u8)> = Vec::new();
        let bytes = self.pages.iter().flat_map(|(n, page)| (n * PAGE..).zip(page));
        for (at, byte) in bytes.filter(|(_, byte)| **byte != 0) {
            match runs.last_mut() {
                Some((start, len, b)) if *b == *byte && *start + *len == at => *len += 1,
                _ => runs.push((at, 1, *byte)),
            }
        }
        runs
    }

    /// At most `len` bytes, fewer at the end.
    #[must_use]
    pub fn read(&self, offset: u64, len: usize) -> Vec<u8> {
        let end = self.size.min(offset.saturating_add(len as u64));
        let byte = |at: u64| self.pages.get(&(at / PAGE)).map_or(0, |page| page[(at % PAGE) as usize]);
        (offset..end).map(byte).collect()
    }

    pub fn write(&mut self, offset: u64, data: &[u8]) {
        let mut at = offset;
        let mut left = data;
        while !left.is_empty() {
            let within = (at % PAGE) as usize;
            let (now, later) = left.split_at(left.len().min(PAGE as usize - within));
            let page = self.pages.entry(at / PAGE).or_insert_with(|| vec![0; PAGE as usize]);
            page[within..within + now.len()].copy_from_slice(now);
            at += now.len() as u64;
            left = later;
        }
        self.size = self.size.max(at);
    }

    pub fn set_size(&mut self, size: u64) {
        if size < self.size {
            self.zero(size, self.size);
        }
        self.size = size;
    }

    /// Makes `offset .. end` zero, without touching the size.
    pub fn zero(&mut self, offset: u64, end: u64) {
        let inner = self.pages.range_mut(offset / PAGE..end.div_ceil(PAGE));
        for (n, page) in inner {
            let start = n * PAGE;
            let from = offset.saturating_sub(start).min(PAGE) as usize;
            let to = end.saturating_sub(start).min(PAGE) as usize;
            page[from..to].fill(0);
        }
        self.pages.retain(|_, page| page.iter().any(|b| *b != 0));
    }

    /// As fallocate(2), modes that admission lets through.
    pub fn allocate(&mut self, mode: u32, offset: u64, len: u64) {
        const KEEP_SIZE: u32 = 1;
        const PUNCH_OR_ZERO: u32 = 2 | 16;
        let end = offset + len;
        if mode & PUNCH_OR_ZERO != 0 {
            self.zero(offset, end);
        }
        if mode & KEEP_SIZE == 0 {
            self.size = self.size.max(end);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_reads_as_a_plain_vector_does() {
        let mut content = Content::default();
        content.write(4090, b"hello world");
        assert_eq!(content.size(), 4101);
        assert_eq!(content.read(4088, 8), b"\0\0hello ");
        content.set_size(4093);
        content.set_size(4100);
        assert_eq!(content.read(4090, 99), b"hel\0\0\0\0\0\0\0");
        content.allocate(3, 4091, 1 << 40);
        assert_eq!(content.read(4090, 3), b"h\0\0");
        assert_eq!(content.size(), 4100);
        content.allocate(0, 1 << 43, 5);
        assert_eq!((content.size(), content.blocks()), ((1 << 43) + 5, 8));
    }

    #[test]
    fn holes_and_zeros_are_alike() {
        let (mut a, mut b) = (Content::default(), Content::default());
        a.write(0, &[0; 10]);
        b.set_size(10);
        assert_eq!(a, b);
        b.write(9, b"x");
        assert_ne!(a, b);
    }
}
