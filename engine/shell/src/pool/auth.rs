//! How daemons of one pool prove to each other that they belong to it, without sending the secret.
//!
//! The exchange is the one that [`rfs_model::hello`] draws: the caller's nonce, then nonce and proof of the one who is
//! called, then the caller's proof. A proof is bound to both nonces, to both nodes, to the direction and to what the
//! connection is for, so that none can be replayed, reflected or moved to another connection.

use std::io;

use rfs_model::admin::PoolSecret;
use rfs_model::ids::NodeId;

/// Which side of the connection makes the proof.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Accept,
    Dial,
}

/// What both sides know by the time the first proof is made.
#[derive(Clone, Copy, Debug)]
pub struct Handshake<'a> {
    /// `control`, or `peer` and the volume's uuid: what the connection is for.
    pub purpose: &'a str,
    pub dialer: NodeId,
    pub accepter: NodeId,
    pub dialer_nonce: [u8; 32],
    pub accepter_nonce: [u8; 32],
}

/// BLAKE3 keyed with the pool's secret.
#[must_use]
pub fn proof(secret: &PoolSecret, side: Side, handshake: &Handshake<'_>) -> [u8; 32] {
    let role: &[u8] = match side {
        Side::Accept => b"accept",
        Side::Dial => b"dial\0\0",
    };
    let mut hasher = blake3::Hasher::new_keyed(secret.bytes());
    hasher.update(b"rfs pool proof 1");
    hasher.update(role);
    for part in
        [&handshake.dialer_nonce[..], &handshake.accepter_nonce, &handshake.dialer.0, &handshake.accepter.0]
    {
        hasher.update(part);
    }
    hasher.update(handshake.purpose.as_bytes());
    *hasher.finalize().as_bytes()
}

/// True when `theirs` is the proof that the other side must give. Takes the same time whatever differs.
#[must_use]
pub fn verify(secret: &PoolSecret, side: Side, handshake: &Handshake<'_>, theirs: [u8; 32]) -> bool {
    blake3::Hash::from_bytes(proof(secret, side, handshake)) == blake3::Hash::from_bytes(theirs)
}

/// Fresh random bytes from the kernel: a nonce, a secret, an identity.
///
/// # Errors
/// When the kernel has no random numbers yet or at all.
pub fn random<const N: usize>() -> io::Result<[u8; N]> {
    let mut out = [0; N];
    let mut have = 0;
    while have < N {
        have += rustix::rand::getrandom(&mut out[have..], rustix::rand::GetRandomFlags::empty())?;
    }
    Ok(out)
}

/// A random UUID (RFC 9562, version 4).
///
/// # Errors
/// As [`random`].
pub fn random_uuid() -> io::Result<[u8; 16]> {
    let mut id: [u8; 16] = random()?;
    id[6] = id[6] & 0x0f | 0x40;
    id[8] = id[8] & 0x3f | 0x80;
    Ok(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn handshake() -> Handshake<'static> {
        Handshake {
            purpose: "control",
            dialer: NodeId([1; 16]),
            accepter: NodeId([2; 16]),
            dialer_nonce: [3; 32],
            accepter_nonce: [4; 32],
        }
    }

    #[test]
    fn a_proof_holds_for_its_own_handshake_only() {
        let secret = PoolSecret::new([7; 32]);
        let h = handshake();
        let good = proof(&secret, Side::Dial, &h);
        assert!(verify(&secret, Side::Dial, &h, good));
        assert!(!verify(&PoolSecret::new([8; 32]), Side::Dial, &h, good), "another pool");
        assert!(!verify(&secret, Side::Accept, &h, good), "reflected");
        let swapped = Handshake { dialer: h.accepter, accepter: h.dialer, ..h };
        assert!(!verify(&secret, Side::Dial, &swapped, good), "another pair of nodes");
        assert!(!verify(&secret, Side::Dial, &Handshake { dialer_nonce: [5; 32], ..h }, good), "replayed");
        assert!(!verify(&secret, Side::Dial, &Handshake { accepter_nonce: [5; 32], ..h }, good), "replayed");
        assert!(!verify(&secret, Side::Dial, &Handshake { purpose: "peer", ..h }, good), "another purpose");
    }

    #[test]
    fn random_bytes_differ() {
        assert_ne!(random::<32>().unwrap(), random::<32>().unwrap());
    }
}
