//! Noting events.

use std::fs::File;
use std::io::{self, Write};

use super::{HEADER, MAGIC};
use crate::clock::now_ns;

pub(super) const WRITE: u8 = 1;
pub(super) const ZERO: u8 = 2;
pub(super) const FLUSH: u8 = 3;

/// Appends to a record.
#[derive(Debug)]
pub struct Writer {
    file: File,
}

impl Writer {
    /// Begins a record in an empty file.
    pub fn new(mut file: File) -> io::Result<Writer> {
        file.write_all(MAGIC)?;
        Ok(Writer { file })
    }

    pub fn write(&mut self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.append(WRITE, offset, data.len() as u64)?;
        self.file.write_all(data)
    }

    pub fn zero(&mut self, offset: u64, length: u64) -> io::Result<()> {
        self.append(ZERO, offset, length)
    }

    pub fn flush(&mut self) -> io::Result<()> {
        self.append(FLUSH, 0, 0)
    }

    fn append(&mut self, kind: u8, offset: u64, length: u64) -> io::Result<()> {
        let mut header = Vec::with_capacity(HEADER);
        header.extend([kind, 0, 0, 0, 0, 0, 0, 0]);
        for number in [now_ns(), offset, length] {
            header.extend(number.to_le_bytes());
        }
        self.file.write_all(&header)
    }
}
