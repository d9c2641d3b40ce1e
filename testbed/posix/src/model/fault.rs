//! Planted faults: what a file system might do wrong. Each must be noticed.

use super::Subject;
use super::op::{Kind, Look, Op, Outcome, Seen, Target, When};

/// One thing that goes wrong, each time that there is an occasion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// A write returns and does nothing.
    WriteLost,
    /// The last byte of a write is not written.
    WriteShort,
    /// An append goes to the beginning.
    AppendAtStart,
    /// What was beyond a shorter end comes back.
    TruncateKeepsData,
    HoleKeepsData,
    ReadZeroes,
    /// A read ends a byte too early.
    ReadShort,
    /// The old name stays.
    RenameLinks,
    /// A refused rename replaces.
    NoReplaceReplaces,
    ExchangeLoses,
    /// A link is a copy: it has its own count.
    LinkCountWrong,
    UnlinkLost,
    /// An open file ends with its name.
    HeldDies,
    /// A list misses its last name.
    ListMisses,
    /// A list says that all are files.
    ListWrongKind,
    ModeLost,
    OwnerLost,
    TimesLost,
    /// Times have whole seconds.
    TimesCoarse,
    /// A write leaves the time that was set.
    MtimeStands,
    XattrLost,
    XattrRemovedStays,
    XattrCreateReplaces,
    /// An error is another one.
    WrongErrno,
}

impl Fault {
    pub const ALL: [Self; 24] = [
        Self::WriteLost,
        Self::WriteShort,
        Self::AppendAtStart,
        Self::TruncateKeepsData,
        Self::HoleKeepsData,
        Self::ReadZeroes,
        Self::ReadShort,
        Self::RenameLinks,
        Self::NoReplaceReplaces,
        Self::ExchangeLoses,
        Self::LinkCountWrong,
        Self::UnlinkLost,
        Self::HeldDies,
        Self::ListMisses,
        Self::ListWrongKind,
        Self::ModeLost,
        Self::OwnerLost,
        Self::TimesLost,
        Self::TimesCoarse,
        Self::MtimeStands,
        Self::XattrLost,
        Self::XattrRemovedStays,
        Self::XattrCreateReplaces,
        Self::WrongErrno,
    ];
}

/// A subject with a fault.
#[derive(Debug)]
pub struct Faulty<S> {
    pub subject: S,
    pub fault: Fault,
}

impl<S: Subject> Subject for Faulty<S> {
    fn apply(&mut self, op: &Op) -> Outcome {
        let stands = self.fault == Fault::MtimeStands;
        if let (true, Op::Write { path, .. } | Op::Append { path, .. }) = (stands, op) {
            return self.with_its_mtime(path, op);
        }
        match self.instead(op) {
            Some(None) => Ok(Seen::Done),
            Some(Some(other)) => self.subject.apply(&other),
            None => {
                let outcome = self.subject.apply(op);
                self.seen(op, outcome)
            }
        }
    }
}

impl<S: Subject> Faulty<S> {
    /// What is done instead: nothing, or something else.
    fn instead(&mut self, op: &Op) -> Option<Option<Op>> {
        match (self.fault, op.clone()) {
            (Fault::WriteLost, Op::Write { .. })
            | (Fault::UnlinkLost, Op::Unlink { .. })
            | (Fault::ModeLost, Op::Chmod { .. })
            | (Fault::OwnerLost, Op::Chown { .. })
            | (Fault::TimesLost, Op::SetTimes { .. })
            | (Fault::XattrLost, Op::SetXattr { .. })
            | (Fault::XattrRemovedStays, Op::RemoveXattr { .. })
                if self.would_succeed(op) =>
            {
                Some(None)
            }
            (Fault::WriteShort, Op::Write { path, offset, mut data }) if data.len() > 1 => {
                data.pop();
                Some(Some(Op::Write { path, offset, data }))
            }
            (Fault::AppendAtStart, Op::Append { path, data }) => {
                Some(Some(Op::Write { path, offset: 0, data }))
            }
            (Fault::HoleKeepsData, Op::Punch { path, offset, .. }) => {
                Some(Some(Op::Punch { path, offset, len: 1 }))
            }
            (Fault::RenameLinks, Op::Rename { from, to, target: Target::Replaced }) => {
                let linked = self.subject.apply(&Op::Link { from: from.clone(), to: to.clone() }).is_ok();
                Some(if linked { None } else { Some(Op::Rename { from, to, target: Target::Replaced }) })
            }
            (Fault::NoReplaceReplaces, Op::Rename { from, to, target: Target::Refused })
            | (Fault::ExchangeLoses, Op::Rename { from, to, target: Target::Exchanged }) => {
                Some(Some(Op::Rename { from, to, target: Target::Replaced }))
            }
            (Fault::TimesCoarse, Op::SetTimes { path, atime, mtime }) => {
                let coarse = |time: Option<(i64, u32)>| time.map(|(s, _)| (s, 0));
                Some(Some(Op::SetTimes { path, atime: coarse(atime), mtime: coarse(mtime) }))
            }
            (Fault::XattrCreateReplaces, Op::SetXattr { path, name, value, create: true, .. }) => {
                Some(Some(Op::SetXattr { path, name, value, create: false, replace: false }))
            }
            (Fault::TruncateKeepsData, Op::Truncate { path, size }) => {
                let whole = self.subject.apply(&Op::Read { path: path.clone(), offset: size, len: 1 });
                let back = self.subject.apply(&Op::Truncate { path: path.clone(), size });
                if let (Ok(Seen::Bytes(kept)), Ok(_)) = (whole, back)
                    && !kept.is_empty()
                {
                    return Some(Some(Op::Append { path, data: kept }));
                }
                None
            }
            _ => None,
        }
    }

