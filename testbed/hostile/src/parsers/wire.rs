//! What comes from connections.

use bytes::Bytes;
use rfs_engine::shard::wire::{PeerFrame, ShellMessage};
use rfs_model::client::{ToBrick, ToMount};
use rfs_model::frame::{Deframer, FrameKind, HEADER_BYTES, put_frame};
use rfs_model::hello::Hello;
use rfs_model::peer::{FIRST_SHELL_TAG, PeerMessage, WitnessReply, WitnessRequest};
use rfs_model::record::Record;
use rfs_model::resync::Item;
use rfs_model::{Encode, Index, RecordKind, Term};

use super::both_ways;

/// A stream of bytes as it comes: frames or not. Where reads end changes nothing.
pub fn frames(data: &Bytes) {
    let whole = deframed(data, data.len().max(1));
    let step = data.first().map_or(1, |first| usize::from(*first) % 23 + 1);
    assert_eq!(whole, deframed(data, step), "frames depend on where reads end");
}

/// All frames of a stream, and whether it broke.
fn deframed(data: &Bytes, step: usize) -> (Vec<(FrameKind, Bytes)>, bool) {
    let (mut deframer, mut got) = (Deframer::new(), Vec::new());
    for piece in data.chunks(step) {
        deframer.push(piece);
        loop {
            match deframer.next_frame() {
                Ok(Some(frame)) => got.push(frame),
                Ok(None) => break,
                Err(_) => return (got, true),
            }
        }
    }
    (got, false)
}

/// A frame whose checksums are right: its header's bytes 4 to 12 and its payload are the liar's.
pub fn framed(data: &Bytes) {
    let Some((head, payload)) = data.split_first_chunk::<8>() else { return };
    let mut out = Vec::new();
    put_frame(&mut out, FrameKind::Client, |out| out.extend_from_slice(payload));
    out[4..12].copy_from_slice(head);
    let crc = crc32fast::hash(&out[..HEADER_BYTES - 4]).to_le_bytes();
    out[HEADER_BYTES - 4..HEADER_BYTES].copy_from_slice(&crc);
    frames(&out.into());
}

pub fn hello(data: &Bytes) {
    both_ways::<Hello>(data);
}

pub fn to_brick(data: &Bytes) {
    both_ways::<ToBrick>(data);
}

pub fn to_mount(data: &Bytes) {
    both_ways::<ToMount>(data);
}

/// A peer's frame as it is.
pub fn peer(data: &Bytes) {
    // Refused or taken, the daemon goes on: it is the panic that is looked for.
    drop(PeerFrame::decode(data));
    both_ways::<PeerMessage>(data);
}

/// What daemons say beside the core's messages; the first byte picks one of a few more than there are.
pub fn shell(data: &Bytes) {
    let Some((first, rest)) = data.split_first() else { return };
    let tag = FIRST_SHELL_TAG + first % 16;
    both_ways::<ShellMessage>(&[&[tag], rest].concat().into());
}

/// An append whose records have right checksums: kinds, terms and payloads are the liar's.
pub fn peer_append(data: &Bytes) {
    let mut out = Vec::new();
    let mut rest = &data[..];
    let header = rest.split_off(..rest.len().min(57)).unwrap_or_default();
    out.extend_from_slice(header);
    let first = header.last_chunk::<8>().map_or(0, |index| u64::from_le_bytes(*index));
    let mut chain = 0;
    let mut index = Index(first);
    while let Some((head, more)) = rest.split_first_chunk::<4>() {
        let len = usize::from(head[2]).min(more.len());
        let kind = match head[0] % 4 {
            0 => RecordKind::Noop,
            1 => RecordKind::Config,
            2 => RecordKind::Volume,
            _ => RecordKind::Op,
        };
        index = Index(index.0.wrapping_add(1));
        let payload = Bytes::copy_from_slice(&more[..len]);
        let record = Record::new(index, Term(head[1].into()), kind, chain, payload);
        chain = record.meta.crc();
        record.encode(&mut out);
        rest = &more[len..];
    }
    if let Ok(PeerFrame::Append { records, metas, .. }) = PeerFrame::decode(&out.into()) {
        assert_eq!(records.len(), metas.len());
        assert!(records.iter().all(|record| record.verify().is_ok()));
    }
}

pub fn witness_request(data: &Bytes) {
    both_ways::<WitnessRequest>(data);
}

pub fn witness_reply(data: &Bytes) {
    both_ways::<WitnessReply>(data);
}

pub fn copy_item(data: &Bytes) {
    both_ways::<Item>(data);
}
