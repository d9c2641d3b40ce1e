//! Mounts that come from a lineage which an operator has abandoned.

use bytes::Bytes;
use rfs_model::{FileKind, Index, InodeId, Seq};

use super::rig::{A, Rig, TERM, make};
use crate::admit::{Attach, Front, Limits, Received, Violation};

/// A leader of the lineage that began behind the rig's log.
fn promoted(rig: &Rig) -> Front {
    let mut front = Front::restore(Limits::default(), &Bytes::from(rig.front.snapshot())).unwrap();
    front.lineage_began(Index(rig.applied as u64 + 1));
    front.lead(TERM.next(), 0);
    assert_eq!(front.attach(A, true, &Bytes::new(), &[]), Attach::Ready);
    front
}

fn mkdir() -> rfs_model::client::Mutation {
    make(InodeId::ROOT, "x", FileKind::Dir)
}

#[test]
fn who_still_keeps_all_that_is_missing_goes_on() {
    let mut rig = Rig::new();
    rig.dir(InodeId::ROOT, "a");
    let mut front = promoted(&rig);
    assert_eq!(front.receive(A, Seq(2), Seq(1), mkdir()), Ok(Received::Queued));
}

/// Requests 2 to 4 were answered elsewhere, and let go.
#[test]
fn who_was_answered_elsewhere_has_no_session_any_more() {
    let mut rig = Rig::new();
    rig.dir(InodeId::ROOT, "a");
    let mut front = promoted(&rig);
    assert_eq!(front.receive(A, Seq(5), Seq(5), mkdir()), Err(Violation::Abandoned(Seq(5))));
    assert_eq!(front.attach(A, true, &Bytes::new(), &[]), Attach::Expired);
    let mut front = promoted(&rig);
    front.heard(A, Seq(5));
    assert_eq!(front.attach(A, true, &Bytes::new(), &[]), Attach::Expired, "a sign of life is enough");
}

/// A request that left no record is not in any log: within a lineage that is no reason to end a session.
#[test]
fn within_a_lineage_nobody_is_suspected() {
    let mut rig = Rig::new();
    rig.dir(InodeId::ROOT, "a");
    let mut front = Front::restore(Limits::default(), &Bytes::from(rig.front.snapshot())).unwrap();
    front.lead(TERM.next(), 0);
    assert_eq!(front.receive(A, Seq(5), Seq(5), mkdir()), Ok(Received::Queued));
    let mut front = Front::restore(Limits::default(), &Bytes::from(rig.front.snapshot())).unwrap();
    front.lineage_began(Index(1));
    front.lead(TERM.next(), 0);
    assert_eq!(front.receive(A, Seq(5), Seq(5), mkdir()), Ok(Received::Queued), "it has been here before");
}
