use rfs_model::admin::Request;

use super::{Net, list, on_executor};
use crate::pool::file::Verdict;

fn delete(volume: &str) -> Request {
    Request::VolumeDelete { volume: volume.to_owned() }
}

async fn two() -> (Net, [String; 2]) {
    let net = Net::pool(&["server1", "server2"]).await;
    let bricks = [net.brick("server1", "a/b"), net.brick("server2", "a/b")];
    (net, bricks)
}

fn nothing_left(net: &Net) {
    for name in ["server1", "server2"] {
        assert_eq!(list(&net.data(name)), [""; 0], "{name}");
        let pool = net.pool_of(name);
        let file = pool.file();
        assert!(
            file.pending.is_empty() && file.errands.is_empty() && file.bricks.is_empty(),
            "{name}: {file:?}"
        );
    }
}

#[test]
fn a_volume_is_made_on_all_its_nodes() {
    on_executor(|| async {
        let (net, bricks) = two().await;
        net.ok("server1", net.create("vol", &bricks)).await;
        for name in ["server1", "server2"] {
            assert_eq!(net.volumes(name).await, ["vol"]);
            assert_eq!(std::fs::read_to_string(net.data(name).join("a/b/.rfs/label")).unwrap(), "live");
            let pool = net.pool_of(name);
            assert_eq!(pool.local_bricks().len(), 1);
            let file = pool.file();
            assert!(file.pending.is_empty() && file.errands.is_empty(), "{file:?}");
        }
        net.refused("server2", net.create("vol", &bricks), "already exists").await;
        net.refused("server2", net.create("other", &bricks), "already a brick of volume vol").await;
        let inside = [net.brick("server1", "a/b/c"), net.brick("server2", "a/b/c")];
        net.refused("server2", net.create("other", &inside), "a brick of volume vol").await;
    });
}

#[test]
fn refusals_leave_nothing_behind() {
    on_executor(|| async {
        let (net, bricks) = two().await;
        let create = |bricks: &[String]| net.create("vol", bricks);
        let one = |name: &str| net.brick(name, "a/b");
        net.refused(
            "server1",
            create(&[one("server1"), "client:/x".into()]),
            "client is not a peer of this pool",
        )
        .await;
        net.refused("server1", create(&[one("server1"), one("server1")]), "given twice").await;
        net.refused("server1", create(&[one("server1"), net.brick("server1", "c")]), "on the same node")
            .await;
        net.refused("server1", create(&[one("server1"), "localhost:/x".into()]), "not a peer").await;
        std::fs::create_dir_all(net.data("server2").join("full/x")).unwrap();
        net.refused("server1", create(&[one("server1"), net.brick("server2", "full")]), "is not empty").await;
        std::fs::remove_dir_all(net.data("server2").join("full")).unwrap();
        nothing_left(&net);
        net.ok("server1", create(&bricks)).await;
    });
}

#[test]
fn a_node_that_fails_half_way_undoes_all() {
    on_executor(|| async {
        let (net, bricks) = two().await;
        for name in ["server1", "server2"] {
            net.world.fail_prepare.replace(Some(net.world.node(name)));
            net.refused("server1", net.create("vol", &bricks), "no space is left").await;
            nothing_left(&net);
            assert!(net.volumes("server1").await.is_empty());
        }
    });
}

#[test]
fn create_needs_all_nodes() {
    on_executor(|| async {
        let net = Net::pool(&["server1", "server2", "server3"]).await;
        net.kill("server3").await;
        let bricks = [net.brick("server1", "b"), net.brick("server2", "b")];
        net.refused("server1", net.create("vol", &bricks), "server3 is not connected").await;
        nothing_left(&net);
    });
}

