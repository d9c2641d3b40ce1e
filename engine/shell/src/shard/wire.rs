//! What bricks of one replica set say to each other: the core's messages, records behind an append, and the daemon's own.

use bytes::Bytes;
use rfs_model::client::Statfs;
use rfs_model::codec::{Decode, Encode, Reader};
use rfs_model::config::{ConfigEntry, ConfigRecord, Position};
use rfs_model::op::Stamped;
use rfs_model::peer::{AppendHeader, FIRST_SHELL_TAG, PeerMessage};
use rfs_model::volume::VolumeState;
use rfs_model::{DecodeError, Index, InodeId, Meta, Record, RecordKind, layout, tagged};

use super::doubts::{Claim, Claimed};
use super::forks::Fork;
use super::scrub::ScrubState;
use crate::net::NetError;
use crate::tree::{Given, InodeMeta, Look};

/// How a brick is, told to the others each second.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Info {
    pub pid: u32,
    pub applied: Index,
    pub statfs: Statfs,
    /// Files to be compared with the leader's.
    pub doubts: u64,
}
layout!(Info { pid, applied, statfs, doubts });

/// Messages of the daemon to its like, besides the core's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ShellMessage {
    Info {
        info: Info,
    },
    /// A full copy begins: of the tree at `at`, with the record chain and the configuration there.
    CopyBegin {
        at: Position,
        chain: u32,
        config: ConfigEntry,
        /// Where the lineages of the sender's log began.
        forks: Vec<Fork>,
    },
    /// Part number `number`, from 0.
    CopyPart {
        number: u64,
        part: Bytes,
    },
    /// The receiver has stored all parts before `upto`.
    CopyAck {
        upto: u64,
    },
    /// The sender has no tree: its copy broke off.
    CopyWanted {},
    /// Blocks of a chunk of a file are rotten at the sender: bits, from the lowest.
    BlocksWanted {
        id: InodeId,
        chunk: u64,
        mask: u32,
    },
    BlocksGiven {
        id: InodeId,
        chunk: u64,
        given: Given,
    },
    /// The sender begins or ends a scrub of its volume: all bricks do.
    Scrub {
        begin: bool,
    },
    /// How the sender's scrub stands.
    ScrubState {
        state: ScrubState,
    },
    /// What a scrub found of some inodes, to be compared.
    Compare {
        looks: Vec<Look>,
    },
    /// Sums of chunks of a file.
    CompareSums {
        id: InodeId,
        version: Index,
        chunks: Vec<(u64, Bytes)>,
    },
    /// Blocks whose sums at the sender are others, at the same version.
    OtherSums {
        id: InodeId,
        version: Index,
        blocks: Vec<u64>,
    },
    /// Which of them the sender has as well, and all about those that differ.
    Compared {
        same: Vec<InodeId>,
        differ: Vec<InodeMeta>,
    },
    /// To the leader: what the sender has of a file that it doubts.
    Claim {
        claim: Claim,
    },
    /// The leader's answer.
    Claimed {
        said: Claimed,
    },
}
tagged!(ShellMessage, "a brick's message", {
    100 => Info { info },
    101 => CopyBegin { at, chain, config, forks },
    102 => CopyPart { number, part },
    103 => CopyAck { upto },
    104 => CopyWanted {},
    105 => BlocksWanted { id, chunk, mask },
    106 => BlocksGiven { id, chunk, given },
    107 => Scrub { begin },
    108 => ScrubState { state },
    109 => Compare { looks },
    110 => Compared { same, differ },
    111 => CompareSums { id, version, chunks },
    112 => OtherSums { id, version, blocks },
    113 => Claim { claim },
    114 => Claimed { said },
});

/// A decoded frame from another brick.
#[derive(Debug)]
pub enum PeerFrame {
    Core(PeerMessage),
    Append { header: AppendHeader, records: Vec<Record>, metas: Vec<Meta>, configs: Vec<ConfigEntry> },
    Shell(ShellMessage),
}

