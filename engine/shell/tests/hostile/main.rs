//! A real daemon among callers who lie, say nothing, or come in crowds: its memory stays bounded, its log short, and it
//! serves the others. Needs root. `RFS_FULL=1`: more callers.

mod caller;
mod server;

use std::io::Write;
use std::time::{Duration, Instant};

use bytes::Bytes;
use caller::{Caller, hello_of_mount};
use rfs_model::admin::{Request, Response};
use rfs_model::client::{Answer, Mutation, Query};
use rfs_model::config::Position;
use rfs_model::frame::{FrameKind, frame};
use rfs_model::hello::{Denial, Hello, OpenInode, SeatClass, VERSIONS};
use rfs_model::peer::{AppendHeader, PeerMessage, Pulse};
use rfs_model::{Encode, Index, InodeId, NodeId, SeatId, Term};
use server::Server;

const MIB: usize = 1024 * 1024;
/// What all that happens here may add to the daemon's memory: sessions, caches and the crowd at the door.
const GROWTH: usize = 256 * MIB;

fn crowd(usual: usize, full: usize) -> usize {
    if std::env::var_os("RFS_FULL").is_some() { full } else { usual }
}

/// One test, since it measures one daemon from begin to end.
#[test]
fn a_daemon_outlives_its_callers() {
    let server = Server::start();
    let mut mount = Caller::mount(&server, 1);
    let file = mount.make(b"file");
    let before = server.resident();
    let begun = Instant::now();
    let mut session = 100;
    let mut check = |what: &str| {
        let asked = Instant::now();
        // Another one each time: a mount that says nothing for some seconds is sent away.
        session += 1;
        let mut mount = Caller::mount(&server, session);
        assert!(matches!(mount.ask(Query::GetAttr { id: file }), Ok(Answer::Attr { .. })), "{what}");
        assert!(asked.elapsed() < Duration::from_secs(5), "{what}: {:?} for an answer", asked.elapsed());
        let grown = server.resident().saturating_sub(before);
        println!("{what}: {} MiB more, {} lines", grown / MIB, server.lines());
        assert!(grown < GROWTH, "{what}: {} MiB", grown / MIB);
    };
    half_open(&server);
    check("callers who say nothing");
    garbage(&server);
    check("garbage and flipped bits");
    large_hellos(&server);
    check("hellos of 8 MiB");
    strangers(&server);
    check("strangers with a seat, a link, an order");
    let mut mount = Caller::mount(&server, 3);
    questions(&mut mount, file);
    check("questions that make no sense");
    requests(&server, &mut mount);
    check("requests that make no sense");
    lying_peer(&server);
    check("a brick that lies");
    // What happens here is a line a second at the most, beside what mounts and links bring with them.
    let most = 60 + 6 * begun.elapsed().as_secs() as usize;
    assert!(server.lines() < most, "{} lines in {:?}", server.lines(), begun.elapsed());
    server.stop();
}

fn half_open(server: &Server) {
    let mut open = Vec::new();
    for n in 0..crowd(1_500, 10_000) {
        // The daemon hangs up on those who have stood there longest; a refused connection is one more of those.
        let Ok(mut stream) = server.connect() else { continue };
        match n % 4 {
            0 => {}
            1 => drop(stream.write_all(b"r")),
            2 => drop(stream.write_all(&max_header())),
            _ => drop(stream.write_all(&frame(FrameKind::Hello, &hello_of_mount(9))[..30])),
        }
        open.push(stream);
        if open.len() > 3_000 {
            open.remove(0);
        }
    }
}

/// A header that promises the largest payload.
fn max_header() -> [u8; 20] {
    let mut out = [0; 20];
    out[..4].copy_from_slice(b"rfsf");
    (out[4], out[5]) = (1, 1);
    out[8..12].copy_from_slice(&(8 * MIB as u32).to_le_bytes());
    let crc = crc32fast::hash(&out[..16]);
    out[16..].copy_from_slice(&crc.to_le_bytes());
    out
}