    /// What is lost is no error; what is refused is refused all the same, or the error alone would give the fault away.
    fn would_succeed(&mut self, op: &Op) -> bool {
        match op {
            Op::Write { path, .. } => self.kind(path) == Some(Kind::File),
            Op::Unlink { path } => self.kind(path).is_some_and(|kind| kind != Kind::Dir),
            Op::Chmod { path, .. } => self.kind(path).is_some_and(|kind| kind != Kind::Symlink),
            Op::Chown { path, .. } | Op::SetTimes { path, .. } => self.kind(path).is_some(),
            Op::SetXattr { path, create: false, replace: false, .. } => {
                matches!(self.kind(path), Some(Kind::File | Kind::Dir))
            }
            Op::RemoveXattr { path, name } => {
                let path = path.clone();
                self.subject.apply(&Op::GetXattr { path, name }).is_ok()
            }
            _ => false,
        }
    }

    fn kind(&mut self, path: &str) -> Option<Kind> {
        match self.subject.apply(&Op::Look { path: path.to_owned() }) {
            Ok(Seen::Look(look)) => Some(look.kind),
            _ => None,
        }
    }

    /// What is seen instead.
    fn seen(&self, op: &Op, outcome: Outcome) -> Outcome {
        match (self.fault, outcome) {
            (Fault::ReadZeroes, Ok(Seen::Bytes(data))) if matches!(op, Op::Read { .. }) => {
                Ok(Seen::Bytes(vec![0; data.len()]))
            }
            (Fault::ReadShort, Ok(Seen::Bytes(mut data))) if matches!(op, Op::Read { .. }) => {
                data.pop();
                Ok(Seen::Bytes(data))
            }
            (Fault::ListMisses, Ok(Seen::Names(mut names))) => {
                names.pop_last();
                Ok(Seen::Names(names))
            }
            (Fault::ListWrongKind, Ok(Seen::Names(mut names))) => {
                names.values_mut().for_each(|kind| *kind = Kind::File);
                Ok(Seen::Names(names))
            }
            (Fault::LinkCountWrong, Ok(Seen::Look(look))) => {
                Ok(Seen::Look(Look { links: look.links.min(1), ..look }))
            }
            (Fault::HeldDies, Ok(Seen::Look(look))) if look.links == 0 && look.kind == Kind::File => {
                Err(rustix::io::Errno::STALE.raw_os_error())
            }
            (Fault::WrongErrno, Err(_)) => Err(rustix::io::Errno::IO.raw_os_error()),
            (_, outcome) => outcome,
        }
    }

    fn with_its_mtime(&mut self, path: &str, op: &Op) -> Outcome {
        let before = self.subject.apply(&Op::Look { path: path.to_owned() });
        let outcome = self.subject.apply(op);
        if let Ok(Seen::Look(Look { mtime: When::Exactly(s, ns), .. })) = before {
            let back = Op::SetTimes { path: path.to_owned(), atime: None, mtime: Some((s, ns)) };
            let _ = self.subject.apply(&back);
        }
        outcome
    }
}
