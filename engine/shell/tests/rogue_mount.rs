//! Mounts that do not keep to the rules of the window wait at their own sockets, and the brick's memory stays bounded.
//! Needs root.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use rfs_engine::embedded::{self, Embedded, VOLUME};
use rfs_model::attr::FileKind;
use rfs_model::client::{Answer, Done, Mutation, Query, ToBrick, ToMount};
use rfs_model::codec::Decode;
use rfs_model::frame::{Deframer, FrameKind, frame};
use rfs_model::hello::{Hello, Purpose, Standing, VERSIONS};
use rfs_model::{Index, InodeId, Seq, SessionId};
use tempfile::TempDir;

const MIB: usize = 1024 * 1024;

/// A mount without a window.
struct Rogue {
    stream: UnixStream,
    deframer: Deframer,
    buffer: Vec<u8>,
    seq: Seq,
}

impl Rogue {
    fn attach(engine: &Embedded, session: u8) -> Self {
        let stream = UnixStream::connect(engine.socket()).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let mut rogue = Self { stream, deframer: Deframer::new(), buffer: vec![0; MIB], seq: Seq::ZERO };
        let hello = Hello::Mount {
            versions: VERSIONS.to_vec(),
            volume: VOLUME.into(),
            session: SessionId([session; 16]),
            purpose: Purpose::Session,
            host: "rogue".into(),
            resumed: false,
            opens: Vec::new(),
        };
        rogue.stream.write_all(&frame(FrameKind::Hello, &hello)).unwrap();
        match Hello::from_all(&rogue.receive(FrameKind::Hello)).unwrap() {
            Hello::Welcome { standing: Standing::Ready, .. } => rogue,
            other => panic!("{other:?}"),
        }
    }

    fn receive(&mut self, want: FrameKind) -> Bytes {
        loop {
            if let Some((kind, payload)) = self.deframer.next_frame().unwrap() {
                assert_eq!(kind, want);
                return payload;
            }
            let n = self.stream.read(&mut self.buffer).unwrap();
            assert!(n > 0, "the brick has closed the connection");
            self.deframer.push(&self.buffer[..n]);
        }
    }

    fn hear(&mut self) -> ToMount {
        ToMount::from_all(&self.receive(FrameKind::Client)).unwrap()
    }

    fn say(&mut self, message: &ToBrick) {
        self.stream.write_all(&frame(FrameKind::Client, message)).unwrap();
    }

    fn mutate(&mut self, op: Mutation) {
        self.seq = self.seq.next();
        self.say(&ToBrick::Mutate { seq: self.seq, lowest_kept: self.seq, op });
    }

    fn done(&mut self) -> Done {
        loop {
            match self.hear() {
                ToMount::Done { seq, done } if seq == self.seq => return done,
                ToMount::Refused { why, .. } => panic!("{why}"),
                _ => {}
            }
        }
    }

    fn make(&mut self, name: &'static str) -> InodeId {
        self.mutate(Mutation::Make {
            parent: InodeId::ROOT,
            name: Bytes::from_static(name.as_bytes()),
            kind: FileKind::File,
            mode: 0o644,
            umask: 0,
            uid: 0,
            gid: 0,
            rdev: 0,
            target: Bytes::new(),
            as_id: InodeId::NIL,
            open: false,
        });
        self.done().id
    }

    fn ask(&mut self, tag: u64, op: Query) {
        self.say(&ToBrick::Query { tag, at: Index::ZERO, op });
    }

    /// The next answer to a question.
    fn answer(&mut self) -> Answer {
        loop {
            match self.hear() {
                ToMount::Answer { answer, .. } => return answer,
                ToMount::NoAnswer { why, .. } => panic!("{why}"),
                _ => {}
            }
        }
    }

    fn write(&mut self, id: InodeId, data: &Bytes) {
        self.mutate(Mutation::Write { id, offset: 0, data: data.clone() });
    }
}

