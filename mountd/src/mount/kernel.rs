//! mount(2) for FUSE. Not left to fuser, which does not tell the kernel the subtype that makes the type `fuse.rfs`.

use std::ffi::CString;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use rfs_model::limits::READ_BYTES;
use rustix::mount::MountFlags;

use super::point::FILE_SYSTEM;

/// Mounts at `point`; requests come from the descriptor.
///
/// # Errors
/// Those of open(2) on /dev/fuse and of mount(2).
pub fn mount(point: &Path, source: &str, flags: MountFlags) -> io::Result<OwnedFd> {
    let device = OpenOptions::new().read(true).write(true).open("/dev/fuse").map_err(|error| {
        io::Error::new(error.kind(), format!("/dev/fuse: {error} (is the kernel module 'fuse' loaded?)"))
    })?;
    let data = format!(
        "fd={},rootmode=40000,user_id=0,group_id=0,default_permissions,allow_other,max_read={READ_BYTES}",
        device.as_raw_fd()
    );
    let data = CString::new(data).map_err(io::Error::other)?;
    rustix::mount::mount(source, point, FILE_SYSTEM, flags, Some(data.as_c_str()))?;
    Ok(device.into())
}
