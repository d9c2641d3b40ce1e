//! Replica sets that agree by being one object.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::rc::Rc;

use rfs_model::admin::{BrickReport, BrickRole, HealState, Operation, VolumeReport};
use rfs_model::ids::{NodeId, VolumeId};
use rfs_model::volume::VolumeState;

use crate::pool::seam::{BrickSpec, Bricks, LocalBoxFuture, ProposeError, ReplicaSet};

/// What all machines share.
#[derive(Default)]
pub struct World {
    pub nodes: RefCell<BTreeMap<String, NodeId>>,
    pub alive: RefCell<BTreeSet<NodeId>>,
    pub states: RefCell<BTreeMap<VolumeId, VolumeState>>,
    /// Nobody leads anything.
    pub blocked: Cell<bool>,
    /// The next prepare on this node fails half-way.
    pub fail_prepare: RefCell<Option<NodeId>>,
    /// Commits on this node fail.
    pub fail_commit: RefCell<Option<NodeId>>,
}

impl World {
    pub fn node(&self, name: &str) -> NodeId {
        self.nodes.borrow()[name]
    }

    /// The last brick that is alive leads: not the one that most requests go to.
    fn leader(&self, volume: VolumeId) -> Option<NodeId> {
        let (states, alive) = (self.states.borrow(), self.alive.borrow());
        let bricks = states.get(&volume)?.bricks.iter().rev().map(|b| b.node);
        if self.blocked.get() { None } else { bricks.into_iter().find(|n| alive.contains(n)) }
    }
}

pub struct FakeBricks {
    world: Rc<World>,
    node: NodeId,
    running: RefCell<BTreeSet<VolumeId>>,
}

impl FakeBricks {
    pub fn new(world: &Rc<World>, node: NodeId) -> Rc<Self> {
        Rc::new(Self { world: Rc::clone(world), node, running: RefCell::default() })
    }

    fn remove_private(path: &std::path::Path) -> Result<(), String> {
        match std::fs::remove_dir_all(path.join(".rfs")) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.to_string()),
            _ => Ok(()),
        }
    }
}

impl Bricks for FakeBricks {
    fn get(&self, volume: VolumeId) -> Option<Rc<dyn ReplicaSet>> {
        let set = FakeSet { world: Rc::clone(&self.world), volume, node: self.node };
        self.running.borrow().contains(&volume).then(|| Rc::new(set) as Rc<dyn ReplicaSet>)
    }

    fn prepare_brick(&self, _: VolumeState, path: PathBuf) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            std::fs::create_dir(path.join(".rfs")).map_err(|e| e.to_string())?;
            std::fs::write(path.join(".rfs/label"), "creating").map_err(|e| e.to_string())?;
            let fails = self.world.fail_prepare.borrow_mut().take_if(|n| *n == self.node).is_some();
            if fails { Err("no space is left".to_owned()) } else { Ok(()) }
        })
    }

    fn commit_brick(&self, state: VolumeState, path: PathBuf) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            if *self.world.fail_commit.borrow() == Some(self.node) {
                return Err("the disk is slow to wake".to_owned());
            }
            std::fs::write(path.join(".rfs/label"), "live").map_err(|e| e.to_string())?;
            self.running.borrow_mut().insert(state.id);
            self.world.states.borrow_mut().entry(state.id).or_insert(state);
            Ok(())
        })
    }

    fn abort_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move { Self::remove_private(&brick.path) })
    }

    fn open_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.running.borrow_mut().insert(brick.volume);
            Ok(())
        })
    }

    fn delete_brick(&self, brick: BrickSpec) -> LocalBoxFuture<'_, Result<(), String>> {
        Box::pin(async move {
            self.running.borrow_mut().remove(&brick.volume);
            Self::remove_private(&brick.path)
        })
    }
}

struct FakeSet {
    world: Rc<World>,
    volume: VolumeId,
    node: NodeId,
}

impl ReplicaSet for FakeSet {
    fn state(&self) -> VolumeState {
        self.world.states.borrow()[&self.volume].clone()
    }

    fn as_of_ms(&self) -> u64 {
        1000
    }

    fn leader(&self) -> Option<NodeId> {
        self.world.leader(self.volume)
    }

    fn report(&self) -> VolumeReport {
        let state = self.state();
        let alive = self.world.alive.borrow();
        let leader = self.leader();
        let bricks = state.bricks.iter().map(|b| BrickReport {
            brick: format!("{}:{}", b.host, b.path),
            node: b.node,
            state: match b.node {
                n if Some(n) == leader => BrickRole::Leader,
                n if alive.contains(&n) => BrickRole::InSync,
                _ => BrickRole::Offline,
            },
            online: alive.contains(&b.node),
            pid: Some(1),
            committed: Some(7),
            applied: Some(7),
            behind_ops: 0,
            behind_bytes: 0,
            rate_bytes_per_s: 0,
            eta_s: None,
            lag_ms: 0,
            doubts: 0,
            fault: None,
            scrub: None,
        });
        let bricks: Vec<BrickReport> = bricks.collect();
        let away = bricks.iter().filter(|b| !b.online && leader.is_none()).map(|b| b.brick.clone());
        VolumeReport {
            volume: state.name.clone(),
            id: state.id,
            started: state.started,
            state: HealState::Blocked,
            leader,
            target: leader.map(|_| 7),
            pending: false,
            witness: None,
            waits_for: away.collect(),
            now: None,
            as_of_ms: None,
            bricks,
        }
    }

    fn propose(&self, state: VolumeState) -> LocalBoxFuture<'_, Result<(), ProposeError>> {
        Box::pin(async move {
            match self.leader() {
                Some(leader) if leader == self.node => {
                    self.world.states.borrow_mut().insert(self.volume, state);
                    Ok(())
                }
                Some(leader) => Err(ProposeError::NotLeader { leader }),
                None => Err(ProposeError::NoLeader("nobody leads".to_owned())),
            }
        })
    }

    fn operate(&self, operation: Operation) -> LocalBoxFuture<'_, Result<Vec<String>, ProposeError>> {
        Box::pin(async move {
            match operation {
                Operation::ListDivergent => Ok(vec!["/a".to_owned()]),
                other => Err(ProposeError::Refused(format!("not here: {other:?}"))),
            }
        })
    }
}
