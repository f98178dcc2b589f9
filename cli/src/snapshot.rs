//! `tonle snapshot`: a node's state in a file, and a node from such a file. Both work on the node's
//! directory and ask no node (docs/decisions/0017-snapshots.md).

use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, ErrorKind};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use rustix::fs::{CWD, RenameFlags, renameat_with};
use rustix::io::Errno;
use serde::Serialize;
use tonle_model::hash::{BlockHash, Digest256};
use tonle_model::number::Height;
use tonle_wsv::state::Committed;
use tonle_wsv::state::snapshot::{
    FileError, Progress, SnapshotError, Source, Target, TargetError, open_source, read_file,
    write_file,
};

use crate::bar::Bar;
use crate::context::Context;
use crate::error::CliError;
use crate::genesis;
use crate::output::{Output, fields};

/// Bytes that are gathered before they are written or after they are read.
const BUFFER_BYTES: usize = 1024 * 1024;

const EXAMPLES: &str = "\
Examples:
  tonle snapshot create --data validator-0/data --out monday.snapshot
  tonle snapshot restore monday.snapshot --data new-node/data --genesis genesis.json

A snapshot is taken beside a running node, by whoever may read its directory. A restore checks all
of it against the genesis, needs no network, and fills a directory that holds no data of a node.";

/// What to do about snapshots.
#[derive(Debug, Subcommand)]
#[command(after_help = EXAMPLES)]
pub enum SnapshotCommand {
    /// Write the state of a node, which may be running, into a file
    Create {
        /// The node's data directory
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// Where to write it; never overwritten
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Fill an empty data directory from a file, checked against the genesis
    Restore {
        /// The file
        file: PathBuf,
        /// The new node's data directory
        #[arg(long, value_name = "DIR")]
        data: PathBuf,
        /// The genesis of the network: all that is trusted
        #[arg(long, value_name = "FILE")]
        genesis: PathBuf,
    },
}

#[derive(Serialize)]
struct Written {
    file: PathBuf,
    height: Height,
    pieces: u32,
    bytes: u64,
}

#[derive(Serialize)]
struct Restored {
    data: PathBuf,
    height: Height,
    block: BlockHash,
    state_root: Digest256,
    entries: u64,
    bytes: u64,
}

/// Does it.
pub fn run(command: SnapshotCommand, context: &Context) -> Result<(), CliError> {
    let output = &context.output;
    match command {
        SnapshotCommand::Create { data, out } => create(&data, &out, output),
        SnapshotCommand::Restore { file, data, genesis } => restore(&file, data, &genesis, output),
    }
}

fn create(data: &Path, out: &Path, output: &Output) -> Result<(), CliError> {
    if !data.join("state").is_dir() {
        let detail = format!("{} is not the data directory of a node", data.display());
        return Err(CliError::usage(detail).help("it is `data_dir` in the node's configuration"));
    }
    let directory = directory_of(out);
    if !directory.is_dir() {
        let detail = format!("there is no directory {}", directory.display());
        return Err(CliError::usage(detail).help("make it first, or name another file with --out"));
    }
    if fs::symlink_metadata(out).is_ok() {
        return Err(there_already(out));
    }
    let scratch = beside(out, "view");
    fs::create_dir(&scratch).map_err(|error| not_made(&scratch, &error))?;
    let written = make(data, out, &scratch, output);
    // What is left over is of no use to anyone.
    let _gone = fs::remove_dir_all(&scratch);
    let written = written?;
    output.show(&written, || {
        fields(&[
            ("file", written.file.display().to_string()),
            ("height", written.height.to_string()),
            ("bytes", written.bytes.to_string()),
        ])
    })
}

/// Writes the file under another name first, so that it is there as a whole or not at all.
fn make(data: &Path, out: &Path, scratch: &Path, output: &Output) -> Result<Written, CliError> {
    let partial = beside(out, "partial");
    let file = File::create_new(&partial).map_err(|error| not_made(&partial, &error))?;
    let written = open_source(data, scratch).map_err(failed).and_then(|source| {
        let progress = write(&source, file, &partial, output)?;
        publish(&partial, out)?;
        let (height, pieces) = (source.offer().height, progress.pieces);
        Ok(Written { file: out.into(), height, pieces, bytes: progress.bytes })
    });
    if written.is_err() {
        let _gone = fs::remove_file(&partial);
    }
    written
}

fn write(
    source: &Source,
    file: File,
    partial: &Path,
    output: &Output,
) -> Result<Progress, CliError> {
    let mut out = BufWriter::with_capacity(BUFFER_BYTES, file);
    let (mut bar, mut last) = (Bar::new(output), Progress::default());
    let mut told = |progress: Progress| {
        bar.draw(progress.pieces.into(), progress.pieces_of.into(), progress.bytes);
        last = progress;
    };
    write_file(source, &mut out, &mut told).map_err(file_failed)?;
    bar.end();
    out.get_ref().sync_all().map_err(|error| unwritable(partial, &error))?;
    Ok(last)
}

/// Gives what was written its name, durably. Another file of that name may have come meanwhile: it
/// stays.
fn publish(partial: &Path, out: &Path) -> Result<(), CliError> {
    rename_new(partial, out).map_err(|error| match error.kind() {
        ErrorKind::AlreadyExists => there_already(out),
        _ => unwritable(out, &error),
    })?;
    let directory = directory_of(out);
    let synced = File::open(directory).and_then(|directory| directory.sync_all());
    synced.map_err(|error| unwritable(directory, &error))
}

/// Renames a file; never replaces one.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
        // Not every file system can do that; those of a network often cannot.
        Err(Errno::INVAL | Errno::NOSYS) => link_new(from, to),
        renamed => renamed.map_err(io::Error::from),
    }
}

