//! The reference: inodes in a map, names in maps.

use std::collections::BTreeMap;

use rustix::io::Errno;

use super::Subject;
use super::op::{Kind, Look, Op, Outcome, Seen, When, Whole};

/// Longest name.
const NAME_BYTES: usize = 255;
pub const SET_GID: u32 = 0o2000;
pub const ROOT: usize = 0;

pub type Number = usize;

#[derive(Clone, Debug)]
pub enum Body {
    File(Vec<u8>),
    Dir(BTreeMap<String, Number>),
    Symlink(String),
    Fifo,
}

#[derive(Clone, Debug)]
pub struct Node {
    pub body: Body,
    pub mode: u32,
    pub uid: u32,
    pub gid: u32,
    pub links: u64,
    pub atime: When,
    pub mtime: When,
    pub xattrs: BTreeMap<String, Vec<u8>>,
}

impl Node {
    pub fn kind(&self) -> Kind {
        match self.body {
            Body::File(_) => Kind::File,
            Body::Dir(_) => Kind::Dir,
            Body::Symlink(_) => Kind::Symlink,
            Body::Fifo => Kind::Fifo,
        }
    }

    pub fn is_dir(&self) -> bool {
        self.kind() == Kind::Dir
    }

    pub fn look(&self) -> Look {
        let size = match &self.body {
            Body::File(data) => data.len() as u64,
            Body::Symlink(to) => to.len() as u64,
            Body::Dir(_) | Body::Fifo => 0,
        };
        let links = if self.is_dir() { 0 } else { self.links };
        let (mode, uid, gid, mtime) = (self.mode, self.uid, self.gid, self.mtime);
        // Each path through a symlink reads it.
        let atime = if self.kind() == Kind::Symlink { When::Any } else { self.atime };
        Look { kind: self.kind(), mode, uid, gid, size, links, atime, mtime }
    }
}

/// A name: the directory that it is in, and what it stands for.
pub struct Place {
    pub dir: Number,
    pub name: String,
    pub found: Option<Number>,
}

impl Place {
    pub fn there(&self) -> Result<Number, Errno> {
        self.found.ok_or(Errno::NOENT)
    }

    pub fn free(&self) -> Result<(), Errno> {
        if self.found.is_some() { Err(Errno::EXIST) } else { Ok(()) }
    }
}

/// The reference file system. Its caller is root.
#[derive(Clone, Debug)]
pub struct Model {
    pub(super) nodes: BTreeMap<Number, Node>,
    pub(super) held: BTreeMap<usize, Number>,
    next: Number,
    umask: u32,
}

impl Model {
    /// Empty. `umask` is the caller's.
    #[must_use]
    pub fn new(umask: u32) -> Self {
        let mut model = Self { nodes: BTreeMap::new(), held: BTreeMap::new(), next: ROOT + 1, umask };
        let root = Body::Dir(BTreeMap::new());
        let node = Node {
            body: root,
            mode: 0o755,
            uid: 0,
            gid: 0,
            links: 1,
            atime: When::Any,
            mtime: When::Any,
            xattrs: BTreeMap::new(),
        };
        model.nodes.insert(ROOT, node);
        model
    }

    pub(super) fn node(&self, number: Number) -> &Node {
        self.nodes.get(&number).expect("a number that was found")
    }

    pub(super) fn node_mut(&mut self, number: Number) -> &mut Node {
        self.nodes.get_mut(&number).expect("a number that was found")
    }

    pub(super) fn place(&self, path: &str) -> Result<Place, Errno> {
        let (dir, name) = self.parent(path)?;
        Ok(Place { dir, name: name.to_owned(), found: self.entry(dir, name)? })
    }

