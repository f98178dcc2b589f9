//! Clocks that are set wrong: a few lines of C that a process is started with.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::Outcome;
use super::system::run;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/preload/clock.c");
/// Read by that source.
const OFFSET: &str = "TONLE_CLOCK_OFFSET_S";

/// The library that moves a process's time of day.
pub struct WrongClock {
    library: PathBuf,
}

impl WrongClock {
    /// Compiles it into a directory.
    pub fn new(directory: &Path) -> Outcome<Self> {
        let library = directory.join("clock.so");
        let to = library.to_string_lossy();
        run("cc", &["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", &to, SOURCE])?;
        Ok(Self { library })
    }

    /// Gives the process of a command a clock that is off by so many seconds.
    pub fn set(&self, command: &mut Command, offset_s: i64) {
        command.env("LD_PRELOAD", &self.library).env(OFFSET, offset_s.to_string());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::{SystemTime, UNIX_EPOCH};

    #[test]
    fn a_clock_is_off_by_what_it_was_set_to() {
        let directory = tempfile::tempdir().unwrap();
        let clock = WrongClock::new(directory.path()).unwrap();
        let mut date = Command::new("date");
        clock.set(date.arg("+%s"), -3_600);
        let shown = String::from_utf8(date.output().unwrap().stdout).unwrap();
        let shown: u64 = shown.trim().parse().unwrap();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        assert!((now - 3_600).abs_diff(shown) <= 5, "{shown} is not an hour before {now}");
    }
}
