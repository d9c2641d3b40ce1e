//! One state: the mount A with its window and its connection, and two leaders with what they have of the replicated state.
//!
//! Times are ages, and stop where they make no difference any more: so there may be any number of ticks.

use super::list::List;
use super::tree::Leader;

/// Names in the directory. B wants the first one.
pub const NAMES: usize = 2;
/// Requests of A in a history.
pub const REQUESTS: u8 = 7;
pub const LEADERS: usize = 2;

/// What A asks for in its window. Each is carried out once, in this order.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Request {
    #[default]
    None,
    Lock,
    Create(u8),
    Unlock,
}

/// What a leader says to A.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Word {
    #[default]
    None,
    /// Gives the lease back, please.
    Recall,
    /// The lease is still in the replicated state.
    Renewed,
    /// The answer to the first request of the window.
    Answer { done: bool },
}

/// The question whether the lease is still there. It is outside the window, and goes down with its connection.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Renew {
    #[default]
    None,
    Asked,
    /// The leader was sure that it leads, after this had come.
    Sure,
    Answered,
}

/// What A has told its program about a name.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash, Debug)]
pub enum Told {
    #[default]
    Nothing,
    /// Created; the request is not sent yet: only where a rule is out.
    Unsent,
    /// Created; there is no answer to the request yet.
    Created,
    /// The leader has confirmed it.
    Confirmed,
    /// The leader has refused it.
    Lost,
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Mount {
    /// The leader that it is attached to, plus 1.
    pub at: u8,
    /// The latest leader that it was attached to, plus 1: it goes back to no earlier one.
    pub seen: u8,
    /// Not answered yet.
    pub window: List<Request, { REQUESTS as usize }>,
    /// How many of them have come to the leader over this connection.
    pub delivered: u8,
    /// How many of those are answered; the answers are in `inbox`.
    pub answered: u8,
    /// Requests before the window. The first of the window has the number after it.
    pub done: u8,
    /// On the way to A.
    pub inbox: List<Word, 10>,
    /// How often it asked for a lease.
    pub locks: u8,
    /// Number of the request Lock of the lease that it has or asks for; zero: none.
    pub lease: u8,
    pub granted: bool,
    /// Since that request was sent.
    pub lock_age: u8,
    pub believes: bool,
    /// Since the latest question was sent whose answer said that the lease is there.
    pub age: u8,
    pub renew: Renew,
    pub renew_age: u8,
    /// The lease was given back since Renew was asked.
    pub renew_void: bool,
    pub told: [Told; NAMES],
    /// The lease on which a name was told.
    pub under: [u8; NAMES],
}

#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct State {
    pub mount: Mount,
    pub leaders: [Leader; LEADERS],
    /// The one that can commit. An earlier one may believe that it leads.
    pub leads: u8,
}

impl Mount {
    /// The number of the request at this place of the window.
    pub fn number(&self, place: u8) -> u8 {
        self.done + place + 1
    }

    pub fn has_room(&self) -> bool {
        self.done + self.window.len() < REQUESTS
    }
}
