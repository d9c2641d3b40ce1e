//! Changes to the volume's own state, and the operator's commands, on the leader.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use rfs_core::consensus::api::{Input, SeatWish};
use rfs_model::codec::Encode;
use rfs_model::options::Options;
use rfs_model::volume::VolumeState;
use rfs_model::{Index, Record, RecordKind};

use super::{Inner, Shard};
use crate::pool::ProposeError;

/// Where the volume's options want the witness seat.
pub(super) fn seat_wish(options: &Options) -> SeatWish {
    match options.witness.as_str() {
        "auto" => SeatWish::Best,
        "none" => SeatWish::Nobody,
        host => SeatWish::Host(host.to_owned()),
    }
}

/// Where an answer goes: filled once.
#[derive(Clone)]
pub struct Promise<T>(Rc<RefCell<Slot<T>>>);

struct Slot<T> {
    value: Option<T>,
    waker: Option<std::task::Waker>,
}

impl<T> Promise<T> {
    pub fn new() -> Self {
        Self(Rc::new(RefCell::new(Slot { value: None, waker: None })))
    }

    pub fn fill(&self, value: T) {
        let mut slot = self.0.borrow_mut();
        if slot.value.is_none() {
            slot.value = Some(value);
            if let Some(waker) = slot.waker.take() {
                waker.wake();
            }
        }
    }

    pub async fn wait(self) -> T {
        std::future::poll_fn(|cx| {
            let mut slot = self.0.borrow_mut();
            match slot.value.take() {
                Some(value) => std::task::Poll::Ready(value),
                None => {
                    slot.waker = Some(cx.waker().clone());
                    std::task::Poll::Pending
                }
            }
        })
        .await
    }
}

pub type Answer = Promise<Result<(), ProposeError>>;
pub type OperateAnswer = Promise<Result<Vec<String>, ProposeError>>;

/// A volume state that was proposed.
pub(crate) struct Proposal {
    index: Index,
    answer: Answer,
}

impl Inner {
    pub(super) fn not_leading(&self) -> ProposeError {
        match self.core.leader() {
            Some(leader) if leader != self.me => ProposeError::NotLeader { leader },
            _ => ProposeError::NoLeader(self.blocked_text()),
        }
    }

    pub(super) fn propose_state(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        state: VolumeState,
        answer: Answer,
    ) {
        // The state before is the newest only once this leader's own first record is applied.
        let Some((term, index)) = self.core.leading().filter(|_| self.front.is_leading()) else {
            return answer.fill(Err(self.not_leading()));
        };
        if state.id != self.state.id {
            return answer.fill(Err(ProposeError::Refused("that is another volume's state".into())));
        }
        if let Some(problem) = state.problem() {
            return answer.fill(Err(ProposeError::Refused(problem.into())));
        }
        let record = Record::new(index, term, RecordKind::Volume, self.chain, state.encoded().into());
        let meta = record.meta;
        self.enter(record);
        self.proposals.push(Proposal { index, answer });
        self.step(shard, now_us, Input::Proposed { meta });
    }

    pub(super) fn proposals_applied(&mut self, index: Index) {
        for proposal in std::mem::take(&mut self.proposals) {
            if proposal.index <= index {
                proposal.answer.fill(Ok(()));
            } else {
                self.proposals.push(proposal);
            }
        }
    }

    pub(super) fn fail_proposals(&mut self) {
        for proposal in std::mem::take(&mut self.proposals) {
            let text = "leadership changed meanwhile: look whether it holds, and try again";
            proposal.answer.fill(Err(ProposeError::Unknown(text.into())));
        }
    }

    /// Takes over the volume's new state; what its options say holds from here on.
    pub(super) fn adopt_state(&mut self, shard: &Rc<Shard>, state: VolumeState) {
        self.options = Options::of(&state);
        let moved = self.state.bricks != state.bricks;
        self.state = state;
        if moved {
            // A mount hears where the bricks are when it is welcomed: one that knows only the old ones has nobody to turn to.
            self.mounts.hang_up_all();
        }
        self.start_links(shard);
        self.stop_links();
        self.retain_log();
        self.core.wish_seat(seat_wish(&self.options));
        self.core.retime(&self.timing());
        self.review_sync(shard);
    }

    /// Keeps as much of the log for bricks that are away as the options say.
    pub(super) fn retain_log(&mut self) {
        let age = Duration::from_secs(self.options.retain_age_s);
        self.journal.retain(self.options.retain_bytes, age);
    }
}
