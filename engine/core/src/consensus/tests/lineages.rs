//! What an operator may do when the votes are not there, and what becomes of those who were left behind.

use rfs_model::Index;
use rfs_model::hello::SeatClass;

use super::net::{MS, Net, W, node};
use super::stories::{pause, ready, write};
use crate::consensus::Consensus;
use crate::consensus::api::{Input, RoleView, SeatWish, TailLoss};

/// The lineage that a brick is in.
fn lineage(net: &Net, n: usize) -> u32 {
    net.core(n).expect("it runs").term().lineage().0
}

/// Two bricks that see nothing of each other; the one with the witness has gone on alone. Its number.
fn halves() -> (Net, usize) {
    let (mut net, leader) = ready(2, true);
    net.cut.extend([(0, 1), (1, 0)]);
    net.cut.extend([(1 - leader, super::net::SEAT), (super::net::SEAT, 1 - leader)]);
    net.until(4_000, "one side is alone in S", |net| {
        let alone = |c: &Consensus| {
            !c.config().record.is_joint() && c.config().record.target().in_sync == [node(leader)]
        };
        net.core(leader).is_some_and(alone)
    });
    net.run(100);
    (net, leader)
}

#[test]
fn both_halves_go_on_until_they_meet_and_the_higher_lineage_wins() {
    let (mut net, old) = halves();
    let new = 1 - old;
    let fork = net.bricks[new].disk.last();
    (0..10).for_each(|_| {
        write(&mut net);
    });
    net.promote(new);
    let leads = |net: &Net, n: usize| net.core(n).is_some_and(|core| core.leading().is_some());
    net.until(100, "both lead", |net| leads(net, new) && leads(net, old));
    let kept = net.propose(new).expect("it takes proposals");
    net.until(100, "a commit", |net| net.bricks[new].committed >= kept);
    let lost = net.propose(old).expect("it takes proposals");
    net.until(100, "a commit", |net| net.bricks[old].committed >= lost);
    let was = net.bricks[new].disk.get(kept).clone();
    net.cut.clear();
    net.until(10_000, "healed", Net::settled);
    assert_eq!(net.leader(), Some(new));
    assert_eq!(net.bricks[old].set_aside, Some(fork), "what it had beyond the fork was set aside");
    assert_eq!(*net.bricks[old].disk.get(kept), was);
    pause(&mut net, None);
}

#[test]
fn the_witness_is_told_and_helps_the_abandoned_half_no_more() {
    let (mut net, leader) = ready(2, true);
    net.isolate(0);
    net.isolate(1);
    net.until(4_000, "nobody leads", |net| net.leader().is_none());
    net.promote(1 - leader);
    net.until(100, "it leads", |net| net.leader() == Some(1 - leader));
    // The bricks still see nothing of each other; the witness sees both, the promoted one first.
    net.cut.retain(|pair| *pair == (0, 1) || *pair == (1, 0));
    net.offer_seat(1 - leader);
    net.run(100);
    net.offer_seat(leader);
    net.run(20_000);
    assert_eq!(net.leader(), Some(1 - leader));
    let core = net.core(leader).expect("it runs");
    assert_ne!(core.role(), RoleView::Leader);
    assert_eq!(core.waiting_for().bricks, vec![node(1 - leader)]);
    net.cut.clear();
    net.until(10_000, "healed", Net::settled);
}

/// It was all of S, it has heard of the new lineage, and it is started again and again: it leads nobody, not even itself.
#[test]
fn an_abandoned_brick_does_not_lead_however_alone_it_is() {
    for restarts in [false, true] {
        let (mut net, old) = halves();
        let new = 1 - old;
        write(&mut net);
        net.promote(new);
        net.copy_us = 60_000 * MS;
        net.cut.clear();
        net.until(3_000, "it has heard", |net| lineage(net, old) == lineage(net, new));
        net.run(50);
        net.isolate(old);
        if restarts {
            net.kill(old);
            net.start(old);
        }
        net.run(20_000);
        assert_eq!(net.leader(), Some(new), "restarted: {restarts}");
        assert_ne!(net.core(old).expect("it runs").role(), RoleView::Leader);
        net.cut.clear();
        net.copy_us = 5 * MS;
        net.kill(new);
        net.start(new);
        net.until(10_000, "healed", Net::settled);
        net.oracle.has_all(&net.bricks[old].disk);
    }
}

