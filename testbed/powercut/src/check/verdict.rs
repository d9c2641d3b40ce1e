//! The comparison.

use std::collections::{BTreeMap, BTreeSet};

use super::found::Found;
use super::history::{Step, Window};
use crate::work::{Node, Tree};

/// What a worker's folder turned out to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It is the tree after so many operations; each number that fits.
    pub lengths: Vec<usize>,
    /// Names that show what they never did within the window: lost, or never written.
    pub wrong: Vec<String>,
    /// Files of which only that is wrong which no fsync covers: each byte is one that was there within the window, or a
    /// zero where nothing was at its beginning, but all together never were.
    pub mixed: Vec<String>,
}

impl Verdict {
    /// Every name shows a state that it had, but not all of the same time.
    #[must_use]
    pub fn is_patchwork(&self) -> bool {
        self.lengths.is_empty() && self.wrong.is_empty() && self.mixed.is_empty()
    }
}

/// Compares a folder with all trees of its window.
#[must_use]
pub fn judge(worker: u64, steps: &[Step], window: Window, found: &Found) -> Verdict {
    let versions = versions(worker, steps, window);
    let all: BTreeSet<&String> = versions.keys().chain(found.keys()).collect();
    let count = window.most - window.least + 1;
    let mut fits = vec![true; count];
    let (mut wrong, mut mixed) = (Vec::new(), Vec::new());
    for name in all {
        let at = found.get(name);
        let of = versions.get(name).map_or(&[(0, None)][..], Vec::as_slice);
        let fit = fitting(at, of, count);
        let any = fit.contains(&true);
        fits.iter_mut().zip(&fit).for_each(|(all, one)| *all &= one);
        if !any {
            let line = format!("w{worker}/{name}: {}", describe(at, of));
            if is_mixture(at, of) { mixed.push(line) } else { wrong.push(line) }
        }
    }
    let lengths = fits.iter().enumerate().filter(|(_, fits)| **fits).map(|(n, _)| window.least + n).collect();
    Verdict { lengths, wrong, mixed }
}

/// In which of the trees of the window a name shows what was found. A write that was cut off in the middle belongs to
/// the tree before it.
fn fitting(found: Option<&Node>, versions: &[(usize, Option<Node>)], count: usize) -> Vec<bool> {
    let mut fit = vec![false; count];
    for (n, (from, node)) in versions.iter().enumerate() {
        let until = versions.get(n + 1).map_or(count, |(next, _)| *next);
        if node.as_ref() == found {
            fit.get_mut(*from..until).unwrap_or_default().fill(true);
        }
        let before = n.checked_sub(1).and_then(|n| versions.get(n)).and_then(|(_, node)| node.as_ref());
        if let (Some(before), Some(after), Some(found)) = (before, node.as_ref(), found)
            && is_part(before, after, found)
            && let Some(fit) = from.checked_sub(1).and_then(|n| fit.get_mut(n))
        {
            *fit = true;
        }
    }
    fit
}

/// The kernel may hand one write() to the mount in parts, cut at the ends of pages.
const PAGE: usize = 4096;

/// Whether a file has the beginning of a write, up to the end of some page, and not the rest of it.
fn is_part(before: &Node, after: &Node, found: &Node) -> bool {
    let (
        Node::File { contents: a, mode, mark, links },
        Node::File { contents: b, .. },
        Node::File { contents: f, mode: m, mark: k, links: l },
    ) = (before, after, found)
    else {
        return false;
    };
    if (mode, mark, links) != (m, k, l) {
        return false;
    }
    let ends = (PAGE..b.len()).step_by(PAGE);
    let part = |end: usize| {
        let rest = a.get(end..).unwrap_or_default();
        f.len() == end + rest.len() && f.get(..end) == b.get(..end) && f.get(end..) == Some(rest)
    };
    f != b && f.len() >= a.len() && ends.into_iter().any(part)
}

/// Whether a file is made of what it was within the window, byte by byte.
fn is_mixture(found: Option<&Node>, versions: &[(usize, Option<Node>)]) -> bool {
    let Some(Node::File { contents, .. }) = found else { return false };
    let files: Vec<Option<&Vec<u8>>> = versions
        .iter()
        .map(|(_, node)| match node {
            Some(Node::File { contents, .. }) => Some(&**contents),
            _ => None,
        })
        .collect();
    let sizes = || files.iter().map(|f| f.map_or(0, Vec::len));
    let (least, most) = (sizes().min().unwrap_or(0), sizes().max().unwrap_or(0));
    let first = sizes().next().unwrap_or(0);
    let known = |(at, byte): (usize, &u8)| {
        at >= first && *byte == 0 || files.iter().flatten().any(|file| file.get(at) == Some(byte))
    };
    files.len() > 1 && (least..=most).contains(&contents.len()) && contents.iter().enumerate().all(known)
}

type Versions = BTreeMap<String, Vec<(usize, Option<Node>)>>;

/// What each name shows within a window: from which of its trees on.
fn versions(worker: u64, steps: &[Step], window: Window) -> Versions {
    let mut tree = Tree::default();
    let numbered = || (0..).zip(steps);
    for (number, step) in numbered().take(window.least) {
        tree.apply(&step.op, worker, number);
    }
    let mut versions: Versions =
        tree.names().map(|name| (name.clone(), vec![(0, tree.node(name))])).collect();
    for (n, (number, step)) in (1..).zip(numbered().take(window.most).skip(window.least)) {
        for name in tree.apply(&step.op, worker, number) {
            let node = tree.node(&name);
            versions.entry(name).or_insert_with(|| vec![(0, None)]).push((n, node));
        }
    }
    versions
}

fn describe(found: Option<&Node>, versions: &[(usize, Option<Node>)]) -> String {
    let may: Vec<String> = versions.iter().map(|(_, node)| short(node.as_ref())).collect();
    let parts = match (found, versions.last()) {
        (Some(Node::File { contents: a, .. }), Some((_, Some(Node::File { contents: b, .. })))) => {
            difference(a, b)
        }
        _ => String::new(),
    };
    format!("is {}, may be {}{parts}", short(found), may.join(" or "))
}

fn short(node: Option<&Node>) -> String {
    match node {
        None => "absent".to_owned(),
        Some(Node::Folder) => "a folder".to_owned(),
        Some(Node::Symlink { target }) => format!("a link to {target}"),
        Some(Node::File { contents, mode, mark, links }) => {
            format!("{} bytes {mode:o} mark {mark:?} links {links}", contents.len())
        }
    }
}

/// Where the contents part from those of the last version.
fn difference(found: &[u8], last: &[u8]) -> String {
    let at = found.iter().zip(last).take_while(|(a, b)| a == b).count();
    let line = |bytes: &[u8]| {
        let from = at - at % 32;
        String::from_utf8_lossy(bytes.get(from..bytes.len().min(from + 64)).unwrap_or_default()).into_owned()
    };
    format!("; from byte {at}: {:?}, last {:?}", line(found), line(last))
}
