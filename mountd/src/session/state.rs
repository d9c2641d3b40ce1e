//! A session without a socket: requests and messages go in, messages and answers come out, and nothing waits.
//!
//! Invariant: what was sent on the present connection is exactly what is retained and asked, in the order of submission.
//! [`Session::attach`] makes it true for a new connection by sending everything again.

use std::collections::BTreeMap;
use std::time::Duration;

use rfs_model::client::{Answer, Change, Done, Mutation, Query, ToBrick, ToMount};
use rfs_model::hello::OpenInode;
use rfs_model::{Index, InodeId, Refusal, Seq, SessionId};
use tokio::sync::oneshot;

use super::Failure;
use super::credit::Share;
use super::window::{Answered, Waiter, Window};

/// Where messages to the brick go.
pub trait Outlet {
    fn send(&mut self, message: &ToBrick);

    /// With what is sent next, or in a moment: nobody waits for it.
    fn send_later(&mut self, message: &ToBrick);
}

/// What a message means to the owner of the session.
#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Nothing,
    /// Somebody else changed what the kernel may have cached.
    Changes(Vec<Change>),
    LockFreed(InodeId),
    Recall(InodeId),
    /// The brick does not serve this session any more; `Some`: and no other will.
    Leave(Option<Refusal>),
}

type AnswerTo = oneshot::Sender<Result<Answer, Failure>>;

struct Asked {
    op: Query,
    /// Gone when the request's time has passed: the answer to an `Open` must still be waited for, to undo it.
    waiter: Option<AnswerTo>,
    deadline: Option<Duration>,
    /// The brick did not lead just then, or was about to hand that over.
    again: bool,
}

#[derive(Default)]
pub struct Session {
    pub id: SessionId,
    /// A brick has welcomed this session once.
    pub resumed: bool,
    window: Window,
    asked: BTreeMap<u64, Asked>,
    last_tag: u64,
    opens: BTreeMap<InodeId, u32>,
    settling: BTreeMap<Seq, Vec<oneshot::Sender<()>>>,
    outlet: Option<Box<dyn Outlet>>,
}

impl Session {
    #[must_use]
    pub fn new(id: SessionId) -> Self {
        Self { id, ..Self::default() }
    }

    /// Takes a mutation into the window, and sends it if there is a connection. `waiter` hears how it ended.
    pub fn mutate(
        &mut self,
        op: Mutation,
        credit: Option<Share>,
        waiter: Option<Waiter>,
        deadline: Option<Duration>,
    ) -> Seq {
        let message_op = self.outlet.is_some().then(|| op.clone());
        let seq = self.window.push(op, credit, waiter, deadline);
        let lowest_kept = self.window.lowest_kept();
        if let Some(op) = message_op {
            self.send(&ToBrick::Mutate { seq, lowest_kept, op });
        }
        seq
    }

    /// Asks, now or as soon as there is a connection.
    pub fn ask(
        &mut self,
        op: Query,
        deadline: Option<Duration>,
    ) -> oneshot::Receiver<Result<Answer, Failure>> {
        let (waiter, answer) = oneshot::channel();
        self.last_tag += 1;
        let tag = self.last_tag;
        self.send(&ToBrick::Query { tag, at: Index::ZERO, op: op.clone() });
        self.asked.insert(tag, Asked { op, waiter: Some(waiter), deadline, again: false });
        answer
    }

    /// One open less. Without a connection the next hello tells.
    pub fn release(&mut self, id: InodeId) {
        if let Some(count) = self.opens.get_mut(&id) {
            *count -= 1;
            if *count == 0 {
                self.opens.remove(&id);
            }
        }
        self.send_release(id);
    }

    fn send_release(&mut self, id: InodeId) {
        self.last_tag += 1;
        let message = ToBrick::Query { tag: self.last_tag, at: Index::ZERO, op: Query::Release { id } };
        if let Some(outlet) = &mut self.outlet {
            outlet.send_later(&message);
        }
    }

    fn send(&mut self, message: &ToBrick) {
        if let Some(outlet) = &mut self.outlet {
            outlet.send(message);
        }
    }

    pub fn beat(&mut self) {
        let lowest_kept = self.window.lowest_kept();
        self.send(&ToBrick::Beat { lowest_kept });
    }

    pub fn say_goodbye(&mut self) {
        self.send(&ToBrick::Detach {});
    }

    /// What the hello to a brick says is open.
    #[must_use]
    pub fn opens(&self) -> Vec<OpenInode> {
        self.opens.iter().map(|(id, count)| OpenInode { id: *id, count: *count }).collect()
    }

    #[must_use]
    pub fn window(&self) -> &Window {
        &self.window
    }

    #[must_use]
    pub fn attached(&self) -> bool {
        self.outlet.is_some()
    }

