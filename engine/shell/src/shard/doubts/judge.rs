//! The leader's half: judges what others claim, makes records of what they lack, and names what it doubts itself.

use std::rc::Rc;

use bytes::Bytes;
use rfs_core::consensus::api::Input;
use rfs_model::limits::NAME_BYTES;
use rfs_model::op::{COMPARE_IDS, Stamped};
use rfs_model::{FileKind, Index, InodeId, NodeId, Op, SetAttr, Term};

use super::{Claim, Claimed, For, Repair};
use crate::clock;
use crate::shard::wire::ShellMessage;
use crate::shard::{Event, Inner, Shard, TreeState};
use crate::tree::{CHUNK, Digests, Fault, InodeMeta, is_private_xattr};

/// Claims that wait at a leader, and those that are judged in one turn.
const REPAIRS: usize = 256;
/// For so long a claim waits for what is proposed about its file; then nothing more is admitted until that is applied.
const PATIENCE_US: u64 = 500_000;
const REPAIRS_A_TURN: usize = 16;
/// How often a chunk is read again because the two bricks had the file in different versions.
const TRIES: u8 = 8;

const CAPABILITY: &[u8] = b"security.capability";

impl Inner {
    /// A brick says what it has of a file that it doubts.
    pub(in crate::shard) fn claim_came(&mut self, shard: &Rc<Shard>, from: NodeId, claim: Claim) {
        let TreeState::Ready(tree) = &self.tree else { return };
        let waiting = self.comparing.repairs.len() + self.comparing.hashing;
        if !self.front.is_leading() || waiting >= REPAIRS {
            return;
        }
        match tree.chunk_job(claim.id, claim.chunk) {
            Ok(Some(job)) => {
                self.comparing.hashing += 1;
                let inbox = Rc::clone(&shard.inbox);
                glommio::spawn_local(async move {
                    let digests = glommio::executor().spawn_blocking(move || job.run()).await;
                    let (id, chunk) = (claim.id, claim.chunk);
                    inbox.push(Event::Digested { id, chunk, digests, of: For::Claim(from, Box::new(claim)) });
                })
                .detach();
            }
            Ok(None) => self.judge_claim(from, claim, &Digests::new()),
            Err(e @ Fault::Index { .. }) => self.fail(e.to_string()),
            Err(e) => tracing::error!("{}: {e}", claim.id),
        }
    }

    pub(super) fn judge_claim(&mut self, from: NodeId, claim: Claim, own: &Digests) {
        let TreeState::Ready(tree) = &self.tree else { return };
        if !self.front.is_leading() {
            return;
        }
        let mine = match tree.meta(claim.id) {
            Ok(Some(mine)) => mine,
            Err(e @ Fault::Index { .. }) => return self.fail(e.to_string()),
            // It is gone, and will be there too; or it is lost here, and nothing can be compared with it.
            Ok(None) | Err(_) => {
                let said = Claimed { whole: true, ..answer(&claim, 0, None, Index::ZERO) };
                return self.send(from, &ShellMessage::Claimed { said });
            }
        };
        let next = tree.next_chunk(claim.id, claim.chunk.saturating_add(1)).ok().flatten();
        let same =
            claim.digests == own[..] && claim.meta.as_ref().is_none_or(|theirs| is_same(&mine, theirs));
        let said = answer(&claim, mine.body.size, next, Index::ZERO);
        if same {
            self.send(from, &ShellMessage::Claimed { said });
        } else if claim.version != mine.look.version && claim.tries < TRIES {
            self.send(from, &ShellMessage::Claimed { said: Claimed { again: true, whole: false, ..said } });
        } else {
            let repairs = &mut self.comparing.repairs;
            repairs.retain(|r| (r.from, r.claim.id, r.claim.chunk) != (from, claim.id, claim.chunk));
            repairs.push_back(Repair { from, claim, since_us: clock::boottime_us() });
        }
    }

