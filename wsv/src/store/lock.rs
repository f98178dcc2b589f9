//! The lock that RocksDB takes on a database, for whoever touches the files without RocksDB.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::Path;

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::io::Errno;

use super::StoreError;

/// A lock on a database that is not open. It ends when this is dropped, and also when this process
/// opens the database and closes it again: hold it for the files alone.
pub(crate) struct FilesLock(#[expect(dead_code, reason = "held, not used")] File);

impl FilesLock {
    /// Locks the database in a directory; nothing if there is no directory.
    pub fn take(directory: &Path) -> Result<Option<Self>, StoreError> {
        let path = directory.display().to_string();
        let failed = |error: io::Error| StoreError::Io(format!("{path}: {error}"));
        match directory.try_exists() {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => return Err(failed(error)),
        }
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(directory.join("LOCK"))
            .map_err(failed)?;
        match fcntl_lock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Self(file))),
            Err(Errno::AGAIN | Errno::ACCESS) => Err(StoreError::InUse { path: path.clone() }),
            Err(error) => Err(failed(error.into())),
        }
    }
}
