//! What programs see of a session whose bricks die, fall silent, stop and come back.

mod brick;

use std::cell::Cell;
use std::future::Future;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use brick::{Brick, bricks, eventually};
use bytes::Bytes;
use rfs_model::attr::FileKind;
use rfs_model::client::{Change, Mutation, ToMount};
use rfs_model::hello::{Denial, Standing};
use rfs_model::op::{LockKind, LockRange};
use rfs_model::{InodeId, Refusal};
use rfs_mountd::fs::{Caller, Fs, Invalidation, Listed, NewNode, Options, Shared, WriteRequest};
use rfs_mountd::session::{Client, ClientConfig, Credit, Failure, driver};
use rfs_mountd::transport::{Address, Uring, ring};

const ROOT: u64 = 1;
const WINDOW: usize = 4 << 20;

struct Mount {
    fs: Rc<Fs>,
    shared: Arc<Shared>,
    invalidations: Receiver<Invalidation>,
}

/// Runs `body` as the network thread of a mount of these bricks' volume would.
fn mounted<T: Future<Output = ()>>(
    bricks: &[Brick],
    timeout: Option<Duration>,
    body: impl FnOnce(Mount) -> T,
) {
    let ttl = Duration::from_secs(1);
    let options = Options {
        attr_ttl: ttl,
        entry_ttl: ttl,
        absent_ttl: Duration::ZERO,
        cache_listings: false,
        leases: true,
        direct_io: false,
        inodes: 0,
    };
    let (sender, invalidations) = sync_channel(64);
    let shared = Shared::new(options, Credit::new(WINDOW), sender);
    let config = ClientConfig {
        volume: "vol".into(),
        host: "here".into(),
        window_bytes: Some(WINDOW),
        request_timeout: timeout,
        named: vec![Address::Tcp(bricks[0].address.to_string())],
        sockets: Vec::new(),
    };
    ring(async {
        let pushes = shared.clone();
        let client = Client::new(
            config,
            Box::new(Uring),
            shared.credit().clone(),
            Box::new(move |push| Fs::pushed(&pushes, push)),
        );
        let fs = Fs::new(client.clone(), shared.clone());
        tokio::task::spawn_local(driver::drive(client));
        body(Mount { fs, shared, invalidations }).await;
    });
}

fn node(name: &str) -> NewNode {
    NewNode {
        parent: ROOT,
        name: Bytes::copy_from_slice(name.as_bytes()),
        kind: FileKind::File,
        mode: 0o644,
        umask: 0o022,
        rdev: 0,
        target: Bytes::new(),
        caller: Caller { uid: 0, gid: 0, thread: 5 },
    }
}

impl Mount {
    async fn create(&self, name: &str) -> u64 {
        let flags = libc::O_RDWR | libc::O_CREAT;
        self.fs.clone().create(node(name), flags).await.unwrap().1.handle
    }

    /// As the kernel's thread does it, or the network thread where it has to wait.
    async fn write(&self, request: WriteRequest) -> Result<(), Failure> {
        match request.quick(&self.shared)? {
            Some(quick) => {
                self.fs.submit(quick);
                Ok(())
            }
            None => self.fs.clone().write(request).await,
        }
    }

    async fn append(&self, handle: u64, text: &str) -> Result<(), Failure> {
        let data = Bytes::copy_from_slice(text.as_bytes());
        self.write(WriteRequest {
            handle,
            offset: 0,
            data,
            flags: libc::O_APPEND,
            from_mapping: false,
            strips: false,
        })
        .await
    }
}

impl Mount {
    /// Does what the kernel's notifier does until somebody waits for it; the whole file is to be dropped before.
    async fn drops(&self, number: u64) {
        let (begun, mut whole) = (Instant::now(), false);
        loop {
            assert!(begun.elapsed() < Duration::from_secs(5));
            match self.invalidations.try_recv() {
                Ok(Invalidation::Inode { number: n, offset: 0, len: u64::MAX }) => whole |= n == number,
                Ok(Invalidation::All) => whole = true,
                Ok(Invalidation::Barrier(done)) => {
                    assert!(whole);
                    return done.send(()).unwrap();
                }
                _ => tokio::time::sleep(Duration::from_millis(1)).await,
            }
        }
    }
}

