//! What this mount has asked of the leader. Nobody waits for a release, nor for most changes.

use std::cell::RefCell;
use std::collections::BTreeMap;

use rfs_model::client::Query;

/// Requests by kind, since the mount began.
#[derive(Debug, Default)]
pub struct Counts(RefCell<BTreeMap<&'static str, u64>>);

impl Counts {
    pub(super) fn count(&self, kind: &'static str) {
        *self.0.borrow_mut().entry(kind).or_default() += 1;
    }

    /// As JSON: an object with a number for each kind that there was.
    #[must_use]
    pub fn json(&self) -> String {
        let counts = self.0.borrow();
        let fields: Vec<String> = counts.iter().map(|(kind, count)| format!("\"{kind}\": {count}")).collect();
        format!("{{{}}}", fields.join(", "))
    }
}

/// Of a change, whatever is changed.
pub(super) const CHANGE: &str = "change";

pub(super) fn kind(query: &Query) -> &'static str {
    match query {
        Query::Lookup { .. } => "lookup",
        Query::GetAttr { .. } => "getattr",
        Query::Open { .. } => "open",
        Query::Release { .. } => "release",
        Query::Read { .. } => "read",
        Query::ReadLink { .. } => "readlink",
        Query::ReadDir { .. } => "readdir",
        Query::GetXattr { .. } => "getxattr",
        Query::ListXattr { .. } => "listxattr",
        Query::Statfs {} => "statfs",
        Query::Seek { .. } => "seek",
        Query::GetLock { .. } => "getlock",
        Query::Sync { .. } => "sync",
        Query::ReadIndex { .. } => "read-index",
        Query::Renew {} => "renew",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_json() {
        let counts = Counts::default();
        assert_eq!(counts.json(), "{}");
        counts.count(kind(&Query::Statfs {}));
        counts.count(CHANGE);
        counts.count(CHANGE);
        assert_eq!(counts.json(), "{\"change\": 2, \"statfs\": 1}");
    }
}