impl PeerFrame {
    /// # Errors
    /// [`NetError`] for bytes that no brick of ours sends; the link is then closed.
    pub fn decode(payload: &Bytes) -> Result<Self, NetError> {
        let mut r = Reader::new(payload);
        if payload.first().is_some_and(|tag| *tag >= FIRST_SHELL_TAG) {
            return Ok(Self::Shell(ShellMessage::from_all(payload)?));
        }
        match PeerMessage::decode(&mut r)? {
            PeerMessage::Append { header } => Self::append(header, &mut r),
            other => {
                r.end()?;
                Ok(Self::Core(other))
            }
        }
    }

    fn append(header: AppendHeader, r: &mut Reader<'_>) -> Result<Self, NetError> {
        let (mut records, mut metas, mut configs) = (Vec::new(), Vec::new(), Vec::new());
        let far = header.prev.index > Index::LIMIT;
        let mut next = if far { Index::LIMIT } else { header.prev.index.next() };
        while r.remaining() > 0 {
            let record = Record::read(r).map_err(|e| NetError::Unexpected(format!("a record: {e}")))?;
            if record.meta.index != next {
                return Err(NetError::Unexpected(format!(
                    "record {} where {next} belongs",
                    record.meta.index
                )));
            }
            next = next.next();
            if records.last().is_some_and(|before: &Record| before.meta.crc() != record.meta.chain) {
                return Err(NetError::Unexpected(format!(
                    "record {} chains to another one",
                    record.meta.index
                )));
            }
            if let Some(problem) = problem(&record)? {
                return Err(NetError::Unexpected(format!("record {}: {problem}", record.meta.index)));
            }
            configs.extend(config_entry(&record)?);
            metas.push(record.meta);
            records.push(record);
        }
        Ok(Self::Append { header, records, metas, configs })
    }
}

/// Why a record is none that a leader of ours makes: no brick could apply it.
fn problem(record: &Record) -> Result<Option<&'static str>, DecodeError> {
    Ok(match record.meta.kind {
        RecordKind::Op => Stamped::from_all(&record.payload)?.problem(),
        RecordKind::Volume => VolumeState::from_all(&record.payload)?.problem(),
        RecordKind::Config | RecordKind::Noop => None,
    })
}

/// The configuration in a record, if it is one.
///
/// # Errors
/// When its payload is none.
pub fn config_entry(record: &Record) -> Result<Option<ConfigEntry>, DecodeError> {
    if record.meta.kind != RecordKind::Config {
        return Ok(None);
    }
    let at = Position::new(record.meta.term, record.meta.index);
    Ok(Some(ConfigEntry { at, record: ConfigRecord::from_all(&record.payload)? }))
}

/// Appends an append message and its records to a frame.
pub fn put_append(out: &mut Vec<u8>, header: AppendHeader, records: &[Record]) {
    PeerMessage::Append { header }.encode(out);
    records.iter().for_each(|record| record.encode(out));
}

#[cfg(test)]
mod tests {
    use rfs_model::Term;
    use rfs_model::peer::Pulse;

    use super::*;

    fn header(prev: u64) -> AppendHeader {
        let zero = Index::ZERO;
        let pulse = Pulse { term: Term(1), round: 0, committed: zero, durable: zero, sync_to: zero };
        AppendHeader { pulse, prev: Position::new(Term(1), Index(prev)) }
    }

    #[test]
    fn an_append_carries_its_records() {
        let record = Record::new(Index(8), Term(1), RecordKind::Noop, 3, Bytes::from_static(b"x"));
        let mut out = Vec::new();
        put_append(&mut out, header(7), std::slice::from_ref(&record));
        let PeerFrame::Append { records, metas, .. } = PeerFrame::decode(&out.into()).unwrap() else {
            panic!("an append")
        };
        assert_eq!((records, metas), (vec![record.clone()], vec![record.meta]));
    }

    #[test]
    fn a_gap_is_refused() {
        let record = Record::new(Index(9), Term(1), RecordKind::Noop, 3, Bytes::from_static(b"x"));
        let mut out = Vec::new();
        put_append(&mut out, header(7), &[record]);
        assert!(PeerFrame::decode(&out.into()).is_err());
    }

    #[test]
    fn the_daemons_own_messages_have_their_tags() {
        let message = ShellMessage::CopyAck { upto: 3 };
        assert!(
            matches!(PeerFrame::decode(&message.encoded().into()), Ok(PeerFrame::Shell(m)) if m == message)
        );
    }
}
