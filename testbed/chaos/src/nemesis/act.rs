//! Doing harm, and undoing it.

use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use rfs_cluster::servers::{BRICKD, MOUNTD};
use rfs_cluster::{BRICK, Replica, Signal, VOLUME, holds_within, wait};

use super::fault::{Fault, Kind};
use super::plan::{Field, Round};
use crate::check::{Rule, Violation};
use crate::clock::now;
use crate::history::Spell;

/// How long a volume may take to be healthy once every fault is over; the machine may be a slow one.
pub const HEALS: Duration = Duration::from_secs(90);

/// A mount that ends in good order takes at most 20 s for its writes.
const DRAINS: Duration = Duration::from_secs(19);

/// Does what a schedule says.
pub struct Nemesis<'a> {
    pub replica: &'a Replica,
    field: Field,
    spells: Mutex<Vec<Spell>>,
    found: Mutex<Vec<Violation>>,
}

impl<'a> Nemesis<'a> {
    #[must_use]
    pub fn new(replica: &'a Replica, field: Field) -> Nemesis<'a> {
        Nemesis { replica, field, spells: Mutex::default(), found: Mutex::default() }
    }

    /// What was done so far.
    #[must_use]
    pub fn spells(&self) -> Vec<Spell> {
        self.spells.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What it met that must not be.
    #[must_use]
    pub fn found(&self) -> Vec<Violation> {
        self.found.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn accuse(&self, text: String) {
        let violation = Violation::new(Rule::NotHealed, now(), text);
        self.found.lock().unwrap_or_else(PoisonError::into_inner).push(violation);
    }

    /// All faults of a round, side by side; returns when the last is undone and the rest is over. `watch` is called all
    /// along.
    pub fn round(&self, round: &Round, watch: &dyn Fn()) {
        if round.healthy {
            self.settle(watch);
        }
        thread::scope(|scope| {
            let strikes: Vec<_> = round.faults.iter().map(|f| (f, scope.spawn(|| self.strike(f)))).collect();
            while !strikes.iter().all(|(_, s)| s.is_finished()) {
                watch();
                wait::last(Duration::from_millis(100));
            }
            for (fault, strike) in strikes {
                if let Err(why) = strike.join() {
                    self.accuse(format!("{fault}: {}", said(why.as_ref())));
                }
            }
        });
        self.revive();
        let rest = Duration::from_millis(round.rest_ms);
        holds_within(rest, || {
            watch();
            false
        });
        if round.settles {
            self.settle(watch);
        }
    }

    /// Waits until the volume is healthy; how long it took.
    pub fn settle(&self, watch: &dyn Fn()) -> Duration {
        let begun = now();
        let healthy =
            |brick: &String| self.replica.cluster[brick].tools(&["heal-status", "--check"]).success();
        let healed = holds_within(HEALS, || {
            watch();
            self.replica.bricks.iter().all(healthy)
        });
        if !healed {
            self.accuse(format!("not healthy after {HEALS:?}\n{}", self.replica.status_text()));
        }
        Duration::from_micros(now() - begun)
    }

    /// Nobody but us ends a daemon or a mount.
    fn revive(&self) {
        for server in &self.field.servers {
            let host = &self.replica.cluster[server];
            if host.pids(BRICKD).is_empty() {
                self.accuse(format!("{BRICKD} on {server} has ended by itself\n{}", host.log_tails(20)));
                host.start_brickd();
            }
        }
        for client in &self.field.clients {
            if self.replica.cluster[client].pids(MOUNTD).is_empty() {
                self.accuse(format!("{MOUNTD} on {client} has ended by itself"));
                self.mount(client);
            }
        }
    }

    fn strike(&self, fault: &Fault) {
        wait::last(Duration::from_millis(fault.after_ms));
        let begun = now();
        // Known to the checker from its beginning on, should undoing it fail.
        let at = {
            let mut spells = self.spells.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = u64::MAX;
            spells.push(Spell { begun, ended, fault: fault.clone(), drained: false });
            spells.len() - 1
        };
        let drained = self.act(fault);
        let mut spells = self.spells.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(spell) = spells.get_mut(at) {
            (spell.ended, spell.drained) = (now(), drained);
        }
    }

    /// Does it, holds it, undoes it; whether a mount ended in good order.
    fn act(&self, fault: &Fault) -> bool {
        let cluster = &self.replica.cluster;
        let host = &cluster[fault.host.as_str()];
        let other = fault.other.as_deref().map(|other| &cluster[other]);
        let hold = || wait::last(Duration::from_millis(fault.hold_ms));
        let mut drained = false;
        match (fault.kind, other) {
            (Kind::Kill, _) => {
                host.stop_brickd(Signal::KILL);
                hold();
                host.start_brickd();
            }
            (Kind::Term, _) => {
                host.stop_brickd(Signal::TERM);
                hold();
                host.start_brickd();
            }
            (Kind::Power, _) => {
                host.power_cut();
                hold();
                host.start_brickd();
            }
            (Kind::Disk, _) => {
                host.stop_brickd(Signal::KILL);
                host.swap_disk();
                hold();
                host.start_brickd();
                self.replace(&fault.host);
            }
            (Kind::Stop | Kind::MountStop, _) => {
                let program = if fault.kind == Kind::Stop { BRICKD } else { MOUNTD };
                host.kill(Signal::STOP, program);
                hold();
                host.kill(Signal::CONT, program);
            }
            (Kind::MountKill, _) => {
                host.kill(Signal::KILL, MOUNTD);
                hold();
                self.mount(&fault.host);
            }
            (Kind::MountTerm, _) => {
                let begun = now();
                host.kill(Signal::TERM, MOUNTD);
                drained = now() - begun < DRAINS.as_micros() as u64;
                hold();
                self.mount(&fault.host);
            }
            (Kind::Cut, _) => {
                cluster.cut(&fault.host);
                hold();
                cluster.uncut(&fault.host);
            }
            (Kind::OneWay, Some(other)) => {
                host.lose_to(other);
                hold();
                host.find_again(other);
            }
            (Kind::Part, Some(other)) => {
                cluster.part(host.name(), other.name());
                hold();
                cluster.heal(host.name(), other.name());
            }
            (Kind::OneWay | Kind::Part, None) => {}
            (Kind::Full, _) => {
                let left = fault.amount * 1024;
                let script = format!(
                    "free=$(df --output=avail -k /disk | tail -1); all=$((free - {left})); \
                     [ $all -le 0 ] || fallocate -l ${{all}}K /disk/ballast"
                );
                let _ = host.sh(&script);
                hold();
                host.sh("rm -f /disk/ballast").ok();
            }
            (Kind::Clock, _) => {
                host.set_clock(fault.amount);
                hold();
                host.set_clock(0);
            }
        }
        drained
    }

    /// What an operator does about a dead disk, as soon as the volume lets it: somebody must lead, without that brick.
    fn replace(&self, brick: &str) {
        let name = format!("{brick}:{BRICK}");
        let others = self.replica.bricks.iter().filter(|b| *b != brick);
        let mut said = String::new();
        let done = holds_within(HEALS, || {
            others.clone().any(|at| {
                let ran = self.replica.cluster[at].tools(&["brick", "replace", VOLUME, &name, &name]);
                said = ran.to_string();
                ran.success()
            })
        });
        assert!(done, "{name} cannot be replaced: {said}");
    }

    /// Mounts again, as soon as the volume lets it.
    fn mount(&self, client: &str) {
        let mut last = None;
        let done = holds_within(HEALS, || {
            let ran = self.replica.try_mount(client, &[]);
            let done = ran.success();
            last = Some(ran);
            done
        });
        assert!(done, "{client} cannot mount: {}", last.map_or(String::new(), |ran| ran.to_string()));
    }
}

/// What a panic said.
fn said(why: &(dyn std::any::Any + Send)) -> String {
    let text = why.downcast_ref::<String>().cloned();
    text.or_else(|| why.downcast_ref::<&str>().map(|s| (*s).to_owned())).unwrap_or_default()
}
