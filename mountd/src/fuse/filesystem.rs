//! fuser's trait: each request is copied out of the kernel's buffer, run on the network thread, and answered from there; a few
//! that wait for nothing are answered at once.

use std::ffi::OsStr;
use std::future::Future;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use fuser::{
    BsdFileFlags, CopyFileRangeFlags, FileHandle, Filesystem, INodeNo, InitFlags, IoctlFlags, KernelConfig,
    LockOwner, OpenFlags, PollEvents, PollFlags, PollNotifier, RenameFlags, ReplyAttr, ReplyCreate,
    ReplyData, ReplyDirectory, ReplyDirectoryPlus, ReplyEmpty, ReplyEntry, ReplyIoctl, ReplyLock, ReplyLseek,
    ReplyOpen, ReplyPoll, ReplyStatfs, ReplyWrite, ReplyXattr, Request, TimeOrNow, WriteFlags,
};
use rfs_model::Refusal;
use rfs_model::attr::FileKind;
use rfs_model::client::WantAttr;
use rfs_model::limits::WRITE_BYTES;
use rfs_model::op::Allocate;

use super::{Net, convert, listing, reply};
use crate::errno::{LEFT_TO_THE_KERNEL, NO_SUCH_IOCTL, errno};
use crate::fs::{Caller, Fs, NewNode, Shared, WriteRequest};
use crate::session::Failure;

/// What the kernel may do on its own, or leaves to us. Only what fuser 0.18 honours.
const WANTED: [InitFlags; 12] = [
    InitFlags::FUSE_POSIX_LOCKS,
    InitFlags::FUSE_FLOCK_LOCKS,
    InitFlags::FUSE_ATOMIC_O_TRUNC,
    InitFlags::FUSE_DONT_MASK,
    InitFlags::FUSE_POSIX_ACL,
    InitFlags::FUSE_PARALLEL_DIROPS,
    InitFlags::FUSE_DO_READDIRPLUS,
    InitFlags::FUSE_READDIRPLUS_AUTO,
    InitFlags::FUSE_ASYNC_DIO,
    InitFlags::FUSE_CACHE_SYMLINKS,
    InitFlags::FUSE_BIG_WRITES,
    InitFlags::FUSE_DIRECT_IO_ALLOW_MMAP,
];
/// Requests that the kernel has under way in the background, such as read-ahead, at the most.
const MAX_BACKGROUND: u16 = 64;

/// Translates requests; knows nothing itself.
pub struct Translator {
    net: Net,
    shared: Arc<Shared>,
}

impl Translator {
    #[must_use]
    pub fn new(net: Net, shared: Arc<Shared>) -> Self {
        Self { net, shared }
    }

    fn run<F, T>(&self, job: F)
    where
        F: FnOnce(Rc<Fs>) -> T + Send + 'static,
        T: Future<Output = ()> + 'static,
    {
        self.net.run(job);
    }

    fn make(&self, node: NewNode, to: ReplyEntry) {
        self.run(async move |fs| reply::entry(to, fs.make(node).await));
    }
}

fn caller(req: &Request) -> Caller {
    Caller { uid: req.uid(), gid: req.gid(), thread: req.pid() }
}

impl Filesystem for Translator {
    fn init(&mut self, _req: &Request, config: &mut KernelConfig) -> io::Result<()> {
        for flag in WANTED {
            if config.add_capabilities(flag).is_err() {
                tracing::warn!("this kernel does not know {flag:?}");
            }
        }
        let write_bytes = u32::try_from(WRITE_BYTES).unwrap_or(u32::MAX);
        let limits = [
            config.set_max_write(write_bytes).map(drop).map_err(drop),
            config.set_max_background(MAX_BACKGROUND).map(drop).map_err(drop),
        ];
        if limits.contains(&Err(())) {
            return Err(io::Error::from_raw_os_error(libc::EPROTO));
        }
        Ok(())
    }

    fn lookup(&self, req: &Request, parent: INodeNo, name: &OsStr, to: ReplyEntry) {
        let answering = self.shared.answering();
        if self.shared.lacks(parent.0, name.as_bytes()) {
            return to.error(errno(Refusal::NoEntry.into()));
        }
        let (name, thread) = (convert::name(name), req.pid());
        if let Some(entry) = self.shared.found_ahead(parent.0, &name) {
            return reply::entry(to, Ok(entry));
        }
        drop(answering);
        self.run(async move |fs| {
            let result = fs.clone().lookup_for(thread, parent.0, name.clone()).await;
            let absent = result == Err(Refusal::NoEntry.into());
            match Some((parent.0, name)).filter(|_| absent).map(|place| fs.shared().absent(place)) {
                Some(ttl) if !ttl.is_zero() => reply::absent(to, ttl),
                _ => reply::entry(to, result),
            }
        });
    }

