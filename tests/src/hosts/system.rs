//! Commands of the system: run, checked, and named when they are missing.

use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use super::Outcome;

/// Where programs of the administrator are, which not every shell looks through.
const ADMINISTRATION: &str = "/usr/local/sbin:/usr/sbin:/sbin";
/// What hosts are made of. `scripts/install-packages.sh` installs them.
const PROGRAMS: [&str; 10] =
    ["ip", "nft", "nsenter", "setpriv", "mount", "umount", "mkfs.ext4", "losetup", "python3", "cc"];

/// Fails unless hosts can be made here. There is no skipping: what was not run shows nothing.
pub fn check() -> Outcome<()> {
    if !rustix::process::geteuid().is_root() {
        return Err(
            "hosts are network namespaces, which only root can make: run this as root, or \
                    in a virtual machine where you are root"
                .to_owned(),
        );
    }
    let paths = search_path();
    let there = |program: &&str| {
        paths.split(':').any(|directory| Path::new(directory).join(program).is_file())
    };
    let missing: Vec<_> = PROGRAMS.into_iter().filter(|program| !there(program)).collect();
    match missing.is_empty() {
        true => Ok(()),
        false => Err(format!("missing: {}; run scripts/install-packages.sh", missing.join(", "))),
    }
}

/// A command that is found wherever the system keeps it.
pub fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    command.env("PATH", search_path());
    command
}

/// Runs a command, which must succeed; returns what it printed.
pub fn run(program: &str, arguments: &[&str]) -> Outcome<String> {
    run_with(command(program).args(arguments), "")
}

/// Runs a command with a text to read, which must succeed; returns what it printed.
pub fn run_with(command: &mut Command, input: &str) -> Outcome<String> {
    let describe = format!("{command:?}");
    let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = started.spawn().map_err(|error| format!("{describe}: {error}"))?;
    if let Some(mut pipe) = child.stdin.take() {
        // A command that does not read to the end says why when it ends.
        let _closed = pipe.write_all(input.as_bytes());
    }
    let output = child.wait_with_output().map_err(|error| format!("{describe}: {error}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{describe}: {}: {}", output.status, said.trim()))
        }
    }
}

fn search_path() -> String {
    format!("{}:{ADMINISTRATION}", std::env::var("PATH").unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_that_fails_says_what_it_said() {
        let error = run("sh", &["-c", "echo no such host >&2; exit 3"]).unwrap_err();
        assert!(error.contains("no such host") && error.contains('3'), "{error}");
        assert_eq!(run_with(&mut command("cat"), "read").unwrap(), "read");
        assert!(run("no-such-program", &[]).is_err());
    }
}
