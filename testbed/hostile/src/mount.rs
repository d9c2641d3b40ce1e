//! A mount's session with a brick that says anything.
//!
//! Promises: no panic; what the mount has not been told to be durable it keeps, in order, and sends again to the next brick;
//! memory of at most [`FACTOR`] times the input's length and [`SLACK`] bytes.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use rfs_model::client::{Answer, Change, DirEntry, Done, Query, Statfs, ToBrick, ToMount};
use rfs_model::hello::{BrickPlace, Standing};
use rfs_model::op::{LockKind, LockRange};
use rfs_model::options::Options;
use rfs_model::{Attr, FileKind, Index, InodeId, Refusal, Seq, SessionId, Timestamp, VolumeId};
use rfs_mountd::fs::Inodes;
use rfs_mountd::session::Failure;
use rfs_mountd::session::greet::Welcome;
use rfs_mountd::session::places::Places;
use rfs_mountd::session::state::{Heard, Outlet, Session};
use rfs_mountd::transport::Address;

use crate::alloc::peak;
use crate::ops;
use crate::source::Source;

pub const FACTOR: usize = 1024 * 1024;
pub const SLACK: usize = 4 * 1024 * 1024;

/// What was sent on the present connection: the numbers of mutations.
#[derive(Clone, Default)]
struct Sent(Rc<RefCell<Vec<Seq>>>);

impl Outlet for Sent {
    fn send(&mut self, message: &ToBrick) {
        if let ToBrick::Mutate { seq, lowest_kept, .. } = message {
            assert!(lowest_kept <= seq, "it lets go of what it sends");
            self.0.borrow_mut().push(*seq);
        }
    }

    fn send_later(&mut self, message: &ToBrick) {
        self.send(message);
    }
}

/// The target.
///
/// # Panics
/// When a promise is broken.
pub fn run(data: &[u8]) {
    let ((), most) = peak(|| history(&mut Source::new(data)));
    let bound = FACTOR * data.len() + SLACK;
    assert!(most <= bound, "{most} bytes for an input of {}", data.len());
}

struct Mount {
    session: Session,
    sent: Sent,
    inodes: Inodes,
    places: Places,
    known: Vec<InodeId>,
}

fn history(source: &mut Source<'_>) {
    let mut mount = Mount {
        session: Session::new(SessionId([1; 16])),
        sent: Sent::default(),
        inodes: Inodes::default(),
        places: Places::new(vec![Address::Tcp("server1:24007".into())], Vec::new()),
        known: vec![InodeId::ROOT],
    };
    while !source.is_empty() {
        mount.act(source);
    }
    mount.attach();
}

impl Mount {
    fn act(&mut self, source: &mut Source<'_>) {
        match source.below(12) {
            0..2 if self.session.window().len() < 100 => {
                let op = ops::mutation(source, &self.known);
                self.session.mutate(op, None, Some(Box::new(|_| {})), Some(Duration::from_secs(1)));
            }
            2 => {
                let id = source.inode(&self.known);
                let op =
                    source.pick(&[Query::Open { id, unless: None }, Query::GetAttr { id }, Query::Statfs {}]);
                drop(self.session.ask(op, source.maybe(|_| Duration::from_secs(1))));
            }
            3 => self.attach(),
            4 => {
                self.session.detach();
                self.sent = Sent::default();
            }
            5 => {
                self.session.time_out(Duration::from_secs(source.byte().into()));
                self.session.release(source.inode(&self.known));
            }
            6 if source.below(8) == 0 => {
                self.session.begin_anew(SessionId([source.byte(); 16]), Failure::Nonsense);
                self.sent = Sent::default();
            }
            7 => self.learn(source),
            _ => self.hear(source),
        }
    }

    /// Everything that is kept is sent, in order and without gaps.
    fn attach(&mut self) {
        self.sent = Sent::default();
        self.session.attach(Box::new(self.sent.clone()));
        let window = self.session.window();
        let kept: Vec<Seq> = (window.lowest_kept().0..=window.last().0).map(Seq).collect();
        assert_eq!(*self.sent.0.borrow(), kept, "what is kept is sent again");
    }

    fn hear(&mut self, source: &mut Source<'_>) {
        let (before, last) = (self.session.window().lowest_kept(), self.session.window().last());
        let message = message(source, last, &self.known);
        let may_go =
            matches!(message, ToMount::Done { .. } | ToMount::Refused { .. } | ToMount::Durable { .. });
        if let Heard::Changes(changes) = self.session.receive(message) {
            assert!(changes.len() < 16);
        }
        let window = self.session.window();
        assert!(may_go || window.lowest_kept() == before, "it let go of what nobody has answered");
        assert!(window.lowest_kept() >= before && window.last() == last, "numbers change");
        assert!(window.settled() <= window.last());
    }

