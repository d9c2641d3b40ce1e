//! The retained window: every mutation stays here, in order, until it is answered *and* durable, so that it can be sent
//! again to the next leader.

use std::collections::VecDeque;

use rfs_model::client::{Done, Mutation};
use rfs_model::limits::WINDOW_OPS;
use rfs_model::{InodeId, Seq};

use super::Failure;
use super::credit::Share;

/// Whoever wants to know how a mutation ended. Called once, on the network thread; must not block.
pub type Waiter = Box<dyn FnOnce(Result<Done, Failure>) + Send>;

struct Kept {
    op: Mutation,
    answered: bool,
    waiter: Option<Waiter>,
    /// By the session's clock; `None`: nobody waits, or for ever.
    deadline: Option<std::time::Duration>,
    /// Its share of the window, given back when it is dropped.
    _credit: Option<Share>,
}

/// How a result met its mutation.
#[derive(Default)]
pub struct Answered {
    /// Who waited for it, unless it had been answered before.
    pub waiter: Option<Waiter>,
    /// The file that the mutation made and opened, the first time that this is heard.
    pub opened: Option<InodeId>,
}

/// Mutations `first ..`, numbered without gaps.
#[derive(Default)]
pub struct Window {
    /// Number of the first one that is kept, less one.
    dropped: Seq,
    kept: VecDeque<Kept>,
    durable: Seq,
    /// All up to here have been answered.
    settled: Seq,
}

impl Window {
    /// # Panics
    /// When the window holds [`WINDOW_OPS`] already: the credit that each mutation needs prevents it.
    pub fn push(
        &mut self,
        op: Mutation,
        credit: Option<Share>,
        waiter: Option<Waiter>,
        deadline: Option<std::time::Duration>,
    ) -> Seq {
        self.kept.push_back(Kept { op, answered: false, waiter, deadline, _credit: credit });
        assert!(self.kept.len() <= WINDOW_OPS, "more mutations are kept than a session has results");
        self.last()
    }

    /// The newest number given out; 0 before the first.
    #[must_use]
    pub fn last(&self) -> Seq {
        Seq(self.dropped.0 + self.kept.len() as u64)
    }

    #[must_use]
    pub fn lowest_kept(&self) -> Seq {
        self.dropped.next()
    }

    /// All mutations up to this one have been answered.
    #[must_use]
    pub fn settled(&self) -> Seq {
        self.settled
    }

    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    fn get(&mut self, seq: Seq) -> Option<&mut Kept> {
        let at = seq.0.checked_sub(self.dropped.0 + 1)?;
        self.kept.get_mut(usize::try_from(at).ok()?)
    }

    /// A mutation was carried out. A `Make` remembers its identity, to name it when it is sent again.
    pub fn done(&mut self, seq: Seq, done: &Done) -> Answered {
        let Some(kept) = self.get(seq) else { return Answered::default() };
        let mut opened = None;
        if let Mutation::Make { as_id, open, .. } = &mut kept.op {
            *as_id = done.id;
            opened = std::mem::take(open).then_some(done.id);
        }
        Answered { waiter: self.settle(seq), opened }
    }

    /// A mutation was refused, and changed nothing: only its number is kept, so that no other leader judges it again.
    pub fn refused(&mut self, seq: Seq) -> Option<Waiter> {
        self.get(seq)?.op = Mutation::Void {};
        self.settle(seq)
    }

    fn settle(&mut self, seq: Seq) -> Option<Waiter> {
        let kept = self.get(seq)?;
        kept.answered = true;
        let waiter = kept.waiter.take();
        while self.get(self.settled.next()).is_some_and(|kept| kept.answered) {
            self.settled = self.settled.next();
        }
        self.drop_front();
        waiter
    }

    /// All up to `seq` is durable.
    pub fn durable(&mut self, seq: Seq) {
        self.durable = self.durable.max(seq.min(self.last()));
        self.drop_front();
    }

    fn drop_front(&mut self) {
        while self.dropped < self.durable && self.kept.front().is_some_and(|kept| kept.answered) {
            self.kept.pop_front();
            self.dropped = self.dropped.next();
        }
    }

    /// What a new leader must hear, in order.
    pub fn retained(&self) -> impl Iterator<Item = (Seq, &Mutation)> {
        (self.dropped.0 + 1..).map(Seq).zip(self.kept.iter().map(|kept| &kept.op))
    }

    /// Those whose time has come by `now`. Their mutations stay.
    pub fn overdue(&mut self, now: std::time::Duration) -> Vec<Waiter> {
        let late = |kept: &mut Kept| {
            let late = kept.deadline.is_some_and(|deadline| now >= deadline);
            if late { kept.waiter.take() } else { None }
        };
        self.kept.iter_mut().filter_map(late).collect()
    }

    /// Everybody who waits. Their mutations stay.
    pub fn waiters(&mut self) -> Vec<Waiter> {
        self.kept.iter_mut().filter_map(|kept| kept.waiter.take()).collect()
    }

    /// Forgets everything and begins at 1 again.
    pub fn clear(&mut self) -> Vec<Waiter> {
        let waiters = self.waiters();
        *self = Self::default();
        waiters
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn write() -> Mutation {
        Mutation::Write { id: InodeId::ROOT, offset: 0, data: Bytes::new() }
    }

    fn filled(n: u64) -> Window {
        let mut window = Window::default();
        for seq in 1..=n {
            assert_eq!(window.push(write(), None, None, None), Seq(seq));
        }
        window
    }

    #[test]
    fn only_what_is_both_answered_and_durable_is_dropped() {
        // (answered, durable up to) -> lowest kept
        let table: [(&[u64], u64, u64); 6] = [
            (&[], 3, 1),
            (&[1, 2, 3], 0, 1),
            (&[1], 3, 2),
            (&[2, 3], 3, 1),
            (&[1, 2, 3], 2, 3),
            (&[1, 2, 3], 9, 4),
        ];
        for (answered, durable, lowest) in table {
            let mut window = filled(3);
            answered.iter().for_each(|seq| drop(window.done(Seq(*seq), &Done::default())));
            window.durable(Seq(durable));
            assert_eq!(window.lowest_kept(), Seq(lowest), "{answered:?} {durable}");
            assert_eq!(window.last(), Seq(3));
        }
    }

    #[test]
    fn settled_is_a_prefix() {
        let mut window = filled(4);
        for (seq, settled) in [(2, 0), (1, 2), (4, 2), (3, 4)] {
            let _ = window.refused(Seq(seq));
            assert_eq!(window.settled(), Seq(settled));
        }
    }

    #[test]
    fn what_was_refused_is_not_asked_for_again() {
        let mut window = filled(2);
        let _ = window.refused(Seq(1));
        let retained: Vec<_> = window.retained().map(|(seq, op)| (seq, op.clone())).collect();
        assert_eq!(retained, [(Seq(1), Mutation::Void {}), (Seq(2), write())]);
    }

    #[test]
    fn a_second_result_tells_nobody() {
        let mut window = Window::default();
        window.push(write(), None, Some(Box::new(|_| {})), None);
        assert!(window.done(Seq(1), &Done::default()).waiter.is_some());
        assert!(window.done(Seq(1), &Done::default()).waiter.is_none());
        assert!(window.done(Seq(7), &Done::default()).waiter.is_none());
    }
}
