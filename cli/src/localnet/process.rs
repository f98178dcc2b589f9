//! A validator's process: started in a process group of its own, recognized, signalled, waited for.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, set_parent_process_death_signal};

use crate::error::CliError;

/// Names another `tonled`.
const VARIABLE: &str = "TONLED";
/// How often a process is looked at while waiting for its end.
const PACE: Duration = Duration::from_millis(5);
/// How often a process without arguments is looked at before it counts as a stranger.
const LOOKS_MAX: u32 = 200;
/// Room for all arguments of a validator's process: two paths and some words.
const ARGUMENTS_BYTES_MAX: usize = 16 * 1024;

/// Whether the validator outlives the command that starts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    /// It ends with this process.
    Attached,
    /// It stays.
    Detached,
}

/// Where `tonled` is: named by `TONLED`, or beside this program.
pub fn find_program() -> Result<PathBuf, CliError> {
    let here = std::env::current_exe()?;
    let program = match std::env::var_os(VARIABLE).filter(|value| !value.is_empty()) {
        Some(named) => std::path::absolute(named)?,
        None => here.with_file_name("tonled"),
    };
    match program.is_file() {
        true => Ok(program),
        false => Err(CliError::usage(format!("there is no {}", program.display()))
            .help("build it with `cargo build --release`, or name it with TONLED")),
    }
}

/// Starts a validator. The new process is first this program, which ties itself to its parent if it
/// is attached, and then becomes `tonled` under the same number.
///
/// It leads a process group, so that neither Ctrl-C nor the end of the terminal reaches it. It has no
/// session of its own: Linux weighs the threads of one session against each other and then the
/// sessions as wholes (sched(7), autogroup), and validators that share a machine could no longer
/// stand back for each other (docs/decisions/0016).
pub fn start(program: &Path, config: &Path, log: &Path, life: Life) -> Result<Child, CliError> {
    let log = File::options().create(true).append(true).open(log)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["localnet", "run"]);
    if life == Life::Attached {
        command.arg("--attached");
    }
    command.arg(program).arg(config);
    // What the user set for a node of their own must not reach these, nor must our own settings.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("TONLED_") || text.starts_with("TONLE_") {
            command.env_remove(&name);
        }
    }
    // A log file is no terminal.
    command.env("NO_COLOR", "1");
    command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
    let child = command.process_group(0).spawn()?;
    Ok(child)
}

/// Becomes `tonled`; returns only if that fails.
pub fn become_validator(program: &Path, config: &Path, attached: bool) -> CliError {
    if attached && let Err(error) = set_parent_process_death_signal(Some(Signal::TERM)) {
        return CliError::failed(format!("cannot tie the process to its parent: {error}"));
    }
    let error = Command::new(program).arg("--config").arg(config).exec();
    CliError::failed(format!("cannot run {}: {error}", program.display()))
}

/// Whether that process runs and is the validator with that configuration: numbers are used again,
/// and a stranger must never be signalled.
pub fn runs(pid: u32, config: &Path) -> bool {
    let directory = PathBuf::from(format!("/proc/{pid}"));
    if !Path::new("/proc/self").exists() {
        // No /proc: all that can be known is that there is such a process.
        return signal_number(pid)
            .is_some_and(|pid| rustix::process::test_kill_process(pid).is_ok());
    }
    let wanted = config.as_os_str().as_encoded_bytes();
    let ours = arguments_in(Path::new("/proc/self")).unwrap_or_default();
    for _ in 0..LOOKS_MAX {
        let Ok(arguments) = arguments_in(&directory) else { return false };
        if let Some(is_validator) = is_among(&arguments, wanted, &ours) {
            return is_validator;
        }
        if has_ended(&directory) {
            return false;
        }
        std::thread::sleep(PACE);
    }
    false
}

/// Whether a process has the argument; not known of one that is becoming another program. Such a
/// one has no arguments for a moment, and before that, if it is new, those of its parent: this one.
fn is_among(arguments: &[u8], wanted: &[u8], ours: &[u8]) -> Option<bool> {
    let is_becoming_another = arguments.is_empty() || arguments == ours;
    (!is_becoming_another).then(|| arguments.split(|byte| *byte == 0).any(|one| one == wanted))
}

/// The arguments of a process, each ended by a zero byte. Read in one piece: in several, it could
/// become another program between two, and what came of both would be nobody's.
fn arguments_in(directory: &Path) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; ARGUMENTS_BYTES_MAX];
    let length = File::open(directory.join("cmdline"))?.read(&mut bytes)?;
    bytes.truncate(length);
    Ok(bytes)
}

