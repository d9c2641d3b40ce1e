//! Volume states changed: from any node, at the leader's, as one record.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use rfs_model::admin::{Operation, Reply, Request, VolumeChange, VolumeEntry};
use rfs_model::hello::BrickPlace;
use rfs_model::ids::{NodeId, VolumeId};
use rfs_model::options;
use rfs_model::volume::VolumeState;

use super::line::{AskError, explain};
use super::look::View;
use super::seam::{ProposeError, ReplicaSet};
use super::service::{Outcome, Pool, WORK, turn};
use crate::divergent;

/// How long a change waits for a leader before it is refused: longer than any election.
const PATIENCE: Duration = Duration::from_secs(8);
const PAUSE: Duration = Duration::from_millis(100);

/// Tries until it is done, or fails, or has waited for as long as an election may take.
pub(super) async fn patiently<T>(
    mut attempt: impl AsyncFnMut() -> Result<Round<T>, String>,
) -> Result<T, String> {
    let mut waited = Duration::ZERO;
    loop {
        let why = match attempt().await? {
            Round::Done(done) => return Ok(done),
            Round::NoLeader(why) => why,
        };
        if waited >= PATIENCE {
            return Err(why);
        }
        glommio::timer::sleep(PAUSE).await;
        waited += PAUSE;
    }
}

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
                self.need_no_leader(id, &entry).await?;
                self.tell_named(node, what, WORK).await
            }
            Operation::ListDivergent => self.gather(&entry, &what).await,
            Operation::ForgetDivergent => self.everywhere(&entry, &what).await,
            Operation::AcceptTailLoss => self.at_the_best(&entry, &what).await,
            Operation::LeaveBrick { brick } | Operation::RejoinBrick { brick } => {
                let node = self.brick_called(id, &entry, &brick).await?.node;
                self.tell_named(node, what, WORK).await
            }
            Operation::ReplaceBrick { old, new } => self.replace(id, &entry, &old, &new).await,
            Operation::Witness { .. } | Operation::Scrub { .. } => self.at_leader(&entry, &what).await,
        }
    }

    /// The volume's brick that people call so.
    pub(super) async fn brick_called(
        self: &Rc<Self>,
        id: VolumeId,
        entry: &VolumeEntry,
        brick: &str,
    ) -> Result<BrickPlace, String> {
        let bricks =
            self.state_of(id, entry).await.map_or_else(|| entry.bricks.clone(), |(state, _)| state.bricks);
        let name = |place: &BrickPlace| format!("{}:{}", place.host, place.path);
        let found = bricks.iter().find(|place| name(place) == brick.trim_end_matches('/')).cloned();
        found.ok_or_else(|| {
            let all = bricks.iter().map(name).collect::<Vec<_>>().join(", ");
            format!("{brick} is no brick of volume {}: it has {all}", entry.name)
        })
    }

    /// Asks all bricks' nodes; all must answer.
    async fn everywhere(self: &Rc<Self>, entry: &VolumeEntry, what: &Request) -> Outcome {
        let mut notes = Vec::new();
        for brick in &entry.bricks {
            if let Reply::Done { note: Some(note) } = self.tell_named(brick.node, what.clone(), WORK).await? {
                notes.push(format!("{}:{}: {note}", brick.host, brick.path));
            }
        }
        Ok(Reply::Done { note: (!notes.is_empty()).then(|| notes.join("; ")) })
    }

    /// Asks the bricks' nodes that can be asked, until one has done it.
    async fn at_the_best(self: &Rc<Self>, entry: &VolumeEntry, what: &Request) -> Outcome {
        let mut why = Vec::new();
        for brick in entry.bricks.iter().filter(|brick| self.is_connected(brick.node)) {
            match self.tell_named(brick.node, what.clone(), WORK).await {
                Ok(reply @ Reply::Done { .. }) => return Ok(reply),
                Ok(_) => {}
                Err(text) => why.push(text),
            }
        }
        Err(why.join("; "))
    }

    /// Nobody who can be asked leads the volume.
    async fn need_no_leader(self: &Rc<Self>, id: VolumeId, entry: &VolumeEntry) -> Result<(), String> {
        let read = |reply| match reply {
            Reply::State { leader, .. } => Some(View { value: leader, leader }),
            _ => None,
        };
        match self.consult(entry, &Request::StateHere { volume: id }, read).await {
            Some((Some(leader), true)) => {
                let name = |b: &BrickPlace| format!("{}:{}", b.host, b.path);
                let brick =
                    entry.bricks.iter().find(|b| b.node == leader).map_or_else(|| leader.to_string(), name);
                Err(format!("{brick} leads the volume: there is nothing to overrule"))
            }
            _ => Ok(()),
        }
    }

    /// What abandoned lineages left, of all bricks that can be asked.
    async fn gather(self: &Rc<Self>, entry: &VolumeEntry, what: &Request) -> Outcome {
        let mut all = Vec::new();
        for brick in entry.bricks.iter().filter(|brick| self.is_connected(brick.node)) {
            if let Reply::Divergent(rows) = self.tell_named(brick.node, what.clone(), WORK).await? {
                all.extend(rows);
            }
        }
        Ok(Reply::Divergent(all))
    }

    /// What this node's brick of a volume keeps, whether it runs or not.
    async fn divergent_here(self: &Rc<Self>, volume: VolumeId, forget: bool) -> Outcome {
        let (path, entry) =
            (self.file().bricks.get(&volume).cloned(), self.file().pool.volumes.get(&volume).cloned());
        let Some(path) = path else { return Ok(Reply::Divergent(Vec::new())) };
        let place = entry.and_then(|e| e.bricks.into_iter().find(|b| b.node == self.node()));
        let name = place.map_or_else(|| path.display().to_string(), |b| format!("{}:{}", b.host, b.path));
        let look = move || {
            if !forget {
                return divergent::rows(&path, &name).map(Reply::Divergent);
            }
            let count = divergent::forget(&path)?;
            Ok(Reply::Done { note: (count > 0).then(|| format!("{count} paths forgotten")) })
        };
        glommio::executor().spawn_blocking(look).await
    }

    /// Asks the bricks' nodes, following their hints, until the leader has done it.
    pub(super) async fn at_leader(self: &Rc<Self>, entry: &VolumeEntry, what: &Request) -> Outcome {
        patiently(async || self.one_round(entry, what).await).await
    }

    async fn one_round(self: &Rc<Self>, entry: &VolumeEntry, what: &Request) -> Result<Round<Reply>, String> {
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
        match &operation {
            Operation::ListDivergent => return self.divergent_here(volume, false).await,
            Operation::ForgetDivergent => return self.divergent_here(volume, true).await,
            _ => {}
        }
        let set = self.running(volume)?;
        let Operation::Witness { .. } = operation else { return settled(set.operate(operation).await) };
        if let Some(elsewhere) = self.not_leading(set.as_ref()) {
            return Ok(elsewhere);
        }
        match set.operate(operation).await {
            Ok(host) => {
                let options = host.into_iter().map(|host| ("witness".to_owned(), host)).collect();
                self.change_here(volume, VolumeChange::Set { options }).await
            }
            Err(e) => settled(Err(e)),
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

pub(super) enum Round<T> {
    Done(T),
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
        VolumeChange::Start
        | VolumeChange::Stop
        | VolumeChange::Reset { key: None }
        | VolumeChange::Replace { .. } => Ok(()),
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
        VolumeChange::Replace { old, new } => {
            let place = next.bricks.iter_mut().find(|place| *place == old);
            *place
                .ok_or_else(|| format!("{}:{} is no brick of volume {}", old.host, old.path, now.name))? =
                new.clone();
        }
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
