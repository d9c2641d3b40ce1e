//! Operations on data.

use rustix::io::Errno;

use super::op::{Kind, Op, Seen, When};
use super::tree::{Body, Model, Number};

impl Model {
    /// `None`: the operation is none of these.
    pub(super) fn about_data(&mut self, op: &Op) -> Option<Result<Seen, Errno>> {
        Some(match op {
            Op::Write { path, offset, data } => self.writable(path).map(|n| self.write(n, *offset, data)),
            Op::Append { path, data } => self.writable(path).map(|n| {
                let end = self.data_mut(n).len() as u64;
                self.write(n, end, data)
            }),
            Op::Replace { path, data } => self.replaceable(path).map(|n| {
                self.data_mut(n).clear();
                self.write(n, 0, data)
            }),
            Op::Truncate { path, size } => self.writable(path).map(|n| self.resize(n, *size)),
            Op::Punch { path, offset, len } => self.writable(path).map(|n| self.punch(n, *offset, *len)),
            Op::Allocate { path, offset, len } => {
                self.writable(path).map(|n| self.allocate(n, *offset, *len))
            }
            Op::Read { path, offset, len } => self.readable(path).map(|n| self.read(n, *offset, *len)),
            Op::Hold { slot, path } => self.hold(*slot, path),
            Op::Release { slot } => self.release(*slot),
            Op::WriteHeld { slot, offset, data } => self.held(*slot).map(|n| self.write(n, *offset, data)),
            Op::ReadHeld { slot, offset, len } => self.held(*slot).map(|n| self.read(n, *offset, *len)),
            Op::TruncateHeld { slot, size } => self.held(*slot).map(|n| self.resize(n, *size)),
            Op::LookHeld { slot } => self.held(*slot).map(|n| Seen::Look(self.node(n).look())),
            _ => return None,
        })
    }

    fn writable(&self, path: &str) -> Result<Number, Errno> {
        let number = self.at(path)?;
        match self.node(number).kind() {
            Kind::File => Ok(number),
            Kind::Dir => Err(Errno::ISDIR),
            Kind::Symlink => Err(Errno::LOOP),
            // Nobody reads it.
            Kind::Fifo | Kind::Other => Err(Errno::NXIO),
        }
    }

    fn readable(&self, path: &str) -> Result<Number, Errno> {
        match self.writable(path) {
            Err(Errno::NXIO) => Err(Errno::SPIPE),
            other => other,
        }
    }

    fn replaceable(&mut self, path: &str) -> Result<Number, Errno> {
        match self.place(path)?.found {
            Some(_) => self.writable(path),
            None => self.make(path, Body::File(Vec::new()), 0o644),
        }
    }

    /// The data, which will be another.
    fn data_mut(&mut self, number: Number) -> &mut Vec<u8> {
        let node = self.node_mut(number);
        node.mtime = When::Fresh;
        match &mut node.body {
            Body::File(data) => data,
            _ => unreachable!("a file was asked for"),
        }
    }

    fn write(&mut self, number: Number, offset: u64, new: &[u8]) -> Seen {
        let data = self.data_mut(number);
        let (from, to) = (offset as usize, offset as usize + new.len());
        if data.len() < to {
            data.resize(to, 0);
        }
        data[from..to].copy_from_slice(new);
        Seen::Done
    }

    fn resize(&mut self, number: Number, size: u64) -> Seen {
        self.data_mut(number).resize(size as usize, 0);
        Seen::Done
    }

    fn punch(&mut self, number: Number, offset: u64, len: u64) -> Seen {
        let data = self.data_mut(number);
        let end = data.len();
        data[end.min(offset as usize)..end.min((offset + len) as usize)].fill(0);
        // File systems do not agree on whether a hole behind the end is a change.
        self.node_mut(number).mtime = When::Any;
        Seen::Done
    }

    fn allocate(&mut self, number: Number, offset: u64, len: u64) -> Seen {
        let data = self.data_mut(number);
        if data.len() < (offset + len) as usize {
            data.resize((offset + len) as usize, 0);
        }
        self.node_mut(number).mtime = When::Any;
        Seen::Done
    }

    fn read(&mut self, number: Number, offset: u64, len: usize) -> Seen {
        let node = self.node_mut(number);
        node.atime = When::Any;
        let Body::File(data) = &node.body else { unreachable!("a file was asked for") };
        let from = data.len().min(offset as usize);
        let to = data.len().min(offset as usize + len);
        Seen::Bytes(data[from..to].to_vec())
    }

    fn held(&self, slot: usize) -> Result<Number, Errno> {
        self.held.get(&slot).copied().ok_or(Errno::BADF)
    }

    fn hold(&mut self, slot: usize, path: &str) -> Result<Seen, Errno> {
        let number = match self.writable(path) {
            // Opened for reading and writing it would be open; it is let go at once.
            Err(Errno::NXIO) => return Err(Errno::INVAL),
            other => other?,
        };
        let _ = self.release(slot);
        self.held.insert(slot, number);
        Ok(Seen::Done)
    }

    fn release(&mut self, slot: usize) -> Result<Seen, Errno> {
        let number = self.held.remove(&slot).ok_or(Errno::BADF)?;
        self.forget(number);
        Ok(Seen::Done)
    }
}
