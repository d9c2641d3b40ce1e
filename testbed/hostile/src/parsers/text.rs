//! What is text: admin messages, options, names.

use std::net::IpAddr;

use bytes::Bytes;
use rfs_engine::pool::file::PoolFile;
use rfs_engine::pool::names::{BrickName, HostPort, check_volume_name, is_loopback};
use rfs_model::admin::{self, Request, Response};
use rfs_model::options::{self, AuthRules, Options, parse_bytes, parse_duration_ms};
use rfs_model::{InodeId, NodeId};
use rfs_mountd::mount::{MountOptions, Source};

fn text(data: &Bytes) -> Option<&str> {
    std::str::from_utf8(data).ok()
}

pub fn admin_request(data: &Bytes) {
    if let Ok(request) = admin::from_payload::<Request>(data) {
        let _ = request.right();
        let again = admin::to_frame(&request);
        let payload = &again[rfs_model::frame::HEADER_BYTES..];
        assert_eq!(admin::from_payload::<Request>(payload), Ok(request));
    }
}

pub fn admin_response(data: &Bytes) {
    drop(admin::from_payload::<Response>(data));
}

/// `key=value`, as `volume set` takes it and a record carries it.
pub fn option(data: &Bytes) {
    let Some((key, value)) = text(data).and_then(|text| text.split_once('=')) else { return };
    let good = options::check(key, value).is_ok();
    let pairs = [(key.to_owned(), value.to_owned())];
    drop(Options::from_pairs(&pairs));
    if let (true, Some(bytes)) = (good, parse_bytes(value)) {
        assert!(bytes <= 1 << 50, "{value} is no size for anything");
    }
    let _ = parse_duration_ms(value);
}

pub fn auth(data: &Bytes) {
    let Some((allow, reject)) = text(data).and_then(|text| text.split_once('\n')) else { return };
    let rules = AuthRules::new(allow, reject);
    for address in [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0xfe80, 0, 0, 0, 0, 0, 0, 1])] {
        let _ = rules.allows(address);
    }
}

pub fn mount_options(data: &Bytes) {
    if let Some(text) = text(data) {
        drop(MountOptions::parse([text]));
    }
}

pub fn mount_source(data: &Bytes) {
    let Some(text) = text(data) else { return };
    if let Ok(source) = text.parse::<Source>() {
        assert!(!source.hosts.is_empty() && !source.volume.contains('/'));
        assert_eq!(source.to_string().parse::<Source>(), Ok(source));
    }
}

pub fn names(data: &Bytes) {
    let Some(text) = text(data) else { return };
    let _ = is_loopback(text);
    if check_volume_name(text).is_ok() {
        assert!(!text.contains(['/', '.', '\0']), "a volume's name becomes part of paths");
    }
    if let Ok(host) = HostPort::parse(text) {
        assert!(HostPort::parse(&host.address()).is_ok());
    }
    if let Ok(brick) = BrickName::parse(text) {
        assert!(std::path::Path::new(&brick.path).is_absolute());
    }
}

/// `pool.toml`, which only the node itself writes. The library that reads it takes more than our own parsers may.
pub fn pool_file(data: &Bytes) {
    let Some(text) = text(data) else { return };
    drop(PoolFile::parse(text));
    let body = format!("{text}\n");
    drop(PoolFile::parse(&format!("{body}# crc32 {:08x}\n", crc32fast::hash(body.as_bytes()))));
}

pub fn ids(data: &Bytes) {
    let Some(text) = text(data) else { return };
    if let Ok(id) = text.parse::<InodeId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
        assert_eq!(InodeId::from_bytes(id.to_bytes()), id);
        let _ = id.number();
    }
    if let Ok(id) = text.parse::<NodeId>() {
        assert_eq!(id.to_string().parse(), Ok(id));
    }
}
