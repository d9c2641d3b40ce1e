//! Where the volume's bricks may be reached, as far as this mount has been told.

use std::collections::BTreeMap;
use std::path::PathBuf;

use rfs_model::hello::BrickPlace;
use rfs_model::{Index, NodeId, VolumeId};

use super::greet::Welcome;
use crate::transport::Address;

/// Whom to ask for the leader.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Candidate {
    /// A brick's node, by the addresses to try, best first: it may take the session. Never two for one node, since a
    /// brick keeps only the newest connection of a session.
    Brick { node: NodeId, addresses: Vec<Address> },
    /// Somebody who may know the bricks.
    Guide { address: Address },
}

/// Addresses named on the command line, and those learnt since.
#[derive(Clone, Debug, Default)]
pub struct Places {
    named: Vec<Address>,
    /// Sockets of a daemon on this machine that may exist.
    sockets: Vec<PathBuf>,
    known_as: BTreeMap<NodeId, Address>,
    local: Option<(NodeId, PathBuf)>,
    volume: Option<VolumeId>,
    bricks: Vec<BrickPlace>,
    config: Index,
}

impl Places {
    #[must_use]
    pub fn new(named: Vec<Address>, sockets: Vec<PathBuf>) -> Self {
        Self { named, sockets, ..Self::default() }
    }

    #[must_use]
    pub fn named(&self) -> &[Address] {
        &self.named
    }

    #[must_use]
    pub fn sockets(&self) -> &[PathBuf] {
        &self.sockets
    }

    #[must_use]
    pub fn bricks(&self) -> &[BrickPlace] {
        &self.bricks
    }

    /// Takes over what a brick says, if it is about our volume; false when it is about another one of the same name.
    pub fn learn(&mut self, from: &Address, welcome: &Welcome) -> bool {
        if *self.volume.get_or_insert(welcome.volume) != welcome.volume {
            return false;
        }
        self.known_as.insert(welcome.node, from.clone());
        let newer = welcome.config >= self.config || self.bricks.is_empty();
        if newer && !welcome.bricks.is_empty() {
            self.config = welcome.config;
            self.bricks.clone_from(&welcome.bricks);
        }
        true
    }

    /// A daemon on this machine has answered at `socket`, and is `node`.
    pub fn found_local(&mut self, node: NodeId, socket: PathBuf) {
        self.local = Some((node, socket));
    }

    /// The brick on this machine, if there is one: its node and socket.
    #[must_use]
    pub fn local(&self) -> Option<(NodeId, Address)> {
        let (node, socket) = self.local.as_ref()?;
        let ours = self.bricks.iter().any(|brick| brick.node == *node);
        ours.then(|| (*node, Address::Unix(socket.clone())))
    }

    /// Everybody to ask at once.
    #[must_use]
    pub fn candidates(&self) -> Vec<Candidate> {
        let mut all: Vec<Candidate> = self.bricks.iter().map(|brick| self.brick(brick)).collect();
        let guides = self.named.iter().filter(|address| !self.is_a_bricks(address));
        all.extend(guides.map(|address| Candidate::Guide { address: address.clone() }));
        all
    }

    fn brick(&self, brick: &BrickPlace) -> Candidate {
        let socket = self.local().filter(|(node, _)| *node == brick.node).map(|(_, address)| address);
        let told = brick.addresses.iter().cloned().map(Address::Tcp);
        let mut addresses = Vec::new();
        for address in socket.into_iter().chain(told).chain(self.known_as.get(&brick.node).cloned()) {
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
        Candidate::Brick { node: brick.node, addresses }
    }

    fn is_a_bricks(&self, address: &Address) -> bool {
        let told =
            |brick: &BrickPlace| brick.addresses.iter().any(|told| Address::Tcp(told.clone()) == *address);
        let known = |brick: &BrickPlace| self.known_as.get(&brick.node) == Some(address);
        self.bricks.iter().any(|brick| told(brick) || known(brick))
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::hello::Standing;

    use super::*;

    fn place(n: u8) -> BrickPlace {
        let host = format!("server{n}");
        BrickPlace { node: NodeId([n; 16]), addresses: vec![format!("{host}:1")], host, path: "/data".into() }
    }

    fn welcome(from: u8, config: u64, bricks: &[u8]) -> Welcome {
        Welcome {
            node: NodeId([from; 16]),
            volume: VolumeId([9; 16]),
            standing: Standing::Ready,
            bricks: bricks.iter().map(|n| place(*n)).collect(),
            config: Index(config),
            options: Vec::new(),
        }
    }

    fn tcp(text: &str) -> Address {
        Address::Tcp(text.into())
    }

    fn brick(n: u8, addresses: &[Address]) -> Candidate {
        Candidate::Brick { node: NodeId([n; 16]), addresses: addresses.to_vec() }
    }

    #[test]
    fn a_node_is_one_candidate_by_whatever_name_it_is_known() {
        let mut places = Places::new(vec![tcp("alias:1"), tcp("server2:1"), tcp("other:1")], Vec::new());
        assert!(places.learn(&tcp("alias:1"), &welcome(1, 5, &[1, 2])));
        let guide = Candidate::Guide { address: tcp("other:1") };
        let want = [brick(1, &[tcp("server1:1"), tcp("alias:1")]), brick(2, &[tcp("server2:1")]), guide];
        assert_eq!(places.candidates(), want);
    }

    #[test]
    fn the_local_socket_comes_first_for_its_own_node_only() {
        let mut places = Places::new(vec![tcp("server1:1")], Vec::new());
        places.learn(&tcp("server1:1"), &welcome(1, 5, &[1, 2]));
        places.found_local(NodeId([2; 16]), "/run/s".into());
        assert_eq!(places.candidates()[1], brick(2, &[Address::Unix("/run/s".into()), tcp("server2:1")]));
        places.found_local(NodeId([7; 16]), "/run/s".into());
        assert_eq!(places.local(), None);
    }

    #[test]
    fn old_news_and_foreign_news_change_nothing() {
        let mut places = Places::new(vec![tcp("server1:1")], Vec::new());
        places.learn(&tcp("server1:1"), &welcome(1, 5, &[1, 2]));
        places.learn(&tcp("server2:1"), &welcome(2, 4, &[2, 3]));
        assert_eq!(places.bricks().len(), 2);
        assert_eq!(places.bricks()[0].node, NodeId([1; 16]));
        let foreign = Welcome { volume: VolumeId([8; 16]), ..welcome(1, 9, &[3]) };
        assert!(!places.learn(&tcp("server1:1"), &foreign));
        assert_eq!(places.bricks().len(), 2);
    }
}
