//! What the mount cannot, as `docs/semantics.md` lists it, held against what it does.

use std::collections::BTreeMap;

use crate::pjdfstest::{Verdict, Verdicts};

const SEMANTICS: &str = include_str!("../../../docs/semantics.md");
/// The section with the list: a table, a line each.
const HEADING: &str = "## What pjdfstest does not find as on ext4";

/// Each case with what becomes of it: `skipped` or `failed`.
#[must_use]
pub fn listed() -> BTreeMap<String, String> {
    parse(SEMANTICS)
}

fn parse(text: &str) -> BTreeMap<String, String> {
    let section = text.split(HEADING).nth(1).unwrap_or_default();
    let lines = section.lines().take_while(|line| !line.starts_with("## "));
    let cells = lines.filter_map(|line| {
        let mut cells = line.strip_prefix("| `")?.split(" | ");
        let (case, what) = (cells.next()?.strip_suffix('`')?, cells.next()?);
        Some((case.to_owned(), what.to_owned()))
    });
    cells.collect()
}

/// All that is wrong, a line each. `ext4` and `mount`: what became of each case there.
#[must_use]
pub fn judge(ext4: &Verdicts, mount: &Verdicts, listed: &BTreeMap<String, String>) -> Vec<String> {
    let mut wrong: Vec<String> = listed
        .keys()
        .filter(|case| !mount.contains_key(*case))
        .map(|case| format!("{case}: listed, but there is no such case"))
        .collect();
    for (case, there) in ext4 {
        let Some(here) = mount.get(case) else {
            wrong.push(format!("{case}: not tried on the mount"));
            continue;
        };
        wrong.extend(
            one(there, here, listed.get(case).map(String::as_str)).map(|why| format!("{case}: {why}")),
        );
    }
    wrong
}

fn one(ext4: &Verdict, mount: &Verdict, listed: Option<&str>) -> Option<String> {
    match (ext4, mount, listed) {
        (_, Verdict::Passed, Some(_)) => Some("it passes: it must leave the list".to_owned()),
        (_, here, Some(what)) if here.word() != what => {
            Some(format!("listed as {what}, but it is {}: {here:?}", here.word()))
        }
        (Verdict::Passed, Verdict::Skipped(why) | Verdict::Failed(why), None) => {
            Some(format!("{} on the mount, passed on ext4: {why}", mount.word()))
        }
        // The measure must be one: what ext4 does not pass says nothing of the mount.
        (Verdict::Skipped(why) | Verdict::Failed(why), _, None) => {
            Some(format!("{} on ext4: {why}", ext4.word()))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_list_is_read() {
        let text = format!(
            "# x\n{HEADING}\n\n| case | what | why |\n|---|---|---|\n| `a::b` | skipped | c |\n\n## d\n| `e` | failed | f |\n"
        );
        assert_eq!(parse(&text), BTreeMap::from([("a::b".to_owned(), "skipped".to_owned())]));
        assert!(SEMANTICS.contains(HEADING), "docs/semantics.md has the section");
    }

    #[test]
    fn each_way_to_be_wrong_is_told() {
        let skipped = || Verdict::Skipped("s".to_owned());
        let failed = || Verdict::Failed("f".to_owned());
        let table = [
            (Verdict::Passed, Verdict::Passed, None, None),
            (Verdict::Passed, failed(), Some("failed"), None),
            (Verdict::Passed, skipped(), Some("skipped"), None),
            (Verdict::Passed, failed(), Some("skipped"), Some("listed as skipped")),
            (Verdict::Passed, Verdict::Passed, Some("failed"), Some("must leave the list")),
            (Verdict::Passed, failed(), None, Some("failed on the mount")),
            (Verdict::Passed, skipped(), None, Some("skipped on the mount")),
            (failed(), failed(), None, Some("failed on ext4")),
            (skipped(), Verdict::Passed, None, Some("skipped on ext4")),
        ];
        for (ext4, mount, list, want) in table {
            let case = |verdict: &Verdict| Verdicts::from([("a".to_owned(), verdict.clone())]);
            let list = list.map(|what: &str| ("a".to_owned(), what.to_owned())).into_iter().collect();
            let wrong = judge(&case(&ext4), &case(&mount), &list);
            match want {
                None => assert_eq!(wrong, [""; 0], "{ext4:?} {mount:?} {list:?}"),
                Some(want) => assert!(wrong.len() == 1 && wrong[0].contains(want), "{wrong:?}"),
            }
        }
        let none = Verdicts::new();
        let list = BTreeMap::from([("a".to_owned(), "failed".to_owned())]);
        assert!(judge(&none, &none, &list)[0].contains("no such case"));
        let ext4 = Verdicts::from([("a".to_owned(), Verdict::Passed)]);
        assert!(judge(&ext4, &none, &BTreeMap::new())[0].contains("not tried"));
    }
}
