//! Reading a worker's folder.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::rc::Rc;

use crate::work::{MARK, Node};

/// What is below a folder, by path; the folder itself has the name "". Nothing, if it is not there.
pub type Found = BTreeMap<String, Node>;

/// Reads all of it.
pub fn read(top: &Path) -> io::Result<Found> {
    let mut found = Found::new();
    let mut folders = vec![String::new()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(top.join(&folder))? {
            let name = entry?.file_name();
            let name = name.to_string_lossy();
            let path = if folder.is_empty() { name.into_owned() } else { format!("{folder}/{name}") };
            let node = node(&top.join(&path))?;
            if node == Node::Folder {
                folders.push(path.clone());
            }
            found.insert(path, node);
        }
    }
    Ok(found)
}

fn node(path: &Path) -> io::Result<Node> {
    let meta = fs::symlink_metadata(path)?;
    if meta.is_dir() {
        return Ok(Node::Folder);
    }
    if meta.is_symlink() {
        return Ok(Node::Symlink { target: fs::read_link(path)?.to_string_lossy().into_owned() });
    }
    let (contents, mode, links) = (Rc::new(fs::read(path)?), meta.mode() & 0o7777, meta.nlink());
    Ok(Node::File { contents, mode, mark: mark(path)?, links })
}

fn mark(path: &Path) -> io::Result<Option<String>> {
    let mut value = vec![0; 64];
    match rustix::fs::getxattr(path, MARK, value.as_mut_slice()) {
        Ok(length) => {
            value.truncate(length);
            Ok(Some(String::from_utf8_lossy(&value).into_owned()))
        }
        Err(rustix::io::Errno::NODATA) => Ok(None),
        Err(e) => Err(e.into()),
    }
}