    /// The leader's part in a turn: names what it doubts itself, and makes records of what others lack. Returns whether
    /// requests may be admitted: a file that is written all the time would never be settled otherwise.
    pub(in crate::shard) fn settle_doubts(&mut self, shard: &Rc<Shard>, now_us: u64) -> bool {
        if self.core.leading().is_none() {
            return true;
        }
        self.name_doubts(shard, now_us);
        for _ in 0..REPAIRS_A_TURN.min(self.comparing.repairs.len()) {
            let Some(repair) = self.comparing.repairs.pop_front() else { break };
            if !self.front.is_settled(repair.claim.id) {
                self.comparing.repairs.push_back(repair);
                continue;
            }
            match self.repair(shard, now_us, repair.from, &repair.claim) {
                Ok(()) => {}
                Err(e @ Fault::Index { .. }) => self.fail(e.to_string()),
                Err(e) => tracing::error!("{e}"),
            }
        }
        let late = |repair: &Repair| now_us.saturating_sub(repair.since_us) > PATIENCE_US;
        !self.comparing.repairs.iter().any(late)
    }

    /// No longer a leader, or of another term: what was claimed was not claimed of what comes now.
    pub(in crate::shard) fn forget_claims(&mut self) {
        self.comparing.repairs.clear();
        self.comparing.named = None;
    }

    fn name_doubts(&mut self, shard: &Rc<Shard>, now_us: u64) {
        let TreeState::Ready(tree) = &self.tree else { return };
        if tree.doubts() == 0 {
            return;
        }
        let term = self.core.term();
        if self.comparing.named.is_none_or(|(of, _)| of != term) {
            if let Err(e) = self.accept_lengths(shard, now_us) {
                return self.fail(e.to_string());
            }
            self.comparing.named = Some((term, None));
        }
        let TreeState::Ready(tree) = &self.tree else { return };
        let after = self.comparing.named.and_then(|(_, after)| after);
        let ids = tree.doubts_after(after, COMPARE_IDS);
        if let Some(last) = ids.last().copied()
            && self.propose_own(shard, now_us, Op::Compare { ids }).is_some()
        {
            self.comparing.named = Some((term, Some(last)));
        }
    }

    /// A lost record has cut a file: nobody but a brick where it did not may know what was there, and whoever cut it did not
    /// want it. Nothing has been proposed in this term before.
    fn accept_lengths(&mut self, shard: &Rc<Shard>, now_us: u64) -> Result<(), Fault> {
        let TreeState::Ready(tree) = &self.tree else { return Ok(()) };
        let mut ops = Vec::new();
        for id in tree.doubts_after(None, usize::MAX) {
            if let Some((size, mtime)) = tree.cut_short(id)? {
                let set = SetAttr { size: Some(size), mtime: Some(mtime), ..SetAttr::default() };
                ops.push(Op::SetAttr { id, set });
            }
        }
        for op in ops {
            self.propose_own(shard, now_us, op);
        }
        Ok(())
    }

