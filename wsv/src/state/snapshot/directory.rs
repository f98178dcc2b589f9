//! Snapshots and the directory of a node: reading one beside the running node, and filling an
//! empty one so that a crash in the middle is noticed.

use std::fs::{self, File, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::SnapshotError;
use super::source::Source;
use crate::store::{Database, RocksStore, Store, StoreError};

/// Stands in the directory while it is being filled.
const MARKER: &str = "restoring";
/// Locked by whoever fills the directory, and gone when nobody does. Not the marker itself: that
/// one must never stand, be it for a moment, beside what another process has just finished.
const LOCK: &str = "restoring.lock";
/// What a snapshot fills. The mark beside them, if there is one, tells of a log that was lost, and
/// stays (consensus.md, What is durable before what).
const DATABASES: [&str; 2] = ["chain", "state"];
/// How often a running node's databases are opened before giving up: files that the node has just
/// merged into others may go in the middle of it.
const ATTEMPTS_MAX: usize = 10;

/// Why a directory was not filled.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// There is a node's data in it.
    #[error("{0} holds a node's data already")]
    NotEmpty(PathBuf),
    /// Somebody else fills it at this moment.
    #[error("{0} is being filled by another process: wait until that ends, or end it")]
    Busy(PathBuf),
    /// The disk.
    #[error("{directory}: {error}")]
    Io {
        /// Where.
        directory: PathBuf,
        /// What.
        error: io::Error,
    },
    /// The databases.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The right to fill a directory, which one at a time has.
struct Turn {
    #[expect(dead_code, reason = "held, not used")]
    locked: File,
    path: PathBuf,
}

impl Turn {
    fn take(directory: &Path) -> Result<Self, TargetError> {
        let failed = |error| TargetError::Io { directory: directory.into(), error };
        let path = directory.join(LOCK);
        let mut options = File::options();
        options.write(true).create(true).truncate(false);
        let locked = options.open(&path).map_err(failed)?;
        match locked.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(TargetError::Busy(directory.into())),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        // Whoever had it until now may have removed it since it was opened: then the next one
        // locks another file.
        let own = locked.metadata().map_err(failed)?;
        let is_it = |named: fs::Metadata| (named.dev(), named.ino()) == (own.dev(), own.ino());
        match fs::metadata(&path).is_ok_and(is_it) {
            true => Ok(Self { locked, path }),
            false => Err(TargetError::Busy(directory.into())),
        }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        // Still locked. If it stays, whoever comes next locks it again.
        let _left = fs::remove_file(&self.path);
    }
}

/// A directory on its way from empty to a node's data.
pub struct Target {
    directory: PathBuf,
    state: Arc<dyn Store>,
    chain: Arc<dyn Store>,
    /// The last to go: until then the databases are this one's.
    turn: Turn,
}

impl Target {
    /// Takes a directory that holds no data of a node, or what an earlier restore left in the
    /// middle, which is thrown away. It is this one's alone until the target is gone.
    ///
    /// # Errors
    ///
    /// [`TargetError`]; data of a node is never touched, nor what somebody else is filling.
    pub fn prepare(directory: &Path) -> Result<Self, TargetError> {
        let failed = |error| TargetError::Io { directory: directory.into(), error };
        fs::create_dir_all(directory).map_err(failed)?;
        let turn = Turn::take(directory)?;
        if is_unfinished(directory) {
            clear(directory).map_err(failed)?;
        } else if DATABASES.iter().any(|name| directory.join(name).exists()) {
            return Err(TargetError::NotEmpty(directory.into()));
        }
        File::create(directory.join(MARKER)).and_then(|file| file.sync_all()).map_err(failed)?;
        sync(directory).map_err(failed)?;
        let state = RocksStore::open(&directory.join("state"), Database::State)?;
        let chain = RocksStore::open(&directory.join("chain"), Database::Chain)?;
        let (state, chain) = (Arc::new(state), Arc::new(chain));
        Ok(Self { directory: directory.into(), state, chain, turn })
    }

    /// The two databases: the state, then the chain.
    pub fn stores(&self) -> (Arc<dyn Store>, Arc<dyn Store>) {
        (self.state.clone(), self.chain.clone())
    }

    /// Says that the restore is finished and durable. Nobody holds the databases any more.
    ///
    /// # Errors
    ///
    /// [`TargetError`]; the directory then still counts as unfinished, or does after a crash.
    pub fn complete(self) -> Result<(), TargetError> {
        let Self { directory, state, chain, turn } = self;
        drop((state, chain));
        let removed = sync(&directory)
            .and_then(|()| fs::remove_file(directory.join(MARKER)))
            .and_then(|()| sync(&directory));
        drop(turn);
        removed.map_err(|error| TargetError::Io { directory, error })
    }

    /// Leaves the directory as empty as it was. Nobody holds the databases any more.
    ///
    /// # Errors
    ///
    /// [`TargetError`]; the directory then still counts as unfinished.
    pub fn abandon(self) -> Result<(), TargetError> {
        let Self { directory, state, chain, turn } = self;
        drop((state, chain));
        let cleared = clear(&directory).and_then(|()| fs::remove_file(directory.join(MARKER)));
        drop(turn);
        cleared.map_err(|error| TargetError::Io { directory, error })
    }
}

/// Whether a restore into this directory was begun and not finished.
pub fn is_unfinished(directory: &Path) -> bool {
    directory.join(MARKER).exists()
}

/// Whether there is no node's data in a directory, or half of it.
pub fn needs_filling(directory: &Path) -> bool {
    is_unfinished(directory) || !DATABASES.iter().any(|name| directory.join(name).exists())
}

/// Reads a snapshot from the directory of a node that may be running: its databases as they are
/// now. `scratch` is made, and may be removed once the source is gone.
///
/// # Errors
///
/// [`SnapshotError`].
pub fn open_source(directory: &Path, scratch: &Path) -> Result<Source, SnapshotError> {
    let mut attempts = 1;
    loop {
        match open_views(directory, scratch) {
            Err(SnapshotError::Fatal(_)) if attempts < ATTEMPTS_MAX => attempts += 1,
            opened => return opened,
        }
    }
}

fn open_views(directory: &Path, scratch: &Path) -> Result<Source, SnapshotError> {
    let view = |name, database| {
        fs::create_dir_all(scratch.join(name))
            .map_err(|error| StoreError::Io(error.to_string()))?;
        RocksStore::open_view(&directory.join(name), database, &scratch.join(name))
    };
    // The state first: the chain is never behind it.
    let state = view("state", Database::State)?;
    let chain = view("chain", Database::Chain)?;
    Source::new(Arc::new(state), Arc::new(chain))
}

fn clear(directory: &Path) -> io::Result<()> {
    for name in DATABASES {
        match fs::remove_dir_all(directory.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Makes the names in a directory durable.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}
