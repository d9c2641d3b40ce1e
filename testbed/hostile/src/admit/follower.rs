//! A brick that carries out what a lying leader has written.

use rfs_core::admit::{Front, Limits};
use rfs_model::{Index, InodeId, Term};

use crate::ops;
use crate::source::Source;

/// # Panics
/// When a promise is broken.
pub fn history(source: &mut Source<'_>) {
    let mut front = Front::new(Limits::default());
    let mut known = vec![InodeId::ROOT];
    let mut index = Index::ZERO;
    while !source.is_empty() {
        index = index.next();
        let new = InodeId { term: Term(1), index };
        let op = ops::op(source, new, &known);
        let stamped = ops::stamped(source, op);
        if stamped.problem().is_some() {
            // The door refuses it.
            front.skip(index);
            continue;
        }
        known.push(new);
        if front.apply(index, &stamped).is_err() {
            // The brick stops in good order.
            return;
        }
    }
    let bytes = front.snapshot();
    let again = Front::restore(Limits::default(), &bytes.clone().into());
    assert_eq!(again.map(|again| again.snapshot()), Ok(bytes), "what a liar made can be read back");
}
