//! Finding the brick that leads: everybody is asked at once, again and again, until one says that it is ready.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use rfs_model::hello::{Denial, Purpose, Standing};
use rfs_model::{NodeId, Refusal, SessionId, VolumeId};
use tokio::sync::mpsc;
use tokio::time::Instant;
use tracing::{debug, info};

use super::client::{Client, Push, new_session_id};
use super::greet::{Useless, Welcome, greet};
use super::places::Candidate;
use super::{Failure, local};
use crate::transport::{Address, Connection};

/// A candidate is asked this often. One that has no better answer may take its time: then it is asked again at once.
const ASK_AGAIN: Duration = Duration::from_millis(75);
const BREATH: Duration = Duration::from_millis(5);
/// The next named server is asked when those before it have been silent for this long.
const STAGGER: Duration = Duration::from_millis(1500);
/// A volume is believed to be stopped, or closed to us, when that is all we have heard for this long: a brick that has
/// been away may say so of times gone by.
const BELIEVE_AFTER: Duration = Duration::from_millis(1000);

/// How long a daemon of this machine may take to say which node it is, before bricks are asked at their addresses.
const LOOK_PATIENCE: Duration = Duration::from_millis(250);

/// What is known of the volume's servers, for `mount` to wait on and to report from.
#[derive(Clone, Debug, Default)]
pub struct Outlook {
    /// The first server that answered, and what it said.
    pub contact: Option<(Address, VolumeId)>,
    pub attached: bool,
    /// Each candidate's latest answer.
    pub heard: BTreeMap<Address, Word>,
}

/// One candidate's latest answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    Standing(Standing),
    Useless(Useless),
}

impl std::fmt::Display for Word {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Standing(Standing::Ready) => f.write_str("ready"),
            Self::Standing(Standing::NotLeader { .. }) => f.write_str("waiting for a leader"),
            Self::Standing(Standing::NoLeader { why }) => f.write_str(why),
            Self::Standing(Standing::Recovering { percent }) => write!(f, "recovering, {percent} %"),
            Self::Standing(Standing::Stopped) => f.write_str("the volume is not started"),
            Self::Useless(useless) => useless.fmt(f),
        }
    }
}

impl Outlook {
    /// A brick is coming up: deadlines pause.
    #[must_use]
    pub fn recovering(&self) -> bool {
        !self.attached
            && self.heard.values().any(|word| matches!(word, Word::Standing(Standing::Recovering { .. })))
    }

    /// Why nobody will take the session, when that is what the candidates say.
    fn verdict(&self) -> Option<Refusal> {
        self.heard.values().find_map(|word| match word {
            Word::Standing(Standing::Stopped) => Some(Refusal::Stopped),
            Word::Useless(Useless::Denied(Denial::NotAllowed, _)) => Some(Refusal::NotAllowed),
            _ => None,
        })
    }
}

struct Report {
    from: Address,
    /// The session that was asked for, if it was not only the way.
    session: Option<SessionId>,
    result: Result<(Connection, Welcome), Useless>,
}

/// Ends the seekers when the search is over.
struct Over(Rc<Cell<bool>>);

impl Drop for Over {
    fn drop(&mut self) {
        self.0.set(true);
    }
}

/// Returns the connection of the brick that took the session, and its node.
pub async fn search(client: &Rc<Client>) -> (Connection, NodeId) {
    client.outlook.send_modify(|outlook| outlook.heard.clear());
    let (reports, mut inbox) = mpsc::unbounded_channel();
    let over = Over(Rc::default());
    let mut sought = BTreeSet::new();
    let begun = Instant::now();
    loop {
        if !client.session.borrow().resumed {
            // Later, `local::keep` looks: whoever has been attached once shall not wait for a daemon that hangs.
            let _ = tokio::time::timeout(LOOK_PATIENCE, local::look(client)).await;
        }
        send_seekers(client, &mut sought, &reports, &over.0);
        let Ok(report) = tokio::time::timeout(ASK_AGAIN, inbox.recv()).await else {
            judge(client, begun);
            continue;
        };
        let report = report.expect("the search holds a sender of its own");
        if let Some(found) = weigh(client, report) {
            return found;
        }
        judge(client, begun);
    }
}

