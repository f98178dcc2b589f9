//! The files that RocksDB begins with, read before RocksDB reads them.
//!
//! Its reader of logs is not to be trusted with damaged ones: a record whose type lost one bit can
//! send it round for ever, and a page of zeros it passes over without a word, with what follows it
//! (docs/decisions/0004-state-log-recovery.md). So each record of the manifest and of the
//! write-ahead logs is checked here first. What a loss of power leaves behind is told from damage
//! as far as the bytes allow:
//!
//! - A record that is cut off by the end of the newest log, or zeros up to it, was being written, and
//!   goes. An older log of the chain was whole before the next one got its first record.
//! - In the newest log of the chain the last record may be spoilt: as long as nothing was written
//!   after it, nobody can say whether its write ever ended. The mark and the peers know
//!   (consensus.md, What is durable before what).
//! - In the newest log of the state, which is not synced, everything from the first spoilt record
//!   on is given up, and redone from the chain.
//!
//! All else is damage, and the database is not opened.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::Database;

/// Records do not cross the bounds of blocks of so many bytes; their parts do.
const BLOCK_BYTES: usize = 32 * 1024;
/// Checksum, length, type.
const HEADER_BYTES: usize = 4 + 2 + 1;
/// A write begins with its number and how much it changes.
const WRITE_BYTES_MIN: usize = 8 + 4;
/// What is added to a checksum that stands among data which may hold checksums.
const MASK: u32 = 0xa282_ead8;

/// Types of a record, or of its parts. There are others for options that are not used here.
const FULL: u8 = 1;
const FIRST: u8 = 2;
const LAST: u8 = 4;

/// What is wrong with the files of a database.
#[derive(Debug, thiserror::Error)]
pub(super) enum Damage {
    /// A file that must be there is not.
    #[error("the file {0} is missing")]
    Missing(String),
    /// A file does not say what it must.
    #[error("the file {0} is damaged")]
    File(String),
    /// A record is not what was written.
    #[error("the file {file} is damaged at byte {at} of {length}")]
    Record {
        /// Which.
        file: String,
        /// Where.
        at: u64,
        /// How long it is.
        length: u64,
    },
    /// The file system failed.
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A log whose end was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cut {
    /// Which.
    pub file: String,
    /// How long it is now.
    pub kept_bytes: u64,
    /// How much is gone.
    pub lost_bytes: u64,
}

/// Checks what a database begins with; a directory without one passes.
pub(super) fn check(directory: &Path, database: Database) -> Result<Option<Cut>, Damage> {
    let Some(files) = Files::list(directory)? else { return Ok(None) };
    match files.has_current {
        // Without it RocksDB would begin anew, over what is there.
        false if files.has_tables || !files.logs.is_empty() => {
            return Err(Damage::Missing("CURRENT".into()));
        }
        false => return Ok(None),
        true => check_manifest(directory)?,
    }
    let mut cut = None;
    // A start makes a new log before it does anything about those that it read.
    let newest = files.logs.iter().rposition(|log| log.length > 0);
    for (position, log) in files.logs.iter().enumerate() {
        let is_newest = newest.is_none_or(|newest| position >= newest);
        cut = check_log(directory, log, database, is_newest)?.or(cut);
    }
    Ok(cut)
}

/// What is in the directory of a database.
#[derive(Default)]
struct Files {
    has_current: bool,
    has_tables: bool,
    /// Write-ahead logs by number, ascending.
    logs: Vec<Log>,
}

#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Log {
    number: u64,
    name: String,
    length: u64,
}

impl Files {
    fn list(directory: &Path) -> io::Result<Option<Self>> {
        let entries = match std::fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut files = Self::default();
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            files.has_current |= name == "CURRENT";
            files.has_tables |= name.ends_with(".sst");
            let number = name.strip_suffix(".log").and_then(|number| number.parse().ok());
            if let Some(number) = number {
                files.logs.push(Log { number, name, length: entry.metadata()?.len() });
            }
        }
        files.logs.sort();
        Ok(Some(files))
    }
}

