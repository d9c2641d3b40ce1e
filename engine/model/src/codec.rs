//! The smallest codec that does: little-endian integers, length-prefixed bytes, closed enums. It never panics on bytes that
//! came from elsewhere, and it never allocates more than the input is long.

use bytes::Bytes;

/// Why bytes could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    #[error("{0} bytes are missing at the end")]
    Short(usize),
    #[error("{0} bytes are left over at the end")]
    Long(usize),
    #[error("{what} has the unknown value {value}")]
    Unknown { what: &'static str, value: u64 },
    #[error("{what} is {value}, more than the limit {limit}")]
    TooLarge { what: &'static str, value: u64, limit: u64 },
    #[error("not a valid {0}")]
    Text(&'static str),
}

/// Bytes out.
pub trait Encode {
    fn encode(&self, out: &mut Vec<u8>);

    fn encoded(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(64);
        self.encode(&mut out);
        out
    }
}

/// Bytes in.
pub trait Decode: Sized {
    /// Reads one value and leaves the reader behind it.
    ///
    /// # Errors
    /// [`DecodeError`] names what is wrong; the reader's position is then unspecified.
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that fills `bytes` to the last one.
    ///
    /// # Errors
    /// As [`Decode::decode`], and [`DecodeError::Long`] when bytes are left over.
    fn from_all(bytes: &Bytes) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let value = Self::decode(&mut r)?;
        r.end()?;
        Ok(value)
    }
}

/// A cursor over received bytes. Slices taken from it share the buffer: a payload is never copied.
#[derive(Debug)]
pub struct Reader<'a> {
    source: &'a Bytes,
    at: usize,
}

impl<'a> Reader<'a> {
    #[must_use]
    pub fn new(source: &'a Bytes) -> Self {
        Self { source, at: 0 }
    }

    #[must_use]
    pub fn remaining(&self) -> usize {
        self.source.len() - self.at
    }

    /// # Errors
    /// [`DecodeError::Long`] when bytes are left.
    pub fn end(&self) -> Result<(), DecodeError> {
        match self.remaining() {
            0 => Ok(()),
            left => Err(DecodeError::Long(left)),
        }
    }

    fn advance(&mut self, n: usize) -> Result<std::ops::Range<usize>, DecodeError> {
        let missing = n.saturating_sub(self.remaining());
        if missing > 0 {
            return Err(DecodeError::Short(missing));
        }
        let start = self.at;
        self.at += n;
        Ok(start..self.at)
    }

    /// # Errors
    /// [`DecodeError::Short`].
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let range = self.advance(N)?;
        let mut out = [0; N];
        out.copy_from_slice(&self.source[range]);
        Ok(out)
    }

    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u16(&mut self) -> Result<u16, DecodeError> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// # Errors
    /// [`DecodeError::Short`].
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Bytes with a 32-bit length before them, at most `limit` of them, sharing the source's buffer.
    ///
    /// # Errors
    /// [`DecodeError::Short`], [`DecodeError::TooLarge`].
    pub fn bytes(&mut self, limit: usize) -> Result<Bytes, DecodeError> {
        let len = self.u32()? as usize;
        if len > limit {
            return Err(DecodeError::TooLarge { what: "a length", value: len as u64, limit: limit as u64 });
        }
        let range = self.advance(len)?;
        Ok(self.source.slice(range))
    }

    /// The next `n` bytes, sharing the source's buffer.
    ///
    /// # Errors
    /// [`DecodeError::Short`].
    pub fn take(&mut self, n: usize) -> Result<Bytes, DecodeError> {
        let range = self.advance(n)?;
        Ok(self.source.slice(range))
    }

    /// Everything that is left.
    pub fn rest(&mut self) -> Bytes {
        let start = self.at;
        self.at = self.source.len();
        self.source.slice(start..)
    }

    /// A list with a 32-bit count before it.
    ///
    /// # Errors
    /// Those of the items, and [`DecodeError::Short`] when the count cannot fit into what is left (each item takes at
    /// least one byte), so a lying count allocates nothing.
    pub fn list<T: Decode>(&mut self) -> Result<Vec<T>, DecodeError> {
        let count = self.u32()? as usize;
        if count > self.remaining() {
            return Err(DecodeError::Short(count - self.remaining()));
        }
        (0..count).map(|_| T::decode(self)).collect()
    }
}

/// Appends `bytes` with a 32-bit length before it.
///
/// # Panics
/// When `bytes` is 4 GiB or longer: no limit of ours lets that happen.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    let len = u32::try_from(bytes.len()).expect("a field is shorter than 4 GiB");
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(bytes);
}

