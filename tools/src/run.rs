//! From a command to its exit status.

use std::process::ExitCode;

use rfs_model::admin::{Operation, Reply, Request, VolumeChange, WitnessWish};
use serde::Serialize;

use crate::args::{
    Args, BrickCommand, Command, PeerCommand, PoolCommand, ScrubWord, VolumeCommand, WitnessCommand,
    create_request,
};
use crate::client::{Client, ClientError};
use crate::{heal, show};

/// How a command ends when it does not succeed.
#[derive(Debug)]
pub enum Failure {
    /// Exit 2.
    Usage(String),
    /// Exit 1.
    Refused(String),
    /// Another status, with nothing more to say.
    Exit(u8),
}

impl From<ClientError> for Failure {
    fn from(e: ClientError) -> Self {
        Self::Refused(e.to_string())
    }
}

/// Carries the command out.
#[must_use]
pub fn run(args: &Args) -> ExitCode {
    match command(args) {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(Failure::Usage(why)) => complain(&why, 2),
        Err(Failure::Refused(why)) => complain(&why, 1),
        Err(Failure::Exit(status)) => ExitCode::from(status),
    }
}

fn complain(why: &str, status: u8) -> ExitCode {
    eprintln!("{}", why.lines().collect::<Vec<_>>().join(" "));
    ExitCode::from(status)
}

fn command(args: &Args) -> Result<String, Failure> {
    let asker = Asker { args };
    match args.command.clone() {
        Command::Peer(peer) => peer_command(&asker, peer),
        Command::Pool(PoolCommand::List) => asker.show(Request::PoolList, |reply| match reply {
            Reply::Pool(rows) => Some(show::pool_list(rows)),
            _ => None,
        }),
        Command::Volume(volume) => volume_command(&asker, volume),
        Command::Brick(BrickCommand::Leave { volume, brick }) => {
            asker.operate("brick leave", volume, Operation::LeaveBrick { brick })
        }
        Command::Brick(BrickCommand::Rejoin { volume, brick }) => {
            asker.operate("brick rejoin", volume, Operation::RejoinBrick { brick })
        }
        Command::Brick(BrickCommand::Replace { volume, old, new }) => {
            asker.operate("brick replace", volume, Operation::ReplaceBrick { old, new })
        }
        Command::HealStatus(status) => heal::command(args, &status),
    }
}

fn peer_command(asker: &Asker<'_>, command: PeerCommand) -> Result<String, Failure> {
    match command {
        PeerCommand::Probe { host } => asker.act("peer probe", Request::PeerProbe { host }, ""),
        PeerCommand::Detach { host, force } => {
            asker.act("peer detach", Request::PeerDetach { host, force: force.is_some() }, "")
        }
        PeerCommand::Status => asker.show(Request::PeerStatus, |reply| match reply {
            Reply::Peers(rows) => Some(show::peer_status(rows)),
            _ => None,
        }),
    }
}

fn volume_command(asker: &Asker<'_>, command: VolumeCommand) -> Result<String, Failure> {
    match command {
        VolumeCommand::Create { name, words } => {
            let request = create_request(&name, &words).map_err(Failure::Usage)?;
            let note = "please start the volume to access data";
            asker.act(&format!("volume create: {name}"), Request::VolumeCreate(request), note)
        }
        VolumeCommand::Start { volume, .. } => asker.change("start", volume, VolumeChange::Start),
        VolumeCommand::Stop { volume, .. } => asker.change("stop", volume, VolumeChange::Stop),
        VolumeCommand::Delete { volume } => {
            asker.act(&format!("volume delete: {volume}"), Request::VolumeDelete { volume }, "")
        }
        VolumeCommand::List => asker.show(Request::VolumeList, |reply| match reply {
            Reply::Names(names) => Some(show::volume_list(names)),
            _ => None,
        }),
        VolumeCommand::Info { volume } => {
            asker.show(Request::VolumeInfo { volume: one(volume) }, |reply| match reply {
                Reply::Volumes(rows) => Some(show::volume_info(rows)),
                _ => None,
            })
        }
        VolumeCommand::Status { volume } => {
            asker.show(Request::Status { volume: one(volume) }, |reply| match reply {
                Reply::Reports(reports) => Some(show::volume_status(reports)),
                _ => None,
            })
        }
        VolumeCommand::Scrub { volume, what } => {
            let begin = match what {
                ScrubWord::Start => true,
                ScrubWord::Stop => false,
                ScrubWord::Status => {
                    return asker.show(Request::Status { volume: Some(volume) }, |reply| match reply {
                        Reply::Reports(reports) => Some(show::scrub_status(reports)),
                        _ => None,
                    });
                }
            };
            asker.operate("volume scrub", volume, Operation::Scrub { begin })
        }
        VolumeCommand::Set { words } => set(asker, &words),
        VolumeCommand::Get { volume, key } => {
            asker.show(Request::VolumeGet { volume, key: one(Some(key)) }, |reply| match reply {
                Reply::Options(rows) => Some(show::options(rows)),
                _ => None,
            })
        }
        VolumeCommand::Reset { volume, key, .. } => {
            let change = VolumeChange::Reset { key: one(key) };
            asker.act("volume reset", Request::VolumeChange { volume, change }, "reset volume successful")
        }
        VolumeCommand::Promote { volume, node } => {
            asker.operate("volume promote", volume, Operation::Promote { host: node })
        }
        VolumeCommand::AcceptTailLoss { volume } => {
            asker.operate("volume accept-tail-loss", volume, Operation::AcceptTailLoss)
        }
        VolumeCommand::Witness { volume, wish } => {
            let wish = match wish {
                WitnessCommand::Set { host } => WitnessWish::Set { host },
                WitnessCommand::Move => WitnessWish::Move,
                WitnessCommand::Clear => WitnessWish::Clear,
            };
            asker.operate("volume witness", volume, Operation::Witness { wish })
        }
    }
}