fn garbage(server: &Server) {
    let good = frame(FrameKind::Hello, &hello_of_mount(8));
    for n in 0..crowd(400, 4_000) {
        let mut bytes = good.clone();
        match n % 4 {
            0 => bytes.fill((n % 251) as u8),
            1 => {
                let bit = n * 7 % (bytes.len() * 8);
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            2 => bytes[5] = 77,
            _ => bytes = frame(FrameKind::Client, &7u64),
        }
        if let Ok(mut stream) = server.connect() {
            drop(stream.write_all(&bytes));
        }
    }
}

fn large_hellos(server: &Server) {
    let mut hello = hello_of_mount(7);
    if let Hello::Mount { opens, resumed, .. } = &mut hello {
        *resumed = true;
        *opens = vec![OpenInode { id: InodeId::ROOT, count: 1 }; 400_000];
    }
    let bytes = frame(FrameKind::Hello, &hello);
    let all = crowd(24, 200);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..all / 4 {
                    if let Ok(mut stream) = server.connect() {
                        drop(stream.write_all(&bytes[..bytes.len() - 1]));
                    }
                }
            });
        }
    });
}

/// Whoever does not know the pool's secret is no brick, no witness of the pool and no administrator.
fn strangers(server: &Server) {
    let (versions, volume, nonce) = (VERSIONS.to_vec(), server.volume(), [3; 32]);
    let seat = |seat: u8, class, host: &str| Hello::Witness {
        versions: VERSIONS.to_vec(),
        volume,
        seat: SeatId([seat; 16]),
        class,
        host: host.into(),
    };
    let proof = Hello::Proof { proof: [9; 32] };
    for (what, hello) in [
        ("a brick", Hello::Peer { versions: versions.clone(), node: NodeId([7; 16]), volume, nonce }),
        (
            "a brick of the daemon's own name",
            Hello::Peer { versions: versions.clone(), node: server.node(), volume, nonce },
        ),
        ("a node of the pool with a seat", seat(5, SeatClass::PoolNode, "host")),
    ] {
        let mut caller = Caller::connect(server);
        caller.hello(&hello);
        assert!(matches!(caller.hear_hello(), Some(Hello::Challenge { .. })), "{what}");
        caller.hello(&proof);
        assert!(matches!(caller.hear_hello(), Some(Hello::Refused { why: Denial::Stranger, .. })), "{what}");
    }
    for (what, hello) in [
        ("a nameless seat", seat(0, SeatClass::Mount, "host")),
        ("a seat with a long name", seat(5, SeatClass::Mount, &"h".repeat(300))),
    ] {
        let mut caller = Caller::connect(server);
        caller.hello(&hello);
        assert!(matches!(caller.hear_hello(), Some(Hello::Refused { why: Denial::Nonsense, .. })), "{what}");
    }
    let mut caller = Caller::connect(server);
    caller.hello(&Hello::Control { versions, node: NodeId::NIL, nonce });
    assert!(matches!(caller.hear_hello(), Some(Hello::Welcome { .. })));
    for request in [Request::VolumeDelete { volume: "v".into() }, Request::Leave] {
        assert!(matches!(caller.admin(&request), Response::Err { .. }), "{request:?} from a stranger");
    }
}