/// The same in two steps: a link never replaces a file either.
fn link_new(from: &Path, to: &Path) -> io::Result<()> {
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// A name beside a file.
fn beside(file: &Path, extension: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

/// Where a file is.
fn directory_of(file: &Path) -> &Path {
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
    parent.unwrap_or(Path::new("."))
}

fn restore(file: &Path, data: PathBuf, genesis: &Path, output: &Output) -> Result<(), CliError> {
    let genesis = genesis::read(genesis)?;
    let input = File::open(file)
        .map_err(|error| CliError::usage(format!("cannot read {}: {error}", file.display())))?;
    let target = Target::prepare(&data).map_err(target_failed)?;
    let (state, chain) = target.stores();
    let mut input = BufReader::with_capacity(BUFFER_BYTES, input);
    let (mut bar, mut last) = (Bar::new(output), Progress::default());
    let mut told = |progress: Progress| {
        bar.draw(progress.pieces.into(), progress.pieces_of.into(), progress.bytes);
        last = progress;
    };
    let read = read_file(&mut input, &genesis, state, chain, &mut told);
    bar.end();
    let committed = match read {
        Ok(committed) => committed,
        Err(error) => {
            target.abandon().map_err(target_failed)?;
            return Err(file_failed(error));
        }
    };
    target.complete().map_err(target_failed)?;
    let restored = restored(data, &committed, &last);
    output.show(&restored, || {
        fields(&[
            ("data", restored.data.display().to_string()),
            ("height", restored.height.to_string()),
            ("block", restored.block.to_string()),
            ("state root", restored.state_root.to_string()),
            ("entries", restored.entries.to_string()),
        ])
    })
}

fn restored(data: PathBuf, committed: &Committed, progress: &Progress) -> Restored {
    Restored {
        data,
        height: committed.height,
        block: committed.block,
        state_root: committed.result.state_root,
        entries: progress.entries,
        bytes: progress.bytes,
    }
}

fn unwritable(path: &Path, error: &io::Error) -> CliError {
    CliError::failed(format!("cannot write {}: {error}", path.display()))
}

fn there_already(out: &Path) -> CliError {
    CliError::usage(format!("{} is there already", out.display()))
        .help("it is not overwritten: name another file, or move it away")
}

/// What is made beside the file for as long as it is written could not be made.
fn not_made(path: &Path, error: &io::Error) -> CliError {
    match error.kind() {
        ErrorKind::AlreadyExists => CliError::usage(format!("{} is there already", path.display()))
            .help("another snapshot is being written here, or was cut short: then remove it"),
        _ => unwritable(path, error),
    }
}

fn target_failed(error: TargetError) -> CliError {
    match error {
        TargetError::NotEmpty(_) => CliError::usage(error.to_string())
            .help("give a directory that no node has used; nothing was changed"),
        TargetError::Busy(_) => CliError::usage(error.to_string()).help("nothing was changed"),
        error => CliError::failed(error.to_string()),
    }
}

fn file_failed(error: FileError) -> CliError {
    match error {
        FileError::Snapshot(error) => failed(error),
        FileError::Io(error) => CliError::failed(error.to_string()),
    }
}

fn failed(error: SnapshotError) -> CliError {
    let detail = error.to_string();
    match error {
        SnapshotError::OtherNetwork { .. } => CliError::refused("other_network", detail)
            .help("take the genesis and the snapshot of one network"),
        error if error.is_invalid() => CliError::refused("invalid_snapshot", detail)
            .help("it was damaged on its way or by whoever made it: take another; nothing is left"),
        _ => CliError::failed(detail),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Exit;
    use crate::output::Format;

    /// A directory with one that passes for a node's, as long as nobody reads it.
    fn home() -> (tempfile::TempDir, PathBuf) {
        let home = tempfile::tempdir().unwrap();
        let data = home.path().join("data");
        fs::create_dir_all(data.join("state")).unwrap();
        (home, data)
    }

    fn names(directory: &Path) -> Vec<String> {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut names: Vec<_> = names.collect();
        names.sort();
        names
    }

    fn refused(data: &Path, out: &Path) -> CliError {
        create(data, out, &Output::new(Format::Json)).unwrap_err()
    }

    #[test]
    fn what_is_there_already_is_named_and_left_alone() {
        for name in ["out", "out.view", "out.partial"] {
            let (home, data) = home();
            let path = home.path().join(name);
            fs::create_dir(&path).unwrap();
            fs::write(path.join("mine"), "text").unwrap();
            let error = refused(&data, &home.path().join("out"));
            assert_eq!(error.exit(), Exit::Usage);
            let told = format!("{} is there already", path.display());
            assert_eq!(error.to_string(), told);
            assert!(error.remedy().is_some());
            assert_eq!(fs::read(path.join("mine")).unwrap(), b"text");
            assert_eq!(names(home.path()), ["data", name]);
        }
        let (home, data) = home();
        let partial = home.path().join("out.partial");
        fs::write(&partial, "of somebody else").unwrap();
        assert_eq!(refused(&data, &home.path().join("out")).exit(), Exit::Usage);
        assert_eq!(fs::read(&partial).unwrap(), b"of somebody else");
        assert_eq!(names(home.path()), ["data", "out.partial"]);
    }

    #[test]
    fn a_directory_that_is_not_there_is_not_made() {
        let (home, data) = home();
        let directory = home.path().join("no").join("such");
        let error = refused(&data, &directory.join("out"));
        assert_eq!(error.exit(), Exit::Usage);
        let told = format!("there is no directory {}", directory.display());
        assert_eq!(error.to_string(), told);
        assert_eq!(names(home.path()), ["data"]);
        assert_eq!(directory_of(Path::new("out")), Path::new("."));
    }

    #[test]
    fn a_snapshot_that_fails_leaves_nothing() {
        let (home, data) = home();
        let error = refused(&data, &home.path().join("out"));
        assert_eq!(error.exit(), Exit::Refused, "{error}");
        assert_eq!(names(home.path()), ["data"]);
    }

    #[test]
    fn a_file_that_came_meanwhile_is_not_replaced() {
        let home = tempfile::tempdir().unwrap();
        let (partial, out) = (home.path().join("out.partial"), home.path().join("out"));
        for rename in [rename_new, link_new] {
            fs::write(&partial, "new").unwrap();
            fs::write(&out, "of somebody else").unwrap();
            assert_eq!(rename(&partial, &out).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert_eq!(publish(&partial, &out).unwrap_err().exit(), Exit::Usage);
            assert_eq!(fs::read(&out).unwrap(), b"of somebody else");
            fs::remove_file(&out).unwrap();
            rename(&partial, &out).unwrap();
            assert_eq!(fs::read(&out).unwrap(), b"new");
            assert_eq!(names(home.path()), ["out"]);
        }
    }
}