fn lines(n: usize) -> String {
    (0..n).map(|n| format!("{n}\n")).collect()
}

#[test]
fn files_are_made_written_listed_and_read() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let fs = &mount.fs;
        let handle = mount.create("a").await;
        let data = Bytes::from_static(b"hello");
        let request =
            WriteRequest { handle, offset: 3, data, flags: libc::O_RDWR, from_mapping: false, strips: false };
        mount.write(request).await.unwrap();
        assert_eq!(fs.clone().read(handle, 0, 100).await.unwrap(), &b"\0\0\0hello"[..]);
        fs.clone().flush(handle, 0).await.unwrap();
        for name in ["b", "c", "d", "e"] {
            fs.clone().make(node(name)).await.unwrap();
        }
        let again = fs.clone().make(node("b")).await;
        assert_eq!(again, Err(Refusal::Exists.into()));
        let dir = fs.clone().opendir(ROOT).await.unwrap().handle;
        let (mut names, position) = (Vec::new(), Cell::new(2));
        for room in [1, 3, 1, 2, 2, 2] {
            let mut left = room;
            let give = |listed: &Listed| {
                if left > 0 {
                    left -= 1;
                    names.push(listed.entry.name.clone());
                    position.set(listed.position);
                    return false;
                }
                true
            };
            fs.clone().list(dir, position.get(), true, give).await.unwrap();
        }
        assert_eq!(names, ["a", "b", "c", "d", "e"]);
    });
}

#[test]
fn a_killed_leader_costs_no_write_and_repeats_none() {
    let bricks = bricks(2);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        for n in 0..100 {
            mount.append(handle, &format!("{n}\n")).await.unwrap();
        }
        mount.fs.clone().fsync(handle).await.unwrap();
        bricks[0].set(|script| script.forgetful = true);
        for n in 100..150 {
            mount.append(handle, &format!("{n}\n")).await.unwrap();
        }
        mount.fs.clone().flush(handle, 0).await.unwrap();
        bricks[0].set(|script| script.holding = true);
        for n in 150..200 {
            mount.append(handle, &format!("{n}\n")).await.unwrap();
        }
        bricks[0].kill();
        bricks[1].take_over(&bricks[0]);
        mount.fs.clone().fsync(handle).await.unwrap();
        assert_eq!(String::from_utf8(bricks[1].script().tree.content("f")).unwrap(), lines(200));
        let first = bricks[1].script().heard[0].0;
        assert_eq!(first.0, 102, "what was durable is not sent again; the file itself was number 1");
        let opens = bricks[1].script().opens.clone();
        assert_eq!(opens[0].len(), 1, "the new leader is told what is open");
    });
}

#[test]
fn a_leader_that_lost_a_file_makes_it_again_under_the_same_identity() {
    let bricks = bricks(2);
    mounted(&bricks, None, async |mount| {
        bricks[0].set(|script| script.forgetful = true);
        let handle = mount.create("f").await;
        let told = mount.shared.files().get(handle).unwrap().inode.id;
        bricks[1].set(|script| script.standing = Standing::Ready);
        bricks[0].kill();
        mount.append(handle, "x").await.unwrap();
        mount.fs.clone().fsync(handle).await.unwrap();
        let heard = bricks[1].script().heard[0].1.clone();
        let Mutation::Make { as_id, open, .. } = heard else { panic!("{heard:?}") };
        assert_eq!((as_id, open), (told, false), "it is told as open in the hello already");
        assert_eq!(bricks[1].script().tree.content("f"), b"x");
    });
}