#[test]
fn what_a_dead_coordinator_left_undecided_is_undone_when_it_is_back() {
    on_executor(|| async {
        let (net, bricks) = two().await;
        // As if server1 had died right after server2 had prepared.
        let id = rfs_model::VolumeId([5; 16]);
        let places =
            bricks.iter().zip(["server1", "server2"]).map(|(brick, name)| rfs_model::hello::BrickPlace {
                node: net.world.node(name),
                host: name.to_owned(),
                addresses: vec![],
                path: brick.split_once(':').unwrap().1.to_owned(),
            });
        let state = rfs_model::volume::VolumeState {
            id,
            name: "vol".into(),
            started: false,
            bricks: places.collect(),
            options: vec![],
            sets: 1,
        };
        let to = net.world.node("server2");
        let errand = crate::pool::file::Errand { to, volume: id, verdict: Verdict::Abort };
        net.kill("server2").await;
        net.pool_of("server1").update(|file| file.errands.push(errand)).await.unwrap();
        net.kill("server1").await;
        net.start("server2").await;
        let pool = net.pool_of("server2");
        pool.prepare(net.world.node("server1"), state.clone()).await.unwrap();
        assert_eq!(list(&net.data("server2").join("a/b")), [".rfs"]);
        // It stays reserved over a restart, since server1 may have decided to commit.
        drop(pool);
        net.kill("server2").await;
        net.start("server2").await;
        assert_eq!(list(&net.data("server2").join("a/b")), [".rfs"]);
        net.start("server1").await;
        net.until("server2 is told to abort", || list(&net.data("server2")).is_empty()).await;
        let (one, two) = (net.pool_of("server1"), net.pool_of("server2"));
        net.until("nothing is pending", || two.file().pending.is_empty() && one.file().errands.is_empty())
            .await;
        nothing_left(&net);
    });
}

#[test]
fn a_commit_reaches_a_node_that_could_not_take_it_at_first() {
    on_executor(|| async {
        let (net, bricks) = two().await;
        net.world.fail_commit.replace(Some(net.world.node("server2")));
        net.refused("server1", net.create("vol", &bricks), "was made, but a node has not finished").await;
        assert_eq!(net.volumes("server1").await, ["vol"]);
        net.kill("server2").await;
        net.world.fail_commit.take();
        net.start("server2").await;
        let (one, two) = (net.pool_of("server1"), net.pool_of("server2"));
        net.until("server2 has its brick", || two.local_bricks().len() == 1).await;
        net.until("nothing is left to tell", || one.file().errands.is_empty()).await;
        assert_eq!(net.volumes("server2").await, ["vol"]);
    });
}

#[test]
fn delete_wants_a_stopped_volume_and_leaves_the_files() {
    on_executor(|| async {
        let (net, bricks) = two().await;
        net.ok("server1", net.create("vol", &bricks)).await;
        std::fs::write(net.data("server2").join("a/b/file"), "x").unwrap();
        let change = |change| Request::VolumeChange { volume: "vol".into(), change };
        net.ok("server1", change(rfs_model::admin::VolumeChange::Start)).await;
        net.refused("server1", delete("vol"), "volume stop vol").await;
        net.ok("server1", change(rfs_model::admin::VolumeChange::Stop)).await;
        net.ok("server1", delete("vol")).await;
        for name in ["server1", "server2"] {
            assert!(net.volumes(name).await.is_empty());
            assert!(net.pool_of(name).local_bricks().is_empty());
        }
        assert_eq!(list(&net.data("server2").join("a/b")), ["file"]);
        net.refused("server1", delete("vol"), "does not exist").await;
        net.refused("server1", net.create("vol", &bricks), "is not empty").await;
        let fresh = [net.brick("server1", "new"), net.brick("server2", "new")];
        net.ok("server1", net.create("vol", &fresh)).await;
    });
}

#[test]
fn bricks_are_opened_again_at_start() {
    on_executor(|| async {
        let (net, bricks) = two().await;
        net.ok("server1", net.create("vol", &bricks)).await;
        net.kill("server2").await;
        net.start("server2").await;
        let pool = net.pool_of("server2");
        let spec = pool.local_bricks().remove(0);
        assert!(pool.bricks.get(spec.volume).is_some());
    });
}
