//! Doubts after a loss of power ([`crate::tree`]'s `doubts.rs`), settled: a brick that does not lead compares what it doubts with
//! what the leader has, and the leader makes records of what differs. A leader that has doubts of its own names them in the
//! log, so that all others doubt the same, and trusts itself.
//!
//! ```text
//! doubted here:  chunk hashed on a thread ──► Claim ──► leader: the same?  hashed on a thread
//!                                                        └► not the same, and nothing is proposed about the file:
//!                                                           what it has, as records, in one turn
//!                trusted once those are applied  ◄── Claimed
//! ```

mod judge;

use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use bytes::Bytes;
use rfs_core::consensus::api::RoleView;
use rfs_model::{Index, InodeId, NodeId, Term};

use super::wire::ShellMessage;
use super::{Event, Inner, Shard, TreeState};
use crate::tree::{CHUNK, Digests, Fault, InodeMeta, Tree};

/// Files that are compared at once.
const FLIGHTS: usize = 16;
/// How long the leader may take to answer.
const ANSWER_US: u64 = 2_000_000;
/// A brick whose tree is further behind than this reads old bytes, and would be sent what it is about to get anyway.
const NEAR_RECORDS: u64 = 4096;

/// What a brick has of one chunk of a file, or of an inode without data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Claim {
    pub id: InodeId,
    pub chunk: u64,
    pub version: Index,
    /// How often it was asked before.
    pub tries: u8,
    /// [`Digests`]; none of what is no file.
    pub digests: Bytes,
    /// With the last chunk: attributes, extended attributes, size.
    pub meta: Option<InodeMeta>,
}
rfs_model::layout!(Claim { id, chunk, version, tries, digests, meta });

/// The leader's answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claimed {
    pub id: InodeId,
    pub chunk: u64,
    /// It is to be read again: the versions differed, and the contents too.
    pub again: bool,
    /// The size that the file has.
    pub size: u64,
    /// The next chunk in which the leader has data; `u64::MAX`: none.
    pub next: u64,
    /// The claim had the attributes, and all of the file has been compared.
    pub whole: bool,
    /// The last record that makes the chunk what the leader has.
    pub upto: Index,
}
rfs_model::layout!(Claimed { id, chunk, again, size, next, whole, upto });

/// Bytes of digests of a chunk.
const UNREADABLE: usize = 32 * std::mem::size_of::<crate::tree::Digest>();

/// A file that is being compared.
#[derive(Default)]
struct Flight {
    chunk: u64,
    asked_us: u64,
    tries: u8,
    /// At the leader, as it said last.
    size: u64,
    upto: Index,
}

/// A claim that is not what the leader has.
struct Repair {
    from: NodeId,
    claim: Claim,
    since_us: u64,
}

#[derive(Default)]
pub(crate) struct Comparing {
    with: Option<(Term, NodeId)>,
    flights: BTreeMap<InodeId, Flight>,
    /// Compared, and to be trusted when this record is applied.
    settled: BTreeMap<InodeId, Index>,
    /// The file that was begun last.
    after: Option<InodeId>,
    /// At a leader: claims that are being hashed, and those that are not what it has.
    hashing: usize,
    repairs: VecDeque<Repair>,
    /// How far a leader has named its doubts, in which term.
    named: Option<(Term, Option<InodeId>)>,
}

/// For whom a chunk was hashed.
pub(crate) enum For {
    Leader,
    Claim(NodeId, Box<Claim>),
}

