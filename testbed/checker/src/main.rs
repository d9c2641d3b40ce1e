//! Explores the models of the replication rules, and hunts for what breaks without each rule.

mod watch;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use rfs_checker::model::Model;
use rfs_checker::models::{MODELS, Named, named};
use rfs_checker::mutants::{MUTANTS, Mutant};
use rfs_checker::report::{Explored, Hunted, MODELS_HEAD, MUTANTS_HEAD};
use rfs_checker::rules::rule;
use rfs_checker::search::{Found, Options};

/// The explicit-state model of the replication rules
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
        list();
        return Ok(ExitCode::SUCCESS);
    }
    let hunts = args.mutants || !args.mutant.is_empty();
    let ok = if hunts { hunt(&args)? } else { explore(&args)? };
    Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn list() {
    for model in MODELS {
        println!("{:<28} {}", model.name, model.about);
    }
    println!();
    for mutant in MUTANTS {
        let says = rule(mutant.rule).map_or("", |rule| rule.says);
        println!("{:<28} {says}", mutant.rule);
    }
}

fn explore(args: &Args) -> Result<bool> {
    let chosen: Vec<&Named> = match &args.model[..] {
        [] => MODELS.iter().collect(),
        names => names.iter().map(|name| find_model(name)).collect::<Result<_>>()?,
    };
    if !args.json {
        println!("{MODELS_HEAD}");
    }
    let mut all = Vec::new();
    for model in chosen {
        let options = Options { threads: args.threads, live: model.live && !args.full, limit: args.limit };
        let (found, bounds) = run(model.name, &model.model(args.full), options);
        let explored = Explored::new(model.name, bounds, &found);
        if !args.json {
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
    let chosen: Vec<&Mutant> = match &args.mutant[..] {
        [] => MUTANTS.iter().collect(),
        names => names.iter().map(|name| find_mutant(name)).collect::<Result<_>>()?,
    };
    if !args.json {
        println!("{MUTANTS_HEAD}");
    }
    let mut all = Vec::new();
    for mutant in chosen {
        let options = Options { threads: 1, live: mutant.live, limit: args.limit };
        let (found, bounds) = run(mutant.rule, &mutant.model(), options);
        let hunted = Hunted::new(mutant, bounds, &found);
        if !args.json {
            println!("{}", hunted.line());
            if !args.mutants {
                mutant.spare.inspect(|why| println!("  {why}"));
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

fn find_model(name: &str) -> Result<&'static Named> {
    named(name).with_context(|| format!("there is no model {name}: see --list"))
}

fn find_mutant(name: &str) -> Result<&'static Mutant> {
    let found = MUTANTS.iter().find(|mutant| mutant.rule == name);
    found.with_context(|| format!("there is no rule {name}: see --list"))
}

fn run(name: &str, model: &Model, options: Options) -> (Found, rfs_checker::model::Bounds) {
    (watch::search(name, model, options), model.bounds)
}

/// The counterexample.
fn tell(found: &Found) {
    let Some(violation) = &found.violation else { return };
    for (number, (action, state)) in violation.trace.iter().enumerate() {
        println!("{:>4}. {action}\n{state}", number + 1);
    }
    println!("      {}", violation.broken);
}
