//! What the protocol promises for each fault, with its times.

use rfs_model::hello::SeatClass;
use rfs_model::peer::WitnessReply;
use rfs_model::{Index, SeatId};

use super::net::{MS, Net, node};
use crate::consensus::api::{Input, Mutations, Received, RoleView, Ticket, Timing, WaitReason};

/// Until a leader other than `not` has committed a new record; the time it took, ms.
pub(super) fn pause(net: &mut Net, not: Option<usize>) -> u64 {
    let start = net.now;
    net.until(10_000, "a writable leader", |net| net.leader().is_some_and(|n| Some(n) != not));
    write(net);
    (net.now - start) / MS
}

pub(super) fn write(net: &mut Net) -> Index {
    let leader = net.leader().expect("a leader");
    let index = net.propose(leader).expect("it takes proposals");
    net.until(5_000, "a commit", |net| net.oracle.highest >= index);
    index
}

pub(super) fn ready(bricks: usize, witness: bool) -> (Net, usize) {
    let mut net = Net::new(bricks, witness, 7);
    net.until(3_000, "a first leader", |net| net.leader().is_some());
    if witness {
        let seated = |net: &Net| net.core(0).is_some_and(|c| c.config().record.target().seat.is_some());
        net.until(5_000, "a seat", move |net| seated(net) && net.healthy());
    }
    for _ in 0..30 {
        write(&mut net);
    }
    net.until(2_000, "all the same", Net::settled);
    let leader = net.leader().expect("a leader");
    (net, leader)
}

#[test]
fn one_brick_leads_at_once_and_always() {
    let mut net = Net::new(1, false, 7);
    assert!(net.until(100, "a leader", |net| net.leader().is_some()) <= 10);
    let index = write(&mut net);
    net.fsync(0, index);
    net.until(20, "durable", |net| net.bricks[0].durable >= index);
    assert!(net.core(0).is_some_and(|core| core.lease_valid(net.now) && core.healthy()));
    net.power_loss(0);
    net.start(0);
    net.until(100, "a leader", |net| net.leader().is_some());
    net.step(0, Input::Leave);
    net.run(20);
    assert_eq!(net.bricks[0].left, Some((true, true)));
}

#[test]
fn a_frozen_witness_does_not_get_the_seat_back_before_it_answers() {
    let (mut net, leader) = ready(2, true);
    let mount = SeatId([77; 16]);
    for n in 0..2 {
        let (class, host) = (SeatClass::Mount, "client".to_string());
        net.step(n, Input::SeatCandidate { seat: mount, class, host, up: true });
    }
    let holder =
        move |net: &Net| net.core(leader).and_then(|c| c.config().record.target().seat.clone()).map(|s| s.id);
    let first = holder(&net);
    assert!(first.is_some() && first != Some(mount), "the better machine has it");
    // Its link stands: the kernel of a frozen process goes on.
    let whole = net.witness.take();
    net.until(15_000, "the mount has it", |net| holder(net) == Some(mount));
    let (seat, last) = (mount, net.now + 15_000 * MS);
    while net.now < last {
        net.run(100);
        let message = WitnessReply::Heartbeat { term: net.core(leader).unwrap().term(), round: 0 };
        net.step(leader, Input::Message(Received::Seat { from: seat, message }));
        assert_eq!(holder(&net), Some(mount));
    }
    net.witness = whole;
    (0..2).for_each(|n| net.offer_seat(n));
    net.until(20_000, "it has it again", |net| holder(net) == first && net.healthy());
}

#[test]
fn a_peer_timeout_may_change_while_a_brick_is_silent() {
    let (mut net, leader) = ready(2, true);
    let retime = |net: &mut Net, ms: u64| {
        let timing = Timing { peer_us: ms * MS, ..Timing::default() };
        (0..2).for_each(|n| net.bricks[n].core.as_mut().unwrap().retime(&timing));
    };
    retime(&mut net, 60_000);
    net.isolate(1 - leader);
    let alone = move |net: &Net| {
        net.core(leader).is_some_and(|c| c.config().record.target().in_sync == [node(leader)])
    };
    net.run(8_000);
    assert!(!alone(&net) && net.leader() == Some(leader), "it waits for longer than by default");
    retime(&mut net, 500);
    assert!(net.until(1_000, "it goes on alone", alone) <= 300);
    write(&mut net);
}

