//! What is left of a run.

use std::path::Path;

use anyhow::Context;

/// The same in three forms.
pub struct Output {
    pub text: String,
    pub json: String,
    /// What each plot is called, and its SVG.
    pub plots: Vec<(String, String)>,
}

impl Output {
    /// Writes `NAME.txt`, `NAME.json` and the plots, whose names stand for themselves, into the folder, which need not be there.
    pub fn write(&self, folder: &Path, name: &str) -> anyhow::Result<()> {
        std::fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        let write = |file: String, text: &str| {
            let path = folder.join(file);
            std::fs::write(&path, text).with_context(|| path.display().to_string())
        };
        write(format!("{name}.txt"), &self.text)?;
        write(format!("{name}.json"), &self.json)?;
        self.plots.iter().try_for_each(|(plot, svg)| write(format!("{plot}.svg"), svg))
    }
}