#[test]
fn a_silent_leader_is_left() {
    let bricks = bricks(2);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        bricks[0].set(|script| script.silent = true);
        bricks[1].take_over(&bricks[0]);
        let begun = Instant::now();
        mount.append(handle, "x").await.unwrap();
        mount.fs.clone().fsync(handle).await.unwrap();
        assert!(begun.elapsed() > Duration::from_millis(700), "it was not believed dead at once");
    });
}

#[test]
fn a_leader_that_steps_down_is_left() {
    let bricks = bricks(2);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        bricks[1].take_over(&bricks[0]);
        bricks[0].set(|script| {
            script.standing = Standing::NotLeader { leader: rfs_model::NodeId([2; 16]) };
            script.say.push(ToMount::NotLeader);
        });
        bricks[1].wait(|script| !script.opens.is_empty()).await;
        mount.append(handle, "x").await.unwrap();
        mount.fs.clone().fsync(handle).await.unwrap();
        assert_eq!(bricks[1].script().tree.content("f"), b"x");
    });
}

#[test]
fn a_question_that_nobody_answers_just_now_is_asked_again() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        mount.create("f").await;
        bricks[0].set(|script| script.leaderless = 3);
        mount.fs.clone().lookup(ROOT, Bytes::from_static(b"f")).await.unwrap();
        assert_eq!(bricks[0].script().leaderless, 0);
    });
}

#[test]
fn a_full_window_makes_writers_wait_and_loses_nothing() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        bricks[0].set(|script| script.holding = true);
        let chunk = Bytes::from(vec![7; 1 << 20]);
        let write = |n: u64| {
            let data = chunk.clone();
            mount.write(WriteRequest {
                handle,
                offset: n << 20,
                data,
                flags: libc::O_RDWR,
                from_mapping: false,
                strips: false,
            })
        };
        for n in 0..3 {
            tokio::time::timeout(Duration::from_secs(5), write(n)).await.unwrap().unwrap();
        }
        let mut fourth = std::pin::pin!(write(3));
        assert!(tokio::time::timeout(Duration::from_millis(300), &mut fourth).await.is_err());
        bricks[0].set(|script| script.holding = false);
        bricks[0].cut();
        fourth.await.unwrap();
        mount.fs.clone().fsync(handle).await.unwrap();
        assert_eq!(bricks[0].script().tree.content("f"), vec![7; 4 << 20]);
    });
}

#[test]
fn a_timed_out_write_is_kept_and_close_says_that_it_is_not_confirmed() {
    let bricks = bricks(1);
    mounted(&bricks, Some(Duration::from_millis(400)), async |mount| {
        let handle = mount.create("f").await;
        bricks[0].set(|script| script.holding = true);
        mount.append(handle, "x").await.unwrap();
        assert_eq!(mount.fs.clone().flush(handle, 0).await, Err(Failure::Unconfirmed));
        assert_eq!(mount.fs.clone().make(node("g")).await, Err(Failure::TimedOut));
        bricks[0].set(|script| script.holding = false);
        bricks[0].cut();
        mount.fs.clone().flush(handle, 0).await.unwrap();
        assert_eq!(bricks[0].script().tree.content("f"), b"x");
    });
}

#[test]
fn deadlines_pause_while_a_brick_recovers() {
    let bricks = bricks(1);
    mounted(&bricks, Some(Duration::from_millis(600)), async |mount| {
        let handle = mount.create("f").await;
        bricks[0].set(|script| script.standing = Standing::Recovering { percent: 5 });
        bricks[0].cut();
        mount.append(handle, "x").await.unwrap();
        let mut sync = std::pin::pin!(mount.fs.clone().fsync(handle));
        assert!(tokio::time::timeout(Duration::from_millis(1500), &mut sync).await.is_err());
        bricks[0].set(|script| script.standing = Standing::Ready);
        sync.await.unwrap();
    });
}