fn engine() -> (Embedded, TempDir) {
    let dir = tempfile::tempdir().unwrap();
    let engine = embedded::start(&dir.path().join("brick"), &dir.path().join("state"), "warn").unwrap();
    (engine, dir)
}

/// Memory of this process, the engine's thread included, bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    statm.split(' ').nth(1).unwrap().parse::<usize>().unwrap() * 4096
}

/// How far the memory grows while `work` is done, bytes.
fn growth(work: impl FnOnce()) -> usize {
    let before = resident();
    let (most, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let (seen, ended) = (Arc::clone(&most), Arc::clone(&over));
    let watch = std::thread::spawn(move || {
        while !ended.load(Ordering::Relaxed) {
            seen.fetch_max(resident(), Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(2));
        }
    });
    work();
    over.store(true, Ordering::Relaxed);
    watch.join().unwrap();
    most.load(Ordering::Relaxed).saturating_sub(before)
}

/// One after the other: they measure the memory of this process.
#[test]
fn a_mount_without_restraint_waits_at_its_socket() {
    let (engine, _dir) = engine();
    let (mut rogue, mut other) = (Rogue::attach(&engine, 1), Rogue::attach(&engine, 2));
    let id = rogue.make("file");
    let data = Bytes::from(vec![7; MIB]);
    rogue.write(id, &data);
    rogue.done();
    let asked = growth(|| asks_and_does_not_listen(&mut rogue, &mut other, id));
    println!("answers not taken: {} MiB", asked / MIB);
    assert!(asked < 256 * MIB, "{} MiB", asked / MIB);
    let written = growth(|| writes_and_does_not_wait(&mut rogue, id, &data));
    println!("writes beyond the window: {} MiB", written / MIB);
    assert!(written < 256 * MIB, "{} MiB", written / MIB);
    drop((rogue, other));
    assert!(engine.stop().unwrap().clean);
}

/// 1 GiB of answers. They are taken only when the brick has had the time to make all that it makes by itself: that which
/// many questions of another mount need.
/// What a dead mount's machine still has to send must not come late. A mount that beats may say nothing else for ever.
#[test]
fn a_mount_that_says_nothing_loses_its_connection() {
    let (engine, _dir) = engine();
    let (mut silent, mut beats) = (Rogue::attach(&engine, 1), Rogue::attach(&engine, 2));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                beats.say(&ToBrick::Beat { lowest_kept: Seq(1) });
                std::thread::sleep(Duration::from_millis(250));
            }
        });
        let ends = std::time::Instant::now();
        while silent.stream.read(&mut silent.buffer).is_ok_and(|n| n > 0) {}
        over.store(true, Ordering::Relaxed);
        assert!(ends.elapsed() < Duration::from_secs(30), "it took {:?}", ends.elapsed());
    });
    beats.mutate(Mutation::Void {});
    beats.done();
}

fn asks_and_does_not_listen(rogue: &mut Rogue, other: &mut Rogue, id: InodeId) {
    const ANSWERS: u64 = 8192;
    const LEN: usize = 128 * 1024;
    let mut questions = rogue.stream.try_clone().unwrap();
    let asking = std::thread::spawn(move || {
        for tag in 1..=ANSWERS {
            let op = Query::Read { id, offset: 0, len: LEN as u32 };
            let question = ToBrick::Query { tag, at: Index::ZERO, op };
            questions.write_all(&frame(FrameKind::Client, &question)).unwrap();
        }
    });
    for tag in 1..=500 {
        other.ask(tag, Query::GetAttr { id });
        other.answer();
    }
    for _ in 1..=ANSWERS {
        match rogue.answer() {
            Answer::Data { data } => assert_eq!(data.len(), LEN),
            other => panic!("{other:?}"),
        }
    }
    asking.join().unwrap();
}

/// 1 GiB of writes, none of which is waited for.
fn writes_and_does_not_wait(rogue: &mut Rogue, id: InodeId, data: &Bytes) {
    for _ in 0..1024 {
        rogue.write(id, data);
    }
    rogue.done();
}
