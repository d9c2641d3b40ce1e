//! What a program may do that nobody else may, and what a write by somebody else takes away: setuid, setgid, capabilities.
//!
//! The kernel sees to it where data goes through its pages. Where it does not (`O_APPEND`, `O_DIRECT`, `O_TRUNC`) it leaves
//! it to us; so it does with setgid when an ACL is set.

use bytes::Bytes;
use rfs_model::Refusal;
use rfs_model::attr::CAPABILITY;
use rfs_model::client::{Answer, Mutation, Query, WantAttr};

use super::{Caller, Fs, Inode, Invalidation};
use crate::session::Failure;

const SET_USER_ID: u32 = 0o4000;
const SET_GROUP_ID: u32 = 0o2000;
const GROUP_EXECUTES: u32 = 0o0010;

/// The mode that a write leaves. Where the group may not execute, its bit means something else, and stays.
#[must_use]
pub(super) fn without_set_id(mode: u32) -> u32 {
    let group = if mode & GROUP_EXECUTES != 0 { SET_GROUP_ID } else { 0 };
    mode & !(SET_USER_ID | group)
}

impl Fs {
    /// Before a write that passes the kernel's pages by somebody who may not set such bits.
    ///
    /// # Errors
    /// [`Failure`]: the write must not happen.
    pub(super) async fn strip(&self, inode: &Inode) -> Result<(), Failure> {
        if inode.is_unprivileged() {
            return Ok(());
        }
        let doubts = inode.doubts();
        let Answer::Attr { attr } = self.client.ask(Query::GetAttr { id: inode.id }).await? else {
            return Err(Failure::Nonsense);
        };
        let mode = without_set_id(attr.mode);
        let kept = self.strip_capability(inode).await?;
        if mode == attr.mode && !kept {
            inode.found_unprivileged(doubts);
            return Ok(());
        }
        let want = WantAttr { mode: Some(mode & 0o7777), ..WantAttr::default() };
        self.mutate(Mutation::SetAttr { id: inode.id, want }).await?;
        inode.attributes_unknown();
        self.shared.invalidate(Invalidation::Inode { number: inode.number, offset: 0, len: 0 });
        Ok(())
    }

    /// Before an ACL is set by somebody without privileges: who is not in a file's group cannot leave it running as that.
    ///
    /// # Errors
    /// [`Failure`]: the ACL must not be set.
    pub(super) async fn strip_group_id(&self, inode: &Inode, caller: Caller) -> Result<(), Failure> {
        let Answer::Attr { attr } = self.client.ask(Query::GetAttr { id: inode.id }).await? else {
            return Err(Failure::Nonsense);
        };
        if attr.mode & SET_GROUP_ID == 0
            || caller.gid == attr.gid
            || groups(caller.thread).contains(&attr.gid)
        {
            return Ok(());
        }
        let want = WantAttr { mode: Some(attr.mode & 0o7777 & !SET_GROUP_ID), ..WantAttr::default() };
        self.mutate(Mutation::SetAttr { id: inode.id, want }).await?;
        inode.attributes_unknown();
        Ok(())
    }

    /// Whether there was one.
    pub(super) async fn strip_capability(&self, inode: &Inode) -> Result<bool, Failure> {
        if inode.lacks(CAPABILITY) {
            return Ok(false);
        }
        let name = Bytes::from_static(CAPABILITY);
        match self.client.ask(Query::GetXattr { id: inode.id, name: name.clone() }).await {
            Ok(_) => {}
            Err(Failure::Refused(Refusal::NoAttribute)) => return Ok(false),
            Err(failure) => return Err(failure),
        }
        match self.mutate(Mutation::RemoveXattr { id: inode.id, name }).await {
            Ok(_) | Err(Failure::Refused(Refusal::NoAttribute)) => Ok(true),
            Err(failure) => Err(failure),
        }
    }
}

/// Supplementary groups of a thread, which the kernel's request does not tell; none where the thread is not known.
fn groups(thread: u32) -> Vec<u32> {
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:")).unwrap_or_default();
    line.split_whitespace().filter_map(|group| group.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::{groups, without_set_id};

    #[test]
    fn groups_are_those_of_the_thread() {
        let own: Vec<u32> =
            rustix::process::getgroups().unwrap().iter().map(|group| group.as_raw()).collect();
        assert_eq!(groups(std::process::id()), own);
        assert_eq!(groups(0), [0; 0]);
    }

    #[test]
    fn set_id_bits_go_as_the_kernel_has_it() {
        let table = [(0o6777, 0o777), (0o4644, 0o644), (0o2755, 0o755), (0o2666, 0o2666), (0o1777, 0o1777)];
        for (before, after) in table {
            assert_eq!(without_set_id(before), after, "{before:o}");
        }
    }
}