/// Appends a list with a 32-bit count before it.
pub fn put_list<T: Encode>(out: &mut Vec<u8>, items: &[T]) {
    let count = u32::try_from(items.len()).expect("a list is shorter than 2^32");
    out.extend_from_slice(&count.to_le_bytes());
    items.iter().for_each(|item| item.encode(out));
}

macro_rules! integer {
    ($($t:ty),*) => {$(
        impl Encode for $t {
            fn encode(&self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }
        }

        impl Decode for $t {
            fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(r.array()?))
            }
        }
    )*};
}

integer!(u8, u16, u32, u64, i64);

impl Encode for bool {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(u8::from(*self));
    }
}

impl Decode for bool {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match r.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            other => Err(DecodeError::Unknown { what: "a boolean", value: other.into() }),
        }
    }
}

impl<const N: usize> Encode for [u8; N] {
    fn encode(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }
}

impl<const N: usize> Decode for [u8; N] {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array()
    }
}

impl<T: Encode> Encode for Option<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.is_some().encode(out);
        if let Some(value) = self {
            value.encode(out);
        }
    }
}

impl<T: Decode> Decode for Option<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(if bool::decode(r)? { Some(T::decode(r)?) } else { None })
    }
}

impl<T: Encode> Encode for Vec<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        put_list(out, self);
    }
}

impl<T: Decode> Decode for Vec<T> {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.list()
    }
}

impl<A: Encode, B: Encode> Encode for (A, B) {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
        self.1.encode(out);
    }
}

impl<A: Decode, B: Decode> Decode for (A, B) {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok((A::decode(r)?, B::decode(r)?))
    }
}

impl Encode for Bytes {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self);
    }
}

/// A field of bytes is never larger than a frame, whose limit is checked before a byte of it is read.
impl Decode for Bytes {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.bytes(usize::MAX)
    }
}

impl Encode for String {
    fn encode(&self, out: &mut Vec<u8>) {
        put_bytes(out, self.as_bytes());
    }
}

impl Decode for String {
    fn decode(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let bytes = r.bytes(usize::MAX)?;
        std::str::from_utf8(&bytes).map(str::to_owned).map_err(|_| DecodeError::Text("UTF-8 text"))
    }
}

/// Implements [`Encode`] and [`Decode`] for a struct, field by field in the order given: the list *is* the layout.
#[macro_export]
macro_rules! layout {
    ($name:ident { $($field:ident),* $(,)? }) => {
        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                let Self { $($field),* } = self;
                $($crate::codec::Encode::encode($field, out);)*
                let _ = out;
            }
        }

        impl $crate::codec::Decode for $name {
            fn decode(r: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                $(let $field = $crate::codec::Decode::decode(r)?;)*
                let _ = &r;
                Ok(Self { $($field),* })
            }
        }
    };
}

/// Implements [`Encode`] and [`Decode`] for an enum whose variants have named fields (or none): one tag byte, then the
/// fields in the order given. Tags are written down, never counted, so that a variant can be retired.
#[macro_export]
macro_rules! tagged {
    ($name:ident, $what:literal, { $($tag:literal => $variant:ident { $($field:ident),* $(,)? }),* $(,)? }) => {
        impl $crate::codec::Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                match self {
                    $(Self::$variant { $($field),* } => {
                        out.push($tag);
                        $($crate::codec::Encode::encode($field, out);)*
                    })*
                }
            }
        }

        impl $crate::codec::Decode for $name {
            fn decode(r: &mut $crate::codec::Reader<'_>) -> Result<Self, $crate::codec::DecodeError> {
                match r.u8()? {
                    $($tag => {
                        $(let $field = $crate::codec::Decode::decode(r)?;)*
                        Ok(Self::$variant { $($field),* })
                    })*
                    other => Err($crate::codec::DecodeError::Unknown { what: $what, value: other.into() }),
                }
            }
        }
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lying_count_allocates_nothing() {
        let bytes = Bytes::from_static(&[255, 255, 255, 255, 1]);
        assert!(matches!(Vec::<u64>::from_all(&bytes), Err(DecodeError::Short(_))));
    }

    #[test]
    fn what_is_left_over_is_an_error() {
        assert_eq!(u16::from_all(&Bytes::from_static(&[1, 0, 9])), Err(DecodeError::Long(1)));
    }

    #[test]
    fn slices_share_the_buffer() {
        let mut out = Vec::new();
        put_bytes(&mut out, b"hello");
        let source = Bytes::from(out);
        let got = Reader::new(&source).bytes(5).unwrap();
        assert_eq!(got.as_ptr(), source[4..].as_ptr());
        assert!(matches!(Reader::new(&source).bytes(4), Err(DecodeError::TooLarge { .. })));
    }
}
