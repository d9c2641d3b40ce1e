//! Connections of callers who may be anybody: so many at once, and who has been there longest goes for a newer one.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use super::Hangup;

/// See the module.
pub struct Crowd {
    limit: usize,
    callers: RefCell<BTreeMap<u64, Hangup>>,
    next: Cell<u64>,
}

/// One caller, until it is dropped.
pub struct Member {
    crowd: Rc<Crowd>,
    number: u64,
}

impl Crowd {
    #[must_use]
    pub fn new(limit: usize) -> Rc<Self> {
        Rc::new(Self { limit, callers: RefCell::default(), next: Cell::new(0) })
    }

    /// Lets a caller in. True: another one had to go.
    pub fn enter(self: &Rc<Self>, hangup: Hangup) -> (Member, bool) {
        let number = self.next.replace(self.next.get() + 1);
        let mut callers = self.callers.borrow_mut();
        callers.insert(number, hangup);
        let gone = if callers.len() > self.limit { callers.pop_first() } else { None };
        if let Some((_, longest)) = &gone {
            longest.hang_up();
        }
        (Member { crowd: Rc::clone(self), number }, gone.is_some())
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.crowd.callers.borrow_mut().remove(&self.number);
    }
}