    fn forget(&self, _req: &Request, number: INodeNo, lookups: u64) {
        self.shared.inodes().forget(number.0, lookups);
    }

    fn getattr(&self, req: &Request, number: INodeNo, _handle: Option<FileHandle>, to: ReplyAttr) {
        let answering = self.shared.answering();
        let thread = req.pid();
        if let Some(known) = self.shared.known_attributes(number.0, thread) {
            return reply::attr(to, Ok(known));
        }
        drop(answering);
        self.run(async move |fs| {
            let result = fs.clone().getattr(number.0).await;
            fs.answers(thread, &result);
            reply::attr(to, result);
        });
    }

    fn setattr(
        &self,
        req: &Request,
        number: INodeNo,
        mode: Option<u32>,
        uid: Option<u32>,
        gid: Option<u32>,
        size: Option<u64>,
        atime: Option<TimeOrNow>,
        mtime: Option<TimeOrNow>,
        _ctime: Option<SystemTime>,
        _handle: Option<FileHandle>,
        _crtime: Option<SystemTime>,
        _chgtime: Option<SystemTime>,
        _bkuptime: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        to: ReplyAttr,
    ) {
        let (atime, mtime) = (atime.map(convert::set_time), mtime.map(convert::set_time));
        let mode = mode.map(|mode| mode & 0o7777);
        let want = WantAttr { mode, uid, gid, size, atime, mtime };
        if let Some((attr, quick)) = self.shared.raise(number.0, want) {
            let taken = self.net.submit(quick).then_some((attr, Duration::ZERO)).ok_or(Failure::Ending);
            return reply::attr(to, taken);
        }
        let thread = req.pid();
        self.run(async move |fs| {
            let result = fs.clone().setattr(number.0, want).await;
            fs.answers(thread, &result);
            reply::attr(to, result);
        });
    }

    fn readlink(&self, _req: &Request, number: INodeNo, to: ReplyData) {
        self.run(async move |fs| reply::data(to, fs.readlink(number.0).await));
    }

    fn mknod(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        rdev: u32,
        to: ReplyEntry,
    ) {
        let Some(kind) = convert::file_kind(mode) else {
            return to.error(errno(Refusal::Invalid.into()));
        };
        let (parent, name, caller) = (parent.0, convert::name(name), caller(req));
        let target = Bytes::new();
        self.make(NewNode { parent, name, kind, mode, umask, rdev: rdev.into(), target, caller }, to);
    }

    fn mkdir(&self, req: &Request, parent: INodeNo, name: &OsStr, mode: u32, umask: u32, to: ReplyEntry) {
        let (parent, name, caller) = (parent.0, convert::name(name), caller(req));
        let (kind, target) = (FileKind::Dir, Bytes::new());
        self.make(NewNode { parent, name, kind, mode, umask, rdev: 0, target, caller }, to);
    }

    fn symlink(&self, req: &Request, parent: INodeNo, name: &OsStr, target: &Path, to: ReplyEntry) {
        let (parent, name, caller) = (parent.0, convert::name(name), caller(req));
        let target = convert::name(target.as_os_str());
        let kind = FileKind::Symlink;
        self.make(NewNode { parent, name, kind, mode: 0o777, umask: 0, rdev: 0, target, caller }, to);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, to: ReplyEmpty) {
        let name = convert::name(name);
        self.run(async move |fs| reply::empty(to, fs.remove(parent.0, name, false).await));
    }

    fn rmdir(&self, _req: &Request, parent: INodeNo, name: &OsStr, to: ReplyEmpty) {
        let name = convert::name(name);
        self.run(async move |fs| reply::empty(to, fs.remove(parent.0, name, true).await));
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        flags: RenameFlags,
        to: ReplyEmpty,
    ) {
        let (old, new) = ((parent.0, convert::name(name)), (newparent.0, convert::name(newname)));
        self.run(async move |fs| reply::empty(to, fs.rename(old, new, flags.bits()).await));
    }

    fn link(&self, _req: &Request, number: INodeNo, newparent: INodeNo, newname: &OsStr, to: ReplyEntry) {
        let name = convert::name(newname);
        self.run(async move |fs| reply::entry(to, fs.link(number.0, newparent.0, name).await));
    }

    fn open(&self, req: &Request, number: INodeNo, flags: OpenFlags, to: ReplyOpen) {
        let caller = caller(req);
        self.run(async move |fs| reply::opened(to, fs.open(number.0, flags.0, caller).await));
    }

