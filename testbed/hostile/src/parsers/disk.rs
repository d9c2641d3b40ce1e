//! What comes from disks.

use bytes::Bytes;
use rfs_core::admit::{Front, Limits};
use rfs_model::config::ConfigRecord;
use rfs_model::hard::HardState;
use rfs_model::label::{LABEL_BYTES, Label};
use rfs_model::op::Stamped;
use rfs_model::record::{HEADER_BYTES, Meta, Record};
use rfs_model::register::Register;
use rfs_model::segment::{SEGMENT_HEADER_BYTES, SegmentHeader, Side};
use rfs_model::volume::VolumeState;
use rfs_model::{Encode, Reader};

use super::both_ways;

pub fn record(data: &Bytes) {
    let mut r = Reader::new(data);
    while let Ok(record) = Record::read(&mut r) {
        assert!(record.verify().is_ok());
    }
}

/// A record whose checksums are right.
pub fn record_sealed(data: &Bytes) {
    let mut bytes = data.to_vec();
    let Some((head, payload)) = bytes.split_first_chunk_mut::<HEADER_BYTES>() else { return };
    head[..4].copy_from_slice(b"rfs1");
    let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let covered = payload.get(..len).unwrap_or(payload);
    head[28..32].copy_from_slice(&crc32fast::hash(covered).to_le_bytes());
    let crc = crc32fast::hash(&head[..36]);
    head[36..].copy_from_slice(&crc.to_le_bytes());
    if let Ok(meta) = Meta::from_header(head) {
        assert!(meta.stored_bytes() >= HEADER_BYTES);
    }
    record(&bytes.into());
}

/// As it is, and with right magic and checksum.
pub fn segment(data: &Bytes) {
    let Some(raw) = data.first_chunk::<SEGMENT_HEADER_BYTES>() else { return };
    for side in [Side::Segment, Side::Copy] {
        let magic = if side == Side::Segment { b"rfs-seg1" } else { b"rfs-hdr1" };
        let mut fixed = *raw;
        fixed[..8].copy_from_slice(magic);
        let crc = crc32fast::hash(&fixed[..SEGMENT_HEADER_BYTES - 4]);
        fixed[SEGMENT_HEADER_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
        for bytes in [raw, &fixed] {
            if let Ok(header) = SegmentHeader::from_bytes(bytes, side) {
                assert!(header.problem().is_none());
                assert_eq!(SegmentHeader::from_bytes(&header.to_bytes(side), side), Ok(header));
            }
        }
    }
}

/// A small file as it is, and one whose content is the liar's and all else right.
fn sealed(magic: [u8; 4], content: &[u8], mut read: impl FnMut(&[u8])) {
    read(content);
    let Ok(len) = u16::try_from(content.len()) else { return };
    let mut out = magic.to_vec();
    out.extend_from_slice(&1u16.to_le_bytes());
    out.extend_from_slice(&len.to_le_bytes());
    out.extend_from_slice(content);
    out.extend_from_slice(&crc32fast::hash(&out).to_le_bytes());
    read(&out);
}

pub fn register(data: &Bytes) {
    sealed(*b"rfsw", data, |file| {
        if let Ok(register) = Register::from_file(file) {
            assert_eq!(register.to_file(), file);
        }
    });
}

pub fn config(data: &Bytes) {
    if let Some(record) = both_ways::<ConfigRecord>(data)
        && record.problem().is_none()
    {
        assert!(record.configs().all(|config| !config.in_sync.is_empty()));
        assert!(record.encoded().len() < 4096, "a sound configuration is small");
    }
}

pub fn hard_state(data: &Bytes) {
    sealed(*b"rfsh", data, |file| {
        if let Ok(hard) = HardState::from_file(file) {
            assert_eq!(hard.to_file(), file);
        }
    });
}

pub fn label(data: &Bytes) {
    let read = |bytes: &[u8]| {
        if let Ok(label) = Label::from_bytes(bytes) {
            assert_eq!(label.to_bytes(), bytes);
        }
    };
    read(data);
    let mut fixed = data.to_vec();
    fixed.resize(LABEL_BYTES, 0);
    fixed[..4].copy_from_slice(b"rfsl");
    let crc = crc32fast::hash(&fixed[..LABEL_BYTES - 4]);
    fixed[LABEL_BYTES - 4..].copy_from_slice(&crc.to_le_bytes());
    read(&fixed);
}

pub fn outcome(data: &Bytes) {
    both_ways::<Stamped>(data);
}

pub fn volume(data: &Bytes) {
    if let Some(state) = both_ways::<VolumeState>(data) {
        drop(rfs_model::options::Options::of(&state));
    }
}

/// The replicated state that lies in the index.
pub fn sessions(data: &Bytes) {
    if let Ok(front) = Front::restore(Limits::default(), data) {
        let again = Front::restore(Limits::default(), &front.snapshot().into());
        assert_eq!(again.map(|again| again.snapshot()), Ok(front.snapshot()));
    }
}

pub fn acl(data: &Bytes) {
    if let Ok(Some(acl)) = rfs_core::acl::Acl::parse(data) {
        assert_eq!(acl.to_bytes(), data);
        for mode in [0, 0o777, 0o4755] {
            let inherited = acl.inherit(mode).0.map(|acl| acl.to_bytes());
            assert!(inherited.is_none_or(|bytes| rfs_core::acl::Acl::parse(&bytes).is_ok()));
        }
    }
}
