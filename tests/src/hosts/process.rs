//! Processes of this machine, as `/proc` tells of them.

use std::fs;
use std::path::Path;

/// Whether a text is the number of a process that is no more.
pub fn is_gone(process: &str) -> bool {
    process.parse::<u32>().is_ok_and(|number| !Path::new(&format!("/proc/{number}")).exists())
}

/// Whether every thread of a process stands still, as some time after SIGSTOP.
pub fn stands_still(process: u32) -> bool {
    let Ok(threads) = fs::read_dir(format!("/proc/{process}/task")) else { return false };
    threads.flatten().all(|thread| {
        let stat = fs::read_to_string(thread.path().join("stat")).unwrap_or_default();
        // The state stands behind the name, which may have parentheses of its own.
        stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    use rustix::process::{Pid, Signal, kill_process};

    use crate::hosts::{PATIENCE, wait_for};

    #[test]
    fn a_process_is_gone_if_it_has_a_number_and_does_not_run() {
        assert!(is_gone("4194305"), "no process has that number");
        assert!(!is_gone(&std::process::id().to_string()));
        assert!(!is_gone("") && !is_gone("x") && !is_gone("-1"));
    }

    #[test]
    fn only_a_stopped_process_stands_still() {
        assert!(!stands_still(std::process::id()) && !stands_still(4_194_305));
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        let pid = Pid::from_raw(i32::try_from(child.id()).unwrap()).unwrap();
        kill_process(pid, Signal::STOP).unwrap();
        let still = || Ok(stands_still(child.id()).then_some(()));
        let waited = wait_for("it to stand still", PATIENCE, still);
        child.kill().unwrap();
        child.wait().unwrap();
        waited.unwrap();
    }
}
