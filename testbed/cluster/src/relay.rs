//! A link that takes time: what goes in comes out so much later, in order, and as much of it as anybody sends.

use std::fs::File;
use std::io::{self, ErrorKind, Read, Write};
use std::num::NonZeroU64;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::set_current_timer_slack;

use crate::wait;

/// Frames under way at the most. Beyond them the sender's queue fills up, as that of a slower wire would.
const UNDER_WAY: usize = 8192;
/// More than any frame: 64 KiB of segments that nobody has cut yet, and headers.
const FRAME: usize = 80 * 1024;

/// A frame, and when it is to come out.
type Frame = (Instant, Box<[u8]>);

/// Passes frames on until there are no more; each `read` gives one, each `write` takes one.
///
/// # Errors
/// Those of reading. A frame that cannot be written is lost, as on any wire: the port at the other end may be down.
pub fn pass(mut from: &File, mut to: &File, delay: Duration) -> io::Result<()> {
    if delay.is_zero() {
        return each(&mut from, |frame| drop(to.write(frame)));
    }
    let (sender, receiver) = sync_channel::<Frame>(UNDER_WAY);
    thread::scope(|scope| {
        scope.spawn(move || deliver(&receiver, to));
        each(&mut from, |frame| drop(sender.send((Instant::now() + delay, frame.into()))))?;
        drop(sender);
        Ok(())
    })
}

fn each(from: &mut impl Read, mut take: impl FnMut(&[u8])) -> io::Result<()> {
    let mut frame = vec![0; FRAME];
    loop {
        match from.read(&mut frame) {
            Ok(0) => return Ok(()),
            Ok(bytes) => take(&frame[..bytes]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

fn deliver(frames: &Receiver<Frame>, mut to: &File) {
    // As near to the time as the kernel can: by default it may be 50 µs late. Without it frames are later, and no less in order.
    let _ = set_current_timer_slack(NonZeroU64::new(1));
    for (due, frame) in frames {
        let left = due.saturating_duration_since(Instant::now());
        if !left.is_zero() {
            wait::last(left);
        }
        drop(to.write(&frame));
    }
}

#[cfg(test)]
mod tests {
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    use super::*;

    /// Two ends between which frames stay whole.
    fn ends() -> (File, File) {
        let (a, b) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None).unwrap();
        (File::from(a), File::from(b))
    }

    /// Sends so many frames through a link; returns the shortest and the longest way, and how long all of it took.
    fn send(count: usize, delay: Duration) -> (Duration, Duration, Duration) {
        let ((here, into), (out, there)) = (ends(), ends());
        let frame = |n: usize| vec![n as u8; 1 + n * 37 % 9000];
        let begun = Instant::now();
        let (left, came) = thread::scope(|scope| {
            scope.spawn(move || {
                pass(&into, &out, delay).unwrap();
                drop(out);
            });
            let reader = scope.spawn(move || {
                let mut came = Vec::new();
                each(&mut &there, |got| came.push((Instant::now(), got.to_vec()))).unwrap();
                came
            });
            let mut left = Vec::new();
            for n in 0..count {
                left.push(Instant::now());
                assert_eq!((&here).write(&frame(n)).unwrap(), frame(n).len());
            }
            drop(here);
            (left, reader.join().unwrap())
        });
        assert_eq!(came.len(), count);
        assert!(came.iter().enumerate().all(|(n, (_, got))| *got == frame(n)), "order and bytes");
        let ways = || came.iter().zip(&left).map(|((came, _), left)| *came - *left);
        (ways().min().unwrap(), ways().max().unwrap(), begun.elapsed())
    }

    #[test]
    fn every_frame_takes_its_time_and_none_waits_for_another() {
        let delay = Duration::from_millis(20);
        let (shortest, longest, all) = send(500, delay);
        assert!(shortest >= delay, "{shortest:?}");
        assert!(all < delay * 250, "500 frames in {all:?}, one at the most {longest:?}");
    }

    #[test]
    fn without_a_delay_it_only_passes_on() {
        let (_, longest, _) = send(500, Duration::ZERO);
        assert!(longest < Duration::from_secs(5), "{longest:?}");
    }
}
