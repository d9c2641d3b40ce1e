use rfs_model::admin::{PORT, Reply, Request};
use rfs_model::ids::NodeId;

use super::{Net, on_executor};
use crate::pool::line::{AskError, Caller, Dial, Line};
use std::rc::Rc;
use std::time::Duration;

fn probe(host: &str) -> Request {
    Request::PeerProbe { host: host.to_owned() }
}

fn detach(host: &str, force: bool) -> Request {
    Request::PeerDetach { host: host.to_owned(), force }
}

#[test]
fn a_probe_makes_both_sides_peers() {
    on_executor(|| async {
        let net = Net::up(&["server1", "server2"]).await;
        net.ok("server1", probe("server2")).await;
        assert_eq!(net.peers("server1").await, [("server2".to_owned(), true)]);
        assert_eq!(net.peers("server2").await.len(), 1);
        assert_eq!(net.peers("server2").await[0].0, "server1");
        assert_eq!(net.pool_of("server1").secret(), net.pool_of("server2").secret());
        let again = net.ok("server1", probe("server2")).await;
        let said = format!("host server2 port {PORT} already in peer list");
        assert_eq!(again, Reply::Done { note: Some(said) });
        let own = net.ok("server1", probe("server1")).await;
        assert_eq!(own, Reply::Done { note: Some("on localhost not needed".to_owned()) });
        assert_eq!(net.peers("server1").await.len(), 1);
    });
}

#[test]
fn all_nodes_learn_of_a_third() {
    on_executor(|| async {
        let net = Net::up(&["server1", "server2", "server3"]).await;
        net.ok("server1", probe("server2")).await;
        net.ok("server2", probe("server3")).await;
        for name in ["server1", "server2", "server3"] {
            let pool = net.pool_of(name);
            let all_there = || {
                let file = pool.file();
                file.peers().count() == 2 && file.peers().all(|(id, _)| pool.is_connected(id))
            };
            net.until("three nodes see each other", all_there).await;
        }
    });
}

#[test]
fn probes_that_make_no_sense_change_nothing() {
    on_executor(|| async {
        let net = Net::up(&["server1", "server2", "server3"]).await;
        net.ok("server2", probe("server3")).await;
        net.refused("server1", probe("no-such-host"), "unknown host 'no-such-host'").await;
        net.refused("server1", probe("server2"), "server2 is in another pool, with server3").await;
        net.refused("server1", probe("a b"), "no host name").await;
        net.kill("server3").await;
        net.refused("server1", probe("server3"), "nobody listens at server3").await;
        assert!(net.peers("server1").await.is_empty());
        assert_eq!(net.pool_of("server1").file().pool.nodes.len(), 1);
        assert_eq!(net.pool_of("server2").file().pool.nodes.len(), 2);
    });
}

#[test]
fn a_node_that_owns_volumes_does_not_join() {
    on_executor(|| async {
        let net = Net::up(&["server1", "server2"]).await;
        net.ok("server2", net.create("vol", &[net.brick("server2", "b")])).await;
        net.refused("server1", probe("server2"), "server2 owns volume vol").await;
        net.ok("server2", probe("server1")).await;
        assert_eq!(net.volumes("server1").await, ["vol"]);
    });
}

#[test]
fn a_peer_that_dies_is_seen_and_so_is_its_return() {
    on_executor(|| async {
        let net = Net::pool(&["server1", "server2"]).await;
        let node = net.world.node("server2");
        let pool = net.pool_of("server1");
        net.kill("server2").await;
        net.until("the death is noticed", || !pool.is_connected(node)).await;
        assert_eq!(net.peers("server1").await, [("server2".to_owned(), false)]);
        net.start("server2").await;
        net.until("the return is noticed", || pool.is_connected(node)).await;
    });
}

#[test]
fn detach_makes_two_pools_of_one() {
    on_executor(|| async {
        let net = Net::pool(&["server1", "server2", "server3"]).await;
        net.refused("server1", detach("server1", false), "localhost").await;
        net.refused("server1", detach("stranger", false), "not a peer").await;
        net.ok("server1", detach("server3", false)).await;
        assert!(net.peers("server3").await.is_empty());
        assert_ne!(net.pool_of("server3").secret(), net.pool_of("server1").secret());
        assert_eq!(net.peers("server2").await.len(), 1);
        net.ok("server2", probe("server3")).await;
        assert_eq!(net.peers("server3").await.len(), 2);
    });
}

#[test]
fn a_node_that_is_gone_is_detached_by_force_and_told_later() {
    on_executor(|| async {
        let net = Net::pool(&["server1", "server2"]).await;
        net.kill("server2").await;
        net.refused("server1", detach("server2", false), "'force'").await;
        net.ok("server1", detach("server2", true)).await;
        assert!(net.peers("server1").await.is_empty());
        net.start("server2").await;
        let pool = net.pool_of("server2");
        net.until("server2 is told", || pool.file().peers().count() == 0).await;
    });
}

#[test]
fn a_node_with_a_brick_is_not_detached() {
    on_executor(|| async {
        let net = Net::pool(&["server1", "server2"]).await;
        let bricks = [net.brick("server1", "b"), net.brick("server2", "b")];
        net.ok("server1", net.create("vol", &bricks)).await;
        net.refused("server1", detach("server2", false), "of volume vol").await;
        net.refused("server1", detach("server2", true), "of volume vol").await;
    });
}

#[test]
fn strangers_may_look_and_nothing_else() {
    on_executor(|| async {
        let net = Net::pool(&["server1", "server2"]).await;
        let dial: Rc<dyn Dial> = Rc::clone(&net.pool_of("server1").dial);
        let mut line = Line::open(&dial, "server2:24007", &Caller::Stranger).await.unwrap();
        let limit = Duration::from_secs(1);
        let Ok(Reply::Names(_)) = line.ask(&Request::VolumeList, limit).await else { panic!("may not look") };
        let join = Request::Join {
            from: NodeId([9; 16]),
            known_as: "server2".into(),
            port: 1,
            secret: rfs_model::admin::PoolSecret::new([1; 32]),
            pool: rfs_model::admin::PoolState::default(),
        };
        for request in [probe("x"), Request::Leave, Request::Ping { digest: 0 }, join] {
            let refused = line.ask(&request, limit).await;
            assert!(matches!(refused, Err(AskError::Refused(_))), "{request:?}: {refused:?}");
        }
        let node = net.world.node("server1");
        let whom = net.world.node("server2");
        let secret = rfs_model::admin::PoolSecret::new([1; 32]);
        let liar = Caller::Member { me: node, secret, whom };
        assert!(Line::open(&dial, "server2:24007", &liar).await.is_err(), "a wrong secret");
        let secret = net.pool_of("server1").secret();
        let lost = Caller::Member { me: node, secret, whom: NodeId([7; 16]) };
        assert!(Line::open(&dial, "server2:24007", &lost).await.is_err(), "another node than was called");
    });
}

#[test]
fn a_change_elsewhere_is_relayed() {
    on_executor(|| async {
        let net = Net::pool(&["server1", "server2"]).await;
        let relay = |request| Request::Relay { host: "server2".into(), request: Box::new(request) };
        net.ok("server1", relay(net.create("vol", &[net.brick("server1", "b")]))).await;
        assert_eq!(net.volumes("server1").await, ["vol"]);
        net.refused("server1", relay(Request::Leave), "cannot be relayed").await;
    });
}
