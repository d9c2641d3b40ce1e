//! The network thread: the session and its connections, on one ring.

use std::io;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use crate::fs::{Fs, Shared};
use crate::fuse::{self, Net};
use crate::session::ready::Contact;
use crate::session::{Client, ClientConfig, driver};
use crate::transport::{Uring, ring};

/// Starts the thread; the session begins to look for its leader at once.
///
/// # Errors
/// Those of starting a thread.
pub fn start(config: ClientConfig, shared: Arc<Shared>) -> io::Result<Net> {
    let (net, commands) = Net::new();
    let body = move || {
        ring(async move {
            let pushes = shared.clone();
            let push = Box::new(move |push| Fs::pushed(&pushes, push));
            let client = Client::new(config, Box::new(Uring), shared.credit().clone(), push);
            let fs = Fs::new(client.clone(), shared);
            tokio_uring::spawn(driver::drive(client));
            tokio_uring::spawn(fs.clone().keep_leases());
            fuse::run(fs, commands).await;
        });
    };
    std::thread::Builder::new().name("rfs-net".into()).spawn(body)?;
    Ok(net)
}

/// Asks the network thread and waits for what `job` answers; `None` when the thread has ended.
pub fn ask<T, F, A>(net: &Net, job: F) -> Option<A>
where
    F: FnOnce(Rc<Fs>) -> T + Send + 'static,
    T: Future<Output = A> + 'static,
    A: Send + 'static,
{
    let (tell, told) = mpsc::channel();
    net.run(move |fs| {
        let answer = job(fs);
        async move { drop(tell.send(answer.await)) }
    });
    told.recv().ok()
}

/// Waits for a brick to take the session.
///
/// # Errors
/// One line: why none did within `limit`.
pub fn ready(net: &Net, limit: Duration) -> Result<Contact, String> {
    let answer = ask(net, async move |fs| fs.client().ready(limit).await);
    answer.unwrap_or_else(|| Err("the network thread has ended".into()))
}
