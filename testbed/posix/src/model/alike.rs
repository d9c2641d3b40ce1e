//! Whether what was seen is what was foretold.

use super::op::{Look, Outcome, Seen, When};

/// Clocks of file systems tick coarsely.
const COARSE_S: i64 = 1;

/// `None`, or where they part. `begun`: when the history began, seconds.
pub fn difference(want: &Outcome, got: &Outcome, begun: i64) -> Option<String> {
    match (want, got) {
        (Ok(Seen::Look(want)), Ok(Seen::Look(got))) => look(want, got, begun),
        (Ok(Seen::Tree(want)), Ok(Seen::Tree(got))) => {
            let names = |all: &std::collections::BTreeMap<String, _>| all.keys().cloned().collect::<Vec<_>>();
            if want.len() != got.len() || want.keys().ne(got.keys()) {
                return Some(format!("names: want {:?}, got {:?}", names(want), names(got)));
            }
            want.iter().zip(got.values()).find_map(|((path, want), got)| {
                let wrong = look(&want.look, &got.look, begun).or_else(|| {
                    (want.data != got.data).then(|| format!("data: {}", bytes(&want.data, &got.data)))
                });
                let wrong = wrong.or_else(|| {
                    (want.xattrs != got.xattrs)
                        .then(|| format!("xattrs: want {:?}, got {:?}", want.xattrs, got.xattrs))
                });
                Some(format!("{path}: {}", wrong?))
            })
        }
        (Ok(Seen::Bytes(want)), Ok(Seen::Bytes(got))) => (want != got).then(|| bytes(want, got)),
        (want, got) => (want != got).then(|| format!("want {}, got {}", short(want), short(got))),
    }
}

fn look(want: &Look, got: &Look, begun: i64) -> Option<String> {
    let same = Look { atime: When::Any, mtime: When::Any, ..want.clone() }
        == Look { atime: When::Any, mtime: When::Any, ..got.clone() };
    let timely = time(want.atime, got.atime, begun) && time(want.mtime, got.mtime, begun);
    (!same || !timely).then(|| format!("want {want:?}, got {got:?}"))
}

fn time(want: When, got: When, begun: i64) -> bool {
    match (want, got) {
        (When::Any, _) | (_, When::Any) => true,
        (When::Fresh, When::Exactly(s, _)) => s >= begun - COARSE_S,
        (want, got) => want == got,
    }
}

fn bytes(want: &[u8], got: &[u8]) -> String {
    let first = want.iter().zip(got).take_while(|(w, g)| w == g).count();
    let byte = |of: &[u8]| of.get(first).map_or_else(|| "the end".to_owned(), u8::to_string);
    let (w, g) = (byte(want), byte(got));
    format!("{} bytes, want {}; at {first} is {g}, want {w}", got.len(), want.len())
}

fn short(outcome: &Outcome) -> String {
    match outcome {
        Ok(Seen::Bytes(bytes)) => format!("{} bytes", bytes.len()),
        Ok(Seen::Tree(tree)) => format!("{} inodes", tree.len()),
        Ok(seen) => format!("{seen:?}"),
        Err(errno) => std::io::Error::from_raw_os_error(*errno).to_string(),
    }
}
