//! On a machine with a brick, reads move no file bytes on the wire, whoever leads; and they never show old bytes.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rfs_cluster::servers::BRICKD;
use rfs_cluster::trial::HEALS;
use rfs_cluster::{MOUNT, Replica, Signal, scaled, until};

const MIB: u64 = 1 << 20;
/// What a read with all its questions to the leader may cost on the wire, for 32 MiB.
const QUESTIONS: u64 = MIB / 2;

#[test]
fn local_bricks_are_read_locally() {
    let r = Replica::two_beside_others();
    r.mount("client");
    let write = format!(
        "dd if=/dev/urandom of={MOUNT}/big bs=1M count=32 conv=fsync status=none && md5sum < {MOUNT}/big"
    );
    let sum = r.cluster["client"].sh(&write).ok();
    r.healed(Duration::from_secs(15));
    for host in [r.leader(), r.follower()] {
        r.mount(host);
        let before = r.cluster.wire(host);
        assert_eq!(r.cluster[host].sh(&format!("md5sum < {MOUNT}/big")).ok(), sum);
        let wire = r.cluster.wire(host).since(before);
        println!("{host}: {wire:?} for 32 MiB read");
        assert!(
            wire.received < QUESTIONS && wire.sent < QUESTIONS,
            "{host}: {wire:?} for 32 MiB that lie there\n{}",
            r.cluster[host].log_tails(20)
        );
        r.cluster[host].sh(&format!("echo here > {MOUNT}/from-{host}")).ok();
        r.mount_holds("client", &format!("from-{host}"), "here\n");
        r.umount(host);
    }
    r.healed(HEALS);
    r.trees_equal();
}

/// A file that one host writes and another reads as soon as the writer has closed it.
struct Relay {
    write: PathBuf,
    read: PathBuf,
    round: u64,
    bytes: u64,
    longest_read: Duration,
}

impl Relay {
    fn new(r: &Replica, writer: &str, reader: &str) -> Relay {
        let at = |host: &str| r.cluster[host].path(MOUNT).join("relay");
        let (write, read) = (at(writer), at(reader));
        Relay { write, read, round: 0, bytes: 0, longest_read: Duration::ZERO }
    }

    /// Every second time the file is written in place, every other time it is truncated and has another length.
    fn pass(&mut self) {
        self.round += 1;
        let line = format!("{:>15}\n", self.round);
        let in_place = self.round.is_multiple_of(2);
        let text = line.repeat(if in_place { 4096 } else { 1 + (self.round as usize * 37) % 8000 });
        if in_place {
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(false).open(&self.write).expect("open");
            file.write_all(text.as_bytes()).expect("write");
        } else {
            fs::write(&self.write, &text).expect("write anew");
        }
        self.bytes += text.len() as u64;
        let begun = Instant::now();
        let seen = fs::read_to_string(&self.read).expect("read");
        self.longest_read = self.longest_read.max(begun.elapsed());
        // In place, what the write before left behind it stays.
        let (head, rest) = seen.split_at(text.len().min(seen.len()));
        let old = format!("{:>15}\n", self.round - 1);
        assert!(head == text, "round {}: {} bytes of {} are old", self.round, seen.len(), text.len());
        assert!(
            rest.is_empty() || in_place && rest.as_bytes().chunks(16).all(|c| c == old.as_bytes()),
            "round {}: {} bytes too many",
            self.round,
            rest.len()
        );
    }

    fn passes_for(&mut self, time: Duration) {
        let begun = Instant::now();
        while begun.elapsed() < time {
            self.pass();
        }
    }
}

#[test]
fn a_reader_beside_a_following_brick_never_sees_old_bytes() {
    let r = Replica::two_beside_others();
    let (leader, follower) = (r.leader(), r.follower());
    r.mount(leader);
    r.mount(follower);
    r.healed(HEALS);
    let mut relay = Relay::new(&r, leader, follower);
    relay.pass();
    let before = r.cluster.wire(follower);
    relay.bytes = 0;
    for _ in 0..scaled(400, 5000) {
        relay.pass();
    }
    let wire = r.cluster.wire(follower).since(before);
    println!("{wire:?} for {} bytes written; longest read {:?}", relay.bytes, relay.longest_read);
    // Each byte comes once, as a record; read from the leader it would come twice.
    assert!(wire.received < relay.bytes * 3 / 2, "{wire:?} for {} bytes", relay.bytes);
    r.healed(HEALS);
    r.trees_equal();
}

#[test]
fn a_brick_that_cannot_answer_is_passed_over() {
    let r = Replica::two_beside_others();
    r.mount("client");
    let (leader, follower) = (r.leader().to_owned(), r.follower().to_owned());
    r.mount(&leader);
    r.mount(&follower);
    r.settled();
    let mut relay = Relay::new(&r, &leader, &follower);
    relay.passes_for(Duration::from_millis(500));
    assert_eq!(r.leader(), leader);

    relay.longest_read = Duration::ZERO;
    r.cluster[&follower].kill(Signal::STOP, BRICKD);
    relay.passes_for(Duration::from_secs(5));
    println!("frozen: longest read {:?}", relay.longest_read);
    assert!(relay.longest_read < Duration::from_secs(2), "{:?}", relay.longest_read);
    r.cluster[&follower].kill(Signal::CONT, BRICKD);
    relay.passes_for(Duration::from_secs(1));
    r.settled();

    relay.longest_read = Duration::ZERO;
    r.cluster[&follower].kill(Signal::KILL, BRICKD);
    relay.passes_for(Duration::from_secs(3));
    println!("dead: longest read {:?}", relay.longest_read);
    assert!(relay.longest_read < Duration::from_secs(2), "{:?}", relay.longest_read);
    r.cluster[&follower].start_brickd();
    relay.passes_for(Duration::from_secs(2));
    r.settled();

    // Once it is well again, it is read from.
    assert_eq!(r.leader(), leader);
    until("the local brick is read from", Duration::from_secs(15), || {
        let before = r.cluster.wire(&follower);
        relay.bytes = 0;
        (0..20).for_each(|_| relay.pass());
        r.cluster.wire(&follower).since(before).received < relay.bytes * 3 / 2
    });
    r.trees_equal();
}