fn in_sync(net: &Net, n: usize) -> bool {
    let leader = net.leader().and_then(|leader| net.core(leader));
    leader.is_some_and(|core| core.config().record.target().has(node(n)))
}

#[test]
fn a_slow_brick_leaves_where_the_operator_set_a_limit() {
    for slow_leader in [false, true] {
        let (mut net, leader) = ready(2, true);
        let slow = if slow_leader { leader } else { 1 - leader };
        net.bricks[slow].journal_us = 3_000 * MS;
        let write_for = |net: &mut Net, ms: u64| {
            (0..ms / 50).for_each(|_| {
                net.leader().and_then(|n| net.propose(n));
                net.run(50);
            });
        };
        write_for(&mut net, 6_000);
        assert_eq!(
            (net.leader(), in_sync(&net, slow)),
            (Some(leader), true),
            "by default it may be as slow as it likes"
        );
        let lag = net.core(leader).unwrap().known_lag_us(node(slow));
        assert!((1_000 * MS..7_000 * MS).contains(&lag), "it is seen to be slow: {lag} us");
        let timing = Timing { max_lag_us: Some(2_000 * MS), ..Timing::default() };
        (0..2).for_each(|n| net.bricks[n].core.as_mut().unwrap().retime(&timing));
        write_for(&mut net, 12_000);
        assert_eq!(
            (net.leader(), in_sync(&net, slow)),
            (Some(1 - slow), false),
            "slow leader: {slow_leader}"
        );
        write(&mut net);
        net.bricks[slow].journal_us = MS;
        write_for(&mut net, 30_000);
        assert!(!in_sync(&net, slow), "it must show for a while that it keeps up");
        net.until(60_000, "it is back", |net| in_sync(net, slow));
        net.until(5_000, "healed", Net::settled);
    }
}

#[test]
fn writes_commit_everywhere_and_become_durable() {
    for (bricks, witness) in [(2, false), (2, true), (3, false), (4, false), (4, true)] {
        let (mut net, leader) = ready(bricks, witness);
        let index = write(&mut net);
        net.fsync(leader, index);
        let took = net.until(50, "durable", |net| net.bricks[leader].durable >= index);
        assert!(took <= 10, "an fsync does not wait for the interval: {took} ms");
        net.until(200, "applied by all", Net::settled);
        assert!(net.healthy());
    }
}

#[test]
fn a_killed_leader_is_replaced_within_half_a_second() {
    for (bricks, witness) in [(2, true), (3, false), (4, true)] {
        let (mut net, leader) = ready(bricks, witness);
        net.kill(leader);
        let took = pause(&mut net, Some(leader));
        assert!(took <= 500, "{bricks} bricks: {took} ms");
    }
}

#[test]
fn a_killed_follower_is_missed_for_less_than_half_a_second() {
    let (mut net, leader) = ready(2, true);
    net.kill(1 - leader);
    let start = net.now;
    write(&mut net);
    assert!(net.now - start <= 500 * MS, "{} ms", (net.now - start) / MS);
    assert_eq!(net.leader(), Some(leader));
}

#[test]
fn a_silent_brick_is_missed_for_at_most_2_3_seconds() {
    for leads in [true, false] {
        let (mut net, leader) = ready(2, true);
        let silent = if leads { leader } else { 1 - leader };
        net.isolate(silent);
        net.run(1);
        let start = net.now;
        if !leads {
            net.propose(leader);
        }
        net.until(5_000, "the other is alone", |net| {
            let core = net.core(1 - silent).expect("it runs");
            core.leading().is_some() && core.config().record.target().in_sync == [node(1 - silent)]
        });
        let index = net.propose(1 - silent).expect("it takes proposals");
        net.until(100, "a commit", |net| net.bricks[1 - silent].committed >= index);
        let took = (net.now - start) / MS;
        assert!(took <= 2_300, "leader silent: {leads}, {took} ms");
        assert!(net.core(silent).is_some_and(|core| core.leading().is_none() || leads));
    }
}

