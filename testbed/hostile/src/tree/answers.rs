//! Questions of a mount: any inode, any name, any offset. None of them is a fault of the brick.

use rfs_core::admit::TreeView;
use rfs_engine::tree::{Page, Tree};
use rfs_model::InodeId;

use crate::ops;
use crate::source::Source;

/// As the shard puts the question: what is no single name never gets to the tree.
fn good_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.contains(&b'/') && !name.contains(&0) && name != b"." && name != b".."
}

/// # Panics
/// When a question is a fault, or an answer comes from outside.
pub fn ask(tree: &Tree, source: &mut Source<'_>, known: &[InodeId]) {
    let id = source.inode(known);
    match source.below(9) {
        0 => {
            let name = source.name();
            if good_name(&name)
                && let Some(found) = tree.child(id, &name).expect("a lookup")
            {
                assert!(tree.entry(found).expect("the index").is_some(), "a stranger was found");
            }
        }
        1 => drop(tree.attr(id).expect("attributes")),
        2 => {
            let data = tree.read(id, source.number(10), usize::from(source.byte())).expect("a read");
            let leaked = data.is_some_and(|data| data.windows(7).any(|part| part == b"nothing"));
            assert!(!leaked, "a file outside was read");
        }
        3 => drop(tree.readlink(id).expect("a link")),
        4 => {
            let page = Page { entries: source.byte().into(), bytes: 4096 };
            let listed = tree.readdir(id, &source.name(), source.flag(), page).expect("a listing");
            let names = listed.into_iter().flat_map(|(entries, _)| entries);
            assert!(names.into_iter().all(|entry| good_name(&entry.name)));
        }
        5 => drop(tree.xattr(id, &ops::xattr(source).0).expect("an attribute")),
        6 => drop(tree.xattr_names(id).expect("attributes")),
        7 => drop(tree.seek(id, source.number(10), source.flag()).expect("a seek")),
        _ => drop(TreeView::is_empty(tree, id).expect("a look")),
    }
}
