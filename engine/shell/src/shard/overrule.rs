//! The operator's commands to one brick: go on alone, leave and come back, name the witness. What takes a while is looked at
//! with each tick and answered when it is done, or given up.

use std::rc::Rc;

use rfs_core::consensus::api::{Input, RoleView, TailLoss, Trust, WaitReason};
use rfs_model::NodeId;
use rfs_model::admin::{Operation, WitnessWish};
use rfs_model::hello::SeatClass;

use super::operate::OperateAnswer;
use super::{Inner, Shard, TreeState};
use crate::pool::ProposeError;

/// How long a brick may look whether it is blocked: longer than any election.
const LOOK_US: u64 = 12_000_000;
/// How long what was begun may take: recovery of the tree comes first.
const WORK_US: u64 = 45_000_000;

/// A command that is under way.
pub(crate) struct Command {
    step: Step,
    answer: OperateAnswer,
    until_us: u64,
}

enum Step {
    /// `volume promote`: is nobody leading?
    Promote,
    /// `volume accept-tail-loss`: does it help?
    TailLoss,
    /// This brick leads as soon as its tree is well.
    Leading(String),
    /// `brick leave`.
    Leave,
}

impl Command {
    /// The brick is closed.
    pub fn give_up(self) {
        self.answer.fill(Err(ProposeError::Unknown("the brick was closed meanwhile".into())));
    }
}

fn refused(text: impl Into<String>) -> ProposeError {
    ProposeError::Refused(text.into())
}

impl Inner {
    pub(super) fn operate(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        operation: Operation,
        answer: OperateAnswer,
    ) {
        let begun = match operation {
            Operation::Promote { .. } => self.can_overrule().map(|()| Step::Promote),
            Operation::AcceptTailLoss => self.can_overrule().map(|()| Step::TailLoss),
            Operation::LeaveBrick { .. } => self.can_leave().map(|()| {
                self.step(shard, now_us, Input::Leave);
                Step::Leave
            }),
            Operation::RejoinBrick { .. } => {
                self.step(shard, now_us, Input::Rejoin);
                return answer.fill(Ok(Vec::new()));
            }
            Operation::Witness { wish } => {
                return answer.fill(self.seat_for(&wish).map(|host| vec![host]).map_err(refused));
            }
            Operation::Scrub { begin } => return answer.fill(self.scrub_all(begin)),
            Operation::ReplaceBrick { .. } | Operation::ListDivergent | Operation::ForgetDivergent => {
                Err("this is nothing for one brick".to_owned())
            }
        };
        let wait = if matches!(begun, Ok(Step::Leave)) { WORK_US } else { LOOK_US };
        match begun {
            Ok(step) => self.commands.push(Command { step, answer, until_us: now_us + wait }),
            Err(why) => answer.fill(Err(refused(why))),
        }
    }

    /// Whether this brick has anything to go on with.
    fn can_overrule(&self) -> Result<(), String> {
        let me = self.brick_name(self.me);
        if self.core.trust() == Trust::Blank || matches!(self.tree, TreeState::Resyncing) {
            return Err(format!("{me} needs a full copy of another brick first: it cannot go on alone"));
        }
        Ok(())
    }

    fn can_leave(&self) -> Result<(), String> {
        let (me, config) = (self.brick_name(self.me), self.core.config().record.target());
        if !config.has(self.me) {
            return Err(format!("{me} is not in sync: there is nothing to leave"));
        }
        if config.in_sync.len() == 1 {
            return Err(format!("{me} is the only brick in sync: it cannot leave"));
        }
        if self.core.leader().is_none() {
            return Err(format!("nobody leads: {}", self.blocked_text()));
        }
        Ok(())
    }

    /// Looks at all commands under way.
    pub(super) fn tick_commands(&mut self, shard: &Rc<Shard>, now_us: u64) {
        for mut command in std::mem::take(&mut self.commands) {
            match self.advance(shard, now_us, &mut command) {
                Some(result) => command.answer.fill(result),
                None => self.commands.push(command),
            }
        }
    }

    fn advance(
        &mut self,
        shard: &Rc<Shard>,
        now_us: u64,
        command: &mut Command,
    ) -> Option<Result<Vec<String>, ProposeError>> {
        let late = now_us >= command.until_us;
        let begun = match &command.step {
            Step::Promote => self.look_promote(late),
            Step::TailLoss => self.look_tail_loss(late),
            Step::Leading(lines) => {
                let leads = self.core.leading().is_some() && self.front.is_leading();
                return match (leads, late) {
                    (true, _) => Some(Ok(vec![lines.clone()])),
                    (false, true) => {
                        Some(Err(ProposeError::Unknown("it leads, but does not serve yet".into())))
                    }
                    (false, false) => None,
                };
            }
            // Answered by the core; it gives up long before.
            Step::Leave => {
                return late.then(|| Err(ProposeError::Unknown("the brick is still leaving".into())));
            }
        };
        match begun? {
            Err(why) => Some(Err(refused(why))),
            Ok(lines) => {
                tracing::warn!(brick = %self.path.display(), "an operator overrules the votes: {lines}");
                self.step(shard, now_us, Input::Promote);
                command.step = Step::Leading(lines);
                command.until_us = now_us + WORK_US;
                None
            }
        }
    }