#[test]
fn a_frozen_leader_serves_no_reads_when_it_thaws() {
    let (mut net, leader) = ready(2, true);
    net.bricks[leader].paused = true;
    pause(&mut net, Some(leader));
    assert!(!net.core(leader).expect("it runs").lease_valid(net.now));
    net.bricks[leader].paused = false;
    net.until(5_000, "healed", Net::settled);
}

#[test]
fn a_brick_that_returns_heals_and_enters_s_by_itself() {
    for (bricks, witness) in [(2, true), (3, false), (4, true)] {
        let (mut net, leader) = ready(bricks, witness);
        net.kill(leader);
        pause(&mut net, Some(leader));
        (0..300).for_each(|_| {
            write(&mut net);
        });
        net.until(3_000, "it is out of S", |net| {
            let other = net.leader().expect("a leader");
            !net.core(other).expect("it runs").config().record.target().has(node(leader))
        });
        net.start(leader);
        net.run(200);
        assert_eq!(net.core(leader).expect("it runs").role(), RoleView::Learner);
        net.until(3_000, "healed", Net::settled);
    }
}

#[test]
fn a_graceful_stop_is_hardly_felt() {
    for (bricks, witness) in [(2, false), (2, true), (3, false), (4, true)] {
        for leads in [true, false] {
            let (mut net, leader) = ready(bricks, witness);
            let gone = if leads { leader } else { (leader + 1) % bricks };
            net.step(gone, Input::Leave);
            net.step(gone, Input::EndOfTurn);
            net.until(200, "it has left", |net| net.bricks[gone].left.is_some());
            assert_eq!(net.bricks[gone].left, Some((true, false)));
            let took = pause(&mut net, Some(gone));
            assert!(took <= 200, "{took} ms");
            net.exit(gone);
            write(&mut net);
            net.start(gone);
            net.until(5_000, "healed", Net::settled);
        }
    }
}

#[test]
fn when_both_stop_at_once_one_leaves_and_one_is_the_last() {
    for apart_ms in [0, 1, 2, 5, 10, 50] {
        let (mut net, leader) = ready(2, false);
        net.step(leader, Input::Leave);
        net.run(apart_ms);
        net.step(1 - leader, Input::Leave);
        net.until(3_000, "both are done", |net| net.bricks.iter().all(|brick| brick.left.is_some()));
        let mut ends = [net.bricks[0].left, net.bricks[1].left];
        ends.sort();
        assert_eq!(ends, [Some((true, false)), Some((true, true))], "{apart_ms} ms apart");
        let first = net.bricks.iter().position(|brick| brick.left == Some((true, false))).expect("one left");
        (0..2).for_each(|n| net.exit(n));
        net.start(first);
        net.run(5_000);
        let waiting = net.core(first).expect("it runs").waiting_for();
        assert_eq!(waiting.bricks, [node(1 - first)], "the one that left does not serve alone");
        assert_eq!(net.leader(), None);
        net.start(1 - first);
        net.until(5_000, "healed", Net::settled);
    }
}

#[test]
fn a_went_away_b_wrote_b_died_a_returns_alone_and_names_b() {
    for witness in [true, false] {
        let (mut net, leader) = ready(2, witness);
        let (a, b) = (1 - leader, leader);
        if witness {
            net.kill(a);
        } else {
            net.step(a, Input::Leave);
            net.until(200, "it has left", |net| net.bricks[a].left.is_some());
            net.exit(a);
        }
        write(&mut net);
        net.kill(b);
        net.start(a);
        net.run(20_000);
        assert_eq!(net.leader(), None);
        let waiting = net.core(a).expect("it runs").waiting_for();
        assert_eq!(
            (waiting.reason, waiting.bricks),
            (WaitReason::Behind, vec![node(b)]),
            "witness {witness}"
        );
        net.start(b);
        net.until(5_000, "healed", Net::settled);
    }
}

