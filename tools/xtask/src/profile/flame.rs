//! A flame graph of one process.

use std::fs::File;
use std::io::BufWriter;
use std::path::Path;

use anyhow::Result;
use inferno::flamegraph::color::MultiPalette;
use inferno::flamegraph::{Options, Palette, from_lines};

use super::samples::Stack;

/// Threads at the root; what is the kernel's has colours of its own.
pub fn draw(title: &str, stacks: &[Stack], svg: &Path) -> Result<()> {
    let mut options = Options::default();
    options.title = title.to_owned();
    options.colors = Palette::Multi(MultiPalette::Rust);
    options.hash = true;
    let lines: Vec<String> = stacks.iter().map(Stack::line).collect();
    let out = BufWriter::new(File::create(svg)?);
    Ok(from_lines(&mut options, lines.iter().map(String::as_str), out)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn functions_and_threads_are_in_the_drawing() {
        let dir = tempfile::tempdir().unwrap();
        let svg = dir.path().join("a.svg");
        let frames = vec!["rfs_engine::shard::turn".to_owned()];
        draw("chmod", &[Stack { thread: "rfs-shard".to_owned(), frames, samples: 3 }], &svg).unwrap();
        let text = std::fs::read_to_string(&svg).unwrap();
        for word in ["<svg", "chmod", "rfs-shard", "rfs_engine::shard::turn"] {
            assert!(text.contains(word), "{word}");
        }
    }
}
