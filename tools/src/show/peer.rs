//! `peer status` and `pool list`, in gluster's words.

use rfs_model::admin::{PeerRow, PoolRow};

#[must_use]
pub fn peer_status(peers: &[PeerRow]) -> String {
    let mut out = format!("Number of Peers: {}\n", peers.len());
    for peer in peers {
        let state = word(peer.connected);
        out += &format!(
            "\nHostname: {}\nUuid: {}\nState: Peer in Cluster ({state})\n",
            peer.hostname, peer.uuid
        );
    }
    out
}

#[must_use]
pub fn pool_list(rows: &[PoolRow]) -> String {
    let width = rows.iter().map(|r| r.hostname.chars().count()).max().unwrap_or(0).max("Hostname".len());
    let mut out = format!("UUID\t\t\t\t\t{:<width$}\tState\n", "Hostname");
    for row in rows {
        out += &format!("{}\t{:<width$}\t{}\n", row.uuid, row.hostname, word(row.connected));
    }
    out
}

fn word(connected: bool) -> &'static str {
    if connected { "Connected" } else { "Disconnected" }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rfs_model::NodeId;

    fn uuid() -> NodeId {
        "f44e01c6-e889-432a-8056-cf7174421324".parse().unwrap()
    }

    #[test]
    fn peer_status_is_the_contract_s() {
        assert_eq!(peer_status(&[]), "Number of Peers: 0\n");
        let row = |connected| PeerRow { hostname: "server2".into(), uuid: uuid(), connected };
        let want = "Number of Peers: 1\n\nHostname: server2\nUuid: f44e01c6-e889-432a-8056-cf7174421324\n\
                    State: Peer in Cluster (Connected)\n";
        assert_eq!(peer_status(&[row(true)]), want);
        assert_eq!(peer_status(&[row(false)]), want.replace("Connected", "Disconnected"));
    }

    #[test]
    fn pool_list_is_gluster_s() {
        let rows = [
            PoolRow { uuid: uuid(), hostname: "server2".into(), connected: false },
            PoolRow { uuid: uuid(), hostname: "localhost".into(), connected: true },
        ];
        let want = "UUID\t\t\t\t\tHostname \tState\n\
                    f44e01c6-e889-432a-8056-cf7174421324\tserver2  \tDisconnected\n\
                    f44e01c6-e889-432a-8056-cf7174421324\tlocalhost\tConnected\n";
        assert_eq!(pool_list(&rows), want);
    }
}
