//! What can be typed. The words are those of `gluster`, where it has them.

use std::path::PathBuf;

use clap::{Parser, Subcommand};
use rfs_model::admin::CreateVolume;

/// Where the daemon keeps its state unless told otherwise.
pub const STATE_DIR: &str = "/var/lib/rfs";

/// Sees to rfs: the pool, its volumes, and how they heal.
#[derive(Clone, Debug, Parser)]
#[command(
    name = "rfs-tools",
    version,
    about,
    long_about = None,
    after_help = "Exit status: 0 done; 1 refused or failed, with one line on stderr that says why and what to do; 2 wrong usage."
)]
pub struct Args {
    /// Ask this server instead of the node's own daemon
    #[arg(long, global = true, value_name = "HOST[:PORT]")]
    pub server: Option<String>,
    /// State directory of the daemon to ask, which has its socket [default: /var/lib/rfs]
    #[arg(long, global = true, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
    /// Print JSON
    #[arg(long, global = true)]
    pub json: bool,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Clone, Debug, Subcommand)]
pub enum Command {
    /// Nodes of the pool
    #[command(subcommand)]
    Peer(PeerCommand),
    /// The pool as a whole
    #[command(subcommand)]
    Pool(PoolCommand),
    /// Volumes
    #[command(subcommand)]
    Volume(VolumeCommand),
    /// Single bricks
    #[command(subcommand)]
    Brick(BrickCommand),
    /// How far each brick is, and what is being healed
    HealStatus(HealStatus),
}

#[derive(Clone, Debug, Subcommand)]
pub enum PeerCommand {
    /// Take another machine, on which rfs-brickd runs, into the pool
    Probe { host: String },
    /// Put a node without bricks out of the pool
    Detach {
        host: String,
        /// Even if the node is gone for good
        #[arg(value_parser = ["force"])]
        force: Option<String>,
    },
    /// The other nodes, and whether they are connected
    Status,
}

#[derive(Clone, Debug, Subcommand)]
pub enum PoolCommand {
    /// All nodes, this one included
    List,
}