impl Inner {
    /// Brings the comparison on.
    pub(super) fn tick_doubts(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let TreeState::Ready(tree) = &self.tree else { return };
        if tree.doubts() == 0 || self.front.is_leading() {
            return;
        }
        let with = self.core.leader().filter(|leader| self.links.contains_key(leader));
        let with = with.map(|leader| (self.core.term(), leader));
        if self.comparing.with != with {
            self.comparing = Comparing { with, ..Comparing::default() };
        }
        let follows = matches!(self.core.role(), RoleView::Follower | RoleView::Learner);
        let near = self.committed.0.saturating_sub(self.applied().0) <= NEAR_RECORDS;
        if with.is_none() || !follows || !near || self.is_trust_pending() {
            return;
        }
        self.trust_settled();
        self.comparing.flights.retain(|_, flight| now_us.saturating_sub(flight.asked_us) < ANSWER_US);
        self.take_off(shard, now_us);
    }

    /// The leader has not vouched for this brick's log yet.
    fn is_trust_pending(&self) -> bool {
        self.core.trust() != rfs_core::consensus::api::Trust::Sound
    }

    fn trust_settled(&mut self) {
        let applied = self.applied();
        let TreeState::Ready(tree) = &mut self.tree else { return };
        self.comparing.settled.retain(|id, upto| {
            let there = *upto <= applied;
            if there {
                tree.trust(&[*id]);
            }
            !there
        });
        if tree.doubts() == 0 {
            tracing::info!(brick = %tree.path().display(), "all that was doubted is as the leader has it");
        }
    }

    /// Begins with further files, in turn: one that is written all the time keeps no other waiting.
    fn take_off(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let TreeState::Ready(tree) = &self.tree else { return };
        let Comparing { flights, settled, after, .. } = &self.comparing;
        let most = flights.len() + settled.len() + FLIGHTS;
        let later = tree.doubts_after(*after, most);
        let earlier = if later.len() < most { tree.doubts_after(None, most) } else { Vec::new() };
        let fresh = later
            .into_iter()
            .chain(earlier)
            .filter(|id| !flights.contains_key(id) && !settled.contains_key(id));
        let mut fresh: Vec<InodeId> = fresh.take(2 * FLIGHTS).collect();
        let mut seen = std::collections::BTreeSet::new();
        fresh.retain(|id| seen.insert(*id));
        fresh.truncate(FLIGHTS.saturating_sub(flights.len()));
        for id in fresh {
            self.comparing.after = Some(id);
            self.comparing.flights.insert(id, Flight::default());
            self.look_at(shard, now_us, id);
        }
    }

    /// Hashes the next chunk of a doubted file.
    fn look_at(&mut self, shard: &Rc<Shard>, now_us: u64, id: InodeId) {
        let TreeState::Ready(tree) = &mut self.tree else { return };
        let Some(flight) = self.comparing.flights.get_mut(&id) else { return };
        flight.asked_us = now_us;
        match (tree.entry(id), tree.chunk_job(id, flight.chunk)) {
            (Ok(None), _) => {
                tree.trust(&[id]);
                self.comparing.flights.remove(&id);
            }
            (Ok(Some(_)), Ok(Some(job))) => {
                let chunk = flight.chunk;
                let inbox = Rc::clone(&shard.inbox);
                glommio::spawn_local(async move {
                    let digests = glommio::executor().spawn_blocking(move || job.run()).await;
                    inbox.push(Event::Digested { id, chunk, digests, of: For::Leader });
                })
                .detach();
            }
            (Ok(Some(_)), Ok(None)) => self.claim(id, Digests::new()),
            (Err(e), _) | (_, Err(e @ Fault::Index { .. })) => self.fail(e.to_string()),
            (_, Err(e)) => self.is_lost(id, &e),
        }
    }

    /// A doubted file cannot be looked at: it is had from the leader as a scrub would have it.
    fn is_lost(&mut self, id: InodeId, why: &Fault) {
        let Some((_, leader)) = self.comparing.with else { return };
        let TreeState::Ready(tree) = &mut self.tree else { return };
        tracing::error!("{}{}: {why}", tree.path().display(), tree.path_of(id));
        let version = tree.version(id).ok().flatten().unwrap_or_default();
        tree.trust(&[id]);
        self.comparing.flights.remove(&id);
        let looks = vec![crate::tree::Look { id, version, digest: 0 }];
        self.send(leader, &ShellMessage::Compare { looks });
    }

