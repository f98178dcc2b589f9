//! Passphrases: from `TONLE_PASSPHRASE`, a file, or the terminal without echo; never from a flag,
//! which other users of the machine could read.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroizing;

use crate::error::CliError;

const VARIABLE: &str = "TONLE_PASSPHRASE";

/// The passphrase of an existing key.
pub fn existing(file: Option<&Path>, prompt: &str) -> Result<Zeroizing<String>, CliError> {
    match given(file)? {
        Some(passphrase) => Ok(passphrase),
        None => Terminal::open()?.ask(prompt),
    }
}

/// The passphrase for a new key: asked for twice, since nobody sees what was typed.
pub fn fresh(file: Option<&Path>) -> Result<Zeroizing<String>, CliError> {
    if let Some(passphrase) = given(file)? {
        return Ok(passphrase);
    }
    let mut terminal = Terminal::open()?;
    let first = terminal.ask("new passphrase: ")?;
    match first == terminal.ask("once more: ")? {
        true => Ok(first),
        false => Err(CliError::usage("the two passphrases differ").help("try again")),
    }
}

fn given(file: Option<&Path>) -> Result<Option<Zeroizing<String>>, CliError> {
    if let Some(path) = file {
        let text = std::fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
            CliError::usage(format!("passphrase file {}: {error}", path.display()))
        })?;
        return Ok(Some(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned())));
    }
    Ok(std::env::var(VARIABLE).ok().map(Zeroizing::new))
}

/// The terminal itself, whatever standard input is connected to.
struct Terminal {
    input: BufReader<File>,
    output: File,
}

/// Restores the terminal even when reading fails.
struct EchoOff<'a> {
    terminal: &'a File,
    before: Termios,
}

impl Drop for EchoOff<'_> {
    fn drop(&mut self) {
        // Nothing can be done about a terminal that is gone.
        let _gone = tcsetattr(self.terminal, OptionalActions::Flush, &self.before);
    }
}

impl Terminal {
    fn open() -> Result<Self, CliError> {
        let open = || OpenOptions::new().read(true).write(true).open("/dev/tty");
        let none = |_| {
            CliError::usage("a passphrase is needed, and there is no terminal to ask on")
                .help(format!("give --passphrase-file or {VARIABLE}"))
        };
        let output = open().map_err(none)?;
        Ok(Self { input: BufReader::new(open().map_err(none)?), output })
    }

    fn ask(&mut self, prompt: &str) -> Result<Zeroizing<String>, CliError> {
        let failed = |error: std::io::Error| CliError::usage(format!("cannot ask: {error}"));
        write!(self.output, "{prompt}").map_err(failed)?;
        let mut line = Zeroizing::new(String::new());
        {
            let terminal = &self.output;
            let before = tcgetattr(terminal).map_err(|error| failed(error.into()))?;
            let mut silent = before.clone();
            silent.local_modes.remove(LocalModes::ECHO);
            tcsetattr(terminal, OptionalActions::Flush, &silent)
                .map_err(|error| failed(error.into()))?;
            let _echo_off = EchoOff { terminal, before };
            self.input.read_line(&mut line).map_err(failed)?;
        }
        writeln!(self.output).map_err(failed)?;
        Ok(Zeroizing::new(line.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_line_of_the_file_is_the_passphrase() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("passphrase");
        std::fs::write(&path, "mekong and tonle\nnot this\n").unwrap();
        assert_eq!(existing(Some(&path), "").unwrap().as_str(), "mekong and tonle");
        assert!(fresh(Some(&directory.path().join("missing"))).is_err());
    }
}
