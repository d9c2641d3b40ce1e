//! Man pages and completions. Those of rfs-tools come from its definitions; the daemons' pages from what they say with
//! `--help`, which clap makes from theirs: linking them here would build glommio for every chore.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::CommandFactory;
use clap_complete::Shell;
use rfs_model::options::OPTIONS;

use crate::run::{cargo, output, run, target_dir};

const DAEMONS: &[(&str, &str)] = &[("rfs-brickd", "rfs-engine"), ("rfs-mountd", "rfs-mountd")];

pub fn write(dir: Option<PathBuf>) -> Result<()> {
    let target = target_dir()?;
    let dir = dir.unwrap_or_else(|| target.join("manual"));
    let [commands, topics, daemons, completions] =
        ["man1", "man7", "man8", "completions"].map(|sub| dir.join(sub));
    for sub in [&commands, &topics, &daemons, &completions] {
        fs::create_dir_all(sub)?;
    }
    clap_mangen::generate_to(rfs_tools::args::Args::command(), &commands)?;
    fs::write(topics.join("rfs-options.7"), options_page())?;
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut rfs_tools::args::Args::command(), "rfs-tools", &completions)?;
    }
    for (program, package) in DAEMONS {
        run(cargo().args(["build", "--quiet", "--package", package, "--bin", program]))?;
        let program_path = target.join("debug").join(program);
        write_daemon_page(&daemons, program, &program_path)?;
    }
    println!("{}", dir.display());
    Ok(())
}

fn write_daemon_page(man: &Path, name: &str, program: &Path) -> Result<()> {
    let help = output(std::process::Command::new(program).arg("--help"))?;
    fs::write(man.join(format!("{name}.8")), page(name, &help)).with_context(|| name.to_owned())
}

/// What `rfs-tools volume set` takes, from the table that checks it.
fn options_page() -> String {
    let mut page =
        ".TH RFS\\-OPTIONS 7\n.SH NAME\nrfs\\-options \\- options of rfs volumes\n.SH DESCRIPTION\n"
            .to_owned();
    page += &escape(
        "Set with 'rfs-tools volume set VOLUME KEY VALUE', shown with 'rfs-tools volume get VOLUME all'.",
    );
    page += "\n.SH OPTIONS\n";
    for o in OPTIONS {
        let default = if o.default.is_empty() { "none" } else { o.default };
        let about = format!("{} Values: {}. Default: {default}.", o.help, o.kind.describe());
        page += &format!(".TP\n.B {}\n{}\n", escape(o.key), escape(&about));
    }
    page
}

/// A man page around a help text, which stays as it is laid out.
fn page(name: &str, help: &str) -> String {
    let about = help.lines().next().unwrap_or_default().trim_end_matches('.');
    let escaped: Vec<String> = help.lines().map(escape).collect();
    format!(
        ".TH {} 8\n.SH NAME\n{} \\- {}\n.SH DESCRIPTION\n.nf\n{}\n.fi\n",
        name.to_uppercase(),
        escape(name),
        escape(about),
        escaped.join("\n")
    )
}

/// Roff reads backslashes, dashes, and dots and quotes at the beginning of a line.
fn escape(line: &str) -> String {
    let text = line.replace('\\', "\\e").replace('-', "\\-");
    if text.starts_with(['.', '\'']) { format!("\\&{text}") } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn help_texts_survive_roff() {
        let page = page("rfs-brickd", "The rfs server.\n\nUsage: rfs-brickd\n.dot\n'quote \\n\n");
        assert!(page.starts_with(".TH RFS-BRICKD 8\n.SH NAME\nrfs\\-brickd \\- The rfs server\n"), "{page}");
        assert!(page.contains("\n\\&.dot\n\\&'quote \\en\n"), "{page}");
    }

    #[test]
    fn every_option_is_in_the_manual() {
        let page = options_page();
        for o in OPTIONS {
            assert!(page.contains(&format!(".B {}\n", escape(o.key))), "{}", o.key);
        }
    }

    #[test]
    fn the_pages_of_the_command_line_know_every_command() {
        let dir = tempfile::tempdir().unwrap();
        clap_mangen::generate_to(rfs_tools::args::Args::command(), dir.path()).unwrap();
        for page in ["rfs-tools.1", "rfs-tools-volume-create.1", "rfs-tools-heal-status.1"] {
            assert!(dir.path().join(page).is_file(), "{page}");
        }
    }
}