/// None of these is a fault of the brick, nor leads out of it.
fn questions(mount: &mut Caller, file: InodeId) {
    let (id, root) = (file, InodeId::ROOT);
    let name = |len: usize| Bytes::from(vec![b'x'; len]);
    let nobody = InodeId { term: Term(u64::MAX), index: Index(1) };
    for query in [
        Query::Lookup { parent: root, name: name(256) },
        Query::Lookup { parent: root, name: name(70_000) },
        Query::Lookup { parent: root, name: Bytes::from_static(b"..") },
        Query::Lookup { parent: root, name: Bytes::from_static(b"a\0") },
        Query::Lookup { parent: nobody, name: name(3) },
        Query::GetXattr { id, name: Bytes::new() },
        Query::GetXattr { id, name: name(300) },
        Query::GetXattr { id, name: Bytes::from_static(b"user.") },
        Query::GetXattr { id, name: Bytes::from_static(b"user.a\0b") },
        Query::Read { id, offset: i64::MAX as u64 - 5, len: 4096 },
        Query::Read { id, offset: u64::MAX, len: u32::MAX },
        Query::Seek { id, offset: u64::MAX, data: true },
        Query::ReadDir { id: root, after: name(70_000), plus: true },
        Query::GetAttr { id: nobody },
        Query::Open { id: nobody, unless: Some(Index::ZERO) },
    ] {
        let text = format!("{query:?}");
        let answer = mount.ask(query);
        assert!(
            !matches!(answer, Ok(Answer::Attr { .. } | Answer::Opened { .. })),
            "{:.60}: {answer:?}",
            text
        );
    }
}

/// A second mount asks for what cannot be; each is refused, or the connection is closed.
fn requests(server: &Server, first: &mut Caller) {
    let nobody = InodeId { term: Term(u64::MAX), index: Index(2) };
    let names: [&[u8]; 7] = [b"..", b"a/b", b".rfs", b"", b"../../outside", b"a\0b", &[b'x'; 256]];
    let mut mount = Caller::mount(server, 2);
    for name in names {
        assert!(mount.try_make(InodeId::ROOT, name).is_err(), "{name:?}");
    }
    assert!(mount.try_make(nobody, b"a").is_err());
    let write = Mutation::Write { id: InodeId::ROOT, offset: u64::MAX, data: Bytes::from_static(b"x") };
    assert!(mount.mutate(write).is_err());
    // A number out of turn ends the connection and nothing else.
    mount.skip(1_000);
    assert!(mount.mutate(Mutation::Void {}).is_err());
    assert!(matches!(first.ask(Query::Statfs {}), Ok(Answer::Statfs { .. })));
}

/// It knows the pool's secret, greets as it should, and then says what no brick says.
fn lying_peer(server: &Server) {
    let zero = Index::ZERO;
    let pulse = |term: u64, committed: u64| Pulse {
        term: Term(term),
        round: u64::MAX,
        committed: Index(committed),
        durable: zero,
        sync_to: Index(u64::MAX),
    };
    let prev = Position::new(Term(u64::MAX), Index(u64::MAX));
    let lies = [
        PeerMessage::Heartbeat { pulse: pulse(u64::MAX, u64::MAX) },
        PeerMessage::Append { header: AppendHeader { pulse: pulse(9, 1), prev } },
        PeerMessage::Handover { term: Term(u64::MAX) },
        PeerMessage::Vouch { term: Term(u64::from(u32::MAX)), nonce: 0, upto: Index(u64::MAX) },
        PeerMessage::Heartbeat { pulse: pulse(7, 1 << 59) },
    ];
    let (_, answer) = Caller::dial(server, NodeId([8; 16]));
    assert!(
        matches!(answer, Some(Hello::Refused { why: Denial::NoVolume, .. })),
        "a node without a brick: {answer:?}"
    );
    for lie in lies {
        let mut peer = Caller::peer(server, server.node());
        peer.send(&frame(FrameKind::Peer, &lie));
        peer.wait_for_end_or(Duration::from_millis(300));
    }
    let mut peer = Caller::peer(server, server.node());
    let flood = frame(FrameKind::Peer, &PeerMessage::ReadIndex { term: Term(1), ticket: 1 });
    let flood = flood.repeat(2_000);
    for _ in 0..crowd(5, 200) {
        peer.send(&flood);
    }
    let garbage = vec![200u8; 64].encoded();
    peer.send(&frame(FrameKind::Peer, &Bytes::from(garbage)));
    peer.wait_for_end_or(Duration::from_secs(2));
}

/// The one volume.
const VOLUME: &str = "v";
