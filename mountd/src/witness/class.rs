//! How good this machine is as a holder of the seat.

use std::net::{ToSocketAddrs, UdpSocket};

use rfs_model::NodeId;
use rfs_model::hello::{BrickPlace, SeatClass};

/// A machine that has a brick as well would be lost together with it. `local`: the node of this machine's daemon.
#[must_use]
pub fn class(bricks: &[BrickPlace], local: Option<NodeId>) -> SeatClass {
    let ours = |brick: &BrickPlace| {
        Some(brick.node) == local || brick.addresses.iter().any(|address| is_this_machine(address))
    };
    if bricks.iter().any(ours) { SeatClass::BrickMachine } else { SeatClass::Mount }
}

/// An address is this machine's when something may be bound to it. A name that cannot be resolved is nobody's.
fn is_this_machine(address: &str) -> bool {
    let Ok(resolved) = address.to_socket_addrs() else { return false };
    resolved.into_iter().any(|address| UdpSocket::bind((address.ip(), 0)).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(node: u8, address: &str) -> BrickPlace {
        let host = "h".to_owned();
        BrickPlace { node: NodeId([node; 16]), host, addresses: vec![address.into()], path: "/data".into() }
    }

    #[test]
    fn a_machine_with_a_brick_is_the_last_choice() {
        let far = "192.0.2.1:24007"; // set aside for documentation: nobody's
        let table = [
            (place(1, far), None, SeatClass::Mount),
            (place(1, far), Some(NodeId([2; 16])), SeatClass::Mount),
            (place(1, far), Some(NodeId([1; 16])), SeatClass::BrickMachine),
            (place(1, "127.0.0.1:24007"), None, SeatClass::BrickMachine),
        ];
        for (brick, local, want) in table {
            assert_eq!(class(&[brick], local), want);
        }
    }
}