/// Whether a process is over and only its parent has not looked yet. As long as one of its threads
/// is on its way out of the kernel, its ports and files are still taken.
fn has_ended(directory: &Path) -> bool {
    let threads = fs::read_dir(directory.join("task")).map_or(0, Iterator::count);
    let stat = fs::read_to_string(directory.join("stat")).unwrap_or_default();
    // The state follows the name, which stands in parentheses and may hold anything.
    let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
    threads <= 1 && matches!(state, None | Some('Z' | 'X'))
}

fn signal_number(pid: u32) -> Option<Pid> {
    i32::try_from(pid).ok().and_then(Pid::from_raw)
}

/// Signals a validator's process, if it runs.
pub fn signal(pid: u32, config: &Path, signal: Signal) {
    if runs(pid, config)
        && let Some(pid) = signal_number(pid)
    {
        // It may end by itself at this very moment.
        let _gone = kill_process(pid, signal);
    }
}

/// Waits for the end of a validator's process; false if it is still there at the deadline.
pub async fn wait_for_end(pid: u32, config: &Path, deadline: Instant) -> bool {
    while runs(pid, config) {
        if Instant::now() >= deadline {
            return false;
        }
        tokio::time::sleep(PACE).await;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_process_is_not_judged_by_the_arguments_of_its_parent() {
        let ours = b"tonle\0localnet\0up\0";
        assert_eq!(is_among(ours, b"config.toml", ours), None);
        assert_eq!(is_among(b"", b"config.toml", ours), None);
        assert_eq!(is_among(b"tonled\0--config\0config.toml\0", b"config.toml", ours), Some(true));
        assert_eq!(is_among(b"tonled\0--config\0other.toml\0", b"config.toml", ours), Some(false));
    }

    fn sleeper() -> Child {
        Command::new("sleep").arg("600").spawn().unwrap()
    }

    #[test]
    fn a_process_that_becomes_another_is_no_stranger_meanwhile() {
        // An argument that both have, at another place, and long enough to be read in pieces.
        let argument = format!("{:0>300}", 600);
        for _ in 0..50 {
            let mut child = Command::new("sh")
                .args(["-c", "exec sleep \"$0\"", &argument])
                .stdin(Stdio::null())
                .spawn()
                .unwrap();
            let pid = child.id();
            let name = || fs::read_to_string(format!("/proc/{pid}/comm")).unwrap();
            let deadline = Instant::now() + Duration::from_secs(10);
            let mut slept = false;
            while !slept {
                slept = name() == "sleep\n";
                assert!(runs(pid, Path::new(&argument)));
                assert!(Instant::now() < deadline);
            }
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    #[test]
    fn a_process_is_not_over_before_its_last_thread() {
        let code = "import ctypes, threading, time\n\
                    threading.Thread(target=time.sleep, args=(600,)).start()\n\
                    ctypes.CDLL(None).pthread_exit(None)";
        let mut child = Command::new("python3").args(["-c", code]).spawn().unwrap();
        let directory = PathBuf::from(format!("/proc/{}", child.id()));
        let deadline = Instant::now() + Duration::from_secs(10);
        let wait_until = |check: &dyn Fn() -> bool| {
            while !check() {
                assert!(Instant::now() < deadline);
                std::thread::sleep(PACE);
            }
        };
        let stat = || fs::read_to_string(directory.join("stat")).unwrap();
        wait_until(&|| stat().contains(") Z "));
        assert!(!has_ended(&directory));
        child.kill().unwrap();
        wait_until(&|| has_ended(&directory));
        child.wait().unwrap();
    }

    #[tokio::test]
    async fn only_the_process_with_that_configuration_is_signalled() {
        let mut child = sleeper();
        let pid = child.id();
        let (its_own, other) = (Path::new("600"), Path::new("/other/config.toml"));
        // Between fork and exec the arguments are still those of this test.
        let deadline = Instant::now() + Duration::from_secs(10);
        while !runs(pid, its_own) && Instant::now() < deadline {
            tokio::task::yield_now().await;
        }
        assert!(runs(pid, its_own));
        assert!(!runs(pid, other));
        signal(pid, other, Signal::KILL);
        assert!(child.try_wait().unwrap().is_none(), "a stranger was signalled");
        assert!(!wait_for_end(pid, its_own, Instant::now()).await);
        signal(pid, its_own, Signal::KILL);
        assert!(wait_for_end(pid, its_own, deadline).await);
        child.wait().unwrap();
    }
}