#[test]
#[should_panic(expected = "it leads, and should not")]
fn without_that_rule_it_does() {
    let (mut net, old) = halves();
    net.bricks[old]
        .core
        .as_mut()
        .expect("it runs")
        .mutate(crate::consensus::api::Mutations { abandoned_stands: true, ..Default::default() });
    net.promote(1 - old);
    net.copy_us = 60_000 * MS;
    net.cut.clear();
    net.until(3_000, "it has heard", |net| lineage(net, old) == lineage(net, 1 - old));
    net.run(50);
    net.isolate(old);
    net.run(20_000);
    assert_ne!(
        net.core(old).expect("it runs").role(),
        RoleView::Leader,
        "it leads, and should not\n{}",
        net.show()
    );
    println!("{}", net.show());
}

#[test]
fn two_operators_with_the_same_thought_begin_two_lineages() {
    for restart in [None, Some(0), Some(1)] {
        let (mut net, _) = ready(2, false);
        net.cut.extend([(0, 1), (1, 0)]);
        net.until(4_000, "nobody leads", |net| net.leader().is_none());
        (0..2).for_each(|n| net.promote(n));
        let leads = |net: &Net, n: usize| net.core(n).is_some_and(|core| core.leading().is_some());
        net.until(200, "both lead", |net| (0..2).all(|n| leads(net, n)));
        assert_ne!(lineage(&net, 0), lineage(&net, 1));
        if let Some(n) = restart {
            // Its next term must not be one of the other's.
            net.kill(n);
            net.start(n);
            net.until(2_000, "it leads again", |net| leads(net, n));
        }
        for n in 0..2 {
            let index = net.propose(n).expect("it takes proposals");
            net.until(100, "a commit", |net| net.bricks[n].committed >= index);
        }
        let winner = usize::from(lineage(&net, 1) > lineage(&net, 0));
        net.cut.clear();
        net.until(10_000, "healed", Net::settled);
        assert_eq!(net.leader(), Some(winner));
        assert!(net.bricks[1 - winner].set_aside.is_some());
        assert_eq!(net.bricks[winner].set_aside, None);
    }
}

/// Nobody knows whether a tail of another lineage was committed: it is not cut off like one of the own.
#[test]
fn an_uncommitted_tail_of_another_lineage_is_set_aside_too() {
    let (mut net, leader) = ready(2, false);
    let other = 1 - leader;
    net.cut.extend([(0, 1), (1, 0)]);
    let fork = net.bricks[leader].disk.last();
    let lost = net.propose(leader).expect("it takes proposals");
    net.run(10);
    assert!(net.bricks[leader].committed < lost);
    net.kill(leader);
    net.run(3_000);
    net.promote(other);
    net.start(leader);
    net.cut.clear();
    net.until(10_000, "healed", Net::settled);
    assert_eq!(net.bricks[leader].set_aside, Some(fork));
}

#[test]
fn a_brick_that_is_only_behind_heals_from_the_log() {
    let (mut net, leader) = ready(2, false);
    net.kill(1 - leader);
    net.run(3_000);
    net.promote(leader);
    net.until(100, "it leads", |net| net.leader() == Some(leader));
    write(&mut net);
    net.copy_us = 60_000 * MS;
    net.start(1 - leader);
    net.until(5_000, "healed", Net::settled);
    assert_eq!(net.bricks[1 - leader].set_aside, None);
}

#[test]
fn after_a_power_loss_the_best_log_of_those_that_answer_goes_on() {
    for (bricks, missing) in [(2, 0), (2, 1), (3, 0), (3, 2)] {
        let (mut net, leader) = ready(bricks, false);
        let index = write(&mut net);
        net.fsync(leader, index);
        net.until(50, "durable", |net| net.bricks[leader].durable >= index);
        (0..bricks).for_each(|n| net.power_loss(n));
        net.oracle.may_lose_unsynced = true;
        let there: Vec<usize> = (0..bricks).filter(|n| *n != missing).collect();
        there.iter().for_each(|n| net.start(*n));
        net.until(5_000, "they know", |net| {
            there.iter().all(|n| !matches!(net.core(*n).unwrap().tail_loss(), TailLoss::Unknown))
        });
        assert_eq!(net.leader(), None);
        let best: Vec<usize> = there
            .iter()
            .copied()
            .filter(|n| matches!(net.core(*n).unwrap().tail_loss(), TailLoss::Best { .. }))
            .collect();
        let present = there.len();
        let first = *best.first().expect("one has the best log");
        assert_eq!(net.core(first).unwrap().tail_loss(), TailLoss::Best { present, of: bricks });
        net.promote(first);
        net.until(1_000, "it leads", |net| net.leader() == Some(first));
        assert!(net.bricks[first].disk.last() >= index, "what was durable is there");
        write(&mut net);
        net.start(missing);
        net.until(10_000, "healed", Net::settled);
    }
}