#[test]
fn a_stopped_volume_refuses_and_works_again_after_its_start() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        bricks[0].set(|script| {
            script.standing = Standing::Stopped;
            script.say.push(ToMount::Dismissed { why: Refusal::Stopped });
        });
        while mount.fs.clone().getattr(ROOT).await.is_ok() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(mount.fs.clone().getattr(ROOT).await.unwrap_err(), Refusal::Stopped.into());
        assert_eq!(mount.append(handle, "refused").await, Err(Refusal::Stopped.into()));
        bricks[0].set(|script| script.standing = Standing::Ready);
        while mount.fs.clone().getattr(ROOT).await.is_err() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        mount.append(handle, "x").await.unwrap();
        mount.fs.clone().fsync(handle).await.unwrap();
        assert_eq!(bricks[0].script().tree.content("f"), b"x");
    });
}

#[test]
fn an_expired_session_voids_handles_and_nothing_is_done_twice() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        bricks[0].set(|script| {
            script.holding = true;
            script.denial = Some(Denial::Expired);
        });
        mount.append(handle, "lost").await.unwrap();
        bricks[0].cut();
        let epoch = mount.shared.epoch();
        eventually(|| mount.shared.epoch() != epoch).await;
        bricks[0].set(|script| {
            script.holding = false;
            script.denial = None;
        });
        assert_eq!(mount.append(handle, "x").await, Err(Failure::Expired));
        let entry = mount.fs.clone().lookup(ROOT, Bytes::from_static(b"f")).await.unwrap();
        let caller = Caller { uid: 0, gid: 0, thread: 5 };
        let number = entry.attr.id.number();
        let opening = mount.fs.clone().open(number, libc::O_RDWR, caller);
        let (_, opened) = tokio::join!(mount.drops(number), opening);
        let opened = opened.unwrap();
        mount.append(opened.handle, "new").await.unwrap();
        // Nobody has heard yet that "lost" was.
        assert_eq!(mount.fs.clone().fsync(opened.handle).await, Err(Failure::Expired));
        mount.fs.clone().fsync(opened.handle).await.unwrap();
        assert_eq!(bricks[0].script().tree.content("f"), b"new");
    });
}

#[test]
fn a_refused_write_is_told_by_the_next_call_and_dropped_from_the_kernels_cache() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        let number = mount.shared.files().get(handle).unwrap().inode.number;
        bricks[0].set(|script| {
            script.holding = true;
            let seq = rfs_model::Seq(2);
            script.say.push(ToMount::Refused { seq, why: Refusal::NoSpace });
        });
        let data = Bytes::from_static(b"abc");
        let request = WriteRequest {
            handle,
            offset: 10,
            data,
            flags: libc::O_RDWR,
            from_mapping: false,
            strips: false,
        };
        // The refusal may overtake the write: then it is of nothing yet, and is said again.
        mount.write(request).await.unwrap();
        bricks[0].wait(|script| script.heard.len() >= 2).await;
        bricks[0].set(|script| {
            script.say.push(ToMount::Refused { seq: rfs_model::Seq(2), why: Refusal::NoSpace });
        });
        for _ in 0..2 {
            assert_eq!(mount.fs.clone().flush(handle, 0).await, Err(Refusal::NoSpace.into()));
        }
        assert_eq!(mount.fs.clone().fsync(handle).await, Err(Refusal::NoSpace.into()));
        assert_eq!(mount.fs.clone().fsync(handle).await, Ok(()));
        assert_eq!(mount.fs.clone().flush(handle, 0).await, Ok(()));
        let told = mount
            .invalidations
            .try_iter()
            .any(|told| matches!(told, Invalidation::Inode { number: n, offset: 10, len: 3 } if n == number));
        assert!(told);
    });
}

