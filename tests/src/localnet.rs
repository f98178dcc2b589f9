//! A localnet of real processes, run by the `tonle` command as a user would.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};
use tonle_client::Client;
use tonle_model::hash::ChainHash;

/// Longest wait for anything. Much longer than anything takes: a test that needs it has failed.
pub const PATIENCE: Duration = Duration::from_secs(60);
/// Pause between two looks at what is waited for.
const PACE: Duration = Duration::from_millis(20);

/// A network that ends with the test.
pub struct Localnet {
    directory: TempDir,
    urls: Vec<String>,
    chain: ChainHash,
}

/// What one validator says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// Its number.
    pub index: u64,
    /// Its last committed height.
    pub height: u64,
    /// That block.
    pub hash: String,
    /// The state after it.
    pub state_root: String,
    /// What it does.
    pub role: String,
}

impl Localnet {
    /// Starts so many validators on free ports and waits until they are ready.
    pub fn start(validators: u16) -> Self {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let mut net = Self { directory, urls: Vec::new(), chain: ChainHash::default() };
        let count = validators.to_string();
        net.ok(&[
            "localnet",
            "up",
            "--detach",
            "--validators",
            &count,
            "--api-port",
            "0",
            "--p2p-port",
            "0",
        ]);
        let file = std::fs::read_to_string(net.path().join("localnet.json"));
        let file: Value = serde_json::from_str(&file.expect("localnet.json")).expect("JSON");
        net.chain = text(&file["chain"]).parse().expect("a chain hash");
        net.urls = net.rows_json().iter().map(|row| text(&row["url"])).collect();
        net
    }

    /// The localnet's directory.
    pub fn path(&self) -> PathBuf {
        self.directory.path().join("net")
    }

    /// The network's name.
    pub fn chain(&self) -> ChainHash {
        self.chain
    }

    /// Every validator's URL.
    pub fn urls(&self) -> &[String] {
        &self.urls
    }

    /// A client of one validator.
    pub fn client(&self, index: usize) -> Client {
        Client::new(&self.urls[index]).expect("a URL of localnet")
    }

    /// Runs `tonle` against this network.
    pub fn tonle(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("tonle runs")
    }

    /// Starts `tonle`; what it prints can be read while it runs.
    pub fn spawn(&self, arguments: &[&str]) -> Child {
        self.command(arguments).stdout(Stdio::piped()).spawn().expect("tonle runs")
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("tonle"));
        command
            .args(arguments)
            .env("TONLE_DIR", self.path())
            .env("XDG_STATE_HOME", self.directory.path().join("state"))
            .env("XDG_CONFIG_HOME", self.directory.path().join("config"));
        command
    }

    /// Runs `tonle`, which must succeed; returns what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.tonle(arguments);
        let printed = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success(),
            "tonle {arguments:?}: {}\n{printed}\n{}",
            output.status,
            String::from_utf8_lossy(&output.stderr)
        );
        printed
    }

    /// Runs `tonle … --output json`, which must succeed.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let printed = self.ok(&[arguments, &["--output", "json"]].concat());
        serde_json::from_str(&printed).expect("JSON as asked for")
    }

    /// Ends a validator with SIGKILL.
    pub fn kill(&self, index: usize) {
        self.ok(&["localnet", "kill", &index.to_string()]);
    }

    /// Starts it again.
    pub fn restart(&self, index: usize) {
        self.ok(&["localnet", "restart", &index.to_string()]);
    }

    /// What every reachable validator says.
    pub fn rows(&self) -> Vec<Row> {
        let rows = self.rows_json();
        let reachable = rows.iter().filter(|row| row["reachable"] == Value::Bool(true));
        reachable
            .map(|row| Row {
                index: row["index"].as_u64().expect("a number"),
                height: row["height"].as_u64().expect("a height"),
                hash: text(&row["hash"]),
                state_root: text(&row["state_root"]),
                role: text(&row["role"]),
            })
            .collect()
    }

    /// The highest height that any validator has committed.
    pub fn height(&self) -> u64 {
        self.rows().iter().map(|row| row.height).max().unwrap_or(0)
    }

    /// Waits until all validators answer and agree on one block of at least this height.
    pub fn agreed(&self, height: u64) -> Row {
        self.wait_for(&format!("agreement at height {height} or above"), || {
            let rows = self.rows();
            let first = rows.first()?.clone();
            let same = |row: &Row| {
                (row.height, &row.hash, &row.state_root)
                    == (first.height, &first.hash, &first.state_root)
            };
            let all = rows.len() == self.urls.len() && rows.iter().all(same);
            (all && first.height >= height).then_some(first)
        })
    }

    /// Looks again and again until there is something, or patience ends.
    pub fn wait_for<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let start = Instant::now();
        loop {
            if let Some(found) = look() {
                return found;
            }
            assert!(start.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}\n{}", self.logs());
            std::thread::park_timeout(PACE);
        }
    }

    /// The directory of a validator.
    pub fn validator(&self, index: usize) -> PathBuf {
        self.path().join(format!("validator-{index}"))
    }

    /// The last lines of every validator's log.
    pub fn logs(&self) -> String {
        let tail = |index| {
            let path = self.validator(index).join("log");
            let log = std::fs::read_to_string(path).unwrap_or_default();
            let lines: Vec<&str> = log.lines().rev().take(20).collect();
            let lines: Vec<&str> = lines.into_iter().rev().collect();
            format!("--- validator {index}\n{}\n", lines.join("\n"))
        };
        (0..self.urls.len()).map(tail).collect()
    }

    fn rows_json(&self) -> Vec<Value> {
        let rows = self.json(&["localnet", "status"]);
        rows.as_array().expect("a list").clone()
    }
}

impl Drop for Localnet {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        // Not `self.tonle`: a second panic would end the whole test run.
        let _left_running = self.command(&["localnet", "down"]).output();
    }
}

/// For what a test asks of nodes itself, one thing after the other. Nothing goes on in it meanwhile.
pub fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// A program built beside this one, or beside the directory of this test.
pub fn binary(name: &str) -> PathBuf {
    let own = std::env::current_exe().expect("a path");
    let places = own.ancestors().skip(1).take(2).map(|directory| directory.join(name));
    let there: Vec<PathBuf> = places.collect();
    match there.iter().find(|path| path.is_file()) {
        Some(path) => path.clone(),
        None => {
            eprintln!("{name} is missing: run `cargo build --release` first");
            there.last().cloned().unwrap_or_else(|| Path::new(name).to_owned())
        }
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