fn set(asker: &Asker<'_>, words: &[String]) -> Result<String, Failure> {
    let (volume, rest) = match words {
        [help] if help == "help" => return Ok(asker.options_help()),
        [_] => {
            return Err(Failure::Usage("volume set: give VOLUME KEY VALUE, or 'help' for the table".into()));
        }
        [volume, rest @ ..] => (volume.clone(), rest),
        [] => {
            return Err(Failure::Usage("volume set: give VOLUME KEY VALUE, or 'help' for the table".into()));
        }
    };
    let options = rest.chunks(2).map(|pair| match pair {
        [key, value] => Ok((key.clone(), value.clone())),
        [key, ..] => Err(Failure::Usage(format!("volume set: option '{key}' has no value after it"))),
        [] => Err(Failure::Usage("volume set: give KEY VALUE".into())),
    });
    let options = options.collect::<Result<_, _>>()?;
    asker.act("volume set", Request::VolumeChange { volume, change: VolumeChange::Set { options } }, "")
}

/// `all` is how gluster's users say "no particular one".
fn one(name: Option<String>) -> Option<String> {
    name.filter(|name| name != "all")
}

struct Asker<'a> {
    args: &'a Args,
}

impl Asker<'_> {
    fn ask(&self, request: Request) -> Result<Reply, ClientError> {
        let (server, dir) = (self.args.server.as_deref(), self.args.state_dir.as_deref());
        Client::connect(server, dir, request.right())?.ask(request)
    }

    /// A request whose answer is shown.
    fn show(&self, request: Request, text: impl FnOnce(&Reply) -> Option<String>) -> Result<String, Failure> {
        let reply = self.ask(request)?;
        let text = text(&reply).ok_or_else(out_of_turn)?;
        if self.args.json { reply_json(&reply) } else { Ok(text) }
    }

    /// A request that changes something: `what: success`, and a note if there is one.
    fn act(&self, what: &str, request: Request, note: &str) -> Result<String, Failure> {
        let refused = |e: ClientError| Failure::Refused(format!("{what}: failed: {e}"));
        let Reply::Done { note: said } = self.ask(request).map_err(refused)? else {
            return Err(out_of_turn());
        };
        if self.args.json {
            return json(&Done { status: "success", note: said });
        }
        let notes = [Some(note.to_owned()), said];
        let notes: Vec<String> = notes.into_iter().flatten().filter(|n| !n.is_empty()).collect();
        Ok(match notes.as_slice() {
            [] => format!("{what}: success\n"),
            notes => format!("{what}: success: {}\n", notes.join("; ")),
        })
    }

    fn change(&self, verb: &str, volume: String, change: VolumeChange) -> Result<String, Failure> {
        self.act(&format!("volume {verb}: {volume}"), Request::VolumeChange { volume, change }, "")
    }

    fn operate(&self, what: &str, volume: String, operation: Operation) -> Result<String, Failure> {
        self.act(&format!("{what}: {volume}"), Request::Operate { volume, operation }, "")
    }

    fn options_help(&self) -> String {
        if !self.args.json {
            return show::options_help();
        }
        let rows = rfs_model::options::OPTIONS.iter().map(|o| OptionHelp {
            key: o.key,
            default: o.default,
            values: o.kind.describe(),
            help: o.help,
        });
        json(&rows.collect::<Vec<_>>()).unwrap_or_default()
    }
}

#[derive(Serialize)]
struct Done {
    status: &'static str,
    note: Option<String>,
}

#[derive(Serialize)]
struct OptionHelp {
    key: &'static str,
    default: &'static str,
    values: String,
    help: &'static str,
}

pub(crate) fn out_of_turn() -> Failure {
    Failure::Refused(
        "the daemon answered something else than what was asked: it is of another version".into(),
    )
}

/// The rows of an answer, without the envelope they came in.
fn reply_json(reply: &Reply) -> Result<String, Failure> {
    match reply {
        Reply::Peers(rows) => json(rows),
        Reply::Pool(rows) => json(rows),
        Reply::Volumes(rows) => json(rows),
        Reply::Names(rows) => json(rows),
        Reply::Options(rows) => json(rows),
        Reply::Reports(rows) => json(rows),
        Reply::Lines(rows) => json(rows),
        Reply::Divergent(rows) => json(rows),
        other => json(other),
    }
}

pub(crate) fn json(value: &impl Serialize) -> Result<String, Failure> {
    let text = serde_json::to_string_pretty(value).map_err(|e| Failure::Refused(e.to_string()))?;
    Ok(text + "\n")
}