    pub(super) fn digested(
        &mut self,
        shard: &Rc<Shard>,
        (id, chunk): (InodeId, u64),
        digests: Result<Digests, Fault>,
        of: For,
    ) {
        let awaited = self.comparing.flights.get(&id).is_some_and(|flight| flight.chunk == chunk);
        match (of, digests) {
            (For::Leader, _) if !awaited => {}
            (For::Leader, Ok(digests)) => self.claim(id, digests),
            (For::Leader, Err(e)) => {
                // The disk does not give it: it is written anew.
                tracing::error!("{e}");
                self.claim(id, vec![0; UNREADABLE]);
            }
            (For::Claim(from, claim), Ok(own)) => {
                self.comparing.hashing = self.comparing.hashing.saturating_sub(1);
                self.judge_claim(from, *claim, &own);
            }
            (For::Claim(from, claim), Err(e)) => {
                // Then the other brick is right, and this one gets its blocks from there when somebody needs them.
                tracing::error!("{e}");
                self.comparing.hashing = self.comparing.hashing.saturating_sub(1);
                let own = claim.digests.to_vec();
                self.judge_claim(from, *claim, &own);
            }
        }
        shard.inbox.push(Event::More);
    }

    /// Tells the leader what is here.
    fn claim(&mut self, id: InodeId, digests: Digests) {
        let (TreeState::Ready(tree), Some((_, leader))) = (&self.tree, self.comparing.with) else { return };
        let Some(flight) = self.comparing.flights.get(&id) else { return };
        let meta = match tree.meta(id) {
            Ok(Some(meta)) if Tree::is_sendable(&meta) => meta,
            Ok(Some(_)) => {
                return self.is_lost(id, &Fault::Nonsense("more extended attributes than a frame holds"));
            }
            Ok(None) => return,
            Err(e) => return self.is_lost(id, &e),
        };
        let last = flight.chunk.saturating_add(1).saturating_mul(CHUNK) >= meta.body.size.max(flight.size);
        let claim = Claim {
            id,
            chunk: flight.chunk,
            version: meta.look.version,
            tries: flight.tries,
            digests: digests.into(),
            meta: last.then_some(meta),
        };
        self.send(leader, &ShellMessage::Claim { claim });
    }

    pub(super) fn claimed(&mut self, shard: &Rc<Shard>, now_us: u64, from: NodeId, said: Claimed) {
        if self.comparing.with != Some((self.core.term(), from)) {
            return;
        }
        let Some(flight) = self.comparing.flights.get_mut(&said.id) else { return };
        if flight.chunk != said.chunk {
            return;
        }
        flight.upto = flight.upto.max(said.upto);
        flight.size = said.size;
        if said.whole {
            let upto = flight.upto;
            self.comparing.flights.remove(&said.id);
            self.comparing.settled.insert(said.id, upto);
            self.trust_settled();
            self.take_off(shard, now_us);
            return;
        }
        if said.again {
            // What differs may be on its way.
            flight.tries = flight.tries.saturating_add(1);
        } else {
            let TreeState::Ready(tree) = &self.tree else { return };
            let own = match (tree.next_chunk(said.id, said.chunk.saturating_add(1)), tree.size_now(said.id)) {
                (Ok(next), Ok(size)) => (next.unwrap_or(u64::MAX), size),
                (Err(e @ Fault::Index { .. }), _) | (_, Err(e @ Fault::Index { .. })) => {
                    return self.fail(e.to_string());
                }
                _ => (u64::MAX, 0),
            };
            let last = said.size.max(own.1).saturating_sub(1) / CHUNK;
            flight.chunk = said.next.min(own.0).min(last).max(said.chunk.saturating_add(1));
            flight.tries = 0;
        }
        self.look_at(shard, now_us, said.id);
    }
}
