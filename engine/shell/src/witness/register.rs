//! The register's file, and the lock that makes one process serve it: `<state directory>/witness/<volume>`.

use std::fs::File;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use rfs_model::register::Register;
use rfs_model::{SeatId, VolumeId};
use rustix::fs::{FlockOperation, flock};

use crate::durable;
use crate::pool::auth::random_uuid;

/// A register that this process, and no other on the machine, serves.
#[derive(Debug)]
pub struct Held {
    path: PathBuf,
    /// Released by the kernel when this process ends, however it ends.
    _lock: File,
}

impl Held {
    /// `None`: another process serves it.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn take(dir: &Path, volume: VolumeId) -> io::Result<Option<Self>> {
        std::fs::DirBuilder::new().recursive(true).mode(0o700).create(dir)?;
        let path = dir.join(volume.to_string());
        let lock =
            File::options().create(true).truncate(false).write(true).open(path.with_extension("lock"))?;
        match flock(&lock, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self { path, _lock: lock })),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// What is on disk; where nothing is, or nothing that makes sense, a new register, which is a new seat.
    ///
    /// # Errors
    /// Those of the file system.
    pub fn load(&self) -> io::Result<Register> {
        match std::fs::read(&self.path) {
            Ok(bytes) => match Register::from_file(&bytes) {
                Ok(register) => return Ok(register),
                Err(problem) => tracing::warn!("{}: {problem}: beginning a new seat", self.path.display()),
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        let register = Register::new(SeatId(random_uuid()?));
        self.save(&register)?;
        Ok(register)
    }

    /// Durable on return.
    ///
    /// # Errors
    /// Those of the file system: what is on disk is then the old or the new one.
    pub fn save(&self, register: &Register) -> io::Result<()> {
        self.saver(register)()
    }

    /// [`Held::save`] as a job for another thread.
    pub fn saver(&self, register: &Register) -> impl FnOnce() -> io::Result<()> + Send + use<> {
        let (path, bytes) = (self.path.clone(), register.to_file());
        move || durable::replace(&path, &bytes)
    }
}

#[cfg(test)]
mod tests {
    use rfs_model::Term;

    use super::*;

    const VOLUME: VolumeId = VolumeId([3; 16]);

    #[test]
    fn a_register_survives_its_process_and_has_one_holder() {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::take(dir.path(), VOLUME).unwrap().unwrap();
        assert!(Held::take(dir.path(), VOLUME).unwrap().is_none(), "two holders");
        assert!(
            Held::take(dir.path(), VolumeId([4; 16])).unwrap().is_some(),
            "another volume's is another one"
        );
        let mut register = held.load().unwrap();
        register.term = Term(7);
        held.save(&register).unwrap();
        drop(held);
        assert_eq!(Held::take(dir.path(), VOLUME).unwrap().unwrap().load().unwrap(), register);
    }

    #[test]
    fn a_spoilt_register_is_a_new_seat() {
        let dir = tempfile::tempdir().unwrap();
        let held = Held::take(dir.path(), VOLUME).unwrap().unwrap();
        let old = held.load().unwrap();
        std::fs::write(dir.path().join(VOLUME.to_string()), "rubbish").unwrap();
        assert_ne!(held.load().unwrap().seat, old.seat);
        assert_eq!(held.load().unwrap(), held.load().unwrap());
    }
}