/// The story before, told of a witness that remembers no configuration: the volume forks.
#[test]
fn without_the_witness_s_memory_the_volume_forks() {
    let (mut net, b) = ready(2, true);
    let a = 1 - b;
    let forgets = Mutations { witness_forgets: true, ..Mutations::default() };
    net.witness.as_mut().expect("a witness").mutate(forgets);
    net.kill(a);
    let written = write(&mut net);
    net.kill(b);
    net.start(a);
    net.until(5_000, "it leads, and should not", |net| {
        net.core(a).is_some_and(|core| core.role() == RoleView::Leader)
    });
    assert!(
        net.bricks[a].disk.last() < written
            || net.bricks[a].disk.get(written) != net.bricks[b].disk.get(written)
    );
}

#[test]
fn two_bricks_without_a_witness_block_when_one_is_gone() {
    let (mut net, leader) = ready(2, false);
    net.kill(1 - leader);
    net.propose(leader);
    let before = net.oracle.highest;
    net.run(20_000);
    assert_eq!((net.oracle.highest, net.leader()), (before, None));
    let waiting = net.core(leader).expect("it runs").waiting_for();
    assert_eq!((waiting.reason, waiting.bricks), (WaitReason::Votes, vec![node(1 - leader)]));
    net.start(1 - leader);
    net.until(5_000, "healed", Net::settled);
}

#[test]
fn an_operator_may_go_on_alone_in_a_new_lineage() {
    let (mut net, leader) = ready(2, false);
    net.kill(1 - leader);
    net.run(3_000);
    net.promote(leader);
    net.until(100, "it leads", |net| net.leader() == Some(leader));
    write(&mut net);
    assert_ne!(net.core(leader).expect("it runs").term().lineage().0, 0);
    net.start(1 - leader);
    net.until(5_000, "healed", Net::settled);
}

#[test]
fn both_lose_power_and_what_was_synced_is_there() {
    for (bricks, witness) in [(2, true), (2, false), (3, false)] {
        for seed in 0..20 {
            let (mut net, leader) = ready(bricks, witness);
            net.random = crate::consensus::random::Random::new(seed);
            let index = write(&mut net);
            net.fsync(leader, index);
            net.until(50, "durable", |net| net.bricks[leader].durable >= index);
            (0..5).for_each(|_| {
                net.propose(leader);
                net.run(1);
            });
            (0..bricks).for_each(|n| net.power_loss(n));
            net.oracle.may_lose_unsynced = true;
            (0..bricks - 1).for_each(|n| net.start(n));
            net.run(5_000);
            assert_eq!(net.leader(), None, "all of S must answer");
            net.start(bricks - 1);
            net.until(5_000, "healed", Net::settled);
            let synced = net.oracle.position(index).expect("committed");
            assert_eq!(net.bricks[0].disk.get(index).at, synced, "what was fsynced is there");
        }
    }
}

#[test]
fn a_brick_that_lost_power_has_no_vote_until_it_is_vouched_for() {
    let (mut net, leader) = ready(2, true);
    let b = 1 - leader;
    let index = write(&mut net);
    net.power_loss(b);
    net.bricks[b].disk.cut(index.prev());
    net.kill(leader);
    net.start(b);
    net.run(20_000);
    assert_eq!(net.leader(), None, "b and the witness are not enough");
    let waiting = net.core(b).expect("it runs").waiting_for();
    assert_eq!((waiting.reason, waiting.bricks), (WaitReason::Suspect, vec![node(leader)]));
    net.start(leader);
    net.until(5_000, "healed", Net::settled);
    net.oracle.has_all(&net.bricks[b].disk);
}

#[test]
fn a_new_disk_is_taken_out_of_s_before_it_counts() {
    let (mut net, leader) = ready(2, true);
    let b = 1 - leader;
    net.new_disk(b);
    net.start(b);
    net.until(5_000, "healed", Net::settled);
    net.oracle.has_all(&net.bricks[b].disk);
}

