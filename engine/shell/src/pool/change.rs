//! Volume states changed: from any node, at the leader's, as one record.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use rfs_model::admin::{Operation, Reply, Request, VolumeChange, VolumeEntry};
use rfs_model::ids::{NodeId, VolumeId};
use rfs_model::options;
use rfs_model::volume::VolumeState;

use super::line::{AskError, explain};
use super::seam::{ProposeError, ReplicaSet};
use super::service::{Outcome, Pool, WORK, turn};

/// How long a change waits for a leader before it is refused: longer than any election.
const PATIENCE: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(100);

impl Pool {
    /// `volume start|stop|set|reset`
    pub(super) async fn change(self: &Rc<Self>, name: &str, change: VolumeChange) -> Outcome {
        let (id, entry) = self.known_volume(name)?;
        check_change(&change)?;
        self.at_leader(&entry, &Request::Change { volume: id, change }).await
    }

    /// `volume promote|witness|…`, `brick leave|replace`
    pub(super) async fn operate(self: &Rc<Self>, name: &str, operation: Operation) -> Outcome {
        let (id, entry) = self.known_volume(name)?;
        let what = Request::OperateHere { volume: id, operation: operation.clone() };
        match operation {
            Operation::Promote { host } => {
                let node = self.resolve(&host).await?;
                if !entry.bricks.iter().any(|b| b.node == node) {
                    return Err(format!("{host} has no brick of volume {name}"));
                }
                self.tell_named(node, what, WORK).await
            }
            Operation::ListDivergent => self.gather(&entry, &what).await,
            _ => self.at_leader(&entry, &what).await,
        }
    }

    /// Lines of all bricks that can be asked.
    async fn gather(self: &Rc<Self>, entry: &VolumeEntry, what: &Request) -> Outcome {
        let mut all = Vec::new();
        for brick in &entry.bricks {
            if !self.is_connected(brick.node) {
                continue;
            }
            if let Reply::Lines(lines) = self.tell_named(brick.node, what.clone(), WORK).await? {
                all.extend(lines.into_iter().map(|line| format!("{}:{}: {line}", brick.host, brick.path)));
            }
        }
        Ok(Reply::Lines(all))
    }

    /// Asks the bricks' nodes, following their hints, until the leader has done it.
    async fn at_leader(self: &Rc<Self>, entry: &VolumeEntry, what: &Request) -> Outcome {
        let mut waited = Duration::ZERO;
        loop {
            let why = match self.one_round(entry, what).await? {
                Round::Done(reply) => return Ok(reply),
                Round::NoLeader(why) => why,
            };
            if waited >= PATIENCE {
                return Err(why);
            }
            glommio::timer::sleep(PAUSE).await;
            waited += PAUSE;
        }
    }

    async fn one_round(self: &Rc<Self>, entry: &VolumeEntry, what: &Request) -> Result<Round, String> {
        let me = self.node();
        let mut queue: VecDeque<NodeId> = entry.bricks.iter().map(|b| b.node).collect();
        queue.make_contiguous().sort_by_key(|node| *node != me);
        let mut asked = Vec::new();
        let mut why = format!("no brick of volume {} can be asked", entry.name);
        while let Some(node) = queue.pop_front() {
            if asked.contains(&node) || !self.is_connected(node) {
                continue;
            }
            asked.push(node);
            match self.tell(node, what.clone(), WORK).await {
                Ok(Reply::NotLeader { leader, why: theirs }) => {
                    leader.into_iter().for_each(|leader| queue.push_front(leader));
                    if !theirs.is_empty() {
                        why = theirs;
                    }
                }
                Ok(reply) => return Ok(Round::Done(reply)),
                Err(AskError::Refused(text)) => return Err(text),
                Err(AskError::Net(e)) => why = explain(&self.name_of(node), &e),
            }
        }
        Ok(Round::NoLeader(format!("volume {} cannot be changed now: {why}", entry.name)))
    }

    /// The change itself, where the leader is.
    pub(super) async fn change_here(self: &Rc<Self>, volume: VolumeId, change: VolumeChange) -> Outcome {
        let set = self.running(volume)?;
        let _turn = turn(&self.proposing).await?;
        if let Some(elsewhere) = self.not_leading(set.as_ref()) {
            return Ok(elsewhere);
        }
        let now = set.state();
        let next = apply(&now, &change)?;
        if next == now {
            return Ok(Reply::done());
        }
        settled(set.propose(next).await.map(|()| Vec::new()))
    }

    pub(super) async fn operate_here(self: &Rc<Self>, volume: VolumeId, operation: Operation) -> Outcome {
        let set = self.running(volume)?;
        let anywhere = matches!(operation, Operation::Promote { .. } | Operation::ListDivergent);
        let listing = matches!(operation, Operation::ListDivergent);
        if !anywhere && let Some(elsewhere) = self.not_leading(set.as_ref()) {
            return Ok(elsewhere);
        }
        match settled(set.operate(operation).await)? {
            Reply::Done { note: None } if listing => Ok(Reply::Lines(Vec::new())),
            Reply::Done { note: Some(text) } if listing => {
                Ok(Reply::Lines(text.lines().map(str::to_owned).collect()))
            }
            reply => Ok(reply),
        }
    }

