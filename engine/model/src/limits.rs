//! Limits have names, and their relations are checked at compile time.

/// Longest name of a directory entry, in bytes.
pub const NAME_BYTES: usize = 255;
/// Longest target of a symbolic link, in bytes.
pub const SYMLINK_BYTES: usize = 4095;
/// Largest value of an extended attribute, in bytes.
pub const XATTR_BYTES: usize = 64 * 1024;
/// Largest payload of one write, in bytes: what the kernel sends in one FUSE request.
pub const WRITE_BYTES: usize = 1024 * 1024;
/// Largest answer to one read, in bytes.
pub const READ_BYTES: usize = 1024 * 1024;
/// Largest file, in bytes: what ext4 with 4 KiB blocks holds.
pub const FILE_BYTES: u64 = 16 * 1024 * 1024 * 1024 * 1024 - 4096;
/// Largest record payload, in bytes: one write and its envelope.
pub const RECORD_BYTES: usize = WRITE_BYTES + 256 * 1024;
/// Largest frame payload, in bytes.
pub const FRAME_BYTES: usize = 8 * 1024 * 1024;
/// The answer to an open brings the data of files up to this size, bytes: about what a packet or two more take.
pub const OPEN_BYTES: usize = 16 * 1024;
/// Largest batch of records in one frame to a follower, in bytes.
pub const SHIP_BYTES: usize = 4 * 1024 * 1024;
/// Size of one journal segment, in bytes, unless a test asks for smaller ones.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// Requests that a mount keeps for resending at the most.
pub const WINDOW_OPS: usize = 8192;
/// Results that a session table keeps for each session at the most.
pub const SESSION_RESULTS: usize = 16384;
/// How long a mount believes in a lease after it has sent a question that was answered, milliseconds.
pub const BELIEF_MS: u64 = 1000;
/// Bricks of one replica set at the most.
pub const BRICKS: usize = 4;
/// Sessions of one volume at the most.
pub const SESSIONS: usize = 4096;

const _: () = assert!(WINDOW_OPS <= SESSION_RESULTS, "a resent request must find its result");
const _: () =
    assert!(9 * SESSION_RESULTS + 4096 <= RECORD_BYTES - WRITE_BYTES, "all refusals fit an envelope");
const _: () = assert!(SHIP_BYTES + RECORD_BYTES <= FRAME_BYTES, "a full batch fits a frame");
const _: () = assert!((RECORD_BYTES as u64) < SEGMENT_BYTES / 4, "a segment holds several records");
const _: () = assert!(READ_BYTES < FRAME_BYTES);
