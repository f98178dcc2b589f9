//! Files that commands read and write.

use std::fs::{self, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use crate::error::CliError;

/// Who may read a file that holds a secret.
const OWNER_ONLY: u32 = 0o600;
/// Who may read any other, as far as the user's mask allows.
const EVERYONE: u32 = 0o666;

fn failed(path: &Path, error: &std::io::Error) -> CliError {
    CliError::usage(format!("{}: {error}", path.display()))
}

/// Reads a file, or standard input for `-`, of a bounded length.
pub fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, CliError> {
    let failed = |error| failed(path, &error);
    let mut input: Box<dyn Read> = match path.as_os_str() == "-" {
        true => Box::new(std::io::stdin().lock()),
        false => Box::new(fs::File::open(path).map_err(failed)?),
    };
    let mut bytes = Vec::new();
    input.by_ref().take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > bytes_max {
        true => Err(CliError::usage(format!("{} is too long", path.display()))),
        false => Ok(bytes),
    }
}

/// Writes a new file; one that exists is never overwritten.
pub fn write_new(path: &Path, text: &str) -> Result<(), CliError> {
    create(path, text, EVERYONE)
}

/// Writes a new file that only its owner reads.
pub fn write_secret(path: &Path, text: &str) -> Result<(), CliError> {
    create(path, text, OWNER_ONLY)
}

fn create(path: &Path, text: &str, mode: u32) -> Result<(), CliError> {
    named(path)?;
    let failed = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::AlreadyExists => {
            CliError::usage(format!("{} exists already", path.display()))
                .help("it is not overwritten: name another file, or move it away")
        }
        _ => failed(path, &error),
    };
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(mode);
    let mut file = options.open(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// What is read from standard input has no name to be written under.
fn named(path: &Path) -> Result<(), CliError> {
    match path.as_os_str() == "-" {
        true => Err(CliError::usage("no file to write to").help("name one with --out")),
        false => Ok(()),
    }
}

/// Writes a file, or replaces it as a whole: a full disk leaves the old one.
pub fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    named(path)?;
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    let fresh = PathBuf::from(name);
    write_new(&fresh, text)?;
    fs::rename(&fresh, path).map_err(|error| failed(path, &error))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn files_are_bounded_and_not_overwritten() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        write_new(&path, "one").unwrap();
        assert!(write_new(&path, "two").unwrap_err().remedy().is_some());
        assert_eq!(read(&path, 3).unwrap(), b"one");
        assert!(read(&path, 2).is_err());
        replace(&path, "three").unwrap();
        assert_eq!(read(&path, 9).unwrap(), b"three");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left behind");
        for write in [write_new, replace] {
            assert!(write(Path::new("-"), "four").is_err());
        }
    }

    #[test]
    fn a_secret_is_its_owners() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("secret");
        write_secret(&path, "00").unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(write_secret(&path, "11").is_err());
    }
}
