//! The real program, mounted by the real kernel, against a brick in memory. Needs root and /dev/fuse.

mod brick;

use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use brick::{Brick, VOLUME, bricks};
use rfs_model::config::Position;
use rfs_model::hello::{Denial, SeatClass, Standing};
use rfs_model::peer::{Candidacy, Verdict, WitnessReply, WitnessRequest};
use rfs_model::register::Register;
use rfs_model::{NodeId, Term};
use tempfile::TempDir;

struct Mount {
    dir: TempDir,
    port: u16,
}

impl Mount {
    fn of(brick: &Brick) -> Self {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("mnt")).unwrap();
        Self { dir, port: brick.address.port() }
    }

    fn point(&self) -> PathBuf {
        self.dir.path().join("mnt")
    }

    fn path(&self, name: &str) -> PathBuf {
        self.point().join(name)
    }

    fn run(&self, options: &str) -> Output {
        let log = self.dir.path().join("log");
        let state = self.dir.path().join("state");
        let options = format!("port={},log-file={},{options}", self.port, log.display());
        Command::new(env!("CARGO_BIN_EXE_rfs-mountd"))
            .args(["127.0.0.1:/vol", self.point().to_str().unwrap(), "-o", &options, "--state-dir"])
            .arg(state)
            .output()
            .unwrap()
    }

    fn mount(&self, options: &str) {
        let output = self.run(options);
        assert!(output.status.success(), "{}\n{}", String::from_utf8_lossy(&output.stderr), self.log());
    }

    fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap_or_default()
    }

    fn table_line(&self) -> Option<String> {
        let table = fs::read_to_string("/proc/self/mounts").unwrap();
        let point = format!(" {} ", self.point().display());
        table.lines().find(|line| line.contains(&point)).map(str::to_owned)
    }

    /// The process that serves it.
    fn pid(&self) -> Option<i32> {
        let point = self.point();
        let serves = |pid: &i32| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.split(|byte| *byte == 0)
                .any(|arg| Path::new(std::str::from_utf8(arg).unwrap_or("")) == point)
        };
        let all = fs::read_dir("/proc").unwrap().filter_map(Result::ok);
        all.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).find(serves)
    }

    fn unmount(&self) {
        assert!(Command::new("umount").arg(self.point()).status().unwrap().success());
        let begun = Instant::now();
        while self.pid().is_some() {
            assert!(begun.elapsed() < Duration::from_secs(10), "the process does not end: {}", self.log());
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.point()).output();
        if let Some(pid) = self.pid() {
            let _ = Command::new("kill").args(["-9", &pid.to_string()]).status();
        }
    }
}