    /// A brick has said `Ready` to this session: everything retained is sent again in order, then everything asked.
    pub fn attach(&mut self, mut outlet: Box<dyn Outlet>) {
        self.resumed = true;
        let lowest_kept = self.window.lowest_kept();
        for (seq, op) in self.window.retained() {
            outlet.send(&ToBrick::Mutate { seq, lowest_kept, op: op.clone() });
        }
        for (tag, asked) in &mut self.asked {
            asked.again = false;
            outlet.send(&ToBrick::Query { tag: *tag, at: Index::ZERO, op: asked.op.clone() });
        }
        self.outlet = Some(outlet);
    }

    /// The connection is gone.
    pub fn detach(&mut self) {
        self.outlet = None;
        self.asked.retain(|_, asked| asked.waiter.is_some());
    }

    /// One message from the brick.
    pub fn receive(&mut self, message: ToMount) -> Heard {
        match message {
            ToMount::Done { seq, done } => self.done(seq, &done),
            ToMount::Refused { seq, why } => {
                if let Some(waiter) = self.window.refused(seq) {
                    waiter(Err(why.into()));
                }
                self.settled();
            }
            ToMount::Answer { tag, answer } => self.answered(tag, Ok(answer)),
            ToMount::NoAnswer { tag, why } => self.answered(tag, Err(why.into())),
            ToMount::Durable { seq } => self.window.durable(seq),
            ToMount::Beat => {}
            ToMount::Changes { changes } => return Heard::Changes(changes),
            ToMount::LockFreed { id } => return Heard::LockFreed(id),
            ToMount::Recall { id } => return Heard::Recall(id),
            ToMount::NotLeader => return Heard::Leave(None),
            ToMount::Dismissed { why } => return Heard::Leave(Some(why)),
        }
        Heard::Nothing
    }

    fn done(&mut self, seq: Seq, done: &Done) {
        let Answered { waiter, opened } = self.window.done(seq, done);
        match opened {
            Some(id) if waiter.is_some() => *self.opens.entry(id).or_default() += 1,
            Some(id) => self.send_release(id),
            None => {}
        }
        if let Some(waiter) = waiter {
            waiter(Ok(*done));
        }
        self.settled();
    }

    fn answered(&mut self, tag: u64, answer: Result<Answer, Failure>) {
        let Some(mut asked) = self.asked.remove(&tag) else { return };
        if answer == Err(Refusal::Interrupted.into()) && asked.waiter.is_some() {
            // No answer at all: whoever leads next is asked, or this one once more.
            asked.again = true;
            self.asked.insert(tag, asked);
            return;
        }
        if let (Query::Open { id, .. }, Ok(_)) = (&asked.op, &answer) {
            match asked.waiter {
                Some(_) => *self.opens.entry(*id).or_default() += 1,
                None => self.send_release(*id),
            }
        }
        if let Some(waiter) = asked.waiter {
            let _ = waiter.send(answer);
        }
    }

    /// Resolves when all mutations up to `seq` have been answered.
    pub fn when_settled(&mut self, seq: Seq) -> oneshot::Receiver<()> {
        let (waiter, settled) = oneshot::channel();
        self.settling.entry(seq).or_default().push(waiter);
        self.settled();
        settled
    }

    fn settled(&mut self) {
        let settled = self.window.settled();
        while let Some(first) = self.settling.first_entry().filter(|first| *first.key() <= settled) {
            for waiter in first.remove() {
                let _ = waiter.send(());
            }
        }
    }

    /// Asks once more what the brick could not answer.
    pub fn ask_again(&mut self) {
        let mut again = Vec::new();
        for (tag, asked) in self.asked.iter_mut().filter(|(_, asked)| asked.again) {
            asked.again = self.outlet.is_none();
            again.push(ToBrick::Query { tag: *tag, at: Index::ZERO, op: asked.op.clone() });
        }
        again.iter().for_each(|message| self.send(message));
    }

    /// Answers everything whose time has passed by `now`. Mutations stay retained.
    pub fn time_out(&mut self, now: Duration) {
        for waiter in self.window.overdue(now) {
            waiter(Err(Failure::TimedOut));
        }
        for asked in self.asked.values_mut() {
            if asked.deadline.is_some_and(|deadline| now >= deadline)
                && let Some(waiter) = asked.waiter.take()
            {
                let _ = waiter.send(Err(Failure::TimedOut));
            }
        }
        self.asked.retain(|_, asked| asked.waiter.is_some() || matches!(asked.op, Query::Open { .. }));
    }

    /// Answers everybody who waits. Mutations stay retained: their outcome is unknown.
    pub fn fail_all(&mut self, why: Failure) {
        for waiter in self.window.waiters() {
            waiter(Err(why));
        }
        for (_, asked) in std::mem::take(&mut self.asked) {
            if let Some(waiter) = asked.waiter {
                let _ = waiter.send(Err(why));
            }
        }
    }

    /// This session is over: everything retained is lost, nothing is open. Goes on as the session `id`.
    pub fn begin_anew(&mut self, id: SessionId, why: Failure) {
        for waiter in self.window.clear() {
            waiter(Err(why));
        }
        self.fail_all(why);
        self.settling.clear();
        let (last_tag, id) = (self.last_tag, id);
        *self = Self { id, last_tag, ..Self::default() };
    }
}
