//! Candidacy, votes of bricks, and taking the lead.

use super::{Action, Broken, Steps, append_own, save_vote, see_term};
use crate::config::{BRICKS, Config, Record, Voters, brick};
use crate::model::Model;
use crate::quorum::{commits, elects};
use crate::rules::Rules;
use crate::state::{Brick, Role, State, Trust};

pub fn steps(steps: &mut Steps<'_>) {
    for i in steps.bricks() {
        campaign(steps, i);
        win(steps, i);
        for from in steps.bricks() {
            vote(steps, i, from);
            learn(steps, i, steps.from.bricks[from].term);
        }
        for from in steps.witnesses() {
            learn(steps, i, steps.from.witnesses[from].register.term);
        }
        save(steps, i);
    }
}

/// Whether the brick's own promise lets it be a candidate.
fn is_free(model: &Model, brick: &Brick, i: usize) -> bool {
    let void = brick.released >= brick.hold_term || !model.rules.own_hold;
    let alone = brick.config().record.configs().all(|config| config.is_alone(i));
    !brick.holds || void || alone
}

/// A brick of S; or one that S has left by a change that may not be committed, and that may be the only one to know it.
fn can_stand(rules: &Rules, brick: &Brick, i: usize) -> bool {
    let config = brick.config();
    let before = (config.index > 1).then(|| brick.config_upto(config.index.min(brick.len + 1) - 1)).flatten();
    let needed = before.is_some_and(|placed| placed.record.has(i));
    brick.trust != Trust::Blank && (config.record.has(i) || needed || !rules.members_stand)
}

fn campaign(steps: &mut Steps<'_>, i: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let me = &mut to.bricks[i];
    if me.leads()
        || me.term >= model.bounds.terms
        || !can_stand(&model.rules, me, i)
        || !is_free(model, me, i)
    {
        return;
    }
    me.follow();
    (me.role, me.term, me.voted) = (Role::Candidate, me.term + 1, i as u8 + 1);
    save_vote(model, me);
    steps.add(Action::Campaign(i), to);
}

/// Whose votes count: those of the configuration in force.
fn electorate(rules: &Rules, brick: &Brick, i: usize) -> Record {
    let record = brick.config().record;
    if rules.members_stand || record.has(i) {
        return record;
    }
    let own = (1..=brick.len).rev().map(|at| brick.record(at));
    own.into_iter().find(|r| r.is_config() && !r.is_joint() && r.has(i)).unwrap_or(record)
}

/// Witnesses that a candidate asks.
pub fn asked_seats(rules: &Rules, brick: &Brick, i: usize) -> Voters {
    if rules.old_seat_is_out { electorate(rules, brick, i).seats() } else { !7 }
}

fn vote(steps: &mut Steps<'_>, voter: usize, candidate: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let rules = &model.rules;
    let asking = to.bricks[candidate];
    let asked = electorate(rules, &asking, candidate).bricks() & brick(voter) != 0 || !rules.votes_of_members;
    if voter == candidate || asking.role != Role::Candidate || !asked {
        return;
    }
    let me = &mut to.bricks[voter];
    let held = model.shape.leases && me.holds && asking.released.max(me.released) < me.hold_term;
    if asking.term < me.term || me.leads() || held {
        return;
    }
    see_term(model, me, asking.term);
    let taken = me.voted != 0 && me.voted != candidate as u8 + 1 && rules.one_vote;
    let blank = me.trust == Trust::Blank && rules.blank_has_no_vote;
    if taken || blank || (asking.end() < me.end() && rules.log_comparison) {
        return;
    }
    if me.role == Role::Candidate {
        me.follow();
    }
    me.voted = candidate as u8 + 1;
    save_vote(model, me);
    let suspect = me.trust == Trust::Suspect;
    let asking = &mut to.bricks[candidate];
    asking.votes |= brick(voter);
    asking.suspects = asking.suspects & !brick(voter) | u8::from(suspect) << voter;
    steps.add(Action::Vote { voter, candidate }, to);
}

fn learn(steps: &mut Steps<'_>, i: usize, term: u8) {
    let mut to = *steps.from;
    if term > to.bricks[i].term {
        see_term(steps.model, &mut to.bricks[i], term);
        steps.add(Action::Learn { brick: i, term }, to);
    }
}

