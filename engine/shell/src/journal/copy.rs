//! The header copy: a second file beside each segment that says which records were synced. It tells a tail that a power
//! cut tore (never synced: dropped) from rot (synced once: never dropped).

use std::fs::File;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use glommio::io::BufferedFile;
use rfs_model::Index;
use rfs_model::record::HEADER_BYTES;
use rfs_model::segment::{DATA_OFFSET, copy_offset};

use super::disk::{Disk, Result};
use super::ring::Ring;

pub(super) struct HeaderCopy {
    file: File,
    path: PathBuf,
    /// First index of the segment.
    first: Index,
    /// Index of the first header that is not in the file yet.
    next: Index,
    /// Headers from `next` on, written once their records are synced.
    pending: Vec<u8>,
    /// Written since the last fdatasync began.
    dirty: bool,
    /// The file's own header is durable. Must be so before a record of the segment is called synced.
    anchored: bool,
    /// There was no room for it: this segment does without, from here on.
    given_up: bool,
    ring: Ring,
}

impl HeaderCopy {
    pub(super) fn new(file: File, path: PathBuf, first: Index, anchored: bool) -> Self {
        let (dirty, given_up) = (!anchored, false);
        let (pending, ring) = (Vec::new(), Ring::default());
        Self { file, path, first, next: first, pending, dirty, anchored, given_up, ring }
    }

    /// As found at open: the file has all headers before `next`, `pending` holds the others. `quiet`: all that the file
    /// has was there before.
    pub(super) fn found(
        file: File,
        path: PathBuf,
        first: Index,
        next: Index,
        pending: Vec<u8>,
        quiet: bool,
    ) -> Self {
        let (anchored, dirty, given_up) = (false, !quiet, false);
        let ring = Ring::default();
        Self { file, path, first, next, pending, dirty, anchored, given_up, ring }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn push(&mut self, header: &[u8; HEADER_BYTES]) {
        if !self.given_up {
            self.pending.extend_from_slice(header);
        }
    }

    /// Writes the headers of records up to `synced`. A full disk is no error: the copy ends there, and after a power cut
    /// damage behind it counts as torn.
    pub(super) fn write(&mut self, disk: &Disk, synced: Index) -> Result<()> {
        let due =
            (synced.next().0.saturating_sub(self.next.0) as usize * HEADER_BYTES).min(self.pending.len());
        if due == 0 || self.given_up {
            return Ok(());
        }
        let offset = copy_offset(self.first, self.next);
        match disk.write(&self.file, &self.path, &self.pending[..due], offset) {
            Err(error) if error.is_full() => {
                tracing::warn!(%error, "no room for the header copy of a segment");
                self.given_up = true;
                self.pending = Vec::new();
                return Ok(());
            }
            other => other?,
        }
        self.pending.drain(..due);
        self.next = Index(self.next.0 + (due / HEADER_BYTES) as u64);
        self.dirty = true;
        Ok(())
    }

    /// Puts one header right that is missing or damaged. Only at open.
    pub(super) fn repair(disk: &Disk, file: &File, path: &Path, offset: u64, header: &[u8]) -> Result<()> {
        debug_assert!(offset >= DATA_OFFSET);
        match disk.write(file, path, header, offset) {
            Err(error) if error.is_full() => Ok(()),
            other => other,
        }
    }

    /// Forgets the headers behind `last`.
    pub(super) fn cut(&mut self, last: Index) {
        let keep = (last.next().0.saturating_sub(self.next.0)) as usize * HEADER_BYTES;
        self.pending.truncate(keep);
    }

    /// The executor's descriptor to sync with, when there is something to sync; from now on there is not. The
    /// descriptor is given back when there was nothing.
    pub(super) fn take_dirty(&mut self) -> Result<Option<Rc<BufferedFile>>> {
        if self.dirty {
            return self.take().map(Some);
        }
        self.ring.close();
        Ok(None)
    }

    /// The executor's descriptor, to sync everything with.
    pub(super) fn take(&mut self) -> Result<Rc<BufferedFile>> {
        self.dirty = false;
        self.ring.of(&self.file, &self.path)
    }

    pub(super) fn is_anchored(&self) -> bool {
        self.anchored
    }

    pub(super) fn anchor(&mut self) {
        self.anchored = true;
    }

    pub(super) fn into_file(self) -> (File, PathBuf) {
        (self.file, self.path)
    }
}