    fn create(
        &self,
        req: &Request,
        parent: INodeNo,
        name: &OsStr,
        mode: u32,
        umask: u32,
        flags: i32,
        to: ReplyCreate,
    ) {
        let (parent, name, caller) = (parent.0, convert::name(name), caller(req));
        let (kind, target) = (FileKind::File, Bytes::new());
        let node = NewNode { parent, name, kind, mode, umask, rdev: 0, target, caller };
        let answering = self.shared.answering();
        if let Some((entry, opened, quick)) = self.shared.give_birth(&node, flags) {
            let taken = self.net.submit(quick).then_some((entry, opened)).ok_or(Failure::Ending);
            return reply::created(to, taken);
        }
        drop(answering);
        self.run(async move |fs| reply::created(to, fs.create(node, flags).await));
    }

    fn read(
        &self,
        _req: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        to: ReplyData,
    ) {
        let answering = self.shared.answering();
        if let Some(data) = self.shared.read_ahead(handle.0, offset, size) {
            return reply::data(to, Ok(data));
        }
        drop(answering);
        self.run(async move |fs| reply::data(to, fs.read(handle.0, offset, size).await));
    }

    /// Answered on this thread, as few are: it returns once the write is in the retained window.
    fn write(
        &self,
        _req: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: u64,
        data: &[u8],
        write_flags: WriteFlags,
        flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        to: ReplyWrite,
    ) {
        let len = data.len() as u32;
        let from_mapping = write_flags.contains(WriteFlags::FUSE_WRITE_CACHE);
        let strips = write_flags.contains(WriteFlags::FUSE_WRITE_KILL_SUIDGID);
        let data = Bytes::copy_from_slice(data);
        let request = WriteRequest { handle: handle.0, offset, data, flags: flags.0, from_mapping, strips };
        match request.quick(&self.shared) {
            Err(failure) => to.error(errno(failure)),
            Ok(Some(write)) => {
                let taken = self.net.submit(write);
                if taken { to.written(len) } else { to.error(errno(Failure::Ending)) }
            }
            Ok(None) => self.run(async move |fs| reply::written(to, len, fs.write(request).await)),
        }
    }

    /// As a write: whoever has only read waits for nobody.
    fn flush(&self, _req: &Request, _number: INodeNo, handle: FileHandle, owner: LockOwner, to: ReplyEmpty) {
        if self.shared.closes_at_once(handle.0, owner.0) {
            return to.ok();
        }
        self.run(async move |fs| reply::empty(to, fs.flush(handle.0, owner.0).await));
    }

    fn release(
        &self,
        _req: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        flock_owner: Option<LockOwner>,
        _flush: bool,
        to: ReplyEmpty,
    ) {
        // The program does not wait for this. Others may wait for its lock.
        match flock_owner.map(|owner| owner.0) {
            None => {
                let epoch = self.shared.epoch();
                let closed = self.shared.close(handle.0);
                let closed = closed.map(|inode| {
                    if let Some(inode) = inode {
                        self.net.later(move |fs| fs.closed(inode, epoch));
                    }
                });
                reply::empty(to, closed);
            }
            owner => self.run(async move |fs| reply::empty(to, fs.release(handle.0, owner).await)),
        }
    }

    fn fsync(&self, _req: &Request, _number: INodeNo, handle: FileHandle, _datasync: bool, to: ReplyEmpty) {
        self.run(async move |fs| reply::empty(to, fs.fsync(handle.0).await));
    }

    fn opendir(&self, _req: &Request, number: INodeNo, _flags: OpenFlags, to: ReplyOpen) {
        self.run(async move |fs| match fs.opendir(number.0).await {
            Ok(dir) => to.opened(FileHandle(dir.handle), convert::open_dir_flags(dir)),
            Err(failure) => to.error(errno(failure)),
        });
    }

    fn readdir(&self, _req: &Request, number: INodeNo, handle: FileHandle, offset: u64, to: ReplyDirectory) {
        self.run(async move |fs| listing::plain(fs, number.0, handle.0, offset, to).await);
    }

    fn readdirplus(
        &self,
        _req: &Request,
        number: INodeNo,
        handle: FileHandle,
        offset: u64,
        to: ReplyDirectoryPlus,
    ) {
        self.run(async move |fs| listing::plus(fs, number.0, handle.0, offset, to).await);
    }

    fn releasedir(
        &self,
        _req: &Request,
        _number: INodeNo,
        handle: FileHandle,
        _flags: OpenFlags,
        to: ReplyEmpty,
    ) {
        self.run(async move |fs| reply::empty(to, fs.releasedir(handle.0).await));
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _datasync: bool,
        to: ReplyEmpty,
    ) {
        self.run(async move |fs| reply::empty(to, fs.fsyncdir().await));
    }

