//! What a liar may send, and what must hold all the same. Each target takes any bytes, and panics when a promise is
//! broken. `testbed/fuzz` feeds the targets with inputs that it breeds for coverage; a test of this crate replays what was
//! bred (`testbed/fuzz/corpus`) with a stable compiler.
//!
//! See `docs/testing/fuzz.md` for what each target promises.

pub mod admit;
pub mod alloc;
pub mod consensus;
pub mod journal;
pub mod mount;
pub mod ops;
pub mod parsers;
pub mod source;
pub mod tree;

/// Counts what the targets allocate.
#[global_allocator]
static COUNTING: alloc::Counting = alloc::Counting;

/// A target takes any bytes.
pub type Target = fn(&[u8]);

/// All of them, by the name that their corpus has.
pub const TARGETS: &[(&str, Target)] = &[
    ("parsers", parsers::run),
    ("consensus", consensus::run),
    ("admit", admit::run),
    ("tree", tree::run),
    ("journal", journal::run),
    ("mount", mount::run),
];

/// Runs the target of that name.
///
/// # Panics
/// When a promise is broken, or there is no such target.
pub fn run(name: &str, data: &[u8]) {
    let target = TARGETS.iter().find(|(known, _)| *known == name);
    target.unwrap_or_else(|| panic!("no target '{name}'")).1(data);
}
