//! What can happen to the files of a stopped validator.

use std::fs;
use std::path::{Path, PathBuf};

use crate::random::Random;

/// A kind of file of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// `*.sst`
    Table,
    /// `*.log`
    Log,
    /// `MANIFEST-*`
    Manifest,
    /// `CURRENT`
    Current,
    /// `IDENTITY`
    Identity,
    /// `OPTIONS-*`
    Options,
    /// `LOCK`
    Lock,
}

impl Part {
    const ALL: [Self; 7] = [
        Self::Table,
        Self::Log,
        Self::Manifest,
        Self::Current,
        Self::Identity,
        Self::Options,
        Self::Lock,
    ];

    fn is(self, name: &str) -> bool {
        match self {
            Self::Table => name.ends_with(".sst"),
            Self::Log => name.ends_with(".log"),
            Self::Manifest => name.starts_with("MANIFEST-"),
            Self::Current => name == "CURRENT",
            Self::Identity => name == "IDENTITY",
            Self::Options => name.starts_with("OPTIONS-"),
            Self::Lock => name == "LOCK",
        }
    }
}

/// What happens to a file, or to a whole directory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Harm {
    /// One to three bits are other ones.
    Flip,
    /// A page of it is zeros.
    Blank,
    /// The end is gone.
    Cut,
    /// There is nothing in it.
    Empty,
    /// It is gone.
    Remove,
    /// It is one of an earlier time.
    Older,
}

impl Harm {
    const OF_FILES: [Self; 6] =
        [Self::Flip, Self::Blank, Self::Cut, Self::Empty, Self::Remove, Self::Older];
    const OF_DIRECTORIES: [Self; 2] = [Self::Remove, Self::Older];
}

/// What is harmed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Damage {
    /// A file of a database.
    File(&'static str, Part, Harm),
    /// The mark beside the chain.
    Mark(Harm),
    /// A database as a whole.
    Database(&'static str, Harm),
    /// The chain and its mark, without the state.
    ChainAndMark(Harm),
    /// Everything.
    Directory(Harm),
}

impl Damage {
    /// All that is thought of here.
    pub fn all() -> Vec<Self> {
        let mut all = Vec::new();
        for database in ["chain", "state"] {
            for part in Part::ALL {
                let file = |harm| Self::File(database, part, harm);
                all.extend(Harm::OF_FILES.map(file));
            }
            all.extend(Harm::OF_DIRECTORIES.map(|harm| Self::Database(database, harm)));
        }
        all.extend(Harm::OF_FILES.map(Self::Mark));
        all.extend(Harm::OF_DIRECTORIES.map(Self::ChainAndMark));
        all.extend(Harm::OF_DIRECTORIES.map(Self::Directory));
        all
    }

    /// Whether votes may be gone with it; nobody knows of some.
    pub fn loses_votes(self) -> Option<bool> {
        match self {
            Self::File("state", ..) | Self::Database("state", _) => Some(false),
            Self::File(_, Part::Identity | Part::Options | Part::Lock, _) => Some(false),
            Self::File(..) | Self::Mark(_) => None,
            Self::Database(..) | Self::ChainAndMark(_) | Self::Directory(_) => Some(true),
        }
    }

    /// Whether what is there is whole, if not what it was: then the start itself mends it.
    pub fn leaves_whole(self) -> bool {
        matches!(self, Self::Database(..) | Self::ChainAndMark(_) | Self::Directory(_))
    }

    /// Does it to a data directory; `older` is one of an earlier time. Tells what was done, or
    /// nothing if there is nothing to do it to.
    pub fn strike(self, data: &Path, older: &Path, random: &mut Random) -> Option<String> {
        match self {
            Self::File(database, part, harm) => {
                let file = random.pick_if_any(&files(&data.join(database), part))?;
                let olds = files(&older.join(database), part);
                let same = olds.iter().find(|old| old.file_name() == file.file_name()).cloned();
                let old = same.or_else(|| random.pick_if_any(&olds));
                harm_file(harm, &file, old.as_deref(), random)
            }
            Self::Mark(harm) => {
                let old = older.join("chain.mark");
                harm_file(harm, &data.join("chain.mark"), Some(&old), random)
            }
            Self::Database(name, harm) => harm_directories(harm, data, older, &[name]),
            Self::ChainAndMark(harm) => {
                harm_directories(harm, data, older, &["chain", "chain.mark"])
            }
            Self::Directory(harm) => {
                harm_directories(harm, data, older, &["chain", "chain.mark", "state"])
            }
        }
    }
}

fn files(directory: &Path, part: Part) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten();
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_part = |path: &PathBuf| {
        path.file_name().and_then(|name| name.to_str()).is_some_and(|name| part.is(name))
    };
    let mut files: Vec<_> = paths.filter(is_part).collect();
    files.sort();
    files
}

fn harm_file(harm: Harm, file: &Path, old: Option<&Path>, random: &mut Random) -> Option<String> {
    let mut bytes = fs::read(file).ok()?;
    let name = file.file_name()?.to_string_lossy().into_owned();
    let length = bytes.len();
    if length == 0 && !matches!(harm, Harm::Remove | Harm::Older) {
        return None;
    }
    let what = match harm {
        Harm::Flip => {
            let flips = random.between(1, 3);
            let places: Vec<_> =
                (0..flips).map(|_| (random.below(length), random.below(8))).collect();
            places.iter().for_each(|(at, bit)| bytes[*at] ^= 1 << bit);
            format!("bits {places:?} of {length} bytes flipped")
        }
        Harm::Blank => {
            let start = random.below(length) / 4_096 * 4_096;
            let end = length.min(start + 4_096);
            bytes[start..end].fill(0);
            format!("zeros from {start} to {end} of {length} bytes")
        }
        Harm::Cut => {
            bytes.truncate(random.below(length));
            format!("cut from {length} to {} bytes", bytes.len())
        }
        Harm::Empty => {
            bytes.clear();
            format!("emptied, of {length} bytes")
        }
        Harm::Remove => {
            fs::remove_file(file).expect("removed");
            return Some(format!("{name}: removed"));
        }
        Harm::Older => {
            bytes = fs::read(old?).ok()?;
            format!("{} bytes of {} in place of {length}", bytes.len(), old?.display())
        }
    };
    fs::write(file, bytes).expect("written");
    Some(format!("{name}: {what}"))
}

fn harm_directories(harm: Harm, data: &Path, older: &Path, names: &[&str]) -> Option<String> {
    for name in names {
        remove(&data.join(name));
        if harm == Harm::Older {
            copy(&older.join(name), &data.join(name));
        }
    }
    Some(format!("{harm:?} {names:?}"))
}

/// Removes a file or directory, if it is there.
pub fn remove(path: &Path) {
    if path.is_dir() {
        fs::remove_dir_all(path).expect("removed");
    } else if path.exists() {
        fs::remove_file(path).expect("removed");
    }
}

/// Copies a file, or a directory with all that is in it.
pub fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).expect("copied");
        return;
    }
    fs::create_dir_all(to).expect("a directory");
    for entry in fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}