fn send_seekers(
    client: &Rc<Client>,
    sought: &mut BTreeSet<Candidate>,
    reports: &mpsc::UnboundedSender<Report>,
    over: &Rc<Cell<bool>>,
) {
    let places = client.places.borrow();
    let knows_bricks = !places.bricks().is_empty();
    for (n, candidate) in places.candidates().into_iter().enumerate() {
        let node_known = |known: &Candidate| match (known, &candidate) {
            (Candidate::Brick { node: a, .. }, Candidate::Brick { node: b, .. }) => a == b,
            (a, b) => a == b,
        };
        if sought.iter().any(node_known) {
            continue;
        }
        let patience = if knows_bricks { Duration::ZERO } else { STAGGER * u32::try_from(n).unwrap_or(0) };
        sought.insert(candidate.clone());
        let seeker = Seeker { client: client.clone(), reports: reports.clone(), over: over.clone() };
        tokio::task::spawn_local(seeker.seek(candidate, patience));
    }
}

struct Seeker {
    client: Rc<Client>,
    reports: mpsc::UnboundedSender<Report>,
    over: Rc<Cell<bool>>,
}

impl Seeker {
    async fn seek(self, candidate: Candidate, patience: Duration) {
        tokio::time::sleep(patience).await;
        let (addresses, purpose) = match candidate {
            Candidate::Brick { addresses, .. } => (addresses, Purpose::Session),
            Candidate::Guide { address } => (vec![address], Purpose::LocalReads),
        };
        while !self.over.get() {
            let asked = Instant::now();
            for address in &addresses {
                if self.try_at(address, purpose).await || self.over.get() {
                    break;
                }
            }
            tokio::time::sleep(ASK_AGAIN.saturating_sub(asked.elapsed()).max(BREATH)).await;
        }
    }

    /// True when the node has answered at this address.
    async fn try_at(&self, address: &Address, purpose: Purpose) -> bool {
        let session = self.client.session.borrow().id;
        let hello = || (!self.over.get()).then(|| self.client.hello(purpose));
        let result = greet(&*self.client.transport, address, hello).await;
        let answered = !matches!(result, Err(Useless::Unreachable(_)));
        let session = (purpose == Purpose::Session).then_some(session);
        let _ = self.reports.send(Report { from: address.clone(), session, result });
        answered
    }
}

/// Takes note of one answer; `Some` when it ends the search.
fn weigh(client: &Rc<Client>, report: Report) -> Option<(Connection, NodeId)> {
    let Report { from, session, result } = report;
    if session.is_some_and(|session| session != client.session.borrow().id) {
        return None;
    }
    let (word, found) = match result {
        Ok((connection, welcome)) => {
            if !client.places.borrow_mut().learn(&from, &welcome) {
                debug!("{from} serves another volume of that name");
                return None;
            }
            note_contact(client, &from, &welcome);
            let ready = session.is_some() && welcome.standing == Standing::Ready;
            if ready {
                // Others may know options of times gone by.
                client.configure(&welcome.options);
            }
            (Word::Standing(welcome.standing), ready.then_some((connection, welcome.node)))
        }
        Err(Useless::Denied(Denial::Expired, _)) => {
            // A session that has said goodbye is gone for good.
            if !client.ending.get() {
                expire(client);
            }
            return None;
        }
        Err(useless) => (Word::Useless(useless), None),
    };
    client.outlook.send_modify(|outlook| {
        if outlook.heard.get(&from) != Some(&word) {
            info!("{from}: {word}");
            outlook.heard.insert(from, word);
        }
    });
    found
}

fn note_contact(client: &Client, from: &Address, welcome: &Welcome) {
    client.outlook.send_if_modified(|outlook| {
        let first = outlook.contact.is_none();
        outlook.contact.get_or_insert_with(|| (from.clone(), welcome.volume));
        first
    });
}

/// Begins another session: the one before was silent for too long.
pub(super) fn expire(client: &Client) {
    tracing::error!("the session has expired: open files and locks are void, unconfirmed writes are lost");
    client.session.borrow_mut().begin_anew(new_session_id(), Failure::Expired);
    (client.pushes)(Push::Expired);
    client.tell_news();
}

fn judge(client: &Client, begun: Instant) {
    if begun.elapsed() >= BELIEVE_AFTER {
        let verdict = client.outlook.borrow().verdict();
        client.set_down(verdict);
    }
}
