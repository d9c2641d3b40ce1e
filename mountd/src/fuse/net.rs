//! From the kernel's threads to the network thread.

use std::future::Future;
use std::rc::Rc;

use tokio::sync::mpsc;

use crate::fs::{Fs, Quick};
use crate::transport::breathe;

/// Something to do on the network thread.
pub enum Command {
    /// A write that has returned.
    Submit(Quick),
    Run(Box<dyn FnOnce(Rc<Fs>) + Send>),
}

/// A way to the network thread. What is under way is bounded by the retained window and by what the kernel has open at once.
#[derive(Clone)]
pub struct Net {
    commands: mpsc::UnboundedSender<Command>,
}

impl Net {
    #[must_use]
    pub fn new() -> (Self, mpsc::UnboundedReceiver<Command>) {
        let (commands, inbox) = mpsc::unbounded_channel();
        (Self { commands }, inbox)
    }

    /// False when the network thread has ended.
    pub fn submit(&self, write: Quick) -> bool {
        self.commands.send(Command::Submit(write)).is_ok()
    }

    /// Runs what `job` makes as a task there. Dropped unrun when the network thread has ended.
    pub fn run<F, T>(&self, job: F)
    where
        F: FnOnce(Rc<Fs>) -> T + Send + 'static,
        T: Future<Output = ()> + 'static,
    {
        let start = move |fs: Rc<Fs>| drop(tokio::task::spawn_local(job(fs)));
        let _ = self.commands.send(Command::Run(Box::new(start)));
    }
}

/// Commands after which the ring gets its turn.
const BREATH: usize = 32;

/// Carries out commands until all senders are gone.
pub async fn run(fs: Rc<Fs>, mut commands: mpsc::UnboundedReceiver<Command>) {
    let mut since_breath = 0;
    while let Some(command) = commands.recv().await {
        since_breath += 1;
        if since_breath >= BREATH {
            since_breath = 0;
            breathe().await;
        }
        match command {
            Command::Submit(write) => fs.submit(write),
            Command::Run(job) => job(fs.clone()),
        }
    }
}
