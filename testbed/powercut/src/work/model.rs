//! The tree that operations make.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::op::{Op, filled};

/// What a name stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Node {
    Folder,
    File { contents: Rc<Vec<u8>>, mode: u32, mark: Option<String>, links: u64 },
    Symlink { target: String },
}

/// A worker's folder after some of its operations. The folder itself has the name "".
#[derive(Clone, Debug, Default)]
pub struct Tree {
    names: BTreeMap<String, Place>,
    files: BTreeMap<u64, Inode>,
}

#[derive(Clone, Debug)]
enum Place {
    Folder,
    Symlink(String),
    File(u64),
}

#[derive(Clone, Debug)]
struct Inode {
    contents: Rc<Vec<u8>>,
    mode: u32,
    mark: Option<String>,
    names: BTreeSet<String>,
}

const NEW_MODE: u32 = 0o644;

impl Tree {
    /// What is at that name.
    #[must_use]
    pub fn node(&self, path: &str) -> Option<Node> {
        Some(match self.names.get(path)? {
            Place::Folder => Node::Folder,
            Place::Symlink(target) => Node::Symlink { target: target.clone() },
            Place::File(id) => {
                let inode = self.files.get(id)?;
                Node::File {
                    contents: inode.contents.clone(),
                    mode: inode.mode,
                    mark: inode.mark.clone(),
                    links: inode.names.len() as u64,
                }
            }
        })
    }

    /// All names, in order.
    pub fn names(&self) -> impl Iterator<Item = &String> {
        self.names.keys()
    }

    /// Bytes of a file.
    #[must_use]
    pub fn size(&self, path: &str) -> Option<u64> {
        match self.names.get(path)? {
            Place::File(id) => self.files.get(id).map(|i| i.contents.len() as u64),
            _ => None,
        }
    }

    /// Does what the operation does; it must be one that succeeds. Returns the names that show something else now.
    pub fn apply(&mut self, op: &Op, worker: u64, number: u64) -> BTreeSet<String> {
        match op {
            Op::Create { path } => {
                let inode =
                    Inode { contents: Rc::default(), mode: NEW_MODE, mark: None, names: BTreeSet::new() };
                self.files.insert(number, inode);
                self.name(number, path)
            }
            Op::Write { path, offset, length } | Op::WriteSync { path, offset, length } => {
                self.write(path, Some(*offset), &filled(worker, number, *length))
            }
            Op::Append { path, length } => self.write(path, None, &filled(worker, number, *length)),
            Op::Truncate { path, bytes } => self.change(path, |inode| {
                let bytes = usize::try_from(*bytes).unwrap_or(usize::MAX);
                Rc::make_mut(&mut inode.contents).resize(bytes, 0);
            }),
            Op::Chmod { path, mode } => self.change(path, |inode| inode.mode = *mode),
            Op::Mark { path } => self.change(path, |inode| inode.mark = Some(number.to_string())),
            Op::Mkdir { path } => self.place(path, Place::Folder),
            Op::Symlink { path, target } => self.place(path, Place::Symlink(target.clone())),
            Op::Rmdir { path } | Op::Unlink { path } => self.remove(path),
            Op::Rename { from, to } => self.rename(from, to),
            Op::Link { from, to } => {
                let id = self.file(from);
                self.name(id, to)
            }
            Op::Fsync { .. } => BTreeSet::new(),
        }
    }

    fn file(&self, path: &str) -> u64 {
        match self.names.get(path) {
            Some(Place::File(id)) => *id,
            other => panic!("{path} is {other:?} and no file"),
        }
    }

    fn change(&mut self, path: &str, what: impl FnOnce(&mut Inode)) -> BTreeSet<String> {
        let id = self.file(path);
        let inode = self.files.get_mut(&id).expect("a named file");
        what(inode);
        inode.names.clone()
    }

    fn write(&mut self, path: &str, offset: Option<u64>, data: &[u8]) -> BTreeSet<String> {
        self.change(path, |inode| {
            let contents = Rc::make_mut(&mut inode.contents);
            let at = offset.map_or(contents.len(), |o| usize::try_from(o).unwrap_or(usize::MAX));
            let end = at + data.len();
            contents.resize(contents.len().max(end), 0);
            if let Some(range) = contents.get_mut(at..end) {
                range.copy_from_slice(data);
            }
        })
    }

    fn place(&mut self, path: &str, what: Place) -> BTreeSet<String> {
        self.names.insert(path.to_owned(), what);
        BTreeSet::from([path.to_owned()])
    }

    fn name(&mut self, id: u64, path: &str) -> BTreeSet<String> {
        self.names.insert(path.to_owned(), Place::File(id));
        let inode = self.files.get_mut(&id).expect("a file");
        inode.names.insert(path.to_owned());
        inode.names.clone()
    }

    /// Takes a name away; other names of the same file then show one link less.
    fn remove(&mut self, path: &str) -> BTreeSet<String> {
        let mut touched = BTreeSet::from([path.to_owned()]);
        if let Some(Place::File(id)) = self.names.remove(path)
            && let Some(inode) = self.files.get_mut(&id)
        {
            inode.names.remove(path);
            touched.extend(inode.names.iter().cloned());
            if inode.names.is_empty() {
                self.files.remove(&id);
            }
        }
        touched
    }

    /// Of a file or a symlink; folders are not renamed.
    fn rename(&mut self, from: &str, to: &str) -> BTreeSet<String> {
        let place = self.names.get(from).cloned().unwrap_or_else(|| panic!("no {from}"));
        let mut touched = self.remove(to);
        match place {
            Place::File(id) => {
                self.names.remove(from);
                touched.extend(self.name(id, to));
                if let Some(inode) = self.files.get_mut(&id) {
                    inode.names.remove(from);
                }
                touched.insert(from.to_owned());
            }
            other => {
                touched.extend(self.remove(from));
                touched.extend(self.place(to, other));
            }
        }
        touched
    }
}