fn until(mut condition: impl FnMut() -> bool, mount: &Mount) {
    let begun = Instant::now();
    while !condition() {
        assert!(begun.elapsed() < Duration::from_secs(20), "{}", mount.log());
        std::thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn programs_find_an_ordinary_file_system() {
    let bricks = bricks(1);
    let mount = Mount::of(&bricks[0]);
    mount.mount("rw");
    let line = mount.table_line().unwrap();
    assert!(line.starts_with("127.0.0.1:/vol ") && line.contains(" fuse.rfs rw"), "{line}");
    assert!(line.contains("default_permissions") && line.contains("allow_other"), "{line}");

    fs::write(mount.path("a"), "hello").unwrap();
    assert_eq!(fs::read_to_string(mount.path("a")).unwrap(), "hello");
    let mut appending = OpenOptions::new().append(true).open(mount.path("a")).unwrap();
    appending.write_all(b", world").unwrap();
    assert_eq!(fs::read_to_string(mount.path("a")).unwrap(), "hello, world");
    assert_eq!(fs::metadata(mount.path("a")).unwrap().len(), 12);

    let file =
        File::options().read(true).write(true).create(true).truncate(true).open(mount.path("a")).unwrap();
    assert_eq!(file.metadata().unwrap().len(), 0);
    file.write_all_at(b"0123456789", 100_000).unwrap();
    file.set_len(100_005).unwrap();
    file.sync_all().unwrap();
    let mut tail = Vec::new();
    (&file).seek(SeekFrom::Start(99_999)).unwrap();
    (&file).read_to_end(&mut tail).unwrap();
    assert_eq!(tail, b"\x0001234");

    drop((file, appending));
    fs::create_dir(mount.path("d")).unwrap();
    fs::rename(mount.path("a"), mount.path("d/b")).unwrap();
    fs::hard_link(mount.path("d/b"), mount.path("c")).unwrap();
    assert_eq!(fs::metadata(mount.path("c")).unwrap().nlink(), 2);
    symlink("d/b", mount.path("l")).unwrap();
    assert_eq!(fs::read_link(mount.path("l")).unwrap(), Path::new("d/b"));
    assert_eq!(fs::metadata(mount.path("l")).unwrap().len(), 100_005);
    fs::set_permissions(mount.path("c"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(fs::metadata(mount.path("d/b")).unwrap().mode() & 0o7777, 0o640);
    for n in 0..50 {
        File::create_new(mount.path(&format!("d/f{n}"))).unwrap();
    }
    assert_eq!(fs::read_dir(mount.path("d")).unwrap().count(), 51);
    assert_eq!(fs::remove_dir(mount.path("d")).unwrap_err().kind(), ErrorKind::DirectoryNotEmpty);
    fs::remove_dir_all(mount.path("d")).unwrap();
    assert_eq!(File::open(mount.path("d")).unwrap_err().kind(), ErrorKind::NotFound);

    let again = mount.run("rw");
    assert!(again.status.success());
    assert!(String::from_utf8_lossy(&again.stdout).contains("already mounted"));
    mount.unmount();
    until(|| bricks[0].script().detached, &mount);
    assert_eq!(mount.table_line(), None);
}

#[test]
fn large_writes_direct_writes_and_mappings_agree() {
    let bricks = bricks(1);
    let mount = Mount::of(&bricks[0]);
    mount.mount("rw");
    let data: Vec<u8> = (0..5_000_000u32).map(|n| (n * 7 % 251) as u8).collect();
    fs::write(mount.path("big"), &data).unwrap();
    assert!(fs::read(mount.path("big")).unwrap() == data);
    assert!(bricks[0].script().tree.content("big") == data);
    let direct = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(libc::O_DIRECT)
        .open(mount.path("big"))
        .unwrap();
    direct.write_all_at(&[7; 8192], 4096).unwrap();
    let synced = OpenOptions::new().write(true).custom_flags(libc::O_SYNC).open(mount.path("big")).unwrap();
    synced.write_all_at(&[8; 10], 1_000_000).unwrap();
    let content = bricks[0].script().tree.content("big");
    assert!(content[4096..12288] == [7; 8192] && content[1_000_000..1_000_010] == [8; 10]);
    assert!(fs::read(mount.path("big")).unwrap() == content);
    drop((direct, synced));
    mount.unmount();
}

#[test]
fn a_dead_mount_is_replaced_and_a_failing_one_leaves_nothing() {
    let bricks = bricks(1);
    let mount = Mount::of(&bricks[0]);
    mount.mount("rw");
    fs::write(mount.path("a"), "hello").unwrap();
    let pid = mount.pid().unwrap();
    assert!(Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    let begun = Instant::now();
    while fs::metadata(mount.point()).is_ok() {
        assert!(begun.elapsed() < Duration::from_secs(10));
    }
    assert!(mount.table_line().is_some(), "a dead mount stays");
    mount.mount("rw");
    assert_eq!(fs::read_to_string(mount.path("a")).unwrap(), "hello");
    mount.unmount();

    bricks[0].set(|script| script.standing = Standing::Stopped);
    let output = mount.run("rw");
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1));
    assert!(
        text.contains("not started") && text.contains("Mount failed.") && text.lines().count() == 2,
        "{text}"
    );
    bricks[0].set(|script| script.denial = Some(Denial::NotAllowed));
    let text = String::from_utf8_lossy(&mount.run("rw").stderr).into_owned();
    assert!(text.contains("not allowed") && text.lines().count() == 2, "{text}");
    bricks[0].set(|script| script.denial = Some(Denial::Full));
    let text = String::from_utf8_lossy(&mount.run("rw").stderr).into_owned();
    assert!(text.contains("the volume has 4096 mounts") && text.lines().count() == 2, "{text}");
    bricks[0].kill();
    let begun = Instant::now();
    let text = String::from_utf8_lossy(&mount.run("rw").stderr).into_owned();
    assert!(text.ends_with("Mount failed. Please check the log file for more details.\n"), "{text}");
    assert!(begun.elapsed() < Duration::from_secs(10));
    assert!(mount.log().contains("127.0.0.1"));
    let text = String::from_utf8_lossy(&mount.run("frobnicate").stderr).into_owned();
    assert_eq!(text, "unknown mount option 'frobnicate'\n");
    assert_eq!(mount.table_line(), None);
    assert_eq!(mount.pid(), None);
}

#[test]
fn a_mount_lends_its_machines_vote_and_remembers_it_first() {
    let bricks = bricks(2);
    let mount = Mount::of(&bricks[0]);
    let ask = Candidacy {
        term: Term(5),
        candidate: NodeId([2; 16]),
        pre: false,
        last: Position::ZERO,
        config: Position::ZERO,
        released: Term::ZERO,
    };
    bricks[1].set(|script| {
        script.register = mount.dir.path().join("state/witness").join(VOLUME.to_string());
        script.ask_witness = vec![WitnessRequest::Vote { ask }];
    });
    mount.mount("rw");
    until(|| !bricks[1].script().witnessed.is_empty(), &mount);
    let (reply, file) = bricks[1].script().witnessed.remove(0);
    let granted = matches!(reply, WitnessReply::Vote { verdict: Verdict::Granted, .. });
    let register = Register::from_file(&bytes::Bytes::from(file)).unwrap();
    assert!(granted && register.voted_for == Some(NodeId([2; 16])), "{reply:?} {register:?}");
    assert_eq!(bricks[1].script().seats[0], SeatClass::BrickMachine, "the bricks are on this machine");
    assert!(!bricks[0].script().seats.is_empty(), "every brick is offered the seat");
    mount.unmount();
}

#[test]
fn sigterm_unmounts_even_what_is_in_use() {
    let bricks = bricks(1);
    let mount = Mount::of(&bricks[0]);
    mount.mount("rw");
    let mut open = File::create(mount.path("a")).unwrap();
    open.write_all(b"kept").unwrap();
    let pid = mount.pid().unwrap();
    assert!(Command::new("kill").arg(pid.to_string()).status().unwrap().success());
    until(|| mount.pid().is_none(), &mount);
    assert_eq!(mount.table_line(), None);
    assert_eq!(bricks[0].script().tree.content("a"), b"kept");
}

#[test]
fn sighup_makes_the_log_a_new_file_and_nothing_else() {
    let bricks = bricks(1);
    let mount = Mount::of(&bricks[0]);
    mount.mount("rw");
    let (log, old) = (mount.dir.path().join("log"), mount.dir.path().join("log.1"));
    fs::rename(&log, &old).unwrap();
    let pid = mount.pid().unwrap().to_string();
    assert!(Command::new("kill").args(["-HUP", &pid]).status().unwrap().success());
    until(|| log.exists(), &mount);
    fs::write(mount.path("a"), "served").unwrap();
    mount.unmount();
    assert!(mount.log().contains("unmounted"), "{}", mount.log());
    assert!(!fs::read_to_string(&old).unwrap().contains("unmounted"));
    assert_eq!(bricks[0].script().tree.content("a"), b"served");
}

/// How many inodes the mount knows.
fn inodes(mount: &Mount) -> usize {
    let mut value = [0; 32];
    let size = rustix::fs::getxattr(mount.point(), "trusted.rfs.inodes", &mut value).unwrap();
    std::str::from_utf8(&value[..size]).unwrap().parse().unwrap()
}

#[test]
fn a_mount_that_has_seen_many_files_asks_the_kernel_to_forget_them() {
    const LIMIT: usize = 200;
    let bricks = bricks(1);
    let mount = Mount::of(&bricks[0]);
    mount.mount(&format!("inodes={LIMIT}"));
    fs::create_dir(mount.path("d")).unwrap();
    fs::write(mount.path("open"), "still here").unwrap();
    fs::write(mount.path("bound"), "to this").unwrap();
    fs::write(mount.path("over"), "").unwrap();
    let bind = Command::new("mount").arg("--bind").args([mount.path("bound"), mount.path("over")]).status();
    assert!(bind.unwrap().success());
    let open = File::open(mount.path("open")).unwrap();
    let mut stands = Command::new("sh")
        .args(["-c", "read line && cat f7 ../open && test \"$(pwd -P)\" = \"$0\""])
        .arg(mount.path("d"))
        .current_dir(mount.path("d"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();

    let files = || (0..4 * LIMIT).map(|n| mount.path(&format!("d/f{n}")));
    for file in files() {
        File::create_new(file).unwrap();
    }
    fs::write(mount.path("d/f7"), "seven, ").unwrap();
    // It asks when it tells of something, and not each time.
    let mut again = files().cycle();
    let mut is_within = || fs::metadata(again.next().unwrap()).is_ok() && inodes(&mount) <= LIMIT;
    until(&mut is_within, &mount);
    for file in files() {
        assert!(fs::metadata(file).unwrap().is_file());
    }
    assert!(fs::metadata(mount.path("d/none")).is_err());
    until(&mut is_within, &mount);

    assert_eq!(std::io::read_to_string(&open).unwrap(), "still here");
    assert!(
        !mount.log().contains("cannot be asked"),
        "this test is one of kernels that can: {}",
        mount.log()
    );
    assert_eq!(fs::read_to_string(mount.path("over")).unwrap(), "to this", "what is mounted on a file stays");
    let mut line = stands.stdin.take().unwrap();
    line.write_all(b"go on\n").unwrap();
    drop(line);
    let said = stands.wait_with_output().unwrap();
    assert!(said.status.success(), "{said:?}");
    assert_eq!(said.stdout, b"seven, still here");
    assert!(Command::new("umount").arg(mount.path("over")).status().unwrap().success());
    drop(open);
    mount.unmount();
}
