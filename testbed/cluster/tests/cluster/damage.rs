//! Foreign bytes on the port, and files with flipped bits: the daemon says so and lives, and nobody reads wrong data.

use rfs_cluster::servers::BRICKD;
use rfs_cluster::trial::HEALS;
use rfs_cluster::{MOUNT, Replica, scaled};

/// Sends what it is told to each connection, and waits for the daemon to hang up.
const FOREIGN: &str = r#"
import os, socket, struct, sys
rng = lambda n: os.urandom(n)
cases = {
  "http": b"GET / HTTP/1.1\r\nHost: server1\r\n\r\n",
  "tls": bytes.fromhex("16030102000100"),
  "noise": rng(100000),
  "zeroes": b"\0" * 100000,
  "ones": b"\xff" * 100000,
  "truncated": b"rf",
}
for name, data in cases.items():
    s = socket.create_connection(("server1", 24007), 5)
    s.settimeout(15)
    try:
        s.sendall(data)
        if name in ("truncated", "tls"): s.shutdown(socket.SHUT_WR)
        while s.recv(65536): pass
    except (ConnectionResetError, BrokenPipeError): pass
    s.close()
held = [socket.create_connection(("server1", 24007), 5) for _ in range(200)]
print("done")
"#;

#[test]
fn foreign_bytes_on_the_port_change_nothing() {
    let r = Replica::two_beside_others();
    r.mount("client");
    r.settled();
    let host = &r.cluster["server1"];
    let pids = host.pids(BRICKD);
    for _ in 0..scaled(2, 20) {
        r.cluster["client"].run(&["python3", "-c", FOREIGN]).says("done");
    }
    assert_eq!(host.pids(BRICKD), pids, "the daemon lives");
    let address = r.cluster["client"].address();
    assert!(host.log_tails(2000).contains(address), "the log names who sent it");
    r.healed(HEALS);
    r.cluster["client"].sh(&format!("echo fine > {MOUNT}/fine && sync {MOUNT}/fine")).ok();
    r.brick_holds("server1", "fine", "fine\n");
}