    fn learn(&mut self, source: &mut Source<'_>) {
        let id = source.inode(&self.known);
        self.names(source, id);
        self.known.push(id);
        let place = |source: &mut Source<'_>| BrickPlace {
            node: source.node(),
            host: String::from_utf8_lossy(&source.name()).into_owned(),
            addresses: vec![String::from_utf8_lossy(&source.bytes(20)).into_owned()],
            path: "/data".into(),
        };
        let welcome = Welcome {
            node: source.node(),
            volume: VolumeId([source.below(2); 16]),
            standing: Standing::Ready,
            bricks: (0..source.below(6)).map(|_| place(source)).collect(),
            config: source.index(Index(3)),
            options: vec![("window".into(), String::from_utf8_lossy(&source.bytes(8)).into_owned())],
        };
        drop(Options::from_pairs(&welcome.options));
        self.places.learn(&Address::Tcp("server1:24007".into()), &welcome);
        assert!(!self.places.candidates().is_empty(), "there is always somebody to ask");
    }
}

impl Mount {
    /// What the kernel is told of names, and what becomes of them.
    fn names(&mut self, source: &mut Source<'_>, id: InodeId) {
        let place = (source.number(1), source.name());
        match source.below(5) {
            0 => self.inodes.moved(&place, (source.number(1), source.name())),
            1 => drop(self.inodes.removed(&place)),
            2 => self.inodes.forget(id.number(), source.number(1)),
            3 => self.inodes.dropped(&place, self.inodes.telling(&place)),
            _ => {
                let attr = attr(source, id);
                let known = self.inodes.remember(&attr, place.clone()).is_some();
                let doubtful = self.inodes.doubtful(&attr, &place);
                assert!(known || doubtful.is_empty(), "of an inode that it does not know");
                assert!(!doubtful.contains(&place), "where it was just found");
            }
        }
    }
}

fn attr(source: &mut Source<'_>, id: InodeId) -> Attr {
    let time = Timestamp { secs: source.number(1) as i64, nanos: source.small(1) };
    let (kind, size) = (ops::kind(source), source.number(1));
    let (blocks, nlink, version) = (source.number(8), source.small(1), source.index(Index(3)));
    Attr { nlink, size, blocks, ..Attr::new(id, kind, 0o644, time, version) }
}

fn message(source: &mut Source<'_>, last: Seq, known: &[InodeId]) -> ToMount {
    let (seq, id) = (Seq(source.number(last.0)), source.inode(known));
    let tag = source.number(2);
    match source.below(13) {
        0..3 => {
            let attr = source.maybe(|source| attr(source, id));
            let spare = if source.flag() { source.inode(known) } else { InodeId::NIL };
            let offset = source.number(1);
            ToMount::Done { seq, done: Done { id, offset, attr, dir: attr, to_dir: None, spare } }
        }
        3 => ToMount::Refused { seq, why: Refusal::Exists },
        4..6 => ToMount::Durable { seq },
        6 => ToMount::Answer { tag, answer: answer(source, id) },
        7 => ToMount::NoAnswer { tag, why: Refusal::Stale },
        8 => {
            let change = Change::Inode { id, offset: source.number(1), len: source.number(1) };
            ToMount::Changes { changes: vec![change; usize::from(source.below(9))] }
        }
        9 => ToMount::LockFreed { id },
        10 => ToMount::NotLeader,
        11 => ToMount::Recall { id },
        _ => ToMount::Dismissed { why: Refusal::Stopped },
    }
}

fn answer(source: &mut Source<'_>, id: InodeId) -> Answer {
    match source.below(9) {
        0 => Answer::Done,
        1 => Answer::Attr { attr: attr(source, id) },
        2 => Answer::Data { data: source.bytes(20) },
        3 => {
            let entry = DirEntry { name: source.name(), id, kind: FileKind::File, attr: None };
            Answer::Dir { entries: vec![entry], end: source.flag() }
        }
        4 => Answer::Names { names: vec![Bytes::new()] },
        5 => Answer::Statfs { statfs: Statfs { block: source.small(1), ..Statfs::default() } },
        6 => Answer::Lock {
            range: LockRange { kind: LockKind::Shared, start: 5, end: source.number(2), pid: 0 },
        },
        7 => Answer::Opened { attr: attr(source, id), data: source.bytes(20) },
        _ => Answer::ReadAt { index: source.index(Index(3)) },
    }
}
