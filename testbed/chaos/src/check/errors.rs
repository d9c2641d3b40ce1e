//! Which errors a client may see, and how long it may wait.

use std::io;

use rustix::io::Errno;

use super::writes::GONE;
use super::{Rule, Violation};
use crate::clock::{Micros, seconds};
use crate::event::{Event, Op};
use crate::history::{History, Track};
use crate::nemesis::Kind;

/// A request gives up after `request-timeout`, 60 s.
const LONGEST: Micros = 60_000_000;

/// A lock that is waited for is given up after that and 70 s more: nearly, as the clock of the mount starts later than ours.
const LOCK_WAITS: Micros = 125_000_000;

/// How long a mount that was killed may have left it locked before the wait began.
const LEFT_LOCKED: Micros = 60_000_000;

/// How much later than its mount's end a client may still use a handle of it.
const OLD_HANDLE: Micros = 5_000_000;

pub fn check(history: &History) -> Vec<Violation> {
    let tracks = history.tracks.iter();
    tracks.flat_map(|t| t.events.iter().filter_map(move |e| event(history, t, e))).collect()
}

fn event(history: &History, track: &Track, event: &Event) -> Option<Violation> {
    let violation = |rule, text: String| {
        let text = format!("{}: {}", track.client, text);
        Some(Violation::new(rule, event.begun, text))
    };
    let took = event.ended.saturating_sub(event.begun);
    if let Some(why) = event.op.wrong() {
        return violation(Rule::Nonsense, format!("{:?}: {why}", event.op));
    }
    let waits = matches!(event.op, Op::Attach | Op::Lock { .. });
    if took > LONGEST && !waits {
        return violation(Rule::Stall, format!("{:?} took {:.1} s", event.op, seconds(took)));
    }
    let errno = Errno::from_raw_os_error(event.errno?);
    if explained(history, track, event, errno) {
        return None;
    }
    let error = io::Error::from(errno);
    violation(Rule::Error, format!("{:?} after {:.3} s: {error}", event.op, seconds(took)))
}

fn explained(history: &History, track: &Track, event: &Event, errno: Errno) -> bool {
    // A handle may be of a mount that has been replaced in the meantime.
    let since = event.begun.saturating_sub(OLD_HANDLE);
    let ends = || history.mount_end(&track.host, since, event.ended).is_some();
    match (&event.op, errno) {
        // What names may be answered is looked at elsewhere.
        (Op::Make { .. } | Op::MakeDir { .. } | Op::Win { .. }, Errno::EXIST) => true,
        (Op::Remove { .. } | Op::RemoveDir { .. }, Errno::NOENT) => true,
        (Op::Lock { .. }, Errno::AGAIN | Errno::ACCESS) => true,
        // Each new leader gives a mount that is gone its 60 s anew.
        (Op::Lock { .. }, Errno::NOLCK) => {
            let from = event.begun.saturating_sub(LEFT_LOCKED);
            let killed =
                history.spells_in(None, from, event.ended, |k| k == Kind::MountKill).next().is_some();
            killed && event.ended - event.begun > LOCK_WAITS
        }
        (_, Errno::NOSPC) => history.was_full(event.begun, event.ended),
        // Fewer bytes were written than asked for: one write may be several requests, of which a mount that ends has taken the
        // first, or for which there was room.
        (Op::Replace { .. }, Errno::MSGSIZE) => ends() || history.was_full(event.begun, event.ended),
        // A request that a dying mount takes along.
        (_, Errno::IO) => ends(),
        _ => GONE.contains(&errno) && ends(),
    }
}
