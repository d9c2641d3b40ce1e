//! From a stream of bytes to frames.

use bytes::Bytes;

use super::buffers::{self, Shared};
use super::{FrameHeader, FrameKind, FrameProblem, HEADER_BYTES};

/// Room is made for so many times what has come of a frame.
const AHEAD: usize = 8;
/// Room for one read: at first, and when reads have filled what they had.
const FIRST_ROOM: usize = 4 * 1024;
const MOST_ROOM: usize = 256 * 1024;

/// Takes whole frames out of a stream of received bytes, wherever the reads happened to end.
///
/// A stream is read straight into the buffer that frames are then slices of, and of a large frame no more than what is missing, so
/// that nothing of the next one has to be moved. A buffer that frames fill less than half is kept, and they are copied: of the memory
/// that somebody holds by frames, at least half is frames.
#[derive(Debug)]
pub struct Deframer {
    state: State,
    /// Bytes that the next read may want.
    room: usize,
    /// Of the frame that came last, bytes.
    last: usize,
}

#[derive(Debug)]
enum State {
    /// Received, and not a whole frame yet: `buffer[from..upto]`.
    Filling { buffer: Vec<u8>, from: usize, upto: usize },
    /// Whole frames, and the beginning of another one.
    Giving(Bytes),
}

impl Default for Deframer {
    fn default() -> Self {
        Self { state: State::Filling { buffer: Vec::new(), from: 0, upto: 0 }, room: FIRST_ROOM, last: 0 }
    }
}

impl Deframer {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes what was received elsewhere.
    pub fn push(&mut self, mut received: &[u8]) {
        while !received.is_empty() {
            let room = self.room();
            let n = room.len().min(received.len());
            room[..n].copy_from_slice(&received[..n]);
            self.filled(n);
            received = &received[n..];
        }
    }

    /// Where to receive the next bytes, at least one. How many did come: [`Deframer::filled`].
    pub fn room(&mut self) -> &mut [u8] {
        let wanted = self.wanted();
        if self.free() < wanted {
            let received = self.received();
            let held = received.len();
            // A stream of large frames: the next one will be like the last.
            let mut buffer = buffers::take((held + wanted).max(self.last));
            buffer[..held].copy_from_slice(received);
            let before = std::mem::replace(&mut self.state, State::Filling { buffer, from: 0, upto: held });
            if let State::Filling { buffer, .. } = before {
                buffers::give_back(buffer);
            }
        }
        match &mut self.state {
            State::Filling { buffer, upto, .. } => &mut buffer[*upto..][..wanted],
            State::Giving(_) => unreachable!("that has no room"),
        }
    }

    /// Room that there is behind what has been received.
    fn free(&self) -> usize {
        match &self.state {
            State::Filling { buffer, upto, .. } => buffer.len() - upto,
            State::Giving(_) => 0,
        }
    }

    /// `n` bytes have been received into the room.
    ///
    /// # Panics
    /// When there was no such room.
    pub fn filled(&mut self, n: usize) {
        let State::Filling { buffer, upto, .. } = &mut self.state else { panic!("there was no room") };
        assert!(n <= buffer.len() - *upto, "there was less room");
        *upto += n;
        if n >= self.room && self.room < MOST_ROOM {
            self.room = (4 * self.room).min(MOST_ROOM);
        }
    }

    /// The next whole frame; `None` until more bytes have come.
    ///
    /// # Errors
    /// [`FrameProblem`]; the stream cannot be read on after it.
    pub fn next_frame(&mut self) -> Result<Option<(FrameKind, Bytes)>, FrameProblem> {
        let Some(header) = whole(self.received())? else { return Ok(None) };
        let len = HEADER_BYTES + header.len;
        self.share();
        self.last = len;
        let payload = match &mut self.state {
            State::Giving(frames) => frames.split_to(len).slice(HEADER_BYTES..),
            State::Filling { buffer, from, upto } => {
                let payload = Bytes::copy_from_slice(&buffer[*from..][HEADER_BYTES..len]);
                *from += len;
                if from == upto {
                    (*from, *upto) = (0, 0);
                }
                payload
            }
        };
        header.check(&payload)?;
        Ok(Some((header.kind, payload)))
    }

    fn received(&self) -> &[u8] {
        match &self.state {
            State::Filling { buffer, from, upto } => &buffer[*from..*upto],
            State::Giving(frames) => frames,
        }
    }