    /// Walks to the directory of the last name. All symlinks lead nowhere.
    pub(super) fn parent<'a>(&self, path: &'a str) -> Result<(Number, &'a str), Errno> {
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = ROOT;
        for step in dirs.split('/').filter(|step| !step.is_empty()) {
            dir = self.entry(dir, step)?.ok_or(Errno::NOENT)?;
            match self.node(dir).body {
                Body::Dir(_) => {}
                Body::Symlink(_) => return Err(Errno::NOENT),
                Body::File(_) | Body::Fifo => return Err(Errno::NOTDIR),
            }
        }
        Ok((dir, name))
    }

    fn entry(&self, dir: Number, name: &str) -> Result<Option<Number>, Errno> {
        if name.len() > NAME_BYTES {
            return Err(Errno::NAMETOOLONG);
        }
        Ok(self.names(dir).get(name).copied())
    }

    pub(super) fn names(&self, dir: Number) -> &BTreeMap<String, Number> {
        match &self.node(dir).body {
            Body::Dir(names) => names,
            _ => unreachable!("a directory was asked for"),
        }
    }

    pub(super) fn names_mut(&mut self, dir: Number) -> &mut BTreeMap<String, Number> {
        let node = self.node_mut(dir);
        node.mtime = When::Fresh;
        match &mut node.body {
            Body::Dir(names) => names,
            _ => unreachable!("a directory was asked for"),
        }
    }

    pub(super) fn at(&self, path: &str) -> Result<Number, Errno> {
        self.place(path)?.there()
    }

    /// A new inode under a free name.
    pub(super) fn make(&mut self, path: &str, body: Body, mode: u32) -> Result<Number, Errno> {
        let place = self.place(path)?;
        place.free()?;
        let dir = self.node(place.dir);
        let inherits = dir.mode & SET_GID != 0;
        let gid = if inherits { dir.gid } else { 0 };
        let set_gid = if inherits && matches!(body, Body::Dir(_)) { SET_GID } else { 0 };
        let mode = if matches!(body, Body::Symlink(_)) { 0o777 } else { mode & !self.umask | set_gid };
        let (atime, mtime) = (When::Fresh, When::Fresh);
        let node = Node { body, mode, uid: 0, gid, links: 1, atime, mtime, xattrs: BTreeMap::new() };
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        self.names_mut(place.dir).insert(place.name, number);
        Ok(number)
    }

    /// A name is gone.
    pub(super) fn unlinked(&mut self, number: Number) {
        self.node_mut(number).links -= 1;
        self.forget(number);
    }

    pub(super) fn forget(&mut self, number: Number) {
        if self.node(number).links == 0 && !self.held.values().any(|held| *held == number) {
            self.nodes.remove(&number);
        }
    }

    fn tree(&self) -> BTreeMap<String, Whole> {
        let mut found = BTreeMap::new();
        let mut dirs = vec![(String::new(), ROOT)];
        while let Some((path, dir)) = dirs.pop() {
            for (name, number) in self.names(dir) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                let node = self.node(*number);
                let data = match &node.body {
                    Body::File(data) => data.clone(),
                    Body::Symlink(to) => to.clone().into_bytes(),
                    Body::Dir(_) | Body::Fifo => Vec::new(),
                };
                if node.is_dir() {
                    dirs.push((path.clone(), *number));
                }
                found.insert(path, Whole { look: node.look(), data, xattrs: node.xattrs.clone() });
            }
        }
        found
    }

    /// All paths of that kind, in order.
    #[must_use]
    pub fn paths(&self, kind: Option<Kind>) -> Vec<String> {
        let all = self.tree().into_iter();
        all.filter(|(_, w)| kind.is_none_or(|k| w.look.kind == k)).map(|(path, _)| path).collect()
    }

    /// Looking at all of it reads all of it; what has two names is read before it is looked at by the second one.
    fn whole_tree(&mut self) -> BTreeMap<String, Whole> {
        let mut tree = self.tree();
        for whole in tree.values_mut().filter(|whole| whole.look.links > 1) {
            whole.look.atime = When::Any;
        }
        for node in self.nodes.values_mut() {
            node.atime = When::Any;
        }
        tree
    }
}

impl Subject for Model {
    fn apply(&mut self, op: &Op) -> Outcome {
        let outcome = match op {
            Op::Tree => Ok(Seen::Tree(self.whole_tree())),
            op => self.naming(op).or_else(|| self.about_data(op)).unwrap_or_else(|| self.about_attrs(op)),
        };
        outcome.map_err(Errno::raw_os_error)
    }
}
