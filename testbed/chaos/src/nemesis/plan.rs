//! The schedule: rounds of faults that overlap, each followed by a rest. A seed decides all of it.

use super::fault::{Fault, Kind};

/// Who can be hurt.
#[derive(Clone, Debug)]
pub struct Field {
    /// Hosts with a brick.
    pub bricks: Vec<String>,
    /// Hosts with a daemon.
    pub servers: Vec<String>,
    /// Hosts with a mount.
    pub clients: Vec<String>,
}

/// Faults that overlap, and the rest after the last of them has ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round {
    pub faults: Vec<Fault>,
    /// All bricks must be in sync before it: what one loses, another must have.
    pub healthy: bool,
    pub rest_ms: u64,
    /// The rest lasts until all bricks are in sync again.
    pub settles: bool,
}

/// An endless schedule. Without any kind of fault its rounds are rests.
#[derive(Debug)]
pub struct Schedule {
    random: fastrand::Rng,
    field: Field,
    kinds: Vec<Kind>,
    rounds: u64,
}

/// Every so many rounds, the volume is given the time to be healthy.
const SETTLES: u64 = 3;

/// In a round, at most.
const FAULTS: usize = 4;

impl Schedule {
    #[must_use]
    pub fn new(seed: u64, field: Field, kinds: &[Kind]) -> Schedule {
        Schedule { random: fastrand::Rng::with_seed(seed), field, kinds: kinds.to_vec(), rounds: 0 }
    }

    fn fault(&mut self) -> Option<Fault> {
        let kind = *self.kinds.get(self.random.usize(..self.kinds.len().max(1)))?;
        let (host, other) = self.place(kind)?;
        let after_ms = self.random.u64(..3000);
        let hold_ms = match kind {
            Kind::Kill | Kind::Term | Kind::MountKill | Kind::MountTerm | Kind::Power | Kind::Disk => {
                self.random.u64(100..6000)
            }
            Kind::Stop | Kind::MountStop => self.random.u64(500..5000),
            Kind::Cut | Kind::OneWay | Kind::Part => self.random.u64(300..8000),
            Kind::Full | Kind::Clock => self.random.u64(2000..8000),
        };
        let amount = match kind {
            Kind::Full => self.random.i64(16..100),
            Kind::Clock => self.random.i64(1..12 * 3600) * if self.random.bool() { 1 } else { -1 },
            _ => 0,
        };
        Some(Fault { kind, host, other, after_ms, hold_ms, amount })
    }

    fn place(&mut self, kind: Kind) -> Option<(String, Option<String>)> {
        let all: Vec<String> = self.field.servers.iter().chain(&self.field.clients).cloned().collect();
        let from = match kind {
            Kind::Kill | Kind::Term | Kind::Stop | Kind::Clock => self.field.servers.clone(),
            Kind::Power | Kind::Full | Kind::Disk => self.field.bricks.clone(),
            Kind::MountKill | Kind::MountTerm | Kind::MountStop => self.field.clients.clone(),
            Kind::Cut | Kind::OneWay | Kind::Part => all.clone(),
        };
        let host = self.pick(&from)?;
        if !matches!(kind, Kind::OneWay | Kind::Part) {
            return Some((host, None));
        }
        // Two clients never talk to each other.
        let client = self.field.clients.contains(&host);
        let others = if client { self.field.servers.clone() } else { all };
        let others: Vec<String> = others.into_iter().filter(|o| *o != host).collect();
        let other = self.pick(&others)?;
        Some((host, Some(other)))
    }

    fn pick(&mut self, from: &[String]) -> Option<String> {
        from.get(self.random.usize(..from.len().max(1))).cloned()
    }
}

impl Iterator for Schedule {
    type Item = Round;

    fn next(&mut self) -> Option<Round> {
        let mut faults: Vec<Fault> = Vec::new();
        let most = if self.kinds.is_empty() { 0 } else { self.random.usize(1..=FAULTS) };
        for _ in 0..most {
            let fault = self.fault()?;
            if !faults.iter().any(|f| clash(f, &fault) || self.field.loses_both(f, &fault)) {
                faults.push(fault);
            }
        }
        self.rounds += 1;
        let settles = self.rounds.is_multiple_of(SETTLES);
        let healthy = faults.iter().any(|f| f.kind == Kind::Disk);
        Some(Round { faults, healthy, rest_ms: self.random.u64(200..3000), settles })
    }
}

