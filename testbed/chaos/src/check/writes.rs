//! The fate of the writes of one client on one file.

use rustix::io::Errno;

use crate::clock::Micros;
use crate::event::{Event, Op};
use crate::history::{History, Track};

/// One write, and what the client knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The line's number, or the version.
    pub n: u64,
    pub slot: usize,
    pub begun: Micros,
    pub ended: Micros,
    /// The time of the answer after which it survives its mount.
    pub closed: Option<Micros>,
    /// The time of the answer after which it survives everything.
    pub synced: Option<Micros>,
    /// From then on it may be gone.
    pub void: Option<Micros>,
    /// The mount on which it was made ended before it was closed: so many ends of mounts were before.
    pub lost_with: Option<u32>,
}

impl Write {
    /// When it was promised, to readers on other mounts, if it ever was.
    #[must_use]
    pub fn promised(&self) -> Option<Micros> {
        self.closed.or(self.synced)
    }

    /// Whether it must be there at the end.
    #[must_use]
    pub fn stays(&self, history: &History, host: &str) -> bool {
        match (self.void, self.synced, self.closed) {
            (Some(_), ..) => false,
            (None, Some(_), _) => true,
            (None, None, at) => !history.may_forget(host, at.unwrap_or(self.ended)),
        }
    }
}

/// The writes of one client that had been answered before `at`: it does one thing after the other.
#[must_use]
pub fn answered_before(writes: &[Write], at: Micros) -> &[Write] {
    &writes[..writes.partition_point(|w| w.ended < at)]
}

/// The newest write that had been asked for before `at`.
#[must_use]
pub fn newest_before(writes: &[Write], at: Micros) -> Option<&Write> {
    writes[..writes.partition_point(|w| w.begun < at)].last()
}

/// Errors of a mount that is no more.
pub const GONE: [Errno; 2] = [Errno::NOTCONN, Errno::CONNABORTED];

fn gone(event: &Event) -> bool {
    event.errno.is_some_and(|e| GONE.iter().any(|g| g.raw_os_error() == e))
}

/// What an event is to the client's writes on `file`.
enum Step {
    Write { slot: usize, n: u64 },
    Sync,
    Close,
}

fn step(event: &Event, file: &str) -> Option<Step> {
    match &event.op {
        Op::Append { file: f, n } if f == file => Some(Step::Write { slot: 0, n: *n }),
        Op::Put { file: f, slot, version } if f == file => Some(Step::Write { slot: *slot, n: *version }),
        Op::Sync { file: f } if f == file => Some(Step::Sync),
        Op::Close { file: f } if f == file => Some(Step::Close),
        _ => None,
    }
}

/// The writes of a client, in order.
#[must_use]
pub fn writes(history: &History, track: &Track, file: &str) -> Vec<Write> {
    let mut all: Vec<Write> = Vec::new();
    // Those of the open handle that nothing was promised of yet begin here.
    let mut pending = 0;
    let mut deaths = 0;
    for event in &track.events {
        let Some(step) = step(event, file) else { continue };
        if let Step::Write { slot, n } = step {
            let (begun, ended) = (event.begun, event.ended);
            let void = (!event.ok()).then_some(begun);
            all.push(Write { n, slot, begun, ended, closed: None, synced: None, void, lost_with: None });
        }
        let open = all.get_mut(pending..).unwrap_or_default();
        match (&step, event.ok()) {
            (Step::Write { .. }, true) => continue,
            (Step::Sync, true) => open.iter_mut().for_each(|w| w.synced = Some(event.ended)),
            (Step::Close, true) => open.iter_mut().for_each(|w| w.closed = Some(event.ended)),
            (_, false) => {
                deaths += 1;
                open.iter_mut().for_each(|w| w.fail(history, &track.host, event, deaths));
            }
        }
        pending = all.len();
    }
    all
}

impl Write {
    /// The handle failed before anything was promised.
    fn fail(&mut self, history: &History, host: &str, event: &Event, deaths: u32) {
        let refused = history.was_full(self.ended, event.ended);
        let end = history.mount_end(host, self.ended, event.ended);
        match end {
            // A mount that ends in good order keeps what it had taken when it was told to end.
            Some(end) if gone(event) && end.drained && self.ended < end.begun && !refused => {
                self.closed = Some(end.ended);
                self.synced = Some(end.ended);
            }
            Some(end) if gone(event) && !refused => {
                self.void = self.void.or(Some(end.begun));
                self.lost_with = Some(deaths);
            }
            _ => self.void = Some(self.begun),
        }
    }
}
