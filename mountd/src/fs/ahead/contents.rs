//! Small files' data, which came with the answer to their open: they are read from here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rfs_model::InodeId;

/// How long they may wait for the kernel's question.
const KEPT: Duration = Duration::from_secs(1);
/// Of all files together.
const BYTES: usize = 4 * 1024 * 1024;

#[derive(Debug, Default)]
pub struct Contents {
    table: Mutex<Table>,
    /// Nothing is there: most changes need not look.
    holds: AtomicBool,
}

#[derive(Debug, Default)]
struct Table {
    files: HashMap<InodeId, (Bytes, Instant)>,
    bytes: usize,
}

impl Contents {
    fn held(&self) -> Option<MutexGuard<'_, Table>> {
        self.holds.load(Ordering::SeqCst).then(|| self.table.lock().expect("no holder panics"))
    }

    /// All that a file holds, unless that is `old` by now.
    pub fn tell(&self, id: InodeId, data: Bytes, now: Instant, old: impl FnOnce() -> bool) {
        let mut table = self.table.lock().expect("no holder panics");
        // Before it is looked whether there was a change: who makes one then looks here.
        self.holds.store(true, Ordering::SeqCst);
        if old() {
            return;
        }
        table.forget(id);
        if table.bytes + data.len() > BYTES {
            *table = Table::default();
        }
        table.bytes += data.len();
        table.files.insert(id, (data, now));
    }

    /// What a read gives, if that was told a moment ago. After the file's end the kernel has it all.
    pub fn read(&self, id: InodeId, offset: u64, len: u32, now: Instant) -> Option<Bytes> {
        let mut table = self.held()?;
        let (data, told) = table.files.get(&id)?;
        if now.saturating_duration_since(*told) > KEPT {
            table.forget(id);
            return None;
        }
        let from = usize::try_from(offset).map_or(data.len(), |offset| offset.min(data.len()));
        let upto = data.len().min(from.saturating_add(len as usize));
        let (part, is_last) = (data.slice(from..upto), upto == data.len());
        if is_last {
            table.forget(id);
        }
        Some(part)
    }

    /// The file is no more what it was.
    pub fn forget(&self, id: InodeId) {
        if let Some(mut table) = self.held() {
            table.forget(id);
        }
    }

    pub fn forget_all(&self) {
        if let Some(mut table) = self.held() {
            *table = Table::default();
        }
    }
}

impl Table {
    fn forget(&mut self, id: InodeId) {
        if let Some((data, _)) = self.files.remove(&id) {
            self.bytes -= data.len();
        }
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::{Index, Term};

    use super::*;

    fn id(n: u64) -> InodeId {
        InodeId { term: Term(1), index: Index(n) }
    }

    #[test]
    fn a_file_is_read_to_its_end_once() {
        let (contents, now) = (Contents::default(), Instant::now());
        contents.tell(id(1), Bytes::from_static(b"0123456789"), now, || false);
        let read = |offset, len| contents.read(id(1), offset, len, now);
        assert_eq!(read(0, 4).as_deref(), Some(&b"0123"[..]));
        assert_eq!(read(4, 3).as_deref(), Some(&b"456"[..]));
        assert_eq!(read(7, 4096).as_deref(), Some(&b"789"[..]));
        assert_eq!(read(0, 4), None, "the kernel has it");
        contents.tell(id(1), Bytes::from_static(b"01"), now, || false);
        assert_eq!(read(u64::MAX, 4).as_deref(), Some(&b""[..]), "behind the end");
    }

    #[test]
    fn nothing_is_kept_that_is_old_or_has_changed() {
        let (contents, now) = (Contents::default(), Instant::now());
        (1..5).for_each(|n| contents.tell(id(n), Bytes::from_static(b"text"), now, || false));
        contents.forget(id(1));
        contents.tell(id(2), Bytes::from_static(b"newer"), now, || false);
        let read = |n, now| contents.read(id(n), 0, 9, now);
        assert_eq!(read(1, now), None);
        assert_eq!(read(2, now).as_deref(), Some(&b"newer"[..]));
        assert_eq!(read(3, now + 2 * KEPT), None);
        contents.forget_all();
        assert_eq!(read(4, now), None);
        assert_eq!(contents.table.lock().unwrap().bytes, 0);
    }

    #[test]
    fn there_is_a_bound() {
        let (contents, now) = (Contents::default(), Instant::now());
        (0..1000).for_each(|n| contents.tell(id(n), Bytes::from(vec![7; 16 * 1024]), now, || false));
        let table = contents.table.lock().unwrap();
        assert!(table.bytes <= BYTES);
        assert_eq!(table.bytes, table.files.values().map(|(data, _)| data.len()).sum::<usize>());
    }
}