    fn statfs(&self, _req: &Request, _number: INodeNo, to: ReplyStatfs) {
        self.run(async move |fs| reply::statfs(to, fs.statfs().await));
    }

    fn setxattr(
        &self,
        req: &Request,
        number: INodeNo,
        name: &OsStr,
        value: &[u8],
        flags: i32,
        _position: u32,
        to: ReplyEmpty,
    ) {
        let (name, value, flags) = (convert::name(name), Bytes::copy_from_slice(value), flags as u32);
        let caller = caller(req);
        self.run(async move |fs| reply::empty(to, fs.set_xattr(number.0, name, value, flags, caller).await));
    }

    /// The kernel asks for some of these before each write: what is known to be absent is answered here.
    fn getxattr(&self, _req: &Request, number: INodeNo, name: &OsStr, size: u32, to: ReplyXattr) {
        let known = self.shared.inodes().get(number.0);
        if known.is_some_and(|inode| inode.lacks(name.as_bytes())) {
            return to.error(errno(Refusal::NoAttribute.into()));
        }
        let name = convert::name(name);
        self.run(async move |fs| reply::xattr(to, size, fs.get_xattr(number.0, name).await));
    }

    fn listxattr(&self, req: &Request, number: INodeNo, size: u32, to: ReplyXattr) {
        if self.shared.inodes().get(number.0).is_some_and(|inode| inode.is_bare()) {
            return reply::xattr(to, size, Ok([]));
        }
        let caller = caller(req);
        self.run(async move |fs| reply::xattr(to, size, fs.list_xattrs(number.0, caller).await));
    }

    fn removexattr(&self, _req: &Request, number: INodeNo, name: &OsStr, to: ReplyEmpty) {
        let name = convert::name(name);
        self.run(async move |fs| reply::empty(to, fs.remove_xattr(number.0, name).await));
    }

    fn getlk(
        &self,
        _req: &Request,
        number: INodeNo,
        _handle: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        typ: i32,
        pid: u32,
        to: ReplyLock,
    ) {
        let Some(range) = convert::lock_range(start, end, typ, pid) else {
            return to.error(errno(Refusal::Invalid.into()));
        };
        self.run(async move |fs| reply::lock(to, fs.get_lock(number.0, owner.0, range).await));
    }

    fn setlk(
        &self,
        _req: &Request,
        number: INodeNo,
        _handle: FileHandle,
        owner: LockOwner,
        start: u64,
        end: u64,
        typ: i32,
        pid: u32,
        sleep: bool,
        to: ReplyEmpty,
    ) {
        let Some(range) = convert::lock_range(start, end, typ, pid) else {
            return to.error(errno(Refusal::Invalid.into()));
        };
        self.run(async move |fs| reply::empty(to, fs.set_lock(number.0, owner.0, range, sleep).await));
    }

    fn fallocate(
        &self,
        _req: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: u64,
        length: u64,
        mode: i32,
        to: ReplyEmpty,
    ) {
        let range = Allocate { mode: mode as u32, offset, len: length };
        self.run(async move |fs| reply::empty(to, fs.allocate(handle.0, range).await));
    }

    fn lseek(
        &self,
        _req: &Request,
        _number: INodeNo,
        handle: FileHandle,
        offset: i64,
        whence: i32,
        to: ReplyLseek,
    ) {
        self.run(async move |fs| match fs.seek(handle.0, offset, whence).await {
            Ok(offset) => to.offset(offset),
            Err(failure) => to.error(errno(failure)),
        });
    }

    fn copy_file_range(
        &self,
        _req: &Request,
        _from: INodeNo,
        _from_handle: FileHandle,
        _from_offset: u64,
        _to: INodeNo,
        _to_handle: FileHandle,
        _to_offset: u64,
        _len: u64,
        _flags: CopyFileRangeFlags,
        to: ReplyWrite,
    ) {
        to.error(LEFT_TO_THE_KERNEL);
    }

    fn poll(
        &self,
        _req: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _notifier: PollNotifier,
        _events: PollEvents,
        _flags: PollFlags,
        to: ReplyPoll,
    ) {
        to.error(LEFT_TO_THE_KERNEL);
    }

    fn ioctl(
        &self,
        _req: &Request,
        _number: INodeNo,
        _handle: FileHandle,
        _flags: IoctlFlags,
        _cmd: u32,
        _in_data: &[u8],
        _out_size: u32,
        to: ReplyIoctl,
    ) {
        to.error(NO_SUCH_IOCTL);
    }
}