/// The manifest says which files the database is made of. It is synced with every change, and a
/// change that was lost is one that the files do not fit.
fn check_manifest(directory: &Path) -> Result<(), Damage> {
    let current = std::fs::read(directory.join("CURRENT"))?;
    let name = current.strip_suffix(b"\n").and_then(|name| std::str::from_utf8(name).ok());
    let is_name = |name: &&str| {
        let number = name.strip_prefix("MANIFEST-");
        number.is_some_and(|number| number.parse::<u64>().is_ok())
    };
    let name = name.filter(is_name).ok_or_else(|| Damage::File("CURRENT".into()))?;
    let file = match File::open(directory.join(name)) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Damage::Missing(name.into()));
        }
        Err(error) => return Err(error.into()),
    };
    let length = file.metadata()?.len();
    match end(Blocks::new(file))? {
        End::Whole | End::CutOff { .. } | End::Zeros { .. } => Ok(()),
        End::Spoilt { at, .. } => Err(Damage::Record { file: name.into(), at, length }),
    }
}

fn check_log(
    directory: &Path,
    log: &Log,
    database: Database,
    is_newest: bool,
) -> Result<Option<Cut>, Damage> {
    let Log { name, length, .. } = log;
    let path: PathBuf = directory.join(name);
    let end = end(Blocks::new(File::open(&path)?))?;
    let (at, is_forgiven, is_loss) = match (end, database) {
        (End::Whole, _) => return Ok(None),
        // Logs of the state are not synced one before the other, and RocksDB stops here.
        (End::CutOff { .. }, Database::State) if !is_newest => return Ok(None),
        (End::CutOff { at } | End::Zeros { at }, _) => (at, true, false),
        (End::Spoilt { at, is_last }, Database::Chain) => (at, is_last, true),
        (End::Spoilt { at, .. }, Database::State) => (at, true, true),
    };
    if !is_newest || !is_forgiven {
        return Err(Damage::Record { file: name.clone(), at, length: *length });
    }
    // What was being written goes too: this log may soon stand beside a newer one.
    let file = OpenOptions::new().write(true).open(&path)?;
    file.set_len(at)?;
    file.sync_all()?;
    let cut = Cut { file: name.clone(), kept_bytes: at, lost_bytes: length - at };
    Ok(is_loss.then_some(cut))
}

/// How a log or a manifest ends.
enum End {
    /// Every record is what was written.
    Whole,
    /// The last record is longer than the file.
    CutOff { at: u64 },
    /// There are zeros where a record should begin, and nothing else up to the end.
    Zeros { at: u64 },
    /// A record is not what was written.
    Spoilt {
        at: u64,
        /// No record begins after it.
        is_last: bool,
    },
}

/// Looks for the first record that does not check out.
fn end(mut blocks: Blocks) -> io::Result<End> {
    while let Some((start, block)) = blocks.next()? {
        let Some(place) = first_bad(&block) else { continue };
        let rest = block.get(place..).unwrap_or_default();
        let mut tail = Tail::default();
        tail.add(rest);
        // No place after the spoilt one can be trusted to be one where a record begins.
        let mut begins = (1..rest.len()).any(|at| begins_record(rest.get(at..)));
        while let Some((_, block)) = blocks.next()? {
            tail.add(&block);
            begins = begins || (0..block.len()).any(|at| begins_record(block.get(at..)));
        }
        // Parts of records fit their blocks, so only a block that is short was cut off.
        let is_short = tail.blocks == 1 && block.len() < BLOCK_BYTES;
        let at = start + place as u64;
        return Ok(match is_short && !begins && is_cut_off(rest) {
            _ if tail.is_zero => End::Zeros { at },
            true => End::CutOff { at },
            false => End::Spoilt { at, is_last: !begins },
        });
    }
    Ok(End::Whole)
}

/// What there is from a spoilt record on.
struct Tail {
    blocks: usize,
    is_zero: bool,
}

impl Default for Tail {
    fn default() -> Self {
        Self { blocks: 0, is_zero: true }
    }
}

impl Tail {
    fn add(&mut self, bytes: &[u8]) {
        self.blocks += 1;
        self.is_zero &= bytes.iter().all(|byte| *byte == 0);
    }
}

/// Where the first record of a block begins that does not check out.
fn first_bad(block: &[u8]) -> Option<usize> {
    let mut at = 0;
    // What is too short for a header fills the block up.
    while block.len() - at >= HEADER_BYTES {
        match record(block.get(at..)?) {
            Some((_, length)) => at += HEADER_BYTES + length,
            None => return Some(at),
        }
    }
    // A block that ends early ends in a header that was being written.
    None
}

