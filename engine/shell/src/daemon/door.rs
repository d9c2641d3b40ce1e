//! Callers who have not said yet who they are: anybody. They are few, take little memory, and their number bothers no
//! log.

use std::cell::Cell;
use std::rc::Rc;

use crate::net::{Complaints, Crowd, Hangup, Member, NetError};

/// Callers at once. One who means it needs a millisecond.
const CALLERS: usize = 256;
/// What all of them may have sent together, bytes: a mount's hello has each inode that it holds open.
const BYTES: usize = 64 * 1024 * 1024;

/// See the module.
pub struct Door {
    callers: Rc<Crowd>,
    bytes: Cell<usize>,
    pub complaints: Complaints,
}

/// One caller's place at the door, until it is dropped.
pub struct Place {
    door: Rc<Door>,
    _member: Member,
    bytes: Cell<usize>,
}

impl Door {
    #[must_use]
    pub fn new() -> Rc<Self> {
        let complaints = Complaints::default();
        Rc::new(Self { callers: Crowd::new(CALLERS), bytes: Cell::new(0), complaints })
    }

    /// Lets a caller stand at the door.
    pub fn enter(self: &Rc<Self>, hangup: Hangup) -> Place {
        let (member, crowded) = self.callers.enter(hangup);
        if crowded {
            let text = "callers have not said who they are: the first of them goes";
            self.complaints.say(|more| tracing::warn!(more, "{CALLERS} {text}"));
        }
        Place { door: Rc::clone(self), _member: member, bytes: Cell::new(0) }
    }
}

impl Place {
    /// Counts what the caller has sent.
    ///
    /// # Errors
    /// [`NetError::Unexpected`] when all callers together have sent too much.
    pub fn count(&self, bytes: usize) -> Result<(), NetError> {
        let all = self.door.bytes.get() + bytes;
        if all > BYTES {
            let text = "too much is sent by callers who have not said who they are";
            return Err(NetError::Unexpected(text.into()));
        }
        self.door.bytes.set(all);
        self.bytes.set(self.bytes.get() + bytes);
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.door.bytes.set(self.door.bytes.get() - self.bytes.get());
    }
}
