//! States and steps as people read them.

use std::fmt;

use super::state::{Mount, Renew, Request, State, Told, Word};
use super::tree::{Leader, Record};
use super::{Action, Broken};

fn name(n: u8) -> char {
    ['n', 'm'][usize::from(n)]
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "      A: {}", self.mount)?;
        for (k, leader) in self.leaders.iter().enumerate().take(usize::from(self.leads) + 1) {
            let deposed = if k < usize::from(self.leads) { " (deposed)" } else { "" };
            let end = if k < usize::from(self.leads) { "\n" } else { "" };
            write!(f, "      leader {}{deposed}: {leader}{end}", k + 1)?;
        }
        Ok(())
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            0 => write!(f, "cut off")?,
            k => write!(f, "at leader {k}")?,
        }
        if self.lease > 0 {
            let asked = if self.granted { "" } else { " asked for" };
            write!(f, ", lease {}{asked}", self.lease)?;
        }
        if self.believes {
            write!(f, ", believes since {} ticks", self.age)?;
        }
        if self.renew != Renew::None {
            let void = if self.renew_void { " (void)" } else { "" };
            write!(f, ", asked Renew {} ticks ago{void}", self.renew_age)?;
        }
        for (n, told) in self.told.iter().enumerate().filter(|(_, told)| **told != Told::Nothing) {
            write!(f, ", {} {told:?}", name(n as u8))?;
        }
        write!(f, " window [")?;
        for (place, request) in self.window.as_slice().iter().enumerate() {
            let mark = if place == usize::from(self.delivered) { "| " } else { "" };
            write!(f, "{}{mark}{}:{request}", if place > 0 { " " } else { "" }, self.number(place as u8))?;
        }
        write!(f, "] inbox {:?}", self.inbox.as_slice())
    }
}

impl fmt::Display for Leader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tree = &self.applied;
        match tree.lock {
            0 => write!(f, "no lease")?,
            lock => write!(f, "lease {lock}")?,
        }
        write!(
            f,
            ", names {:?}, {} of A done, pending {:?}",
            tree.owners,
            tree.done,
            self.pending.as_slice()
        )?;
        if self.waiting {
            write!(f, ", B waits")?;
        }
        if self.recalled > 0 {
            write!(f, ", recalled lease {} {} ticks ago", self.recalled, self.recall_age)?;
        }
        Ok(())
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => write!(f, "-"),
            Self::Lock => write!(f, "Lock"),
            Self::Create(n) => write!(f, "Create {}", name(n)),
            Self::Unlock => write!(f, "Unlock"),
        }
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::None => write!(f, "-"),
            Self::Lock => write!(f, "Lock"),
            Self::Unlock => write!(f, "Unlock by A"),
            Self::Create(n) => write!(f, "Create {} by A", name(n)),
            Self::RefuseLock => write!(f, "Lock refused"),
            Self::RefuseCreate(n) => write!(f, "Create {} by A refused", name(n)),
            Self::Revoke => write!(f, "Unlock by the leader"),
            Self::CreateByB => write!(f, "Create n by B"),
            Self::RefuseB => write!(f, "Create n by B refused"),
        }
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::AskLock => write!(f, "A asks for the lease"),
            Self::AskRenew => write!(f, "A asks whether the lease is still there"),
            Self::Create(n) => write!(f, "A tells a program that {} is created", name(n)),
            Self::Send(n) => write!(f, "A sends the request to create {}", name(n)),
            Self::GiveBack => write!(f, "A gives the lease back"),
            Self::Hear(Word::Answer { done: true }) => write!(f, "A hears that it is done"),
            Self::Hear(Word::Answer { done: false }) => write!(f, "A hears that it is refused"),
            Self::Hear(word) => write!(f, "A hears {word:?}"),
            Self::Deliver(request, k) => write!(f, "{request} of A comes to leader {}", k + 1),
            Self::Sure(k) => write!(f, "leader {} is sure that it leads", k + 1),
            Self::AnswerRenew(k) => write!(f, "leader {} says that the lease is there", k + 1),
            Self::RefuseRenew(k) => write!(f, "leader {} does not say that the lease is there", k + 1),
            Self::AskedByB(k) => write!(f, "B asks leader {} for n", k + 1),
            Self::Recall(k) => write!(f, "leader {} sends a Recall", k + 1),
            Self::GoOn(k) => write!(f, "leader {} goes on with B's request", k + 1),
            Self::Revoke(k) => write!(f, "leader {} revokes the lease", k + 1),
            Self::Commit(record) => write!(f, "committed: {record}"),
            Self::Tick => write!(f, "a tick passes"),
            Self::Cut => write!(f, "A's connection breaks"),
            Self::Attach(k) => write!(f, "A attaches to leader {}", k + 1),
            Self::Elect { kept } => write!(f, "another leader, with {kept} records that were pending"),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TwoCreated => f.write_str("a name was created twice"),
            Self::Refused => f.write_str("a name that was created on belief is refused without a revocation"),
            Self::Unseen => f.write_str("a name is there that a mount denies on belief"),
            Self::Reached(goal) => write!(f, "reached: {goal:?}"),
        }
    }
}