    /// All records of one repair are proposed in one turn: nothing comes between what was read and them.
    fn repair(&mut self, shard: &Rc<Shard>, now_us: u64, from: NodeId, claim: &Claim) -> Result<(), Fault> {
        let TreeState::Ready(tree) = &self.tree else { return Ok(()) };
        let (Some(mine), Some(entry)) = (tree.meta(claim.id)?, tree.entry(claim.id)?) else { return Ok(()) };
        let mut ops = Vec::new();
        if !claim.digests.is_empty() {
            for (offset, data) in tree.differing_from(claim.id, claim.chunk, &claim.digests)? {
                ops.push(Op::Write { id: claim.id, offset, data });
            }
        }
        if !ops.is_empty() {
            // The kernel takes them away from a file that is written to.
            ops.extend(
                mine.xattrs.iter().filter(|(name, _)| name == CAPABILITY).map(|own| set(mine.look.id, own)),
            );
        }
        let theirs = claim.meta.as_ref();
        ops.extend(theirs.map(|theirs| xattrs(&mine, theirs)).unwrap_or_default());
        if !ops.is_empty() || theirs.is_some_and(|theirs| !is_same(&mine, theirs)) {
            // Last: data sets the time, and an ACL the mode.
            ops.push(attributes(&mine, entry.kind));
        }
        if !ops.is_empty() {
            tracing::warn!(
                "{}{}: {} had it otherwise after a loss of power: {} records",
                tree.path().display(),
                tree.path_of(claim.id),
                self.brick_name(from),
                ops.len()
            );
        }
        let next = tree.next_chunk(claim.id, claim.chunk.saturating_add(1))?;
        let mut upto = Index::ZERO;
        for op in ops {
            // Without a record there is no answer: the other brick asks again.
            let Some(index) = self.propose_own(shard, now_us, op) else { return Ok(()) };
            upto = index;
        }
        self.send(from, &ShellMessage::Claimed { said: answer(claim, mine.body.size, next, upto) });
        Ok(())
    }

    fn propose_own(&mut self, shard: &Rc<Shard>, now_us: u64, op: Op) -> Option<Index> {
        let (term, next) = self.core.leading().filter(|_| self.serves())?;
        if let Some(problem) = op.problem() {
            // Only a brick that lies has such a thing.
            tracing::error!("no record is made of what another brick has: {problem}");
            return None;
        }
        let stamped: Stamped = self.front.record_repair(op, clock::now(), next)?;
        let record = self.record_of(next, term, &stamped);
        let meta = record.meta;
        self.enter(record);
        self.step(shard, now_us, Input::Proposed { meta });
        Some(next)
    }

    /// A leader named what it doubts.
    pub(in crate::shard) fn doubts_named(&mut self, term: Term, ids: &[InodeId]) -> Result<(), Fault> {
        let own = self.front.is_leading() && self.core.term() == term;
        let TreeState::Ready(tree) = &mut self.tree else { return Ok(()) };
        if own {
            tree.trust(ids);
            return Ok(());
        }
        tree.doubt(ids)
    }
}

fn answer(claim: &Claim, size: u64, next: Option<u64>, upto: Index) -> Claimed {
    let whole = claim.meta.is_some() && claim.chunk.saturating_add(1).saturating_mul(CHUNK) >= size;
    let next = next.unwrap_or(u64::MAX);
    Claimed { id: claim.id, chunk: claim.chunk, again: false, size, next, whole, upto }
}

fn is_same(mine: &InodeMeta, theirs: &InodeMeta) -> bool {
    mine.body == theirs.body && replicated(mine).eq(replicated(theirs))
}

/// The extended attributes that bricks must have alike. Others (labels of a security module) are the machine's.
fn replicated(meta: &InodeMeta) -> impl Iterator<Item = &(Bytes, Bytes)> {
    meta.xattrs.iter().filter(|(name, _)| {
        let ours = name.starts_with(b"user.") || name.starts_with(b"trusted.") || name == CAPABILITY;
        (ours || name.starts_with(b"system.posix_acl_"))
            && !is_private_xattr(name)
            && name.len() <= NAME_BYTES
    })
}

fn attributes(mine: &InodeMeta, kind: FileKind) -> Op {
    let body = &mine.body;
    let set = SetAttr {
        mode: (kind != FileKind::Symlink).then_some(body.mode & 0o7777),
        uid: Some(body.uid),
        gid: Some(body.gid),
        size: (kind == FileKind::File).then_some(body.size),
        mtime: Some(body.mtime),
        ..SetAttr::default()
    };
    Op::SetAttr { id: mine.look.id, set }
}

fn set(id: InodeId, (name, value): &(Bytes, Bytes)) -> Op {
    Op::SetXattr { id, name: name.clone(), value: value.clone() }
}