#[test]
fn a_waiting_lock_is_taken_when_the_other_one_ends() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        let number = mount.shared.files().get(handle).unwrap().inode.number;
        bricks[0].set(|script| script.tree.set_foreign_lock(true));
        let range = LockRange { kind: LockKind::Exclusive, start: 0, end: u64::MAX, pid: 5 };
        let now = mount.fs.clone().set_lock(number, 1, range, false).await;
        assert_eq!(now, Err(Refusal::Locked.into()));
        let waiting = tokio::task::spawn_local(mount.fs.clone().set_lock(number, 1, range, true));
        bricks[0].wait(|script| script.heard.len() >= 3).await;
        bricks[0].set(|script| {
            let id = mount.shared.inodes().get(number).unwrap().id;
            script.tree.mutate(Mutation::Append { id, data: Bytes::from_static(b"x") }).unwrap();
            script.tree.set_foreign_lock(false);
            script.say.push(ToMount::LockFreed { id: InodeId::ROOT });
        });
        // The lock is newer than what the kernel has of the file: somebody has to drop that.
        let (_, locked) = tokio::join!(mount.drops(number), waiting);
        locked.unwrap().unwrap();
    });
}

#[test]
fn a_lock_is_waited_for_longer_than_a_dead_mount_has_it() {
    let bricks = bricks(1);
    mounted(&bricks, Some(Duration::from_secs(60)), async |mount| {
        let handle = mount.create("f").await;
        let number = mount.shared.files().get(handle).unwrap().inode.number;
        bricks[0].set(|script| script.tree.set_foreign_lock(true));
        let range = LockRange { kind: LockKind::Exclusive, start: 0, end: u64::MAX, pid: 5 };
        let waiting = tokio::task::spawn_local(mount.fs.clone().set_lock(number, 1, range, true));
        let asked = |more: usize| {
            let before = bricks[0].script().heard.len();
            bricks[0].wait(move |script| script.heard.len() >= before + more)
        };
        asked(1).await;
        mount.fs.client().patience().pass(Duration::from_secs(120));
        asked(2).await;
        assert!(!waiting.is_finished(), "the locks of a dead mount are not free before");
        mount.fs.client().patience().pass(Duration::from_secs(11));
        assert_eq!(waiting.await.unwrap(), Err(Failure::StillLocked));
    });
}

#[test]
fn an_open_waits_until_the_kernel_holds_nothing_older() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        let inode = mount.shared.files().get(handle).unwrap().inode.clone();
        let caller = Caller { uid: 0, gid: 0, thread: 5 };
        let open = async || mount.fs.clone().open(inode.number, libc::O_RDONLY, caller).await.unwrap();
        assert!(open().await.keep_pages, "nothing has changed: nobody is waited for");
        bricks[0].set(|script| {
            script.tree.mutate(Mutation::Append { id: inode.id, data: Bytes::from_static(b"x") }).unwrap();
        });
        let (first, second) = (open(), open());
        let (mut first, mut second) = (std::pin::pin!(first), std::pin::pin!(second));
        let soon = Duration::from_millis(200);
        assert!(tokio::time::timeout(soon, async { tokio::join!(&mut first, &mut second) }).await.is_err());
        tokio::join!(mount.drops(inode.number), first);
        tokio::join!(mount.drops(inode.number), second);
        assert!(open().await.keep_pages);
    });
}

