//! `tonle localnet logs`: what validators logged.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::Path;
use std::time::Duration;

use super::LogsArgs;
use super::state::Localnet;
use crate::context::Context;
use crate::error::CliError;
use crate::output::reader_gone;

/// How much of the end of a log is looked at.
const TAIL_BYTES: u64 = 1024 * 1024;
/// How often a log is looked at for more.
const PACE: Duration = Duration::from_millis(200);

/// Prints the last lines, and goes on if asked to.
pub async fn run(args: LogsArgs, context: &Context) -> Result<(), CliError> {
    let localnet = Localnet::find(context.dir.as_deref())?;
    let indices: Vec<u16> = match args.index {
        Some(index) => vec![localnet.validator(index)?.index],
        None => localnet.validators.iter().map(|validator| validator.index).collect(),
    };
    let mut files = Vec::new();
    for index in indices {
        let path = localnet.log(index);
        let text = tail(&path, args.lines)
            .map_err(|error| CliError::usage(format!("log of validator {index}: {error}")))?;
        let prefix = args.index.is_none().then_some(index);
        print(prefix, &text)?;
        let mut file = File::open(&path)?;
        file.seek(SeekFrom::End(0))?;
        files.push((prefix, file));
    }
    if !args.follow {
        return Ok(());
    }
    tokio::select! {
        result = follow(files) => result,
        () = reader_gone() => Ok(()),
    }
}

/// Prints what is added to the logs, for ever.
async fn follow(mut files: Vec<(Option<u16>, File)>) -> Result<(), CliError> {
    loop {
        for (prefix, file) in &mut files {
            let mut bytes = Vec::new();
            file.read_to_end(&mut bytes)?;
            print(*prefix, &String::from_utf8_lossy(&bytes))?;
        }
        tokio::time::sleep(PACE).await;
    }
}

fn print(index: Option<u16>, text: &str) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    for line in text.lines() {
        let written = match index {
            Some(index) => writeln!(out, "{index} | {line}"),
            None => writeln!(out, "{line}"),
        };
        match written {
            Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => std::process::exit(0),
            result => result?,
        }
    }
    Ok(())
}

/// The last lines of a log.
pub fn tail(path: &Path, lines: usize) -> Result<String, std::io::Error> {
    let mut file = File::open(path)?;
    let length = file.metadata()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut bytes = Vec::new();
    file.take(TAIL_BYTES).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let all: Vec<_> = text.lines().collect();
    Ok(all.iter().skip(all.len().saturating_sub(lines)).fold(String::new(), |mut text, line| {
        text.push_str(line);
        text.push('\n');
        text
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_log_is_its_last_lines() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        std::fs::write(&path, "one\ntwo\nthree\n").unwrap();
        assert_eq!(tail(&path, 2).unwrap(), "two\nthree\n");
        assert_eq!(tail(&path, 20).unwrap(), "one\ntwo\nthree\n");
    }
}
