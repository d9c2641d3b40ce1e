//! The command line: `rfs-mountd SERVER:/VOLUME DIR`, `rfs-mountd DIR`, and `mount.rfs` or `mount.fuse.rfs` as mount(8) calls
//! it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, Command, CommandFactory, FromArgMatches, Parser};

use super::options;

/// Mounts an rfs volume.
///
/// SERVER:/VOLUME DIR mounts a volume that servers of its pool serve. DIR alone mounts the one volume of this machine's
/// rfs-brickd; where none runs, it starts a volume with one brick, engine and mount in one process.
#[derive(Clone, Debug, PartialEq, Eq, Parser)]
#[command(version, max_term_width = 100)]
pub struct Cli {
    /// SERVER:/VOLUME, several servers separated by commas; or the mount point alone
    #[arg(value_name = "SERVER:/VOLUME")]
    pub what: String,
    /// Mount point
    #[arg(value_name = "DIR")]
    pub point: Option<PathBuf>,
    /// Mount options, separated by commas
    #[arg(short = 'o', value_name = "OPTIONS", action = ArgAction::Append, allow_hyphen_values = true)]
    pub options: Vec<String>,
    /// Stay in the foreground
    #[arg(short = 'f', long)]
    pub foreground: bool,
    /// Brick directory of a volume that is started here [default: $XDG_DATA_HOME/rfs/default]
    #[arg(long, value_name = "DIR")]
    pub brick: Option<PathBuf>,
    /// Where state and socket of this machine's rfs-brickd are [default: /var/lib/rfs, or /run/rfs]
    #[arg(long, value_name = "DIR")]
    pub state_dir: Option<PathBuf>,
}

/// What the command line asks for.
pub enum Wanted {
    Mount(Box<Cli>),
    /// New flags for what is mounted.
    Remount(Box<Cli>),
    /// Done already: help, version, a dry run.
    Nothing,
    Refused(String),
}

/// The command with all its help, for man pages and completions.
#[must_use]
pub fn command() -> Command {
    Cli::command().after_help(options::help())
}

/// Reads this process's arguments.
#[must_use]
pub fn from_environment() -> Wanted {
    parse(std::env::args_os().collect())
}

fn parse(args: Vec<OsString>) -> Wanted {
    let name = args.first().map(|name| Path::new(name).file_name().unwrap_or_default().to_os_string());
    if name.as_deref().is_some_and(|name| name.as_encoded_bytes().starts_with(b"mount.")) {
        return parse_helper(args);
    }
    match command().try_get_matches_from(args).and_then(|matches| Cli::from_arg_matches(&matches)) {
        Ok(cli) => Wanted::Mount(Box::new(cli)),
        Err(error) if error.use_stderr() => Wanted::Refused(error.to_string().trim_end().to_owned()),
        Err(error) => {
            let _ = error.print();
            Wanted::Nothing
        }
    }
}

/// As mount(8) calls `mount.<type>`: `-f` is a dry run there, and `-s`, `-n`, `-v` ask for nothing that we would do.
fn parse_helper(args: Vec<OsString>) -> Wanted {
    let quiet = |short, help| Arg::new(help).short(short).action(ArgAction::Count).hide(true);
    let given = |short, name| Arg::new(name).short(short).num_args(1).hide(true);
    let command = command()
        .name("mount.rfs")
        .mut_arg("foreground", |arg| arg.short(None))
        .arg(quiet('f', "dry-run"))
        .arg(quiet('s', "sloppy"))
        .arg(quiet('n', "no-mtab"))
        .arg(quiet('v', "verbose"))
        .arg(given('t', "type"))
        .arg(given('N', "namespace"));
    match command.try_get_matches_from(args) {
        Ok(matches) if matches.get_count("dry-run") > 0 => Wanted::Nothing,
        Ok(matches) => match Cli::from_arg_matches(&matches) {
            Ok(cli) if options::remount(&cli.options) => Wanted::Remount(Box::new(cli)),
            Ok(cli) => Wanted::Mount(Box::new(cli)),
            Err(error) => Wanted::Refused(error.to_string()),
        },
        Err(error) if error.use_stderr() => Wanted::Refused(error.to_string().trim_end().to_owned()),
        Err(error) => {
            let _ = error.print();
            Wanted::Nothing
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Option<Cli> {
        match parse(line.split(' ').map(OsString::from).collect()) {
            Wanted::Mount(cli) => Some(*cli),
            _ => None,
        }
    }

    #[test]
    fn both_names_are_called_as_their_users_call_them() {
        let cli = read("rfs-mountd server1:/datavol /mnt/data -o ro,log-level=debug -f").unwrap();
        assert_eq!((cli.what.as_str(), cli.point), ("server1:/datavol", Some("/mnt/data".into())));
        assert_eq!((cli.options, cli.foreground), (vec!["ro,log-level=debug".to_owned()], true));
        let cli = read("/sbin/mount.rfs server1:/datavol /mnt/data -n -s -v -o rw,_netdev").unwrap();
        assert_eq!((cli.options, cli.foreground), (vec!["rw,_netdev".to_owned()], false));
        let cli = read("rfs-mountd /mnt/data").unwrap();
        assert_eq!((cli.what.as_str(), cli.point), ("/mnt/data", None));
    }

    #[test]
    fn a_dry_run_of_mount_does_nothing() {
        let args = ["mount.rfs", "-f", "server1:/datavol", "/mnt/data", "-o", "rw"].map(OsString::from);
        assert!(matches!(parse(args.to_vec()), Wanted::Nothing));
    }

    #[test]
    fn mount_asks_for_a_remount_by_either_name() {
        for helper in ["/sbin/mount.rfs", "/sbin/mount.fuse.rfs"] {
            let line = format!("{helper} server1:/datavol /mnt/data -o rw,relatime,user_id=0,remount,ro");
            assert!(matches!(parse(line.split(' ').map(OsString::from).collect()), Wanted::Remount(_)));
        }
        assert!(read("/sbin/mount.fuse.rfs server1:/datavol /mnt/data -o rw").is_some());
    }

    #[test]
    fn wrong_usage_is_refused() {
        for line in ["rfs-mountd", "rfs-mountd a b c", "rfs-mountd --frobnicate a b", "mount.rfs"] {
            assert!(
                matches!(parse(line.split(' ').map(OsString::from).collect()), Wanted::Refused(_)),
                "{line}"
            );
        }
    }

    #[test]
    fn the_definition_is_consistent() {
        command().debug_assert();
    }
}