/// What makes their extended attributes mine: first what goes, then what gets no larger, so that there is room for the rest.
fn xattrs(mine: &InodeMeta, theirs: &InodeMeta) -> Vec<Op> {
    let id = mine.look.id;
    let had = |name: &Bytes| replicated(theirs).find(|(other, _)| other == name).map(|(_, value)| value);
    let gone = replicated(theirs).filter(|(name, _)| !replicated(mine).any(|(own, _)| own == name));
    let mut ops: Vec<Op> = gone.map(|(name, _)| Op::RemoveXattr { id, name: name.clone() }).collect();
    let mut new: Vec<_> = replicated(mine).filter(|(name, value)| had(name) != Some(value)).collect();
    new.sort_by_key(|(name, value)| had(name).is_none_or(|before| before.len() < value.len()));
    ops.extend(new.into_iter().map(|own| set(id, own)));
    ops
}

#[cfg(test)]
mod tests {
    use rfs_model::resync::Body;

    use super::*;
    use crate::tree::Look;

    type Texts<'a> = &'a [(&'a str, &'a str)];

    fn meta(xattrs: Texts<'_>) -> InodeMeta {
        let look = Look { id: InodeId { term: Term(1), index: Index(7) }, version: Index(9), digest: 1 };
        let time = rfs_model::Timestamp { secs: 1, nanos: 2 };
        let body = Body {
            mode: 0o644,
            uid: 1,
            gid: 2,
            rdev: 0,
            size: 5,
            atime: time,
            mtime: time,
            target: Bytes::new(),
        };
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let xattrs = xattrs.iter().map(|(name, value)| (bytes(name), bytes(value))).collect();
        InodeMeta { look, body, xattrs }
    }

    fn shown(mine: Texts<'_>, theirs: Texts<'_>) -> Vec<String> {
        let text = |bytes: &Bytes| String::from_utf8_lossy(bytes).into_owned();
        let show = |op: Op| match op {
            Op::SetXattr { name, value, .. } => format!("{}={}", text(&name), text(&value)),
            Op::RemoveXattr { name, .. } => format!("-{}", text(&name)),
            other => panic!("{other:?}"),
        };
        xattrs(&meta(mine), &meta(theirs)).into_iter().map(show).collect()
    }

    #[test]
    fn attributes_go_and_shrink_before_they_grow() {
        let table: [(Texts<'_>, Texts<'_>, &[&str]); 5] = [
            (&[], &[], &[]),
            (&[("user.a", "1")], &[("user.a", "1")], &[]),
            (
                &[("user.a", "long"), ("user.b", "1")],
                &[("user.b", "long"), ("user.c", "x")],
                &["-user.c", "user.b=1", "user.a=long"],
            ),
            (&[("security.selinux", "mine")], &[("security.selinux", "theirs")], &[]),
            (&[], &[("trusted.rfs.id", "stolen"), ("security.capability", "c")], &["-security.capability"]),
        ];
        for (mine, theirs, want) in table {
            assert_eq!(shown(mine, theirs), want, "{mine:?} over {theirs:?}");
            assert_eq!(is_same(&meta(mine), &meta(theirs)), want.is_empty(), "{mine:?} and {theirs:?}");
        }
    }

    #[test]
    fn a_claim_is_whole_when_it_has_all_that_the_leader_has() {
        let claim = |chunk, meta| Claim {
            id: InodeId::ROOT,
            chunk,
            version: Index(1),
            tries: 0,
            digests: Bytes::new(),
            meta,
        };
        let whole = |chunk, with, size| {
            answer(&claim(chunk, Some(meta(&[])).filter(|_| with)), size, None, Index::ZERO).whole
        };
        assert!(whole(0, true, 0) && whole(0, true, CHUNK) && !whole(0, true, CHUNK + 1));
        assert!(!whole(0, false, 0) && whole(1, true, CHUNK + 1));
        // What a liar may ask.
        assert!(whole(u64::MAX, true, u64::MAX));
    }
}
