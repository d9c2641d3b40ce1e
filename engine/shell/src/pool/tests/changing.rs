use rfs_model::admin::{HealState, Operation, Reply, Request, VolumeChange, VolumeRow};

use super::{Net, on_executor};

async fn volume() -> Net {
    let net = Net::pool(&["server1", "server2", "server3"]).await;
    let bricks = [net.brick("server1", "b"), net.brick("server2", "b")];
    net.ok("server1", net.create("vol", &bricks)).await;
    net
}

fn change(change: VolumeChange) -> Request {
    Request::VolumeChange { volume: "vol".into(), change }
}

fn set(key: &str, value: &str) -> Request {
    change(VolumeChange::Set { options: vec![(key.into(), value.into())] })
}

async fn info(net: &Net, name: &str) -> VolumeRow {
    let Reply::Volumes(mut rows) = net.ok(name, Request::VolumeInfo { volume: Some("vol".into()) }).await
    else {
        panic!("no rows")
    };
    rows.remove(0)
}

async fn state(net: &Net, name: &str) -> (HealState, Option<u64>, Vec<String>) {
    let Reply::Reports(mut reports) = net.ok(name, Request::Status { volume: None }).await else {
        panic!("no reports")
    };
    let report = reports.remove(0);
    (report.state, report.target, report.waits_for)
}

#[test]
fn a_change_finds_the_leader_from_any_node() {
    on_executor(|| async {
        let net = volume().await;
        net.ok("server1", change(VolumeChange::Start)).await;
        net.refused("server3", change(VolumeChange::Start), "already started").await;
        net.ok("server3", set("auth.allow", "192.168.199.102")).await;
        net.ok("server2", set("sync", "1s")).await;
        net.refused("server1", set("auth.alow", "x"), "did you mean 'auth.allow'?").await;
        for name in ["server1", "server2", "server3"] {
            let row = info(&net, name).await;
            assert_eq!((row.started, row.replica, row.as_of_ms), (Some(true), 2, None));
            let options = [("auth.allow", "192.168.199.102"), ("sync", "1s")];
            assert_eq!(row.options, options.map(|(k, v)| (k.to_owned(), v.to_owned())));
        }
        let Reply::Options(rows) =
            net.ok("server3", Request::VolumeGet { volume: "vol".into(), key: None }).await
        else {
            panic!("no options")
        };
        assert!(rows.iter().any(|r| r.key == "sync" && r.value == "1s" && !r.default));
        assert!(rows.iter().any(|r| r.key == "ack" && r.value == "quorum" && r.default));
    });
}

#[test]
fn a_change_works_with_a_server_down() {
    on_executor(|| async {
        let net = volume().await;
        assert_eq!(state(&net, "server1").await, (HealState::Healthy, Some(7), vec![]));
        net.kill("server2").await;
        net.ok("server1", set("auth.allow", "10.0.0.1")).await;
        assert_eq!(state(&net, "server1").await.0, HealState::Degraded);
        assert_eq!(state(&net, "server3").await.0, HealState::Degraded);
    });
}

#[test]
fn a_blocked_volume_refuses_and_names_whom_it_waits_for() {
    on_executor(|| async {
        let net = volume().await;
        net.kill("server2").await;
        net.world.blocked.set(true);
        let waited_for = net.brick("server2", "b");
        net.refused("server1", set("sync", "1s"), &format!("waits for {waited_for}")).await;
        assert_eq!(state(&net, "server3").await, (HealState::Blocked, None, vec![waited_for]));
        let row = info(&net, "server1").await;
        assert_eq!(row.as_of_ms, Some(1000), "the answer says from when it is");
    });
}

#[test]
fn a_volume_that_nobody_can_be_asked_about_is_still_listed() {
    on_executor(|| async {
        let net = volume().await;
        net.kill("server1").await;
        net.kill("server2").await;
        let row = info(&net, "server3").await;
        assert_eq!((row.started, row.bricks.len()), (None, 2));
        let (word, target, waits_for) = state(&net, "server3").await;
        assert_eq!((word, target, waits_for.len()), (HealState::Blocked, None, 2));
        net.refused("server3", Request::VolumeInfo { volume: Some("nix".into()) }, "nix does not exist")
            .await;
    });
}

#[test]
fn operations_go_where_they_belong() {
    on_executor(|| async {
        let net = volume().await;
        let operate = |operation| Request::Operate { volume: "vol".into(), operation };
        net.refused("server1", operate(Operation::Promote { host: "server3".into() }), "has no brick").await;
        net.refused("server1", operate(Operation::AcceptTailLoss), "not here").await;
        let why = "leads the volume: there is nothing to overrule";
        net.refused("server1", operate(Operation::Promote { host: "server1".into() }), why).await;
        let listed = net.ok("server3", operate(Operation::ListDivergent)).await;
        assert_eq!(listed, Reply::Divergent(Vec::new()), "whether the bricks run or not");
    });
}
