//! Reading a record, also one that still grows.

use std::fs::File;
use std::io;
use std::ops::AddAssign;
use std::os::unix::fs::FileExt;

use serde::Serialize;

use super::write::{FLUSH, WRITE, ZERO};
use super::{Event, HEADER, Kind, MAGIC};
use crate::image::Image;

/// All events of a device so far.
#[derive(Debug)]
pub struct Record {
    file: File,
    events: Vec<Event>,
}

/// How much was recorded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    pub writes: u64,
    pub flushes: u64,
    pub bytes: u64,
}

impl AddAssign for Figures {
    fn add_assign(&mut self, other: Figures) {
        self.writes += other.writes;
        self.flushes += other.flushes;
        self.bytes += other.bytes;
    }
}

impl Record {
    /// Reads all whole events; one that is being appended is left out.
    pub fn read(file: File) -> io::Result<Record> {
        let end = file.metadata()?.len();
        let mut magic = [0; MAGIC.len()];
        file.read_exact_at(&mut magic, 0)?;
        if magic != *MAGIC {
            return Err(io::Error::other("not a record"));
        }
        let (mut at, mut events) = (MAGIC.len() as u64, Vec::new());
        while at + HEADER as u64 <= end {
            let (event, length) = event(&file, at)?;
            at += HEADER as u64 + length;
            if at > end {
                break;
            }
            events.push(event);
        }
        Ok(Record { file, events })
    }

    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many events had happened by then.
    #[must_use]
    pub fn position(&self, at_ns: u64) -> usize {
        self.events.partition_point(|e| e.at_ns <= at_ns)
    }

    /// How many of the first `position` events the last flush among them covers, itself included.
    #[must_use]
    pub fn flushed(&self, position: usize) -> usize {
        let before = self.events.get(..position).unwrap_or(&self.events);
        before.iter().rposition(|e| e.kind == Kind::Flush).map_or(0, |at| at + 1)
    }

    /// The bytes of a write; none for other events.
    pub fn data(&self, event: &Event) -> io::Result<Vec<u8>> {
        let Kind::Write { length, data, .. } = event.kind else { return Ok(Vec::new()) };
        let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
        self.file.read_exact_at(&mut bytes, data)?;
        Ok(bytes)
    }

    /// Does to a disk what the event did.
    pub fn apply(&self, event: &Event, image: &Image) -> io::Result<()> {
        match event.kind {
            Kind::Write { offset, .. } => image.write(offset, &self.data(event)?),
            Kind::Zero { offset, length } => image.zero(offset, length),
            Kind::Flush => Ok(()),
        }
    }

    #[must_use]
    pub fn figures(&self) -> Figures {
        let mut sum = Figures::default();
        for event in &self.events {
            match event.kind {
                Kind::Write { length, .. } | Kind::Zero { length, .. } => {
                    sum.writes += 1;
                    sum.bytes += length;
                }
                Kind::Flush => sum.flushes += 1,
            }
        }
        sum
    }

    /// Writes it to a file that [`Record::read`] understands.
    pub fn save(&self, path: &std::path::Path) -> io::Result<()> {
        let mut from = File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&self.file)))?;
        io::copy(&mut from, &mut File::create(path)?).map(drop)
    }
}

/// The event at a place, and the bytes of data that follow its header.
fn event(file: &File, at: u64) -> io::Result<(Event, u64)> {
    let mut header = [0; HEADER];
    file.read_exact_at(&mut header, at)?;
    let number = |n: usize| {
        let mut bytes = [0; 8];
        bytes.copy_from_slice(&header[8 * n..8 * n + 8]);
        u64::from_le_bytes(bytes)
    };
    let (at_ns, offset, length) = (number(1), number(2), number(3));
    let (kind, follows) = match header[0] {
        WRITE => (Kind::Write { offset, length, data: at + HEADER as u64 }, length),
        ZERO => (Kind::Zero { offset, length }, 0),
        FLUSH => (Kind::Flush, 0),
        other => return Err(io::Error::other(format!("an event of kind {other} at {at}"))),
    };
    Ok((Event { at_ns, kind }, follows))
}
