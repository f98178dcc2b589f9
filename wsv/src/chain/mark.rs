//! An independent record of how far the chain database got.
//!
//! RocksDB cannot tell a half-lost log from a torn tail (consensus.md, What is durable before
//! what), and a validator that votes from half a log may contradict itself. So each synced write
//! counts up a number that stands in the database and, afterwards, in this small file. The file is
//! synced when it is made, and then not: it may lag the database, never lead it, unless the
//! database lost something.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use parity_scale_codec::{Decode, Encode};
use tonle_model::number::{Height, View};

use crate::store::StoreError;

/// How far the chain database got.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Encode, Decode)]
pub struct Mark {
    /// The last committed height.
    pub height: Height,
    /// The view the validator was in.
    pub view: View,
    /// How many synced writes there were.
    pub counter: u64,
}

/// Where the mark stands.
pub trait MarkStore: Send {
    /// The latest mark; `None` if none was ever saved. An error if something was, and it cannot
    /// be read.
    fn load(&self) -> io::Result<Option<Mark>>;

    /// Replaces the mark. A crash in the middle leaves the one before.
    fn save(&mut self, mark: &Mark) -> io::Result<()>;
}

/// Bytes of one slot: mark, checksum, padding.
const SLOT_BYTES: usize = 64;
/// Bytes of an encoded mark: height, view, counter.
const MARK_BYTES: usize = 8 + 4 + 8;

/// The name of the file, beside the database.
const FILE: &str = "chain.mark";

/// A mark in a file of two slots, written in turn so that a torn write spares the other.
pub struct FileMark {
    file: File,
    /// Whether the file is on the disk, so that a loss of power finds it there.
    is_synced: bool,
}

impl FileMark {
    /// Opens or makes the file `chain.mark` of a directory.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let path = directory.join(FILE);
        let failed = |error: io::Error| StoreError::Io(format!("{}: {error}", path.display()));
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.open(&path).map_err(failed)?;
        File::open(directory).and_then(|directory| directory.sync_all()).map_err(failed)?;
        Ok(Self { file, is_synced: false })
    }

    fn slot(&self, number: u64) -> io::Result<Option<Mark>> {
        let mut slot = [0; SLOT_BYTES];
        match self.file.read_exact_at(&mut slot, number * SLOT_BYTES as u64) {
            Ok(()) => Ok(decode_slot(&slot)),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(None),
            Err(error) => Err(error),
        }
    }
}

impl MarkStore for FileMark {
    fn load(&self) -> io::Result<Option<Mark>> {
        let latest =
            [self.slot(0)?, self.slot(1)?].into_iter().flatten().max_by_key(|mark| mark.counter);
        match latest {
            None if self.file.metadata()?.len() > 0 => Err(io::Error::other("mark is damaged")),
            latest => Ok(latest),
        }
    }

    fn save(&mut self, mark: &Mark) -> io::Result<()> {
        self.file.write_all_at(&encode_slot(mark), (mark.counter % 2) * SLOT_BYTES as u64)?;
        if !self.is_synced {
            self.file.sync_all()?;
            self.is_synced = true;
        }
        Ok(())
    }
}

fn encode_slot(mark: &Mark) -> Vec<u8> {
    let mut slot = mark.encode();
    slot.extend_from_slice(&crc32(&slot).to_le_bytes());
    slot.resize(SLOT_BYTES, 0);
    slot
}

fn decode_slot(slot: &[u8]) -> Option<Mark> {
    let (mark, rest) = slot.split_at_checked(MARK_BYTES)?;
    let checksum = rest.first_chunk::<4>()?;
    // A slot of zeros has a checksum of zero only by this complement.
    (crc32(mark).to_le_bytes() == *checksum).then(|| tonle_model::decode::all(mark).ok())?
}

/// CRC-32 (IEEE 802.3), bit by bit: twenty bytes at a time do not want a table.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg())
        })
    })
}

/// A mark in memory, for tests and simulation; clones share it.
#[derive(Clone, Default)]
pub struct MemoryMark {
    mark: Arc<Mutex<Option<Mark>>>,
}

impl MarkStore for MemoryMark {
    fn load(&self) -> io::Result<Option<Mark>> {
        Ok(*self.mark.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn save(&mut self, mark: &Mark) -> io::Result<()> {
        *self.mark.lock().unwrap_or_else(PoisonError::into_inner) = Some(*mark);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }

    #[test]
    fn a_torn_write_leaves_the_mark_before() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = FileMark::open(dir.path()).unwrap();
        assert_eq!(file.load().unwrap(), None);
        let mark = |counter| Mark { height: Height(3), view: View(1), counter };
        file.save(&mark(7)).unwrap();
        file.save(&mark(8)).unwrap();
        assert_eq!(FileMark::open(dir.path()).unwrap().load().unwrap(), Some(mark(8)));
        file.file.write_all_at(&[9; 5], 0).unwrap();
        assert_eq!(file.load().unwrap(), Some(mark(7)));
        file.file.write_all_at(&[9; 5], 64).unwrap();
        assert!(file.load().is_err(), "both slots damaged");
    }

    #[test]
    fn zeros_are_no_mark() {
        assert_eq!(decode_slot(&[0; SLOT_BYTES]), None);
    }
}
