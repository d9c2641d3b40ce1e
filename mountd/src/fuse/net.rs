//! From the kernel's threads to the network thread.
//!
//! Writes that have returned may wait a little here, as small segments do in TCP (Nagle's algorithm, RFC 896): while earlier
//! ones are on their way, those that follow gather until there is an answer, until much has gathered, or until somebody
//! asks for anything. Then they go as one frame after the other in one packet, and a brick takes them in one turn.
//! Whoever waits for something is never made to wait for this.

use std::collections::VecDeque;
use std::future::Future;
use std::rc::Rc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::Notify;

use crate::fs::{Fs, Quick};
use crate::session::Client;
use crate::transport::breathe;

/// So much data is worth a packet of its own, bytes.
const ENOUGH_BYTES: usize = 128 * 1024;
/// So many writes are.
const ENOUGH_WRITES: usize = 64;

/// What nobody waits for is done after this at the latest.
const MOMENT: Duration = Duration::from_millis(100);

/// Something to do on the network thread.
enum Command {
    /// A write that has returned.
    Submit(Quick),
    Run(Job),
    /// With what comes next, or in a moment.
    Later(Job),
}

type Job = Box<dyn FnOnce(Rc<Fs>) + Send>;

/// Commands in the order in which they came.
#[derive(Default)]
struct Waiting {
    commands: VecDeque<Command>,
    /// Data of the writes among them, bytes.
    bytes: usize,
    /// What is here goes now.
    due: bool,
    /// Writes are on their way: their answers will fetch what is here.
    fetched: bool,
    /// One of the sides has ended.
    closed: bool,
}

#[derive(Default)]
struct Queue {
    waiting: Mutex<Waiting>,
    work: Notify,
}

impl Queue {
    fn with<T>(&self, act: impl FnOnce(&mut Waiting) -> T) -> T {
        act(&mut self.waiting.lock().expect("no holder panics"))
    }

    fn put(&self, command: Command) -> bool {
        let (taken, due) = self.with(|waiting| {
            if waiting.closed {
                return (false, false);
            }
            let was_due = waiting.due;
            waiting.put(command);
            (true, waiting.due && !was_due)
        });
        if due {
            self.work.notify_one();
        }
        taken
    }

    fn close(&self, forget: bool) {
        let forgotten = self.with(|waiting| {
            waiting.closed = true;
            if forget { std::mem::take(&mut waiting.commands) } else { VecDeque::new() }
        });
        drop(forgotten);
        self.work.notify_one();
    }
}

impl Waiting {
    fn put(&mut self, command: Command) {
        match &command {
            Command::Submit(write) => {
                self.bytes += write.data_bytes();
                let enough = self.bytes >= ENOUGH_BYTES || self.commands.len() >= ENOUGH_WRITES;
                // A file that is made is written, given its attributes and closed next: that goes together.
                self.due |= enough || !self.fetched && !write.makes_a_file();
            }
            Command::Run(_) => self.due = true,
            Command::Later(_) => self.due |= self.commands.len() >= ENOUGH_WRITES,
        }
        self.commands.push_back(command);
    }

    fn only_makes_files(&self) -> bool {
        self.commands.iter().all(|command| matches!(command, Command::Submit(quick) if quick.makes_a_file()))
    }

    /// What is to be done now. `fetched`: writes are on their way; `news`: there were answers since, or a moment has passed.
    fn take(&mut self, fetched: bool, news: bool) -> Next {
        self.fetched = fetched;
        let now = self.due || self.closed || news || !fetched && !self.only_makes_files();
        if now && !self.commands.is_empty() {
            (self.bytes, self.due) = (0, false);
            return Next::Do(std::mem::take(&mut self.commands));
        }
        if self.closed { Next::End } else { Next::Wait }
    }
}

enum Next {
    Do(VecDeque<Command>),
    Wait,
    End,
}

/// A way to the network thread. What is under way is bounded by the retained window and by what the kernel has open at once.
#[derive(Clone)]
pub struct Net {
    door: Arc<Door>,
}

/// The queue's near end: with it, the queue ends.
struct Door(Arc<Queue>);