    /// `None`: look again.
    fn look_promote(&self, late: bool) -> Option<Result<String, String>> {
        let me = self.brick_name(self.me);
        if let Some(leader) = self.core.leader().filter(|leader| *leader != self.me) {
            return Some(Err(format!(
                "{} leads the volume: there is nothing to overrule",
                self.brick_name(leader)
            )));
        }
        let waiting = self.core.waiting_for().reason;
        if self.core.role() == RoleView::Leader {
            // One that has lost the others notices within two seconds.
            let lost = waiting == WaitReason::Commit && !late;
            return if lost { None } else { Some(Err(format!("{me} leads the volume already"))) };
        }
        if matches!(waiting, WaitReason::None | WaitReason::Election) && !late {
            return None;
        }
        Some(Ok(self.parting_words()))
    }

    fn look_tail_loss(&self, late: bool) -> Option<Result<String, String>> {
        let me = self.brick_name(self.me);
        match self.core.tail_loss() {
            TailLoss::NotNeeded => Some(Err(format!(
                "{me} does not wait for others because of a power loss: {}",
                self.blocked_text()
            ))),
            TailLoss::Unknown if late => {
                Some(Err("not all connected bricks have answered: try again".into()))
            }
            TailLoss::Unknown => None,
            TailLoss::Better(brick) => Some(Err(format!("{} has more in its log", self.brick_name(brick)))),
            TailLoss::Best { present, of } => {
                let fsynced = if present >= of - of / 2 {
                    "nothing that was fsynced is lost"
                } else {
                    "what was fsynced by the missing ones only is lost"
                };
                Some(Ok(format!("{present} of {of} bricks answered: {fsynced}; {}", self.parting_words())))
            }
        }
    }

    /// Who is left behind, and what that means.
    fn parting_words(&self) -> String {
        let me = self.brick_name(self.me);
        let config = self.core.config().record.target();
        let others: Vec<NodeId> = config.bricks.iter().copied().filter(|brick| *brick != self.me).collect();
        let names: Vec<String> = others.iter().map(|brick| self.brick_name(*brick)).collect();
        let (names, volume) = (names.join(", "), &self.state.name);
        let behind = self.core.waiting_for().reason == WaitReason::Behind;
        let old = if config.has(self.me) && !behind {
            String::new()
        } else {
            format!("{me} was not in sync: what was written without it is missing; ")
        };
        format!(
            "{me} goes on alone; {old}what only {names} had is not in the volume: \
             once back, 'rfs-tools heal-status divergent {volume}' shows it"
        )
    }

    /// The core is done with a leave. True: it was an operator's, and the brick stays.
    pub(super) fn left(&mut self, shard: &Rc<Shard>, now_us: u64, clean: bool, last: bool) -> bool {
        let at = self.commands.iter().position(|command| matches!(command.step, Step::Leave));
        let Some(command) = at.map(|at| self.commands.remove(at)).filter(|_| !self.leaving) else {
            return false;
        };
        let me = self.brick_name(self.me);
        let result = match (clean, last) {
            (true, false) => Ok(vec![format!(
                "{me} is out of the sync set and receives changes; 'rfs-tools brick rejoin' or a restart brings it back"
            )]),
            (_, true) => Err(refused(format!("{me} is the only brick in sync: it cannot leave"))),
            (false, false) => Err(refused(format!("{me} could not leave in time: it stays"))),
        };
        if result.is_err() {
            self.step(shard, now_us, Input::Rejoin);
        }
        command.answer.fill(result);
        true
    }

    /// The value of the option `witness` that a wish comes to: a connected machine's name, or `none`.
    fn seat_for(&self, wish: &WitnessWish) -> Result<String, String> {
        let seat = self.core.config().record.target().seat.clone();
        let candidates = self.core.seat_candidates();
        let named = |class| match class {
            SeatClass::PoolNode => "pool node",
            SeatClass::Mount => "mount",
            SeatClass::BrickMachine => "brick machine",
        };
        let all = || {
            let names = candidates.iter().map(|seat| format!("{} ({})", seat.host, named(seat.class)));
            let names = names.collect::<Vec<_>>().join(", ");
            if names.is_empty() {
                "no machine offers one".to_owned()
            } else {
                format!("candidates are {names}")
            }
        };
        match wish {
            WitnessWish::Clear => Ok("none".to_owned()),
            WitnessWish::Set { host } if candidates.iter().any(|seat| seat.host == *host) => Ok(host.clone()),
            WitnessWish::Set { host } => Err(format!("{host} offers no witness seat: {}", all())),
            WitnessWish::Move => {
                let holder = seat.as_ref().map(|seat| &seat.host);
                let other = candidates.iter().find(|seat| Some(&seat.host) != holder);
                other
                    .map(|seat| seat.host.clone())
                    .ok_or_else(|| format!("no other machine can hold the seat: {}", all()))
            }
        }
    }
}