impl Field {
    /// Whether one takes all that a brick has, and the other may keep another brick from having it too.
    fn loses_both(&self, a: &Fault, b: &Fault) -> bool {
        let hurts = |f: &Fault| !f.kind.spares_bricks() && self.bricks.iter().any(|brick| f.touches(brick));
        a.kind == Kind::Disk && hurts(b) || b.kind == Kind::Disk && hurts(a)
    }
}

/// Whether one would undo or hinder the other.
fn clash(a: &Fault, b: &Fault) -> bool {
    match (a.kind.of_network(), b.kind.of_network()) {
        (true, true) => {
            let ends = |f: &Fault| [Some(f.host.clone()), f.other.clone()];
            a.kind == b.kind && a.host == b.host
                || a.other.is_some() && b.other.is_some() && ends(a).iter().all(|e| ends(b).contains(e))
        }
        (false, false) => a.host == b.host,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::super::fault::KINDS;
    use super::*;

    fn schedule(seed: u64, kinds: &[Kind]) -> Schedule {
        let hosts = |names: &[&str]| names.iter().map(|n| (*n).to_owned()).collect::<Vec<_>>();
        let field = Field {
            bricks: hosts(&["server1", "server2"]),
            servers: hosts(&["server1", "server2", "server3"]),
            clients: hosts(&["client", "client2"]),
        };
        Schedule::new(seed, field, kinds)
    }

    #[test]
    fn a_seed_decides_the_schedule() {
        let all = KINDS.map(|(kind, _)| kind);
        let rounds = |seed| schedule(seed, &all).take(200).collect::<Vec<_>>();
        assert_eq!(rounds(1), rounds(1));
        assert_ne!(rounds(1), rounds(2));
        let faults: Vec<Fault> = rounds(3).into_iter().flat_map(|r| r.faults).collect();
        for (kind, word) in KINDS {
            assert!(faults.iter().any(|f| f.kind == kind), "{word} never happens");
        }
    }

    #[test]
    fn faults_of_a_round_do_not_undo_each_other() {
        let all = KINDS.map(|(kind, _)| kind);
        for round in schedule(4, &all).take(500) {
            assert!(!round.faults.is_empty());
            for (n, a) in round.faults.iter().enumerate() {
                assert!(round.faults.iter().skip(n + 1).all(|b| !clash(a, b)), "{round:?}");
                assert!(a.kind != Kind::Disk || round.healthy);
                assert!(a.other.as_ref() != Some(&a.host));
                assert!(a.after_ms + a.hold_ms <= 11_000, "sessions and requests must outlive it");
            }
        }
    }

    #[test]
    fn while_a_brick_loses_all_no_other_one_is_hurt() {
        let all = KINDS.map(|(kind, _)| kind);
        let rounds: Vec<Round> = schedule(6, &all).take(500).filter(|r| r.healthy).collect();
        assert!(rounds.iter().any(|r| r.faults.len() > 1));
        for round in rounds {
            let hurt = |f: &&Fault| ["server1", "server2"].iter().any(|brick| f.touches(brick));
            let hurt: Vec<&Fault> = round.faults.iter().filter(hurt).collect();
            assert!(hurt.iter().all(|f| [Kind::Disk, Kind::Clock].contains(&f.kind)), "{round:?}");
            assert_eq!(hurt.iter().filter(|f| f.kind == Kind::Disk).count(), 1, "{round:?}");
        }
    }

    #[test]
    fn without_kinds_there_is_peace() {
        let rounds: Vec<Round> = schedule(7, &[]).take(100).collect();
        assert_eq!(rounds.len(), 100);
        assert!(rounds.iter().all(|r| r.faults.is_empty() && r.rest_ms > 0));
    }

    #[test]
    fn only_the_kinds_that_are_asked_for() {
        let some = [Kind::Cut, Kind::Term];
        let faults = schedule(5, &some).take(100).flat_map(|r| r.faults);
        assert!(faults.into_iter().all(|f| some.contains(&f.kind)));
    }
}