impl Drop for Door {
    fn drop(&mut self) {
        self.0.close(false);
    }
}

/// The queue's far end.
pub struct Commands(Arc<Queue>);

impl Drop for Commands {
    fn drop(&mut self) {
        self.0.close(true);
    }
}

impl Net {
    #[must_use]
    pub fn new() -> (Self, Commands) {
        let queue = Arc::new(Queue::default());
        (Self { door: Arc::new(Door(queue.clone())) }, Commands(queue))
    }

    /// False when the network thread has ended.
    pub fn submit(&self, write: Quick) -> bool {
        self.door.0.put(Command::Submit(write))
    }

    /// Runs what `job` makes as a task there. Dropped unrun when the network thread has ended.
    pub fn run<F, T>(&self, job: F)
    where
        F: FnOnce(Rc<Fs>) -> T + Send + 'static,
        T: Future<Output = ()> + 'static,
    {
        let start = move |fs: Rc<Fs>| drop(tokio::task::spawn_local(job(fs)));
        self.door.0.put(Command::Run(Box::new(start)));
    }

    /// Calls `job` there, for what nobody waits for: the thread is not woken for it.
    pub fn later(&self, job: impl FnOnce(Rc<Fs>) + Send + 'static) {
        self.door.0.put(Command::Later(Box::new(job)));
    }
}

impl Commands {
    /// `None`: all senders are gone.
    async fn next(&self, client: &Client) -> Option<VecDeque<Command>> {
        let mut news = false;
        loop {
            match self.0.with(|waiting| waiting.take(client.awaits_answers(), news)) {
                Next::Do(commands) => return Some(commands),
                Next::End => return None,
                Next::Wait => {}
            }
            news = tokio::select! {
                () = client.news() => true,
                () = self.0.work.notified() => false,
                () = tokio::time::sleep(MOMENT) => true,
            };
        }
    }
}

/// Commands after which the ring gets its turn.
const BREATH: usize = 32;

/// Carries out commands until all senders are gone.
pub async fn run(fs: Rc<Fs>, commands: Commands) {
    let mut since_breath = 0;
    while let Some(batch) = commands.next(fs.client()).await {
        for command in batch {
            since_breath += 1;
            if since_breath >= BREATH {
                since_breath = 0;
                breathe().await;
            }
            match command {
                Command::Submit(write) => fs.submit(write),
                Command::Run(job) | Command::Later(job) => job(fs.clone()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job() -> Command {
        Command::Run(Box::new(|_| ()))
    }

    #[test]
    fn a_question_is_never_kept() {
        let mut waiting = Waiting::default();
        assert!(matches!(waiting.take(true, false), Next::Wait));
        waiting.put(job());
        assert!(matches!(waiting.take(true, false), Next::Do(jobs) if jobs.len() == 1));
    }

    #[test]
    fn what_nobody_waits_for_goes_with_what_somebody_does() {
        let later = || Command::Later(Box::new(|_| ()));
        let mut waiting = Waiting { fetched: true, ..Waiting::default() };
        waiting.put(later());
        assert!(matches!(waiting.take(true, false), Next::Wait));
        waiting.put(job());
        assert!(matches!(waiting.take(true, false), Next::Do(jobs) if jobs.len() == 2));
        waiting.put(later());
        assert!(matches!(waiting.take(true, true), Next::Do(jobs) if jobs.len() == 1), "a moment has passed");
        (0..=ENOUGH_WRITES).for_each(|_| waiting.put(later()));
        assert!(matches!(waiting.take(true, false), Next::Do(_)), "there are many");
    }

    #[test]
    fn what_came_before_the_end_is_carried_out() {
        let (net, commands) = Net::new();
        net.door.0.put(job());
        drop(net);
        assert!(
            matches!(commands.0.with(|waiting| waiting.take(true, false)), Next::Do(jobs) if jobs.len() == 1)
        );
        assert!(matches!(commands.0.with(|waiting| waiting.take(true, false)), Next::End));
    }

    #[test]
    fn nothing_is_taken_when_the_thread_has_ended() {
        let (net, commands) = Net::new();
        drop(commands);
        assert!(!net.door.0.put(job()));
    }
}
