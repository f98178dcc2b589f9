//! A snapshot in a file: a mark, what it is, then its parts in order, each after its length.

use std::io::{self, Read, Write};
use std::sync::Arc;

use parity_scale_codec::{Decode, Encode};
use tonle_model::genesis::Genesis;

use super::restore::{Progress, Restore};
use super::source::Source;
use super::{Offer, PART_BYTES_MAX, PartId, SnapshotError, WindowPlace};
use crate::state::Committed;
use crate::store::{Store, StoreError, Table};

/// What a file begins with; the number grows when the form changes.
const MARK: &[u8; 16] = b"tonle snapshot 1";
/// Bytes of an encoded [`Offer`].
const OFFER_BYTES: usize = 32 + 8 + 4;

/// Why a file was not written or not read.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// What it holds.
    #[error(transparent)]
    Snapshot(#[from] SnapshotError),
    /// The file itself.
    #[error(transparent)]
    Io(#[from] io::Error),
}

/// Writes a snapshot; `told` hears how far it is.
///
/// # Errors
///
/// [`FileError`]; what was written is of no use then.
pub fn write_file(
    source: &Source,
    out: &mut impl Write,
    told: &mut dyn FnMut(Progress),
) -> Result<(), FileError> {
    let offer = source.offer();
    out.write_all(MARK)?;
    out.write_all(&offer.encode())?;
    let mut progress = Progress { pieces_of: source.piece_count(), ..Progress::default() };
    let mut put = |part: &[u8], progress: &mut Progress| -> io::Result<()> {
        // A part is at most a MiB.
        out.write_all(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_le_bytes())?;
        out.write_all(part)?;
        progress.bytes += part.len() as u64;
        told(*progress);
        Ok(())
    };
    let gone = || SnapshotError::from(StoreError::Row { table: Table::Blocks });
    for number in 0..offer.manifest_parts {
        let part = source.part(PartId::Manifest(number))?.ok_or_else(gone)?;
        put(&part, &mut progress)?;
    }
    for id in source.pieces() {
        let part = source.part(id)?.ok_or_else(gone)?;
        progress.pieces += 1;
        put(&part, &mut progress)?;
    }
    let mut place = Some(WindowPlace { height: offer.height, item: 0 });
    while let Some(at) = place {
        let (part, next) = source.window(at)?;
        // Every part has something in it: if this one has not, a block is missing.
        put(&part.ok_or_else(gone)?, &mut progress)?;
        place = next;
    }
    Ok(out.flush()?)
}

/// Reads a snapshot into two empty databases; `told` hears how far it is.
///
/// # Errors
///
/// [`FileError`]; the databases are of no use then.
pub fn read_file(
    input: &mut impl Read,
    genesis: &Genesis,
    state: Arc<dyn Store>,
    chain: Arc<dyn Store>,
    told: &mut dyn FnMut(Progress),
) -> Result<Committed, FileError> {
    let mut head = [0; MARK.len() + OFFER_BYTES];
    read(input, &mut head)?;
    let offer = head.strip_prefix(&MARK[..]).and_then(|bytes| Offer::decode(&mut &*bytes).ok());
    let offer = offer.ok_or(SnapshotError::Invalid("this is no file of a snapshot"))?;
    let mut restore = Restore::new(genesis, offer, state, chain)?;
    let mut part = Vec::new();
    while let Some(id) = restore.wanted(1).first().copied() {
        let mut length = [0; 4];
        read(input, &mut length)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > PART_BYTES_MAX {
            return Err(SnapshotError::Invalid("a part is too long").into());
        }
        part.resize(length, 0);
        read(input, &mut part)?;
        restore.take(id, &part)?;
        told(restore.progress());
    }
    match input.read(&mut [0])? {
        0 => Ok(restore.finish()?),
        _ => Err(SnapshotError::Invalid("something stands after its end").into()),
    }
}

fn read(input: &mut impl Read, bytes: &mut [u8]) -> Result<(), FileError> {
    input.read_exact(bytes).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => SnapshotError::Invalid("it ends too early").into(),
        _ => error.into(),
    })
}
