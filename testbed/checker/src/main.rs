//! Explores the models of the rules, and hunts for what breaks without each of them.

mod catalogue;
mod watch;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;
use rfs_checker::report::{Explored, Hunted, MUTANTS_HEAD};
use rfs_checker::search::{Found, Options};

use crate::catalogue::{Model, Mutant};

/// The explicit-state models of the rules
#[derive(Parser)]
#[command(name = "cargo xtask model")]
struct Args {
    /// The large bounds: minutes and gigabytes
    #[arg(long)]
    full: bool,
    /// Only this model
    #[arg(long, value_name = "NAME")]
    model: Vec<String>,
    /// Without this rule: prints the shortest way to what then breaks
    #[arg(long, value_name = "RULE")]
    mutant: Vec<String>,
    /// Without each rule in turn
    #[arg(long)]
    mutants: bool,
    /// Names of the models and of the rules
    #[arg(long)]
    list: bool,
    /// Results as JSON
    #[arg(long)]
    json: bool,
    /// Threads of a search of a model; a hunt has one
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Give up after so many states of a model (27 bytes each, and 250 for each that waits)
    #[arg(long, default_value_t = 200_000_000)]
    limit: usize,
}

fn main() -> Result<ExitCode> {
    let args = Args::parse();
    if args.list {
        list()?;
        return Ok(ExitCode::SUCCESS);
    }
    let hunts = args.mutants || !args.mutant.is_empty();
    let ok = if hunts { hunt(&args)? } else { explore(&args)? };
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list() -> Result<()> {
    for model in Model::choose(&[])? {
        println!("{:<28} {}", model.name(), model.about());
    }
    println!();
    for mutant in Mutant::choose(&[])? {
        println!("{:<28} {}", mutant.rule(), mutant.says());
    }
    Ok(())
}

fn explore(args: &Args) -> Result<bool> {
    let options = Options { threads: args.threads, limit: args.limit };
    let (mut all, mut head) = (Vec::new(), "");
    for model in Model::choose(&args.model)? {
        let (limits, found) = model.explore(args.full, options);
        let explored = Explored::new(model.name(), limits, &found);
        if !args.json {
            if head != limits.head() {
                head = limits.head();
                println!("{head}");
            }
            println!("{}", explored.line());
            tell(&found);
        }
        all.push(explored);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    } else {
        let states: usize = all.iter().map(|one| one.states).sum();
        println!("{states} states in {:.0} s", all.iter().map(|one| one.seconds).sum::<f64>());
    }
    Ok(all.iter().all(|one| one.ok))
}

fn hunt(args: &Args) -> Result<bool> {
    if !args.json {
        println!("{MUTANTS_HEAD}");
    }
    let options = Options { threads: 1, limit: args.limit };
    let mut all = Vec::new();
    for mutant in Mutant::choose(&args.mutant)? {
        let (limits, found) = mutant.hunt(options);
        let hunted = Hunted::new(mutant.rule(), mutant.model(), mutant.spare(), limits, &found);
        if !args.json {
            println!("{}", hunted.line());
            if !args.mutants {
                mutant.spare().inspect(|why| println!("  {why}"));
                tell(&found);
            }
        }
        all.push(hunted);
    }
    if args.json {
        println!("{}", serde_json::to_string_pretty(&all)?);
    }
    Ok(all.iter().all(|one| one.ok))
}

/// The counterexample.
fn tell(found: &Found) {
    found.violation.iter().for_each(|violation| println!("{violation}"));
}
