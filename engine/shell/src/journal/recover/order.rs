//! Which segments make up the log.

use rfs_model::Index;
use rfs_model::segment::{SegmentHeader, Start};

/// Positions in the list given of those that make up the log, oldest first. `headers` are in the order of their
/// generations; those left out are void.
pub(super) fn live(headers: &[SegmentHeader]) -> Vec<usize> {
    let mut live = Vec::<usize>::new();
    for (at, header) in headers.iter().enumerate() {
        if header.start == Start::Reset {
            live.clear();
        }
        while live.last().is_some_and(|before| headers[*before].first >= header.first) {
            live.pop();
        }
        live.push(at);
    }
    live
}

/// The first index behind each of the live segments: where the next one begins. Nothing behind the last.
pub(super) fn limits(live: &[SegmentHeader]) -> Vec<Option<Index>> {
    let next = live.iter().skip(1).map(|h| Some(h.first));
    next.chain([None]).take(live.len()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rfs_model::Term;

    fn header(first: u64, start: Start) -> SegmentHeader {
        SegmentHeader {
            generation: 1,
            first: Index(first),
            before_term: Term::ZERO,
            before_chain: 0,
            start,
            floor: Index::ZERO,
            bytes: 1 << 20,
        }
    }

    #[test]
    fn later_segments_make_earlier_ones_void() {
        use Start::{Continue, Cut, Reset};
        type Row = (&'static [(u64, Start)], &'static [usize]);
        let table: [Row; 7] = [
            (&[], &[]),
            (&[(1, Reset), (10, Continue), (20, Continue)], &[0, 1, 2]),
            (&[(1, Reset), (10, Continue), (15, Cut)], &[0, 1, 2]),
            (&[(1, Reset), (10, Continue), (20, Continue), (5, Cut)], &[0, 3]),
            (&[(1, Reset), (10, Continue), (10, Cut), (12, Continue)], &[0, 2, 3]),
            (&[(1, Reset), (10, Continue), (500, Reset), (600, Continue)], &[2, 3]),
            (&[(100, Continue), (500, Reset), (200, Reset), (200, Cut)], &[3]),
        ];
        for (headers, want) in table {
            let headers: Vec<_> = headers.iter().map(|(first, start)| header(*first, *start)).collect();
            assert_eq!(live(&headers), want);
        }
    }
}