/// The type and length of the record at the beginning of these bytes, if it checks out.
fn record(bytes: &[u8]) -> Option<(u8, usize)> {
    let (checksum, rest) = bytes.split_first_chunk::<4>()?;
    let ([low, high], rest) = rest.split_first_chunk::<2>()?;
    let length = usize::from(u16::from_le_bytes([*low, *high]));
    let checked = rest.get(..=length)?;
    let kind = *checked.first()?;
    let masked = crc32c(checked).rotate_right(15).wrapping_add(MASK);
    let holds = (FULL..=LAST).contains(&kind) && masked == u32::from_le_bytes(*checksum);
    holds.then_some((kind, length))
}

/// Whether a record, and not only a later part of one, begins here: one that holds a write, with
/// nothing but records after it in its block. What clients send stands in the log as it came, and
/// may look like a record.
fn begins_record(bytes: Option<&[u8]>) -> bool {
    let Some(bytes) = bytes else { return false };
    let is_first = matches!(bytes.get(HEADER_BYTES - 1), Some(&FULL | &FIRST));
    let holds_a_write = || record(bytes).is_some_and(|(_, length)| length >= WRITE_BYTES_MIN);
    is_first && holds_a_write() && first_bad(bytes).is_none()
}

/// Whether the record that begins here is longer than the file.
fn is_cut_off(bytes: &[u8]) -> bool {
    let length = bytes.get(4..6).and_then(|bytes| bytes.first_chunk::<2>());
    let kind = bytes.get(HEADER_BYTES - 1).copied().unwrap_or_default();
    let length = length.map_or(0, |length| usize::from(u16::from_le_bytes(*length)));
    (FULL..=LAST).contains(&kind) && HEADER_BYTES + length > bytes.len()
}

/// A file, block by block.
struct Blocks {
    file: File,
    start: u64,
}

impl Blocks {
    fn new(file: File) -> Self {
        Self { file, start: 0 }
    }

    /// The next block and where it starts; the last one may be shorter.
    fn next(&mut self) -> io::Result<Option<(u64, Vec<u8>)>> {
        let mut block = Vec::with_capacity(BLOCK_BYTES);
        self.file.by_ref().take(BLOCK_BYTES as u64).read_to_end(&mut block)?;
        let start = self.start;
        self.start += block.len() as u64;
        Ok((!block.is_empty()).then_some((start, block)))
    }
}

