//! Files that another mount has moved, while the kernel still believes in their old name.
//!
//! rename(2) looks up both names, and does nothing where they stand for the same file: links to one file may be renamed to
//! each other. The old name it takes from its cache. When another mount has just moved the file to that very name, and the
//! kernel has not yet dropped the old one, the program would be told that *it* had moved it: two workers on two machines
//! would both have taken the same job.
//!
//! So before a lookup shows a file in one place, what the kernel believes of others is dropped, if the file has changed
//! since. A rename has locked both directories meanwhile, and nothing can be dropped there: it is told ESTALE, upon which the
//! kernel looks up both names anew. Others than renames see no harm in two names, and are not told so: some of them the
//! kernel would not try again.

use std::rc::Rc;
use std::time::Duration;

use rfs_model::{Attr, Refusal};

use super::calls::{RENAME, is_in};
use super::names::Place;
use super::{Fs, Invalidation};
use crate::session::Failure;

/// How long the kernel may take to drop names. A rename that comes too late waits for that.
const PATIENCE: Duration = Duration::from_millis(20);

impl Fs {
    /// The thread's lookup is about to show a file in this place.
    ///
    /// # Errors
    /// `ESTALE`: the kernel is to look up everything again. It does so once; when it had this name in its cache, the first
    /// time makes it doubt only that. After that it gets its answer: no program is to see the error.
    pub(super) async fn settle(
        self: &Rc<Self>,
        thread: u32,
        attr: &Attr,
        here: &Place,
    ) -> Result<(), Failure> {
        let (doubtful, cached) = {
            let inodes = self.shared.inodes();
            (inodes.doubtful(attr, here), inodes.telling(here) != 0)
        };
        if !doubtful.is_empty() {
            self.shared.ahead().drop_inode(attr.id);
        }
        for (parent, name) in &doubtful {
            self.shared.invalidate(Invalidation::Entry { parent: *parent, name: name.clone() });
        }
        let settled = doubtful.is_empty()
            || !is_in(thread, &RENAME)
            || tokio::time::timeout(PATIENCE, self.shared.carried_out(None)).await.is_ok();
        if settled {
            self.is_settled(thread);
            return Ok(());
        }
        if self.is_unsettled(thread) > 1 + usize::from(cached) {
            return Ok(());
        }
        Err(Refusal::Stale.into())
    }
}
