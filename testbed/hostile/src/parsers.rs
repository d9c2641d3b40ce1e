//! Everything that is read from a wire or a disk. The first byte of an input says what the rest is taken for.
//!
//! Promises: no panic; memory of at most [`FACTOR`] times the input's length and [`SLACK`] bytes; what was understood is
//! written as the same bytes again.

mod disk;
mod text;
mod wire;

use bytes::Bytes;
use rfs_model::{Decode, Encode};

use crate::alloc::peak;

/// Memory that a parser may hold at once, for each byte of input: one entry of a list takes at least so much less on the
/// wire than in memory, where a list doubles as it grows.
pub const FACTOR: usize = 64;
/// The same, for what libraries make of the node's own files.
pub const LIBRARY_FACTOR: usize = 1024;
/// And beyond that, bytes: error texts, tables, one journal page.
pub const SLACK: usize = 32 * 1024;

/// What an input can be taken for. Numbers are written into the corpus: new ones go to the end.
const PARSERS: &[fn(&Bytes)] = &[
    wire::frames,
    wire::framed,
    wire::hello,
    wire::to_brick,
    wire::to_mount,
    wire::peer,
    wire::peer_append,
    wire::witness_request,
    wire::witness_reply,
    wire::copy_item,
    disk::record,
    disk::record_sealed,
    disk::segment,
    disk::register,
    disk::config,
    disk::hard_state,
    disk::label,
    disk::outcome,
    disk::volume,
    disk::sessions,
    disk::acl,
    text::admin_request,
    text::admin_response,
    text::option,
    text::auth,
    text::mount_options,
    text::mount_source,
    text::names,
    text::ids,
    wire::shell,
];

/// Those of libraries, numbered from 255 downwards.
const LIBRARIES: &[fn(&Bytes)] = &[text::pool_file];

/// The target.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    let library = LIBRARIES.get(usize::from(u8::MAX - *which));
    let Some(parser) = PARSERS.get(usize::from(*which)).or(library) else { return };
    let rest = Bytes::copy_from_slice(rest);
    let ((), most) = peak(|| parser(&rest));
    let bound = if library.is_some() { LIBRARY_FACTOR } else { FACTOR } * rest.len() + SLACK;
    assert!(most <= bound, "parser {which} held {most} bytes for an input of {}", rest.len());
}

/// A value that is understood is written as it was read.
fn both_ways<T: Decode + Encode>(bytes: &Bytes) -> Option<T> {
    let value = T::from_all(bytes).ok()?;
    assert_eq!(value.encoded(), bytes[..], "a value is written in another way than it was read");
    Some(value)
}
