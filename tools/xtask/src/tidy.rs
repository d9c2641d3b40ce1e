//! What no compiler checks.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::run::output;

/// Longest file, lines: beyond it a second subject has moved in.
const LONGEST: usize = 800;
/// The median file is at most so long.
const MEDIAN: usize = 200;

const TOP_LEVEL: &[&str] = &[
    "Cargo.toml",
    "Cargo.lock",
    "engine",
    "mountd",
    "tools",
    "benches",
    "testbed",
    "docs",
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "LICENSE-MIT",
    "LICENSE-APACHE",
    "SECURITY.md",
    "rust-toolchain.toml",
    "rustfmt.toml",
    "clippy.toml",
    "deny.toml",
];

/// Each package may use these packages of ours and must not use those of others.
const LAYERS: &[Layer] = &[
    Layer { dir: "engine/model", ours: &[], never: &["glommio", "tokio", "fuser", "tokio-uring"] },
    Layer {
        dir: "engine/core",
        ours: &["rfs-model"],
        never: &["glommio", "tokio", "rustix", "libc", "tokio-uring"],
    },
    Layer {
        dir: "engine/shell",
        ours: &["rfs-model", "rfs-core"],
        never: &["tokio", "tokio-uring", "fuser"],
    },
    Layer { dir: "tools", ours: &["rfs-model"], never: &["glommio", "tokio", "fuser", "tokio-uring"] },
    // It is written from the rules, not from the code.
    Layer { dir: "testbed/checker", ours: &[], never: &["glommio", "tokio", "tokio-uring"] },
    Layer {
        dir: "testbed/sim",
        ours: &["rfs-model", "rfs-core"],
        never: &["glommio", "tokio", "tokio-uring"],
    },
];

struct Layer {
    dir: &'static str,
    ours: &'static [&'static str],
    never: &'static [&'static str],
}

/// Words that must not stand in the core: it decides, and never looks around.
const NOT_IN_CORE: &[&str] = &[
    "std::time",
    "std::fs",
    "std::net",
    "std::thread",
    "HashMap",
    "HashSet",
    "async fn",
    "Instant::now",
    "SystemTime",
];

/// # Errors
/// All that is wrong, a line each.
pub fn tidy(root: &Path) -> Result<()> {
    let listed = output(Command::new("git").arg("-C").arg(root).arg("ls-files"))?;
    let files: BTreeSet<&str> = listed.lines().filter(|f| root.join(f).is_file()).collect();
    let mut wrong = top_level(&files);
    let mut lengths = Vec::new();
    for file in files.iter().filter(|f| f.ends_with(".rs")) {
        let text = fs::read_to_string(root.join(file)).with_context(|| (*file).to_owned())?;
        lengths.push(text.lines().count());
        wrong.extend(source(file, &text));
    }
    lengths.sort_unstable();
    if let Some(median) = lengths.get(lengths.len() / 2).filter(|n| **n > MEDIAN) {
        wrong.push(format!("the median file has {median} lines, more than {MEDIAN}"));
    }
    for layer in LAYERS {
        let manifest = fs::read_to_string(root.join(layer.dir).join("Cargo.toml"))?;
        wrong.extend(layering(layer, &manifest)?);
    }
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.iter().for_each(|line| eprintln!("{line}"));
    bail!("{} untidy places", wrong.len())
}

fn top_level(files: &BTreeSet<&str>) -> Vec<String> {
    let tops: BTreeSet<&str> = files.iter().filter_map(|f| f.split('/').next()).collect();
    let odd = tops.into_iter().filter(|top| !top.starts_with('.') && !TOP_LEVEL.contains(top));
    odd.map(|top| format!("{top}: not one of the agreed top-level entries")).collect()
}

fn source(file: &str, text: &str) -> Vec<String> {
    let mut wrong = Vec::new();
    let lines = text.lines().count();
    if lines > LONGEST {
        wrong.push(format!("{file}: {lines} lines, more than {LONGEST}: what second subject has moved in?"));
    }
    let in_core = file.starts_with("engine/core/src/");
    for (number, line) in text.lines().enumerate() {
        let code = line.split("//").next().unwrap_or(line);
        let at = || format!("{file}:{}", number + 1);
        for stub in [concat!("todo", "!("), concat!("unimplemented", "!(")] {
            if code.contains(stub) {
                wrong.push(format!("{}: a stub", at()));
            }
        }
        if code.trim_start().starts_with(concat!("#[", "ignore]")) {
            wrong.push(format!("{}: an ignored test without a reason: does anything run it?", at()));
        }
        if let Some(word) = NOT_IN_CORE.iter().find(|word| in_core && code.contains(**word)) {
            wrong.push(format!("{}: '{word}' in the core", at()));
        }
    }
    wrong
}

fn layering(layer: &Layer, manifest: &str) -> Result<Vec<String>> {
    let manifest: toml::Table = manifest.parse().with_context(|| layer.dir.to_owned())?;
    let empty = toml::Table::new();
    let dependencies = manifest.get("dependencies").and_then(toml::Value::as_table).unwrap_or(&empty);
    let wrong = dependencies.keys().filter(|name| {
        let ours = name.starts_with("rfs-") && !layer.ours.contains(&name.as_str());
        ours || layer.never.contains(&name.as_str())
    });
    Ok(wrong.map(|name| format!("{}: must not depend on {name}", layer.dir)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_untidiness_is_seen() {
        let long = "x\n".repeat(LONGEST + 1);
        let table = [
            ("tools/src/a.rs", long.as_str(), "lines"),
            ("tools/src/a.rs", concat!("fn f() { todo", "!() }"), "stub"),
            ("tools/src/a.rs", concat!("#[", "ignore]"), "ignored"),
            ("engine/core/src/a.rs", "use std::time::Duration;", "'std::time' in the core"),
            ("engine/core/src/a.rs", "let m: HashMap<u8, u8>;", "'HashMap'"),
        ];
        for (file, text, want) in table {
            let wrong = source(file, text);
            assert!(wrong.len() == 1 && wrong[0].contains(want), "{file}: {wrong:?}");
        }
        assert!(source("engine/core/src/a.rs", "// no HashMap here").is_empty());
        assert!(source("tools/src/a.rs", "use std::time::Duration;").is_empty());
    }

    #[test]
    fn arrows_point_down() {
        let layer = LAYERS.iter().find(|l| l.dir == "tools").unwrap();
        let good = "[dependencies]\nrfs-model.workspace = true\nserde = \"1\"\n";
        assert_eq!(layering(layer, good).unwrap(), [""; 0]);
        let bad = "[dependencies]\nrfs-engine.workspace = true\nglommio = \"0.9\"\n";
        assert_eq!(layering(layer, bad).unwrap().len(), 2);
    }

    #[test]
    fn odd_entries_at_the_top_are_named() {
        let files = BTreeSet::from(["README.md", "scratch/x.rs", ".ci/run", "engine/a.rs"]);
        assert_eq!(top_level(&files), ["scratch: not one of the agreed top-level entries"]);
    }
}