    fn running(&self, volume: VolumeId) -> Result<Rc<dyn ReplicaSet>, String> {
        self.bricks.get(volume).ok_or_else(|| format!("{} runs no brick of that volume", self.name()))
    }

    fn not_leading(&self, set: &dyn ReplicaSet) -> Option<Reply> {
        match set.leader() {
            Some(leader) if leader == self.node() => None,
            leader => Some(Reply::NotLeader { leader, why: waits_for(set) }),
        }
    }
}

enum Round {
    Done(Reply),
    NoLeader(String),
}

fn waits_for(set: &dyn ReplicaSet) -> String {
    let waits = set.report().waits_for;
    if waits.is_empty() {
        String::new()
    } else {
        format!("it waits for {}: start it there", waits.join(", "))
    }
}

fn settled(result: Result<Vec<String>, ProposeError>) -> Outcome {
    match result {
        Ok(lines) if lines.is_empty() => Ok(Reply::done()),
        Ok(lines) => Ok(Reply::Done { note: Some(lines.join("\n")) }),
        Err(ProposeError::NotLeader { leader }) => {
            Ok(Reply::NotLeader { leader: Some(leader).filter(|l| !l.is_nil()), why: String::new() })
        }
        Err(ProposeError::NoLeader(why)) => Ok(Reply::NotLeader { leader: None, why }),
        Err(ProposeError::Unknown(why)) => Err(format!(
            "{why}: the change may have been made or not; look at 'rfs-tools volume info', and repeat it if need be"
        )),
        Err(ProposeError::Refused(why)) => Err(why),
    }
}

/// What can be said about a change without asking anybody.
fn check_change(change: &VolumeChange) -> Result<(), String> {
    match change {
        VolumeChange::Set { options } => {
            options.iter().try_for_each(|(key, value)| options::check(key, value))
        }
        VolumeChange::Reset { key: Some(key) } => options::check_key(key).map(|_| ()),
        VolumeChange::Start | VolumeChange::Stop | VolumeChange::Reset { key: None } => Ok(()),
    }
}

/// The state after a change.
fn apply(now: &VolumeState, change: &VolumeChange) -> Result<VolumeState, String> {
    check_change(change)?;
    let mut next = now.clone();
    match change {
        VolumeChange::Start if now.started => return Err(format!("volume {} is already started", now.name)),
        VolumeChange::Stop if !now.started => return Err(format!("volume {} is not started", now.name)),
        VolumeChange::Start => next.started = true,
        VolumeChange::Stop => next.started = false,
        VolumeChange::Set { options } => {
            options.iter().for_each(|(key, value)| set(&mut next.options, key, value))
        }
        VolumeChange::Reset { key: Some(key) } => next.options.retain(|(k, _)| k != key),
        VolumeChange::Reset { key: None } => next.options.clear(),
    }
    Ok(next)
}

/// Keeps the list sorted, one value a key, defaults left out.
fn set(all: &mut Vec<(String, String)>, key: &str, value: &str) {
    all.retain(|(k, _)| k != key);
    if options::option(key).is_none_or(|o| o.default != value) {
        all.push((key.to_owned(), value.to_owned()));
        all.sort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state(started: bool, options: &[(&str, &str)]) -> VolumeState {
        let options = options.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        VolumeState { id: VolumeId::NIL, name: "datavol".into(), started, bricks: vec![], options, sets: 1 }
    }

    fn setting(key: &str, value: &str) -> VolumeChange {
        VolumeChange::Set { options: vec![(key.into(), value.into())] }
    }

    #[test]
    fn changes_and_what_they_make() {
        let (allow, sync) = (("auth.allow", "10.0.0.1"), ("sync", "1s"));
        let table = [
            (state(false, &[]), VolumeChange::Start, state(true, &[])),
            (state(true, &[sync]), VolumeChange::Stop, state(false, &[sync])),
            (state(true, &[sync]), setting("auth.allow", "10.0.0.1"), state(true, &[allow, sync])),
            (state(true, &[("sync", "2s")]), setting("sync", "1s"), state(true, &[sync])),
            (state(true, &[allow, sync]), setting("auth.allow", "*"), state(true, &[sync])),
            (
                state(true, &[allow, sync]),
                VolumeChange::Reset { key: Some("sync".into()) },
                state(true, &[allow]),
            ),
            (state(true, &[allow, sync]), VolumeChange::Reset { key: None }, state(true, &[])),
        ];
        for (before, change, want) in table {
            assert_eq!(apply(&before, &change), Ok(want), "{change:?}");
        }
    }

    #[test]
    fn changes_that_make_no_sense_are_refused() {
        let table = [
            (state(true, &[]), VolumeChange::Start, "already started"),
            (state(false, &[]), VolumeChange::Stop, "is not started"),
            (state(true, &[]), setting("auth.alow", "x"), "did you mean 'auth.allow'?"),
            (state(true, &[]), setting("auth.allow", "x"), "'x' is no"),
            (state(true, &[]), VolumeChange::Reset { key: Some("sink".into()) }, "did you mean 'sync'?"),
        ];
        for (before, change, want) in table {
            let why = apply(&before, &change).unwrap_err();
            assert!(why.contains(want), "{why}");
        }
    }
}
