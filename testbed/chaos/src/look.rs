//! What is there at the end, as a mount or a brick shows it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::clock::{Micros, now};
use crate::format;
use crate::work::files;

/// Something that was read, or what is wrong with it.
pub type Read<T> = Result<T, String>;

/// The folder of the clients, seen from one place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place {
    /// The host; bricks are `brick of HOST`.
    pub name: String,
    pub begun: Micros,
    /// All paths below the folder.
    pub names: BTreeSet<String>,
    /// The lines of each client; none without a file.
    pub lines: Option<Read<BTreeMap<String, Vec<u64>>>>,
    /// The files of slots.
    pub slots: BTreeMap<String, Read<Vec<u64>>>,
    /// The names that were replaced.
    pub versions: BTreeMap<String, Read<u64>>,
    /// The numbers that were counted under locks.
    pub numbers: BTreeMap<String, Read<u64>>,
}

/// Looks at the folder from this process.
///
/// # Errors
/// Something cannot be read.
pub fn look(name: &str, folder: &Path) -> io::Result<Place> {
    let mut place = Place { name: name.to_owned(), begun: now(), ..Place::default() };
    walk(folder, "", &mut place.names)?;
    let read = |file: &str| fs::read(folder.join(file));
    for file in place.names.iter().filter(|n| !n.contains('/')) {
        match file.as_str() {
            files::LINES => place.lines = Some(format::lines(&read(file)?)),
            files::FLOCK | files::FCNTL => {
                place.numbers.insert(file.clone(), number(&read(file)?));
            }
            _ if file.starts_with("keys-") => {
                place.slots.insert(file.clone(), format::slots(file, &read(file)?));
            }
            _ if file.starts_with("replace-") && !file.contains('.') => {
                place.versions.insert(file.clone(), format::version(file, &read(file)?));
            }
            _ => {}
        }
    }
    Ok(place)
}

fn number(bytes: &[u8]) -> Read<u64> {
    let text = String::from_utf8_lossy(bytes);
    if text.is_empty() { Ok(0) } else { text.parse().map_err(|_| format!("no number: {text:?}")) }
}

fn walk(folder: &Path, below: &str, names: &mut BTreeSet<String>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = format!("{below}{}", entry.file_name().to_string_lossy());
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), &format!("{name}/"), names)?;
        }
        names.insert(name);
    }
    Ok(())
}
