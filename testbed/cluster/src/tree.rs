//! Whether two bricks hold the same tree: names, contents, modes, owners, times, links and extended attributes. What rfs
//! keeps for itself (`.rfs`, `trusted.rfs.*`) is not looked at, nor is the brick's own top directory.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, Metadata};
use std::io;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::{Path, PathBuf};

/// Everything about one name other than its contents.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    kind: &'static str,
    mode: u32,
    owner: (u32, u32),
    /// Bytes, of a regular file.
    size: u64,
    mtime: (i64, i64),
    device: u64,
    target: Option<PathBuf>,
    xattrs: BTreeMap<String, Vec<u8>>,
    /// All names of the same file, at the first of them; at the others that one alone.
    names: BTreeSet<PathBuf>,
}

type Tree = BTreeMap<PathBuf, Entry>;

/// What differs, one line each; at most `MOST` lines.
pub fn differences(left: &Path, right: &Path) -> io::Result<Vec<String>> {
    const MOST: usize = 25;
    let (a, b) = (read(left)?, read(right)?);
    let mut found = Vec::new();
    let names: BTreeSet<&PathBuf> = a.keys().chain(b.keys()).collect();
    for name in names {
        let line = match (a.get(name), b.get(name)) {
            (Some(_), None) => Some("only on the left".to_owned()),
            (None, Some(_)) => Some("only on the right".to_owned()),
            (Some(x), Some(y)) if x != y => Some(difference(x, y)),
            (Some(x), _) if x.kind == "file" => contents(&left.join(name), &right.join(name))?,
            _ => None,
        };
        found.extend(line.map(|line| format!("{}: {line}", name.display())));
    }
    let more = found.len().saturating_sub(MOST);
    found.truncate(MOST);
    if more > 0 {
        found.push(format!("and {more} more"));
    }
    Ok(found)
}

/// How many names a tree has.
pub fn count(top: &Path) -> io::Result<usize> {
    Ok(read(top)?.len())
}

fn difference(a: &Entry, b: &Entry) -> String {
    let fields = [
        ("kind", a.kind.to_owned(), b.kind.to_owned()),
        ("mode", format!("{:o}", a.mode), format!("{:o}", b.mode)),
        ("owner", format!("{:?}", a.owner), format!("{:?}", b.owner)),
        ("size", a.size.to_string(), b.size.to_string()),
        ("mtime", format!("{:?}", a.mtime), format!("{:?}", b.mtime)),
        ("device", a.device.to_string(), b.device.to_string()),
        ("target", format!("{:?}", a.target), format!("{:?}", b.target)),
        ("xattrs", format!("{:?}", a.xattrs), format!("{:?}", b.xattrs)),
        ("names", format!("{:?}", a.names), format!("{:?}", b.names)),
    ];
    let unequal = fields.iter().filter(|(_, x, y)| x != y).map(|(what, x, y)| format!("{what} {x} | {y}"));
    unequal.collect::<Vec<_>>().join(", ")
}

/// Where two files of equal size begin to differ.
fn contents(left: &Path, right: &Path) -> io::Result<Option<String>> {
    let (a, b) = (fs::read(left)?, fs::read(right)?);
    if a == b {
        return Ok(None);
    }
    let at = a.iter().zip(&b).take_while(|(x, y)| x == y).count();
    let show = |bytes: &[u8]| {
        String::from_utf8_lossy(bytes.get(at..bytes.len().min(at + 24)).unwrap_or(&[])).into_owned()
    };
    Ok(Some(format!("contents from byte {at} of {}: {:?} | {:?}", a.len(), show(&a), show(&b))))
}

fn read(top: &Path) -> io::Result<Tree> {
    let (mut tree, mut inodes) = (Tree::new(), BTreeMap::<(u64, u64), BTreeSet<PathBuf>>::new());
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for item in fs::read_dir(top.join(&folder))? {
            let name = folder.join(item?.file_name());
            if [Path::new(".rfs"), Path::new("lost+found")].contains(&name.as_path()) {
                continue;
            }
            let meta = fs::symlink_metadata(top.join(&name))?;
            if meta.is_dir() {
                folders.push(name.clone());
            } else {
                inodes.entry((meta.dev(), meta.ino())).or_default().insert(name.clone());
            }
            tree.insert(name.clone(), entry(&top.join(&name), &meta)?);
        }
    }
    for names in inodes.into_values().filter(|names| names.len() > 1) {
        let first = BTreeSet::from_iter(names.first().cloned());
        for name in &names {
            if let Some(entry) = tree.get_mut(name) {
                let is_first = first.contains(name);
                entry.names.clone_from(if is_first { &names } else { &first });
            }
        }
    }
    Ok(tree)
}

fn entry(path: &Path, meta: &Metadata) -> io::Result<Entry> {
    Ok(Entry {
        kind: kind(meta),
        mode: meta.mode() & 0o7777,
        owner: (meta.uid(), meta.gid()),
        size: if meta.is_file() { meta.len() } else { 0 },
        mtime: (meta.mtime(), meta.mtime_nsec()),
        device: meta.rdev(),
        target: if meta.is_symlink() { Some(fs::read_link(path)?) } else { None },
        xattrs: xattrs(path)?,
        names: BTreeSet::new(),
    })
}

fn kind(meta: &Metadata) -> &'static str {
    let t = meta.file_type();
    let kinds = [
        (t.is_file(), "file"),
        (t.is_dir(), "directory"),
        (t.is_symlink(), "symlink"),
        (t.is_fifo(), "fifo"),
        (t.is_socket(), "socket"),
        (t.is_char_device(), "character device"),
    ];
    kinds.iter().find(|(is, _)| *is).map_or("block device", |(_, kind)| kind)
}

fn xattrs(path: &Path) -> io::Result<BTreeMap<String, Vec<u8>>> {
    let mut buffer = vec![0u8; 64 << 10];
    let length = rustix::fs::llistxattr(path, buffer.as_mut_slice())?;
    let names = buffer.get(..length).unwrap_or(&[]).split(|b| *b == 0).filter(|n| !n.is_empty());
    let names: Vec<String> = names.map(|n| String::from_utf8_lossy(n).into_owned()).collect();
    let shown = names.into_iter().filter(|n| !n.starts_with("trusted.rfs") && !n.starts_with("user.rfs"));
    shown.map(|name| Ok((name.clone(), xattr(path, &name)?))).collect()
}

fn xattr(path: &Path, name: &str) -> io::Result<Vec<u8>> {
    let mut value = vec![0u8; 64 << 10];
    let length = rustix::fs::lgetxattr(path, name, value.as_mut_slice())?;
    value.truncate(length);
    Ok(value)
}
