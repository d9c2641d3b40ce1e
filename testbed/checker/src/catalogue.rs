//! The models and the mutants of both protocols, to be chosen from by name.

use anyhow::{Context, Result};
use rfs_checker::replication::Replication;
use rfs_checker::report::Limits;
use rfs_checker::search::{Found, Options};
use rfs_checker::{dirlease, models, mutants, rules};

use crate::watch::search;

#[derive(Clone, Copy)]
pub enum Model {
    Replication(&'static models::Named),
    DirLease(&'static dirlease::models::Named),
}

#[derive(Clone, Copy)]
pub enum Mutant {
    Replication(&'static mutants::Mutant),
    DirLease(&'static dirlease::mutants::Mutant),
}

impl Model {
    /// Those of these names, or all.
    pub fn choose(names: &[String]) -> Result<Vec<Self>> {
        let all = models::MODELS.iter().map(Self::Replication);
        let all: Vec<_> = all.chain(dirlease::models::MODELS.iter().map(Self::DirLease)).collect();
        choose("model", names, &all, Self::name)
    }

    pub fn name(&self) -> &'static str {
        match self {
            Self::Replication(named) => named.name,
            Self::DirLease(named) => named.name,
        }
    }

    pub fn about(&self) -> &'static str {
        match self {
            Self::Replication(named) => named.about,
            Self::DirLease(named) => named.about,
        }
    }

    pub fn explore(&self, full: bool, options: Options) -> (Limits, Found) {
        match self {
            Self::Replication(named) => {
                let model = named.model(full);
                let found = search(named.name, &Replication::new(model, named.live && !full), options);
                (Limits::Replication(model.bounds), found)
            }
            Self::DirLease(named) => {
                let model = named.model(full);
                (Limits::DirLease(model.bounds), search(named.name, &model, options))
            }
        }
    }
}

impl Mutant {
    /// Those without the rules of these names, or all.
    pub fn choose(rules: &[String]) -> Result<Vec<Self>> {
        let all = mutants::MUTANTS.iter().map(Self::Replication);
        let all: Vec<_> = all.chain(dirlease::mutants::MUTANTS.iter().map(Self::DirLease)).collect();
        choose("rule", rules, &all, Self::rule)
    }

    pub fn rule(&self) -> &'static str {
        match self {
            Self::Replication(mutant) => mutant.rule,
            Self::DirLease(mutant) => mutant.rule,
        }
    }

    pub fn model(&self) -> &'static str {
        match self {
            Self::Replication(mutant) => mutant.model,
            Self::DirLease(mutant) => mutant.model,
        }
    }

    pub fn spare(&self) -> Option<&'static str> {
        match self {
            Self::Replication(mutant) => mutant.spare,
            Self::DirLease(mutant) => mutant.spare,
        }
    }

    /// What the rule says.
    pub fn says(&self) -> &'static str {
        let rule = match self {
            Self::Replication(mutant) => rules::rule(mutant.rule),
            Self::DirLease(mutant) => dirlease::rules::rule(mutant.rule),
        };
        rule.map_or("", |rule| rule.says)
    }

    pub fn hunt(&self, options: Options) -> (Limits, Found) {
        match self {
            Self::Replication(mutant) => {
                let model = mutant.model();
                let found = search(mutant.rule, &Replication::new(model, mutant.live), options);
                (Limits::Replication(model.bounds), found)
            }
            Self::DirLease(mutant) => {
                let model = mutant.model();
                (Limits::DirLease(model.bounds), search(mutant.rule, &model, options))
            }
        }
    }
}

fn choose<T: Copy>(
    what: &str,
    names: &[String],
    all: &[T],
    name_of: fn(&T) -> &'static str,
) -> Result<Vec<T>> {
    if names.is_empty() {
        return Ok(all.to_vec());
    }
    let find = |name: &String| {
        let found = all.iter().copied().find(|one| name_of(one) == name);
        found.with_context(|| format!("there is no {what} {name}: see --list"))
    };
    names.iter().map(find).collect()
}
