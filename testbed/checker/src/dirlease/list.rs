//! A short queue within a state.

/// Up to `N` of something, the first one first; what is not used is zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct List<T, const N: usize> {
    items: [T; N],
    len: u8,
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self { items: [T::default(); N], len: 0 }
    }
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    pub fn as_slice(&self) -> &[T] {
        &self.items[..usize::from(self.len)]
    }

    pub fn len(&self) -> u8 {
        self.len
    }

    pub fn push(&mut self, item: T) {
        self.items[usize::from(self.len)] = item;
        self.len += 1;
    }

    pub fn pop(&mut self) -> Option<T> {
        let first = *self.as_slice().first()?;
        self.items.rotate_left(1);
        self.len -= 1;
        self.items[usize::from(self.len)] = T::default();
        Some(first)
    }

    /// Keeps the first ones.
    pub fn cut(&mut self, len: u8) {
        self.items[usize::from(len)..].fill(T::default());
        self.len = self.len.min(len);
    }
}
