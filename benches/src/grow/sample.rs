//! What the volume takes of its machines at one moment.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rfs_cluster::servers::{BRICKD, MOUNTD};
use rfs_cluster::{Host, Replica};

use super::report::{Column, MIB, Point};
use crate::process;

/// Bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    pub mount: Memory,
    pub bricks: [Brick; 2],
}

/// Of a process.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    pub now: u64,
    /// The most since peaks were forgotten.
    pub peak: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Brick {
    pub memory: Memory,
    /// On the disk: all segments, those too that wait for use.
    pub log: u64,
    /// On the disk.
    pub index: u64,
}

impl Sample {
    pub const COLUMNS: [Column; 7] = [
        Column::new("mountd_mib", "MOUNTD MIB", 1),
        Column::new("brickd1_mib", "BRICKD1 MIB", 1),
        Column::new("brickd2_mib", "BRICKD2 MIB", 1),
        Column::new("log1_mib", "LOG1 MIB", 0),
        Column::new("log2_mib", "LOG2 MIB", 0),
        Column::new("index1_mib", "INDEX1 MIB", 1),
        Column::new("index2_mib", "INDEX2 MIB", 1),
    ];

    pub fn of(replica: &Replica, client: &str) -> Sample {
        let brick = |name: &String| {
            let own = replica.on_brick(name, ".rfs");
            Brick {
                memory: memory(&replica.cluster[name], BRICKD),
                log: blocks(&own.join("log")),
                index: blocks(&own.join("index.redb")),
            }
        };
        let [one, other] = replica.bricks.as_slice() else { panic!("two bricks: {:?}", replica.bricks) };
        Sample { mount: memory(&replica.cluster[client], MOUNTD), bricks: [brick(one), brick(other)] }
    }

    /// Adds what it knows.
    pub fn tell(&self, point: Point) -> Point {
        let [one, other] = self.bricks;
        let values =
            [self.mount.now, one.memory.now, other.memory.now, one.log, other.log, one.index, other.index];
        let known = Sample::COLUMNS.iter().zip(values);
        known.fold(point, |point, (column, bytes)| point.with(column.key, bytes as f64 / MIB))
    }
}

/// A daemon may have a helper beside it for a moment: the larger one counts.
fn memory(host: &Host, program: &str) -> Memory {
    let pids = || host.pids(program).into_iter();
    let most = |what: fn(u32) -> Option<u64>| pids().filter_map(what).max().unwrap_or_default();
    Memory { now: most(process::resident), peak: most(process::peak) }
}

/// Bytes on the disk of a file, or of all files in a folder. What goes away meanwhile takes none.
fn blocks(path: &Path) -> u64 {
    let own = fs::symlink_metadata(path).map_or(0, |m| m.blocks() * 512);
    let inner = fs::read_dir(path).into_iter().flatten().flatten();
    own + inner.map(|entry| blocks(&entry.path())).sum::<u64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_takes_what_its_files_take() {
        let dir = tempfile::tempdir().unwrap();
        let empty = blocks(dir.path());
        fs::create_dir(dir.path().join("in")).unwrap();
        fs::write(dir.path().join("in/file"), [1; 100_000]).unwrap();
        assert!((100_000..200_000).contains(&(blocks(dir.path()) - empty)));
        assert_eq!(blocks(&dir.path().join("none")), 0);
    }

    #[test]
    fn a_point_has_all_that_a_sample_knows() {
        let point = Sample::default().tell(Point::default());
        assert!(Sample::COLUMNS.iter().all(|column| point.get(column.key) == Some(0.0)));
    }
}