#[test]
fn a_small_file_comes_with_its_open_and_no_read_shows_what_was_before_a_change() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        let inode = mount.shared.files().get(handle).unwrap().inode.clone();
        let (id, caller) = (inode.id, Caller { uid: 0, gid: 0, thread: 5 });
        // Somebody else appends; the mount is not told.
        let append = |text: &'static [u8]| {
            let data = Bytes::from_static(text);
            bricks[0].set(|script| {
                script.tree.mutate(Mutation::Append { id, data }).unwrap();
            });
        };
        let open = async || {
            let opened = mount.fs.clone().open(inode.number, libc::O_RDONLY, caller);
            tokio::join!(mount.drops(inode.number), opened).1.unwrap().handle
        };
        let read = async |handle| match mount.shared.read_ahead(handle, 0, 100) {
            Some(told) => told,
            None => mount.fs.clone().read(handle, 0, 100).await.unwrap(),
        };
        let mut text = Vec::new();
        loop {
            append(b"one ");
            text.extend(b"one ");
            let began = Instant::now();
            let first = open().await;
            append(b"two ");
            let told = read(first).await;
            let late = began.elapsed() > Duration::from_secs(1);
            // What waited for too long is asked for again.
            assert!(late || told == text, "it came with the open: {told:?}");
            text.extend(b"two ");
            if !late {
                assert_eq!(read(first).await, text, "and is given once");
                break;
            }
        }

        append(b"three ");
        let second = open().await;
        append(b"four ");
        text.extend(b"three four ");
        let change = Change::Inode { id, offset: 0, len: u64::MAX };
        bricks[0].set(|script| script.say.push(ToMount::Changes { changes: vec![change] }));
        eventually(|| mount.invalidations.try_iter().count() > 0).await;
        assert_eq!(read(second).await, text, "others' changes");

        let third = open().await;
        let (flags, data) = (libc::O_RDWR, Bytes::from_static(b"ONE"));
        let request = WriteRequest { handle, offset: 0, data, flags, from_mapping: false, strips: false };
        mount.write(request).await.unwrap();
        text[..3].copy_from_slice(b"ONE");
        assert_eq!(read(third).await, text, "its own changes");
    });
}

#[test]
fn others_changes_reach_the_kernel() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        mount.create("f").await;
        let id = mount.fs.clone().lookup(ROOT, Bytes::from_static(b"f")).await.unwrap().attr.id;
        let name = Bytes::from_static(b"g");
        bricks[0].set(|script| {
            let changes = vec![
                Change::Inode { id, offset: 5, len: 9 },
                Change::Entry { parent: InodeId::ROOT, name: name.clone() },
            ];
            script.say.push(ToMount::Changes { changes });
        });
        let mut told = Vec::new();
        eventually(|| {
            told.extend(mount.invalidations.try_iter());
            told.len() >= 2
        })
        .await;
        assert!(matches!(told[0], Invalidation::Inode { offset: 5, len: 9, .. }), "{told:?}");
        assert!(matches!(&told[1], Invalidation::Entry { parent: ROOT, name: n } if *n == name), "{told:?}");
    });
}

#[test]
fn a_mount_ends_when_everything_is_durable() {
    let bricks = bricks(1);
    mounted(&bricks, None, async |mount| {
        let handle = mount.create("f").await;
        mount.append(handle, "x").await.unwrap();
        mount.fs.client().finish(Duration::from_secs(5)).await.unwrap();
        bricks[0].wait(|script| script.detached).await;
        assert_eq!(bricks[0].script().tree.content("f"), b"x");
        // What would never get there is not taken either.
        assert_eq!(mount.append(handle, "y").await, Err(Failure::Ending));
    });
}

#[test]
fn a_mount_says_why_it_cannot_be() {
    let one = bricks(1);
    one[0].set(|script| script.standing = Standing::Stopped);
    mounted(&one, None, async |mount| {
        let why = mount.fs.client().ready(Duration::from_secs(5)).await.unwrap_err();
        assert_eq!(why, "volume vol is not started");
    });
    let one = bricks(1);
    one[0].set(|script| script.denial = Some(Denial::NotAllowed));
    mounted(&one, None, async |mount| {
        let why = mount.fs.client().ready(Duration::from_secs(5)).await.unwrap_err();
        assert!(why.contains("not allowed"), "{why}");
    });
    let one = bricks(1);
    one[0].kill();
    mounted(&one, None, async |mount| {
        let begun = Instant::now();
        let why = mount.fs.client().ready(Duration::from_secs(8)).await.unwrap_err();
        assert!(why.contains("127.0.0.1") && begun.elapsed() < Duration::from_secs(5), "{why}");
    });
}