#[test]
fn of_two_sides_one_goes_on() {
    let (mut net, leader) = ready(2, true);
    net.cut.extend([(0, 1), (1, 0)]);
    net.until(4_000, "one side is alone in S", |net| {
        net.leader()
            .is_some_and(|n| net.core(n).is_some_and(|c| c.config().record.target().in_sync.len() == 1))
    });
    assert_eq!(net.leader(), Some(leader), "the witness keeps its promise to the leader");
    write(&mut net);
    net.run(3_000);
    assert!(net.core(1 - leader).is_some_and(|core| core.leading().is_none()));
    net.cut.clear();
    net.until(5_000, "healed", Net::settled);
}

#[test]
fn a_newcomer_that_dies_while_it_enters_s_blocks_nobody() {
    for moment_us in (0..40_000).step_by(500) {
        let (mut net, leader) = ready(2, true);
        net.kill(1 - leader);
        write(&mut net);
        net.start(1 - leader);
        net.until(2_000, "it is entering S", |net| {
            net.core(leader).is_some_and(|c| c.config().record.is_joint())
        });
        net.run(moment_us / MS);
        net.kill(1 - leader);
        let start = net.now;
        write(&mut net);
        assert!(net.now - start <= 500 * MS, "{} ms", (net.now - start) / MS);
    }
}

#[test]
fn reads_see_what_was_committed_before_them() {
    let (mut net, leader) = ready(2, true);
    let index = write(&mut net);
    net.read(leader, 1);
    assert!(net.bricks[leader].reads[&Ticket(1)] >= Some(index), "with a lease, at once");
    net.read(1 - leader, 2);
    net.until(20, "an answer", |net| net.bricks[1 - leader].reads.contains_key(&Ticket(2)));
    assert!(net.bricks[1 - leader].reads[&Ticket(2)] >= Some(index));
    net.until(20, "applied on the follower", |net| net.bricks[1 - leader].applied >= index);
}

#[test]
fn a_leader_may_forget_the_beginning_of_its_log_and_send_a_copy_instead() {
    let (mut net, leader) = ready(2, true);
    net.kill(1 - leader);
    (0..50).for_each(|_| {
        write(&mut net);
    });
    let base = net.bricks[leader].disk.get(net.bricks[leader].committed).at;
    net.trimmed = true;
    net.step(leader, Input::Trimmed { base });
    write(&mut net);
    net.start(1 - leader);
    net.until(5_000, "healed", Net::settled);
    write(&mut net);
    net.oracle.has_all(&net.bricks[1 - leader].disk);
}

#[test]
fn nobody_waits_for_a_brick_that_needs_a_copy() {
    let (mut net, leader) = ready(2, true);
    let other = 1 - leader;
    net.power_loss(other);
    let disk = &mut net.bricks[other].disk;
    disk.cut(Index(20));
    disk.checkpoint = disk.checkpoint.min(Index(20));
    let base = net.bricks[leader].disk.get(net.bricks[leader].committed).at;
    (net.trimmed, net.copy_us) = (true, 20_000 * MS);
    net.step(leader, Input::Trimmed { base });
    net.start(other);
    let sole =
        move |net: &Net| net.core(leader).map(|c| c.config().record.target().in_sync == [node(leader)]);
    net.until(1_000, "it leaves S", move |net| sole(net) == Some(true));
    write(&mut net);
    net.until(30_000, "it is back", |net| net.healthy() && net.settled());
    net.oracle.has_all(&net.bricks[other].disk);
}

/// Between the first word of a candidate and the move nothing says yet that the seat is about to change, but for this.
#[test]
fn a_seat_that_is_about_to_move_is_said_to_be() {
    let mut net = Net::new(2, true, 7);
    net.until(3_000, "a first leader", |net| net.leader().is_some());
    let leader = net.leader().expect("a leader");
    let due = move |net: &Net| net.core(leader).is_some_and(|core| core.seat_move_due());
    let seated = move |net: &Net| {
        net.core(leader).is_some_and(|core| core.config().record.target().seat.is_some() && core.healthy())
    };
    net.until(500, "a move is due", due);
    assert!(!seated(&net));
    net.until(5_000, "a seat", seated);
    assert!(!due(&net));
}