#[test]
fn nobody_speaks_of_a_lost_tail_where_nothing_was_lost() {
    let (mut net, leader) = ready(2, false);
    assert_eq!(net.core(leader).unwrap().tail_loss(), TailLoss::NotNeeded);
    net.kill(1 - leader);
    net.run(5_000);
    assert_eq!(net.core(leader).unwrap().tail_loss(), TailLoss::NotNeeded, "it lost no power");
}

#[test]
fn a_brick_may_leave_stay_and_come_back() {
    for (bricks, witness) in [(2, false), (2, true), (3, false)] {
        let (mut net, leader) = ready(bricks, witness);
        net.step(leader, Input::Leave);
        net.until(500, "it has left", |net| net.bricks[leader].left == Some((true, false)));
        pause(&mut net, Some(leader));
        net.run(5_000);
        let core = net.core(leader).expect("it runs");
        assert_eq!((core.role(), net.healthy()), (RoleView::Learner, false));
        let end = net.bricks[net.leader().unwrap()].disk.last();
        assert_eq!(net.bricks[leader].applied, end, "it receives the log all the same");
        net.step(leader, Input::Rejoin);
        net.until(3_000, "it is back", Net::settled);
    }
}

#[test]
fn the_operator_says_who_holds_the_seat() {
    let (mut net, leader) = ready(2, true);
    let mount = rfs_model::SeatId([77; 16]);
    for n in 0..2 {
        let (class, host) = (SeatClass::Mount, "client".to_string());
        net.step(n, Input::SeatCandidate { seat: mount, class, host, up: true });
    }
    let seat =
        move |net: &Net| net.core(leader).and_then(|c| c.config().record.target().seat.clone()).map(|s| s.id);
    let wish = |net: &mut Net, wish: SeatWish| {
        (0..2).for_each(|n| net.step(n, Input::SeatWish { wish: wish.clone() }));
    };
    assert_eq!(seat(&net), Some(W));
    wish(&mut net, SeatWish::Nobody);
    net.until(2_000, "it is vacant", |net| seat(net).is_none() && net.healthy());
    net.run(15_000);
    assert_eq!(seat(&net), None, "and stays so");
    wish(&mut net, SeatWish::Host("w".into()));
    net.until(2_000, "it is the witness's", |net| seat(net) == Some(W) && net.healthy());
    wish(&mut net, SeatWish::Best);
    net.run(15_000);
    assert_eq!(seat(&net), Some(W));
    // A worse class that the operator has named is asked for what the core can see of it: it is left when it is silent.
    wish(&mut net, SeatWish::Host("client".into()));
    net.until(2_000, "it is the mount's", |net| seat(net) == Some(mount));
}

/// A disk or a server is replaced by another one: the newcomer is a learner, gets all, and enters S; the old one is nobody.
#[test]
fn a_brick_is_replaced_by_another_node_s() {
    for bricks in [2, 3] {
        let (mut net, leader) = ready(bricks, bricks == 2);
        let gone = (leader + 1) % bricks;
        net.kill(gone);
        net.until(4_000, "it is out of S", |net| {
            net.core(leader).is_some_and(|c| !c.config().record.target().has(node(gone)))
        });
        net.run(200);
        let fresh = net.add_brick();
        let bricks: Vec<_> = (0..=bricks).filter(|n| *n != gone).map(node).collect();
        net.step(leader, Input::Members { bricks: bricks.clone() });
        net.until(5_000, "the new one is in S", |net| {
            net.core(leader).is_some_and(|c| {
                c.healthy()
                    && c.config().record.target().bricks == bricks
                    && c.config().record.target().is_full()
            })
        });
        write(&mut net);
        net.until(1_000, "it has all", |net| net.bricks[fresh].applied == net.bricks[leader].applied);
        net.oracle.has_all(&net.bricks[fresh].disk);
        // The old one comes back: it stands, and nobody votes for it.
        net.start(gone);
        net.run(10_000);
        assert_eq!(net.leader(), Some(leader));
        assert_ne!(net.core(gone).unwrap().role(), RoleView::Leader);
        let index: Index = write(&mut net);
        assert!(net.bricks[gone].committed < index);
    }
}