#[derive(Clone, Debug, Subcommand)]
pub enum VolumeCommand {
    /// Make a volume: NAME [replica N] [transport tcp] HOST:/PATH...
    Create {
        name: String,
        #[arg(required = true, value_name = "[replica N] [transport tcp] HOST:/PATH")]
        words: Vec<String>,
    },
    /// Let mounts in
    Start {
        volume: String,
        #[arg(value_parser = ["force"], hide = true)]
        force: Option<String>,
    },
    /// Dismiss the mounts; the bricks stay in step
    Stop {
        volume: String,
        #[arg(value_parser = ["force"], hide = true)]
        force: Option<String>,
    },
    /// Forget a stopped volume; the files stay in the bricks' directories
    Delete { volume: String },
    /// Names of all volumes
    List,
    /// Bricks and options
    Info {
        /// All of them if left out
        volume: Option<String>,
    },
    /// Who is online, who leads, who holds the witness, and what the volume waits for
    Status {
        /// All of them if left out
        volume: Option<String>,
    },
    /// Compare what the disks of all bricks hold with what was written, and repair it from each other
    Scrub { volume: String, what: ScrubWord },
    /// Set options: NAME KEY VALUE [KEY VALUE]..., or 'help' for the table
    Set {
        #[arg(required = true, num_args = 1.., allow_negative_numbers = true, value_name = "VOLUME KEY VALUE | help")]
        words: Vec<String>,
    },
    /// Show options
    Get {
        volume: String,
        /// A key, or 'all'
        key: String,
    },
    /// Set one option, or all, back to the default
    Reset {
        volume: String,
        key: Option<String>,
        #[arg(value_parser = ["force"], hide = true)]
        force: Option<String>,
    },
    /// Go on with one node's brick alone after the others are lost for good (read the manual first)
    Promote { volume: String, node: String },
    /// Go on with the best log there is although a brick that lost power is gone for good
    AcceptTailLoss { volume: String },
    /// Say who holds the witness seat
    Witness {
        volume: String,
        #[command(subcommand)]
        wish: WitnessCommand,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum ScrubWord {
    Start,
    Status,
    Stop,
}

#[derive(Clone, Debug, Subcommand)]
pub enum WitnessCommand {
    /// This host
    Set { host: String },
    /// The best other candidate
    Move,
    /// Nobody
    Clear,
}

#[derive(Clone, Debug, Subcommand)]
pub enum BrickCommand {
    /// Take a brick out of the sync set in good order
    Leave {
        volume: String,
        #[arg(value_name = "HOST:/PATH")]
        brick: String,
    },
    /// Let a brick that left come back into the sync set
    Rejoin {
        volume: String,
        #[arg(value_name = "HOST:/PATH")]
        brick: String,
    },
    /// Put an empty directory in a brick's place; it is then filled from the others
    Replace {
        volume: String,
        #[arg(value_name = "HOST:/PATH")]
        old: String,
        #[arg(value_name = "HOST:/PATH")]
        new: String,
    },
}

#[derive(Clone, Debug, clap::Args)]
pub struct HealStatus {
    /// A volume, or 'divergent' [VOLUME] for the copies that an abandoned lineage left [default: all volumes]
    #[arg(num_args = 0..=2)]
    pub what: Vec<String>,
    /// With 'divergent VOLUME': remove the copies
    #[arg(long, conflicts_with_all = ["watch", "wait", "check"])]
    pub forget: bool,
    /// Redraw until interrupted
    #[arg(long, conflicts_with_all = ["wait", "check", "json"])]
    pub watch: bool,
    /// Return when all that is written by now is on every brick
    #[arg(long, conflicts_with = "check")]
    pub wait: bool,
    /// With --wait: give up after so many seconds
    #[arg(long, value_name = "S", requires = "wait")]
    pub timeout: Option<u64>,
    /// Exit 0 healthy, 1 healing, 2 degraded or blocked, 3 no daemon
    #[arg(long)]
    pub check: bool,
}

/// Reads what follows `volume create NAME`.
///
/// # Errors
/// Wrong usage, in one line.
pub fn create_request(name: &str, words: &[String]) -> Result<CreateVolume, String> {
    let mut request =
        CreateVolume { name: name.to_owned(), replica: None, transport: None, bricks: Vec::new() };
    let mut words = words.iter().map(String::as_str);
    while let Some(word) = words.next() {
        match word {
            "replica" => {
                let n = words.next().ok_or("'replica' needs a number after it, such as 'replica 2'")?;
                request.replica = Some(n.parse().map_err(|_| format!("'replica {n}': '{n}' is no number"))?);
            }
            "transport" => match words.next() {
                Some("tcp") => request.transport = Some("tcp".to_owned()),
                Some(other) => {
                    return Err(format!("transport '{other}' is not known here: use 'transport tcp'"));
                }
                None => return Err("'transport' needs a word after it: 'transport tcp'".to_owned()),
            },
            "force" => {}
            "arbiter" | "thin-arbiter" | "disperse" | "disperse-data" | "redundancy" | "stripe" => {
                return Err(format!(
                    "'{word}' volumes are not known here; two bricks get a witness by themselves"
                ));
            }
            brick if brick.contains(":/") => request.bricks.push(brick.to_owned()),
            other => return Err(format!("'{other}' is no brick: write HOST:/PATH, such as server1:/data")),
        }
    }
    if request.bricks.is_empty() {
        return Err("a volume needs bricks: write HOST:/PATH, such as server1:/data".to_owned());
    }
    Ok(request)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn typed(line: &str) -> Vec<String> {
        line.split(' ').map(str::to_owned).collect()
    }

    #[test]
    fn the_definitions_are_sound() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_tutorial_is_understood() {
        let line = "rfs-tools volume create datavol replica 2 transport tcp server1:/data server2:/data";
        let Command::Volume(VolumeCommand::Create { name, words }) = Args::parse_from(typed(line)).command
        else {
            panic!("not a create")
        };
        let request = create_request(&name, &words).unwrap();
        assert_eq!((request.replica, request.transport.as_deref()), (Some(2), Some("tcp")));
        assert_eq!(request.bricks, ["server1:/data", "server2:/data"]);
        for line in [
            "rfs-tools peer probe server2",
            "rfs-tools peer detach server2 force",
            "rfs-tools --json heal-status",
            "rfs-tools heal-status --json datavol",
            "rfs-tools heal-status --wait --timeout 5",
            "rfs-tools heal-status divergent datavol",
            "rfs-tools heal-status divergent datavol --forget",
            "rfs-tools brick rejoin datavol server1:/data",
            "rfs-tools volume set datavol auth.allow 192.168.199.102",
            "rfs-tools volume set help",
            "rfs-tools volume scrub datavol start",
            "rfs-tools --json volume scrub datavol status",
            "rfs-tools volume set datavol window -1",
            "rfs-tools volume create -- -x replica 2 server1:/data/x server2:/data/x",
            "rfs-tools volume witness datavol set client",
            "rfs-tools --server server2:24007 volume status datavol",
        ] {
            Args::try_parse_from(typed(line)).unwrap_or_else(|e| panic!("{line}: {e}"));
        }
    }

    #[test]
    fn wrong_words_are_named() {
        let table = [
            ("replica", "needs a number"),
            ("replica two a:/x", "'two' is no number"),
            ("transport rdma a:/x", "'rdma'"),
            ("replica 2 arbiter 1 a:/x", "'arbiter'"),
            ("replica 2 server1", "'server1' is no brick"),
            ("replica 2", "needs bricks"),
        ];
        for (line, want) in table {
            let why = create_request("v", &typed(line)).unwrap_err();
            assert!(why.contains(want), "{line}: {why}");
        }
        let wrong = "rfs-tools heal-status --watch --check";
        assert!(Args::try_parse_from(typed(wrong)).is_err());
    }
}
