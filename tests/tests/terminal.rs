//! Validators in the background, and the terminal that they were started from.

use std::process::Command;

use tonle_tests::localnet::{Localnet, binary};

/// Runs a command as the leader of a session on a terminal, which hangs up when the command ends.
const ON_A_TERMINAL: &str = "
import os, pty, sys
pid, terminal = pty.fork()
if pid == 0:
    os.execv(sys.argv[1], sys.argv[1:])
try:
    while os.read(terminal, 4096):
        pass
except OSError:
    pass
sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
";

#[test]
fn detached_validators_outlive_their_terminal_and_share_its_session() {
    let net = Localnet::start(4);
    net.ok(&["localnet", "down"]);
    let mut on_a_terminal = Command::new("python3");
    on_a_terminal.args(["-c", ON_A_TERMINAL]).arg(binary("tonle"));
    on_a_terminal.args(["localnet", "up", "--detach"]).env("TONLE_DIR", net.path());
    assert!(on_a_terminal.status().unwrap().success());
    net.ok(&["transfer", "--to", "dara@wing", "--amount", "100", "--asset", "khr#nbc", "--wait"]);
    net.agreed(1);
    // Priorities count only inside a session (docs/decisions/0016).
    let sessions: Vec<String> = (0..4).map(|index| session(&net, index)).collect();
    assert!(sessions.iter().all(|one| *one == sessions[0]), "{sessions:?}");
}

/// The session of a validator's process: the fourth value after its name, which may hold anything.
fn session(net: &Localnet, index: usize) -> String {
    let rows = net.json(&["localnet", "status"]);
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", rows[index]["pid"])).unwrap();
    let (_, values) = stat.rsplit_once(") ").unwrap();
    values.split(' ').nth(3).unwrap().to_owned()
}