/// The checksums of all bytes.
const TABLE: [u32; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < table.len() {
        let mut crc = byte as u32;
        let mut bit = 0;
        while bit < 8 {
            crc = (crc >> 1) ^ (0x82f6_3b78 & (crc & 1).wrapping_neg());
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

/// CRC-32C (Castagnoli).
fn crc32c(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        let index = (crc ^ u32::from(*byte)) & 0xff;
        (crc >> 8) ^ TABLE.get(index as usize).copied().unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A log of records of some lengths, as RocksDB writes it, and where they begin.
    fn log(lengths: &[usize]) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut starts) = (Vec::new(), Vec::new());
        for (number, length) in lengths.iter().enumerate() {
            let payload = vec![number as u8 + 1; *length];
            let mut rest = &payload[..];
            let mut is_first = true;
            loop {
                let room = BLOCK_BYTES - bytes.len() % BLOCK_BYTES;
                if room < HEADER_BYTES {
                    bytes.resize(bytes.len() + room, 0);
                    continue;
                }
                let (part, after) = rest.split_at(rest.len().min(room - HEADER_BYTES));
                let kind = match (is_first, after.is_empty()) {
                    (true, true) => FULL,
                    (true, false) => FIRST,
                    (false, true) => LAST,
                    (false, false) => 3,
                };
                if is_first {
                    starts.push(bytes.len());
                }
                let checked = [&[kind], part].concat();
                let masked = crc32c(&checked).rotate_right(15).wrapping_add(MASK);
                bytes.extend_from_slice(&masked.to_le_bytes());
                bytes.extend_from_slice(&(part.len() as u16).to_le_bytes());
                bytes.extend_from_slice(&checked);
                (rest, is_first) = (after, false);
                if rest.is_empty() {
                    break;
                }
            }
        }
        (bytes, starts)
    }

    struct Directory(tempfile::TempDir);

    impl Directory {
        fn with(log: &[u8]) -> Self {
            let directory = Self(tempfile::tempdir().unwrap());
            directory.write("CURRENT", b"MANIFEST-000004\n");
            directory.write("MANIFEST-000004", &self::log(&[50, 60]).0);
            directory.write("000005.log", log);
            directory
        }

        fn write(&self, name: &str, bytes: &[u8]) {
            std::fs::write(self.0.path().join(name), bytes).unwrap();
        }

        fn check(&self, database: Database) -> Result<Option<Cut>, Damage> {
            check(self.0.path(), database)
        }
    }

    /// Where a log of the chain and one of the state is cut; nothing if it is not opened.
    fn cuts(log: &[u8]) -> [Option<usize>; 2] {
        [Database::Chain, Database::State].map(|database| {
            let cut = Directory::with(log).check(database).ok()?;
            Some(cut.map_or(log.len(), |cut| cut.kept_bytes as usize))
        })
    }

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
    }

    #[test]
    fn whole_logs_pass_and_so_do_their_beginnings() {
        let (log, _) = log(&[10, 0, 40_000, 20, 100_000, 32 * 1024 - 7, 5]);
        for length in (0..log.len()).step_by(977).chain([log.len()]) {
            assert_eq!(cuts(&log[..length]), [Some(length); 2]);
        }
        let zeros = [&log[..], &[0; 70_000]].concat();
        assert_eq!(cuts(&zeros), [Some(zeros.len()); 2]);
    }

    #[test]
    fn no_flipped_bit_passes_in_the_middle() {
        let (log, starts) = log(&[30, 20, 33_000, 25, 30]);
        let last = starts[4];
        for at in (0..last).step_by(331).chain(starts[1]..starts[1] + 27).chain(starts[3]..last) {
            for bit in 0..8 {
                let mut log = log.clone();
                log[at] ^= 1 << bit;
                let [of_chain, of_state] = cuts(&log);
                assert_eq!(of_chain, None, "byte {at}, bit {bit}");
                assert!(of_state.is_some_and(|kept| kept <= at), "byte {at}, bit {bit}");
            }
        }
    }

    /// RocksDB's own reader does not come back from these.
    #[test]
    fn the_type_of_a_reused_log_is_damage() {
        let (mut log, starts) = log(&[30, 20, 15]);
        log[starts[1] + 6] ^= 4;
        assert_eq!(cuts(&log), [None, Some(starts[1])]);
    }

    /// RocksDB's own reader says nothing of these.
    #[test]
    fn a_page_of_zeros_in_the_middle_is_damage() {
        let (mut log, starts) = log(&[30, 33_000, 10, 20, 40_000, 17]);
        log[starts[2]..starts[2] + 4_096].fill(0);
        assert_eq!(cuts(&log), [None, Some(starts[2])]);
    }

    #[test]
    fn a_last_record_that_is_spoilt_may_never_have_been_finished() {
        let (log, starts) = log(&[30, 33_000, 70_000]);
        for at in [starts[2], starts[2] + 6, starts[2] + 40_000, log.len() - 1] {
            let mut log = log.clone();
            log[at] ^= 0x11;
            let [of_chain, of_state] = cuts(&log);
            assert!(of_chain.is_some_and(|kept| (starts[2]..=at).contains(&kept)), "{at}");
            assert_eq!(of_chain, of_state);
        }
    }

    #[test]
    fn what_is_cut_is_gone() {
        let (mut log, starts) = log(&[30, 20]);
        log[starts[1] + 10] ^= 1;
        let directory = Directory::with(&log);
        let cut = directory.check(Database::Chain).unwrap().unwrap();
        assert_eq!((cut.file.as_str(), cut.lost_bytes), ("000005.log", 27));
        assert_eq!(directory.check(Database::Chain).unwrap(), None);
    }

    #[test]
    fn only_the_newest_log_may_be_cut() {
        let (mut log, starts) = log(&[30, 20]);
        log[starts[1] + 10] ^= 1;
        for database in [Database::Chain, Database::State] {
            let directory = Directory::with(&log);
            directory.write("000010.log", &self::log(&[30]).0);
            let error = directory.check(database).unwrap_err().to_string();
            assert!(error.contains("000005.log is damaged at byte 37 of 64"), "{error}");
        }
    }

    /// It was whole before the newer one got its first record, and RocksDB would say nothing.
    #[test]
    fn an_older_log_has_no_record_that_was_being_written() {
        let (whole, starts) = log(&[30, 20]);
        let cut_off = whole[..whole.len() - 5].to_vec();
        let mut longer = whole.clone();
        longer[starts[1] + 5] ^= 0x10;
        let zeros = [&whole[..], &[0; 100]].concat();
        for (spoilt, passes_in_state) in [(cut_off, true), (longer, true), (zeros, false)] {
            for database in [Database::Chain, Database::State] {
                let directory = Directory::with(&spoilt);
                directory.write("000010.log", &[]);
                assert_eq!(directory.check(database).unwrap(), None, "the newest with anything in");
                let directory = Directory::with(&spoilt);
                directory.write("000010.log", &whole);
                let checked = directory.check(database).map_err(|error| error.to_string());
                match passes_in_state && matches!(database, Database::State) {
                    true => assert_eq!(checked, Ok(None)),
                    false => assert!(checked.unwrap_err().contains("000005.log is damaged")),
                }
            }
        }
    }

    #[test]
    fn what_was_being_written_is_gone_before_a_newer_log_is_made() {
        let (whole, starts) = log(&[30, 20]);
        let directory = Directory::with(&whole[..whole.len() - 5]);
        assert_eq!(directory.check(Database::Chain).unwrap(), None);
        directory.write("000010.log", &whole);
        assert_eq!(directory.check(Database::Chain).unwrap(), None);
        let length = std::fs::metadata(directory.0.path().join("000005.log")).unwrap().len();
        assert_eq!(length, starts[1] as u64);
    }

    /// A client may send what looks like a record, and a write of it may never have ended.
    #[test]
    fn what_looks_like_a_record_within_one_is_none() {
        let (mut whole, starts) = log(&[30, 600]);
        let small = log(&[0]).0;
        let inner = starts[1] + HEADER_BYTES + 100;
        whole[inner..inner + small.len()].copy_from_slice(&small);
        let large = log(&[40]).0;
        let inner = inner + 50;
        whole[inner..inner + large.len()].copy_from_slice(&large);
        let torn = &whole[..whole.len() - 50];
        for database in [Database::Chain, Database::State] {
            assert_eq!(Directory::with(torn).check(database).unwrap(), None);
        }
    }

    #[test]
    fn a_manifest_is_never_cut() {
        let (mut manifest, starts) = log(&[50, 60]);
        manifest[starts[1] + 6] ^= 4;
        let directory = Directory::with(&[]);
        directory.write("MANIFEST-000004", &manifest);
        for database in [Database::Chain, Database::State] {
            let error = directory.check(database).unwrap_err().to_string();
            assert!(error.contains("MANIFEST-000004 is damaged"), "{error}");
        }
    }

    #[test]
    fn no_flipped_bit_of_a_manifest_or_of_its_name_passes() {
        let (manifest, starts) = log(&[50, 60]);
        // A last record that says it is longer than the file was being written.
        let length = starts[1] + 4..starts[1] + 6;
        let places = (0..manifest.len()).filter(|at| !length.contains(at));
        let of_manifest = places.map(|at| ("MANIFEST-000004", &manifest[..], at));
        let name = b"MANIFEST-000004\n";
        let of_current = (0..name.len()).map(|at| ("CURRENT", &name[..], at));
        for (file, bytes, at) in of_manifest.chain(of_current) {
            for bit in 0..8 {
                let mut spoilt = bytes.to_vec();
                spoilt[at] ^= 1 << bit;
                for database in [Database::Chain, Database::State] {
                    let directory = Directory::with(&[]);
                    directory.write(file, &spoilt);
                    assert!(directory.check(database).is_err(), "{file}: byte {at}, bit {bit}");
                }
            }
        }
    }

    #[test]
    fn the_file_that_names_the_manifest_must_be_there_and_name_it() {
        let check = |current: Option<&[u8]>| {
            let directory = Directory::with(&[]);
            match current {
                Some(bytes) => directory.write("CURRENT", bytes),
                None => std::fs::remove_file(directory.0.path().join("CURRENT")).unwrap(),
            }
            directory.check(Database::Chain).map_err(|error| error.to_string())
        };
        assert_eq!(check(Some(b"MANIFEST-000004\n")), Ok(None));
        for bad in [&b"MANIFEST-000004"[..], b"", b"MANIFEST-00000x\n", b"\xff\n"] {
            assert_eq!(check(Some(bad)), Err("the file CURRENT is damaged".into()));
        }
        let gone = Err("the file MANIFEST-000003 is missing".into());
        assert_eq!(check(Some(b"MANIFEST-000003\n")), gone);
        assert_eq!(check(None), Err("the file CURRENT is missing".into()));
    }

    #[test]
    fn a_database_that_was_being_made_passes() {
        let directory = Directory(tempfile::tempdir().unwrap());
        assert_eq!(directory.check(Database::Chain).unwrap(), None);
        directory.write("MANIFEST-000001", b"half");
        assert_eq!(directory.check(Database::Chain).unwrap(), None);
        let nowhere = directory.0.path().join("nowhere");
        assert_eq!(check(&nowhere, Database::Chain).unwrap(), None);
    }
}
