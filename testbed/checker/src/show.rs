//! States and steps as people read them.

use std::fmt;

use crate::config::{BRICKS, SEATS, Voters, brick, name, witness};
use crate::state::{Brick, Role, State, Trust};
use crate::step::{Action, Broken};

struct Names(Voters);

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for i in (0..BRICKS).filter(|i| self.0 & brick(*i) != 0) {
            write!(f, "{}", name(i))?;
        }
        for s in (0..SEATS).filter(|s| self.0 & witness(*s) != 0) {
            write!(f, " w{s}")?;
        }
        Ok(())
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, brick) in self.bricks.iter().enumerate().filter(|(_, brick)| **brick != Brick::default()) {
            writeln!(f, "      {}: {brick}", name(i))?;
        }
        for (s, witness) in self.witnesses.iter().enumerate().filter(|(_, w)| w.lost || w.register.term > 0) {
            let register = witness.register;
            write!(f, "     w{s}: term {}", register.term)?;
            if register.voted > 0 {
                write!(f, " for {}", name(usize::from(register.voted) - 1))?;
            }
            let (term, index) = register.config;
            write!(f, ", configuration {term}:{index}")?;
            if witness.holds {
                write!(f, ", holds for term {}", witness.hold_term)?;
            }
            writeln!(f, "{}", if witness.lost { ", lost" } else { "" })?;
        }
        let promised = &self.promised;
        write!(f, "      committed {}, durable {}", promised.committed, promised.durable)
    }
}

impl fmt::Display for Brick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "term {} ", self.term)?;
        match self.role {
            Role::Follower => write!(f, "follower")?,
            Role::Candidate => write!(f, "candidate")?,
            Role::Leader => write!(f, "LEADER")?,
        }
        if self.voted > 0 {
            write!(f, " (vote {})", name(usize::from(self.voted) - 1))?;
        }
        match self.trust {
            Trust::Sound => {}
            Trust::Suspect => write!(f, " SUSPECT")?,
            Trust::Blank => write!(f, " BLANK")?,
        }
        write!(f, " [")?;
        for at in 1..=self.len {
            let mark = if at == self.synced { " |" } else { "" };
            let unwritten = if at > self.journaled { "?" } else { "" };
            write!(f, "{}{}{mark}", if at > 1 { " " } else { "" }, self.record(at))?;
            write!(f, "{unwritten}")?;
        }
        write!(f, "]")?;
        if self.ahead_at > 0 {
            write!(f, " knows {} at {}", self.ahead, self.ahead_at)?;
        }
        if self.votes != 0 {
            write!(f, " votes {}", Names(self.votes))?;
        }
        if self.holds {
            write!(f, " holds for term {}", self.hold_term)?;
        }
        if self.vouched > 0 {
            write!(f, " vouched to {}", self.vouched - 1)?;
        }
        if self.leads() {
            write!(f, " committed {}", self.lead.committed)?;
        }
        if self.lead.lease != 0 {
            write!(f, " lease from {}", Names(self.lead.lease))?;
        }
        Ok(())
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Campaign(i) => write!(f, "{} asks for votes", name(i)),
            Self::Vote { voter, candidate } => write!(f, "{} votes for {}", name(voter), name(candidate)),
            Self::WitnessVote { seat, candidate } => write!(f, "w{seat} votes for {}", name(candidate)),
            Self::Win(i) => write!(f, "{} leads", name(i)),
            Self::Learn { brick, term } => write!(f, "{} hears of term {term}", name(brick)),
            Self::Propose(i) => write!(f, "a client writes to {}", name(i)),
            Self::Journal(i) => write!(f, "{} has written its records", name(i)),
            Self::Sync(i) => write!(f, "{} syncs", name(i)),
            Self::Append { leader, follower } => write!(f, "{} sends to {}", name(leader), name(follower)),
            Self::Hear { leader, follower } => {
                write!(f, "{} learns where the log of {} ends", name(leader), name(follower))
            }
            Self::Commit(i) => write!(f, "{} counts what is committed", name(i)),
            Self::Change(i) => write!(f, "{} begins a change", name(i)),
            Self::TurnBack(i) => write!(f, "{} turns the change back", name(i)),
            Self::Final(i) => write!(f, "{} ends the change early", name(i)),
            Self::Store { leader, seat } => write!(f, "w{seat} stores the configuration of {}", name(leader)),
            Self::Vouch { leader, suspect } => {
                write!(f, "{} answers the nonce of {}", name(leader), name(suspect))
            }
            Self::StaleVouch(i) => write!(f, "{} gets an answer to an old nonce", name(i)),
            Self::Heartbeat { leader, seat } => {
                write!(f, "w{seat} acknowledges a heartbeat of {}", name(leader))
            }
            Self::LeaseEnds { leader, voter } => {
                write!(f, "the lease of {} from {} ends", name(leader), Names(1 << voter))
            }
            Self::HoldEnds(i) => write!(f, "the promise of {} ends", name(i)),
            Self::WitnessHoldEnds(s) => write!(f, "the promise of w{s} ends"),
            Self::Read(i) => write!(f, "a read comes to {}", name(i)),
            Self::AnswerRead(i) => write!(f, "{} answers the read", name(i)),
            Self::Handover { leader, to } => write!(f, "{} hands over to {}", name(leader), name(to)),
            Self::Crash(i) => write!(f, "{} crashes, and is started", name(i)),
            Self::PowerLoss { brick, kept } => write!(f, "{} loses power, keeps {kept} records", name(brick)),
            Self::NewDisk(i) => write!(f, "{} gets a new disk", name(i)),
            Self::Save(i) => write!(f, "{} saves its state", name(i)),
            Self::WitnessCrash(s) => write!(f, "w{s} crashes, and is started"),
            Self::RegisterLost(s) => write!(f, "w{s} loses its register"),
            Self::WitnessSave(s) => write!(f, "w{s} saves its register"),
        }
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TwoLeaders => "two leaders in one term",
            Self::TwoValues => "two records committed at one index",
            Self::LostCommitted => "a leader lacks a committed record",
            Self::LostDurable => "a leader lacks a durable record",
            Self::StaleLease => "a leader with a lease lacks a committed record",
            Self::StaleRead => "a read does not see what was committed before it",
            Self::Orphan => "a witness asks for a configuration that no brick has any more",
            Self::Stuck => "nothing fails any more, and no brick can lead and commit",
        })
    }
}
