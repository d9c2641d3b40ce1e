//! A volume of two bricks and a witness, a mount of it, and a plain ext4 beside it, all on hosts made of namespaces.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rfs_cluster::{Cluster, Host, MOUNT, Replica};

/// Where the ext4 is mounted on the client. As long as the mount's own path: how pjdfstest makes a path of the greatest
/// length overflows for directories of some lengths, `/mnt/ext4` for one.
pub const EXT4: &str = "/mnt/ref";
const _: () = assert!(EXT4.len() == MOUNT.len());
/// A third file system, for what must not cross from one to another.
pub const OTHER: &str = "/mnt/other";

const EXT4_BYTES: u64 = 512 << 20;

/// The volume with its client.
pub struct Bench {
    pub replica: Replica,
}

impl Bench {
    /// Makes and mounts it. Panics when that fails.
    #[must_use]
    pub fn new() -> Self {
        let hosts = Cluster::of(&["server1", "server2", "server3", "client"]);
        let replica = Replica::of(hosts.beside_others(), 2);
        replica.mount("client");
        replica.settled();
        Self { replica }
    }

    #[must_use]
    pub fn client(&self) -> &Host {
        &self.replica.cluster["client"]
    }

    /// A folder that the client and this program see at the same path.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.client().folder()
    }

    /// Mounts an empty ext4 at [`EXT4`], and a tmpfs at [`OTHER`].
    pub fn mount_others(&self) {
        let image = self.folder().join("ext4.img");
        let file = fs::File::create(&image).expect("make an image");
        file.set_len(EXT4_BYTES).expect("size an image");
        let script = format!(
            "mkfs.ext4 -q {0} && mkdir -p {EXT4} {OTHER} && mount -o loop {0} {EXT4} && mount -t tmpfs other {OTHER}",
            image.display()
        );
        self.client().sh(&script).ok();
    }

    /// A copy of a suite's program where the client finds it, whatever else is mounted over its folder there.
    ///
    /// # Errors
    /// It was not built, or cannot be copied.
    pub fn install(&self, name: &str) -> Result<PathBuf> {
        let from = crate::suites::program(name)?;
        let to = self.folder().join(name);
        fs::copy(&from, &to).with_context(|| to.display().to_string())?;
        Ok(to)
    }

    /// A directory of the mount, or of another file system of the client, as this program reaches it.
    #[must_use]
    pub fn reach(&self, inside: &str) -> PathBuf {
        self.client().path(inside)
    }

    /// An empty directory in the mount, as the client sees it.
    #[must_use]
    pub fn fresh(&self, name: &str) -> String {
        let place = format!("{MOUNT}/{name}");
        self.client().run(&["mkdir", &place]).ok();
        place
    }
}

impl Default for Bench {
    fn default() -> Self {
        Self::new()
    }
}
