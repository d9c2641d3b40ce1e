//! What a brick missed while its server was away.

use std::time::{Duration, Instant};

use super::{Done, Place};

/// What changes meanwhile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missed {
    /// 2,048 files of 16 KiB.
    Files,
    /// 1,000 pages of a file of 1 GiB.
    Pages,
}

const LIMIT: Duration = Duration::from_secs(900);
const FILES: u64 = 2048;
const FILE_KIB: u64 = 16;
const PAGES: u64 = 1000;
const BIG_MIB: u64 = 1024;

impl Missed {
    /// Bytes of it.
    pub fn bytes(self) -> u64 {
        match self {
            Missed::Files => (FILES * FILE_KIB) << 10,
            Missed::Pages => PAGES * 4096,
        }
    }

    /// The second server is lost, and what it misses is done.
    pub fn prepare(self, place: &Place<'_>) {
        let (host, dir) = (place.host(), place.path(&format!("heal-{}", place.round)));
        let sh = |script: &str| {
            host.run_within(&["sh", "-ec", script], LIMIT).ok();
        };
        let big = format!("{dir}/big");
        sh(&format!("rm -rf {}heal-*; mkdir {dir}", place.path("")));
        if self == Missed::Pages {
            sh(&format!("dd if=/dev/urandom of={big} bs=1M count={BIG_MIB} status=none conv=fsync"));
        }
        rfs_cluster::until("both bricks hold everything", LIMIT, || place.system.is_whole());
        place.system.lose_second();
        match self {
            Missed::Files => {
                sh(&format!(
                    "for n in $(seq {FILES}); do head -c {FILE_KIB}K /dev/urandom > {dir}/f$n; done"
                ));
            }
            // No page twice.
            Missed::Pages => sh(&format!(
                "fio --name=dirty --filename={big} --rw=randwrite --bs=4k --norandommap=0 --randseed={} \
                 --io_size={}k --size={BIG_MIB}M --overwrite=1 --ioengine=psync --end_fsync=1 --output=/dev/null",
                place.round + 1,
                PAGES * 4
            )),
        }
    }

    /// From the start of its daemon until the system says that both are whole.
    pub fn run(self, place: &Place<'_>) -> Done {
        let begun = Instant::now();
        place.system.start_second();
        rfs_cluster::until("the brick is healed", LIMIT, || place.system.is_whole());
        Done { seconds: begun.elapsed().as_secs_f64(), ops: 1, bytes: self.bytes(), ..Done::default() }
    }
}
