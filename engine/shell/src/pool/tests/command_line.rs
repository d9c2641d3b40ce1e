use std::path::PathBuf;
use std::time::Duration;

use rfs_model::admin::{Reply, Request};
use rfs_tools::client::{Client, ClientError};

use super::{Net, on_executor};

/// As a command line on that machine, or one with no daemon that names a server.
async fn type_in(dir: PathBuf, server: Option<String>, request: Request) -> Result<Reply, ClientError> {
    // A thread of its own: the executor's threads are wanted by the daemons that answer.
    let job = std::thread::spawn(move || {
        Client::connect(server.as_deref(), Some(&dir), request.right())?.ask(request)
    });
    while !job.is_finished() {
        glommio::timer::sleep(Duration::from_millis(2)).await;
    }
    job.join().unwrap()
}

#[test]
fn the_command_line_is_understood() {
    on_executor(|| async {
        let net = Net::up(&["server1", "server2"]).await;
        let here = net.root.join("server1/state");
        let probe = Request::PeerProbe { host: "server2".into() };
        assert_eq!(type_in(here.clone(), None, probe).await.unwrap(), Reply::done());
        let create = net.create("vol", &[net.brick("server1", "b"), net.brick("server2", "b")]);
        type_in(here.clone(), None, create).await.unwrap();
        let Reply::Reports(reports) =
            type_in(here.clone(), None, Request::Status { volume: None }).await.unwrap()
        else {
            panic!("no reports")
        };
        let text = rfs_tools::show::heal_status(&reports);
        assert!(text.starts_with("Volume vol: healthy\n"), "{text}");
        let refused = type_in(here, None, Request::VolumeDelete { volume: "nix".into() }).await;
        assert!(matches!(refused, Err(ClientError::Refused(why)) if why.contains("nix does not exist")));
    });
}

#[test]
fn from_the_network_a_command_line_may_look_only() {
    on_executor(|| async {
        let net = Net::up(&["server1"]).await;
        let nowhere = net.root.join("nowhere");
        let address = Some(net.machines["server1"].address.clone());
        let listed = type_in(nowhere.clone(), address.clone(), Request::VolumeList).await.unwrap();
        assert_eq!(listed, Reply::Names(vec![]));
        let create = net.create("vol", &[net.brick("server1", "b")]);
        let refused = type_in(nowhere, address, create).await;
        assert!(matches!(refused, Err(ClientError::Refused(why)) if why.contains("run this there")));
        assert!(net.volumes("server1").await.is_empty());
    });
}