    /// Lets frames be slices of the buffer, if they fill it well enough.
    fn share(&mut self) {
        if let State::Filling { buffer, from, upto } = &mut self.state
            && 2 * (*upto - *from) >= buffer.len()
        {
            let shared = Shared { buffer: std::mem::take(buffer), len: *upto };
            self.state = State::Giving(Bytes::from_owner(shared).slice(*from..));
        }
    }

    /// How much to receive at once: what is missing of a large frame, or what reads were filled with.
    fn wanted(&self) -> usize {
        let received = self.received();
        let header = received.first_chunk().map(FrameHeader::parse);
        let missing = match header {
            Some(Ok(header)) => (HEADER_BYTES + header.len).saturating_sub(received.len()),
            // No frame of ours: the next look at it says so.
            Some(Err(_)) | None => 0,
        };
        if missing <= self.room {
            return self.room;
        }
        // A header alone, which anybody can send, makes no room for what it promises.
        missing.min((AHEAD * received.len()).max(self.room))
    }
}

/// The header of the frame that these bytes begin with, if all of it is there.
fn whole(bytes: &[u8]) -> Result<Option<FrameHeader>, FrameProblem> {
    let Some(first) = bytes.first_chunk::<HEADER_BYTES>() else { return Ok(None) };
    let header = FrameHeader::parse(first)?;
    Ok((bytes.len() >= HEADER_BYTES + header.len).then_some(header))
}

#[cfg(test)]
mod tests {
    use super::super::frame;
    use super::*;

    /// Receives a stream by reads that bring what there is room for, but no more than `most`.
    fn receive(mut stream: &[u8], most: usize) -> Vec<(FrameKind, Bytes)> {
        let (mut deframer, mut got) = (Deframer::new(), Vec::new());
        while !stream.is_empty() {
            let room = deframer.room();
            let n = room.len().min(most).min(stream.len());
            room[..n].copy_from_slice(&stream[..n]);
            deframer.filled(n);
            stream = &stream[n..];
            while let Some(got_one) = deframer.next_frame().unwrap() {
                got.push(got_one);
            }
        }
        got
    }

    fn of_sizes(sizes: &[usize]) -> (Vec<u8>, Vec<Bytes>) {
        let payloads: Vec<Bytes> =
            sizes.iter().enumerate().map(|(n, size)| Bytes::from(vec![n as u8 + 1; *size])).collect();
        let stream = payloads.iter().flat_map(|payload| frame(FrameKind::Client, payload)).collect();
        // A payload that is encoded has its length before it.
        let sent =
            |payload: &Bytes| [&(payload.len() as u32).to_le_bytes(), payload.as_ref()].concat().into();
        (stream, payloads.iter().map(sent).collect())
    }

    #[test]
    fn large_and_small_frames_come_out_as_they_went_in() {
        let sizes = [0, 10, 1 << 20, 3, 70_000, 4096, 4096, 300_000, 1, (1 << 20) - 20, 0, 5000];
        let (stream, payloads) = of_sizes(&sizes);
        for most in [1000, 4096, 65_536, 100_000, usize::MAX] {
            let got: Vec<Bytes> = receive(&stream, most).into_iter().map(|(_, payload)| payload).collect();
            assert!(got == payloads, "reads of {most} bytes");
        }
    }

    #[test]
    fn a_small_frame_takes_no_large_buffer_with_it() {
        let (stream, _) = of_sizes(&[200_000]);
        let mut deframer = Deframer::new();
        deframer.push(&stream);
        deframer.next_frame().unwrap().unwrap();
        // A buffer that large is no place for a small frame that comes alone.
        let (small, payloads) = of_sizes(&[5000]);
        deframer.push(&small);
        let (_, payload) = deframer.next_frame().unwrap().unwrap();
        let State::Filling { buffer, .. } = &deframer.state else { panic!("the buffer was given away") };
        assert!(buffer.len() > 4 * small.len());
        assert_eq!(payload, payloads[0]);
    }

    #[test]
    fn a_header_alone_makes_no_room_for_what_it_promises() {
        let (stream, _) = of_sizes(&[crate::limits::FRAME_BYTES - 100]);
        let mut deframer = Deframer::new();
        deframer.push(&stream[..HEADER_BYTES]);
        assert!(deframer.room().len() <= FIRST_ROOM);
        deframer.push(&stream[HEADER_BYTES..100_000]);
        assert!(deframer.room().len() <= AHEAD * 100_000);
    }

    #[test]
    fn of_a_large_frame_no_more_is_read_than_is_missing() {
        let (stream, _) = of_sizes(&[1 << 20]);
        let mut deframer = Deframer::new();
        deframer.push(&stream[..500_000]);
        assert_eq!(deframer.room().len(), stream.len() - 500_000);
    }
}