/// A mutant's answers leave before this.
fn save(steps: &mut Steps<'_>, i: usize) {
    let mut to = *steps.from;
    let me = &mut to.bricks[i];
    (me.saved, me.saved_trust) = ((me.term, me.voted), me.trust);
    steps.add(Action::Save(i), to);
}

/// By an election quorum of sound voters; or, after a power loss, by all of S.
fn wins(rules: &Rules, me: &Brick, i: usize, config: Config) -> bool {
    let trusted = if rules.suspect_has_no_vote { me.votes & !me.suspects } else { me.votes };
    let all = me.votes | brick(i);
    let own_sound = me.trust == Trust::Sound || !rules.suspect_stands_not;
    let sound = if own_sound { trusted | brick(i) } else { trusted };
    let (config, sound) = widen(rules, config, sound);
    let by_quorum = own_sound && elects(rules, config, sound);
    let by_all = all & config.in_sync() == config.in_sync() && rules.all_of_s_is_enough;
    by_quorum || by_all || (!rules.all_suspect_needs_all && commits(rules, config, all))
}

/// What mutants count: anybody's vote as one of S, any witness's as the seat's.
fn widen(rules: &Rules, config: Config, mut votes: Voters) -> (Config, Voters) {
    if !rules.old_seat_is_out && votes & !7 != 0 {
        votes |= config.seat_bit();
    }
    if !rules.votes_of_members {
        let strangers = (votes & 7 & !config.in_sync()).count_ones();
        let missing = config.in_sync() & !votes;
        let filled = (0..BRICKS).filter(|b| missing & brick(*b) != 0).take(strangers as usize);
        votes |= filled.fold(0, |all, b| all | brick(b));
    }
    (config, votes)
}

fn win(steps: &mut Steps<'_>, i: usize) {
    let (model, mut to) = (steps.model, *steps.from);
    let rules = &model.rules;
    let me = to.bricks[i];
    let record = electorate(rules, &me, i);
    let counted = |config: &Config| {
        let old = record.is_joint() && *config == record.old();
        let new = record.is_joint() && *config == record.target();
        (rules.candidate_asks_old || !old) && (rules.candidate_asks_new || !new)
    };
    let won = me.role == Role::Candidate && record.configs().filter(counted).all(|c| wins(rules, &me, i, c));
    if !won || me.len >= model.bounds.log {
        return;
    }
    let broken = judge_leader(&mut to, i);
    let me = &mut to.bricks[i];
    let again = (me.config().record.is_joint() && rules.joint_written_again) || me.ahead_at > 0;
    let first = if again { me.config().record.again(me.term) } else { Record::noop(me.term) };
    me.follow();
    me.role = Role::Leader;
    (me.trust, me.saved_trust) = (Trust::Sound, Trust::Sound);
    me.lead.first = me.len + 1;
    append_own(model, me, first);
    steps.add_checked(Action::Win(i), to, broken);
}

/// One leader a term; and it has all that was committed in earlier terms, but for what a commit quorum lost with its power
/// before it was durable.
fn judge_leader(to: &mut State, i: usize) -> Option<Broken> {
    let (me, excused) = (to.bricks[i], quorum_lost_power(to));
    let promised = &mut to.promised;
    let led = 1 << me.term;
    if promised.led & led != 0 {
        return Some(Broken::TwoLeaders);
    }
    promised.led |= led;
    let pairs = promised.log.iter().zip(&me.log).take(usize::from(promised.committed.min(me.len)));
    let kept = pairs.take_while(|(a, b)| a == b).count() as u8;
    if kept >= promised.committed || me.term < promised.term {
        return None;
    }
    if kept < promised.durable {
        return Some(Broken::LostDurable);
    }
    if !excused {
        return Some(Broken::LostCommitted);
    }
    for at in kept..promised.committed {
        promised.log[usize::from(at)] = Record::default();
    }
    promised.committed = kept;
    None
}

/// Whether a commit quorum of the newest committed configuration is suspect at once.
fn quorum_lost_power(state: &State) -> bool {
    let suspect = |i: &usize| state.bricks[*i].trust == Trust::Suspect;
    let suspects = (0..BRICKS).filter(suspect).fold(0, |all: Voters, i| all | brick(i));
    let committed = &state.promised.log[..usize::from(state.promised.committed)];
    let newest = committed.iter().rev().find(|record| record.is_config());
    newest.is_some_and(|record| (suspects & record.target().in_sync()).count_ones() >= record.target().size())
}
