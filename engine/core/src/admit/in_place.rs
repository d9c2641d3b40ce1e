//! Pending writes that leave a file's size as it is: who reads other bytes of it need not wait for them.

use std::collections::VecDeque;
use std::ops::Range;

use rfs_model::{Index, Op, SessionId};

/// Those of one file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct InPlace {
    /// Oldest first.
    writes: VecDeque<(Index, SessionId, Range<u64>)>,
}

impl InPlace {
    /// `before`, `after`: the file's size as far as it is known without a look at the tree. False: it may have grown.
    pub fn add(
        &mut self,
        index: Index,
        session: SessionId,
        op: &Op,
        before: Option<u64>,
        after: Option<u64>,
    ) -> bool {
        let Op::Write { offset, data, .. } = op else { return false };
        let range = *offset..offset.saturating_add(data.len() as u64);
        // Where both sizes are not known, a write that ends where the file does may be what made it end there.
        let keeps = after.is_some_and(|after| range.end < after || before == Some(after));
        if keeps {
            self.writes.push_back((index, session, range));
        }
        keeps
    }

    /// Everything up to `index` is applied.
    pub fn applied(&mut self, index: Index) {
        while self.writes.front().is_some_and(|(at, ..)| *at <= index) {
            self.writes.pop_front();
        }
    }

    /// The session's newest one that has any of these bytes; 0: none.
    pub fn newest(&self, session: SessionId, bytes: &Range<u64>) -> Index {
        let touches = |range: &Range<u64>| range.start < bytes.end && bytes.start < range.end;
        let mut found = self.writes.iter().rev().filter(|(_, s, range)| *s == session && touches(range));
        found.next().map_or(Index::ZERO, |(index, ..)| *index)
    }
}
