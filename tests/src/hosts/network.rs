//! A network of validators on hosts: started, ended, paused, cut apart and looked at.

use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tonle_client::api::NodeStatus;
use tonle_client::keyfile::KeyFile;
use tonle_client::{Client, ClientError};
use tonle_model::key::{KeyPair, PublicKey};
use tonle_model::number::Height;

use super::book::{Crowd, Head};
use super::bridge::Hosts;
use super::clock::WrongClock;
use super::delay::{Delay, forward};
use super::disk::{self, Disk, Kind};
use super::load::{Clients, Load, Pace};
use super::people::{ACCOUNTS, People};
use super::process::stands_still;
use super::{Outcome, PATIENCE, wait_for};
use crate::localnet::binary;
use crate::payments::now_ms;

/// How many validators the network of every case has; f is 1.
pub const VALIDATORS: usize = 4;
const API_PORT: u16 = 8080;
const P2P_PORT: u16 = 9080;
/// Threads for clients and proxies, beside validators that need the cores.
const THREADS: usize = 2;
/// Blocks behind the highest at which a validator that follows counts as caught up: while blocks
/// keep coming nobody is always at the last one.
const BEHIND_MAX: u64 = 3;
/// Lines of a log that tell what went wrong.
const LOG_LINES: usize = 15;
/// Longest a validator may take to end when asked to.
const END: Duration = Duration::from_secs(10);
/// Pause between two looks at the processes while a fault lasts.
const PACE: Duration = Duration::from_millis(50);

/// What is unusual about a network.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// One more host, whose node only follows; it is not started with the others.
    pub observer: Option<Join>,
    /// The last validator lies: it is led by the program `byzantine`.
    pub liar: bool,
    /// Links between hosts lead through proxies that can be slowed down.
    pub slow_links: bool,
    /// Where validators keep their data.
    pub disks: Disks,
    /// Seconds that the clock of the last validator is off.
    pub clock_offset_s: i64,
}

/// How a node that only follows comes by the past.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Join {
    /// It executes every block.
    Genesis,
    /// It takes a state from its peers.
    Snapshot,
}

/// Where validators keep their data.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Disks {
    /// In a directory of the machine.
    #[default]
    Shared,
    /// On a disk each, which loses its power when told.
    Own,
    /// All on one small disk.
    Small {
        /// Its size.
        mib: u64,
        /// The free space below which validators take nothing in (operating.md).
        reserve_mib: u64,
    },
}

/// The network. It ends with the test, whatever came of it.
pub struct Network {
    // In this order: processes end before their disks go, and those before their hosts.
    nodes: Vec<Node>,
    /// Disks of its own, if it was told to have some.
    pub disks: Vec<Disk>,
    /// The links.
    pub hosts: Hosts,
    /// How slow the links are, if they can be slow.
    pub delay: Delay,
    clients: Arc<Clients>,
    wrong_clock: Option<(WrongClock, i64)>,
    liar: bool,
    runtime: Option<Runtime>,
    directory: TempDir,
}

struct Node {
    directory: PathBuf,
    child: Option<Child>,
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // It may have ended by itself.
            let _ended = child.kill();
            let _reaped = child.wait();
        }
    }
}

impl Network {
    /// Starts validators and waits until each is ready for work.
    pub fn start(options: &Options) -> Outcome<Self> {
        let count = VALIDATORS + usize::from(options.observer.is_some());
        let hosts = Hosts::new(count)?;
        let people = People::default();
        let genesis = people.genesis();
        let prefix = format!("{}{}-", disk::PREFIX, std::process::id());
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir();
        let directory = directory.map_err(|error| error.to_string())?;
        let nodes = (0..count).map(|index| {
            let directory = directory.path().join(format!("validator-{index}"));
            fs::create_dir_all(directory.join("data")).map_err(|error| error.to_string())?;
            Ok(Node { directory, child: None })
        });
        let nodes = nodes.collect::<Outcome<Vec<_>>>()?;
        let text = serde_json::to_string(&genesis).map_err(|error| error.to_string())?;
        fs::write(directory.path().join("genesis.json"), text).map_err(|e| e.to_string())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(THREADS)
            .enable_all()
            .build()
            .map_err(|error| error.to_string())?;
        let urls = (0..VALIDATORS).map(|index| url(&hosts, index));
        let api = urls.map(|url| Client::new(&url).map_err(|error| error.to_string()));
        let clients = Clients::new(people, genesis.chain(), api.collect::<Outcome<Vec<_>>>()?);
        let mut network = Self {
            nodes,
            disks: Vec::new(),
            hosts,
            delay: Delay::default(),
            clients: Arc::new(clients),
            wrong_clock: None,
            liar: options.liar,
            runtime: Some(runtime),
            directory,
        };
        network.prepare(options)?;
        (0..VALIDATORS).try_for_each(|index| network.spawn(index))?;
        (0..VALIDATORS).try_for_each(|index| network.ready(index))?;
        for index in 0..VALIDATORS {
            network.runtime().spawn(network.clients.clone().follow(index));
        }
        Ok(network)
    }

    fn prepare(&mut self, options: &Options) -> Outcome<()> {
        if options.clock_offset_s != 0 {
            let clock = WrongClock::new(self.directory.path())?;
            self.wrong_clock = Some((clock, options.clock_offset_s));
        }
        match options.disks {
            Disks::Shared => {}
            Disks::Own => {
                let kind = Kind::Image { mib: 1_024 };
                for node in &self.nodes {
                    self.disks.push(Disk::new(kind, &node.directory.join("data"))?);
                }
            }
            Disks::Small { mib, .. } => {
                let place = self.directory.path().join("disk");
                fs::create_dir(&place).map_err(|error| error.to_string())?;
                self.disks.push(Disk::new(Kind::Memory { mib }, &place)?);
                for index in 0..self.nodes.len() {
                    let data = place.join(format!("validator-{index}"));
                    fs::create_dir(data).map_err(|error| error.to_string())?;
                }
            }
        }
        (0..self.nodes.len()).try_for_each(|index| self.configure(index, options))
    }

    /// Writes a node's key and configuration.
    fn configure(&self, index: usize, options: &Options) -> Outcome<()> {
        let directory = &self.nodes[index].directory;
        let failed = |error: &dyn std::fmt::Display| error.to_string();
        let key = KeyFile::plain(key(index));
        key.write_new(&directory.join("key")).map_err(|error| failed(&error))?;
        let (data, reserve_mb) = match options.disks {
            Disks::Shared => ("data".to_owned(), 256),
            Disks::Own => ("data".to_owned(), 32),
            Disks::Small { reserve_mib, .. } => (format!("../disk/validator-{index}"), reserve_mib),
        };
        let address = self.hosts.address(index);
        let observer = key_text(VALIDATORS);
        let mut text = format!(
            "genesis = \"../genesis.json\"\ndata_dir = \"{data}\"\nkey_file = \"key\"\n\
             api = \"{address}:{API_PORT}\"\np2p = \"{address}:{P2P_PORT}\"\n\
             disk_reserve_mb = {reserve_mb}\nobservers = [\"{observer}\"]\n"
        );
        if index == VALIDATORS && options.observer == Some(Join::Snapshot) {
            text += "join = \"snapshot\"\n";
        }
        for peer in (0..VALIDATORS).filter(|peer| *peer != index) {
            let target = SocketAddr::new(IpAddr::V4(self.hosts.address(peer)), P2P_PORT);
            let address = match options.slow_links {
                true => self.proxy(target)?,
                false => target,
            };
            let key = key_text(peer);
            text += &format!("\n[[peers]]\npublic_key = \"{key}\"\naddress = \"{address}\"\n");
        }
        fs::write(directory.join("config.toml"), text).map_err(|error| failed(&error))
    }

    /// A proxy on this machine that leads to a host.
    fn proxy(&self, target: SocketAddr) -> Outcome<SocketAddr> {
        let own = SocketAddr::new(IpAddr::V4(self.hosts.machine()), 0);
        let runtime = self.runtime();
        let listener = runtime.block_on(TcpListener::bind(own)).map_err(|e| e.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        runtime.spawn(forward(listener, target, self.delay.clone()));
        Ok(address)
    }

    /// Starts a node and waits for nothing.
    pub fn spawn(&mut self, index: usize) -> Outcome<()> {
        let directory = &self.nodes[index].directory;
        let log = File::options().create(true).append(true).open(directory.join("log"));
        let log = log.map_err(|error| error.to_string())?;
        let lies = self.liar && index == VALIDATORS - 1;
        let program = if lies { "byzantine" } else { "tonled" };
        let mut command = self.hosts.on(index, &binary(program));
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TONLED_") {
                command.env_remove(&name);
            }
        }
        if let Some((clock, offset_s)) = &self.wrong_clock
            && index == VALIDATORS - 1
        {
            clock.set(&mut command, *offset_s);
        }
        command.arg("--config").arg(directory.join("config.toml"));
        // A log file is no terminal.
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command.stdout(log.try_clone().map_err(|error| error.to_string())?).stderr(log);
        let child = command.spawn().map_err(|error| format!("{program}: {error}"))?;
        self.nodes[index].child = Some(child);
        Ok(())
    }

    /// Waits until a validator says that it is ready for work.
    pub fn ready(&mut self, index: usize) -> Outcome<()> {
        let mut last = String::new();
        let what = format!("validator {index} to be ready");
        let ready = wait_for(&what, PATIENCE, || {
            if let Some(status) = self.ended(index) {
                return Err(format!("validator {index} ended: {status}\n{}", self.log_tail(index)));
            }
            match self.ask(self.clients.nodes()[index].health()) {
                Ok(()) => Ok(Some(())),
                Err(error) => {
                    last = error.to_string();
                    Ok(None)
                }
            }
        });
        ready.map(drop).map_err(|error| format!("{error}: {last}"))
    }

    /// Ends a validator with SIGKILL.
    pub fn kill(&mut self, index: usize) -> Outcome<()> {
        self.kill_all(&[index])
    }

    /// Ends validators with SIGKILL, all at one moment.
    pub fn kill_all(&mut self, indices: &[usize]) -> Outcome<()> {
        indices.iter().try_for_each(|index| self.signal(*index, Signal::KILL))?;
        for index in indices {
            if let Some(mut child) = self.nodes[*index].child.take() {
                child.wait().map_err(|error| error.to_string())?;
            }
        }
        Ok(())
    }

    /// Asks a validator to end, which it must do by itself.
    pub fn stop(&mut self, index: usize) -> Outcome<()> {
        self.signal(index, Signal::TERM)?;
        let what = format!("validator {index} to end");
        let (status, _) = wait_for(&what, END, || Ok(self.ended(index)))?;
        self.nodes[index].child = None;
        match status.success() {
            true => Ok(()),
            false => Err(format!("validator {index} ended with {status}")),
        }
    }

    /// Sends a signal to a validator.
    pub fn signal(&self, index: usize, signal: Signal) -> Outcome<()> {
        let id = self.nodes[index].child.as_ref().map(Child::id);
        let pid = id.and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        let pid = pid.ok_or_else(|| format!("validator {index} does not run"))?;
        kill_process(pid, signal).map_err(|error| format!("validator {index}: {error}"))
    }

    /// Stops validators in the middle of whatever they do; no thread of theirs runs any more.
    pub fn freeze(&self, indices: &[usize]) -> Outcome<()> {
        indices.iter().try_for_each(|index| self.signal(*index, Signal::STOP))?;
        let still = || {
            let mut children = indices.iter().filter_map(|index| self.nodes[*index].child.as_ref());
            Ok(children.all(|child| stands_still(child.id())).then_some(()))
        };
        wait_for("validators to stand still", PATIENCE, still).map(drop)
    }

    /// Lets validators go on that were stopped.
    pub fn thaw(&self, indices: &[usize]) -> Outcome<()> {
        indices.iter().try_for_each(|index| self.signal(*index, Signal::CONT))
    }

    /// How a node ended, if it did by itself.
    fn ended(&mut self, index: usize) -> Option<ExitStatus> {
        self.nodes[index].child.as_mut()?.try_wait().ok()?
    }

    /// Forgets a process that ended by itself; tells its exit code, and fails if a signal ended it.
    fn reap(&mut self, index: usize) -> Outcome<Option<i32>> {
        let Some(status) = self.ended(index) else { return Ok(None) };
        self.nodes[index].child = None;
        match (status.code(), status.signal()) {
            (Some(code), _) => Ok(Some(code)),
            (None, signal) => Err(format!("validator {index} was ended by signal {signal:?}")),
        }
    }

    /// Lets some time pass while a fault lasts. No validator may end by itself meanwhile.
    pub fn hold(&mut self, time: Duration) -> Outcome<()> {
        let end = Instant::now() + time;
        loop {
            for index in 0..self.nodes.len() {
                if let Some(status) = self.ended(index) {
                    let log = self.log_tail(index);
                    return Err(format!("validator {index} ended by itself: {status}\n{log}"));
                }
            }
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(());
            }
            std::thread::park_timeout(left.min(PACE));
        }
    }

    /// Lets some time pass in which validators may end by themselves; tells which did, and their
    /// exit codes.
    pub fn watch_ends(&mut self, time: Duration) -> Outcome<Vec<(usize, i32)>> {
        let end = Instant::now() + time;
        let mut ends = Vec::new();
        while Instant::now() < end {
            ends.extend(self.ends()?);
            std::thread::park_timeout(PACE);
        }
        Ok(ends)
    }

    /// Which validators ended by themselves since they were last looked at, and their exit codes.
    pub fn ends(&mut self) -> Outcome<Vec<(usize, i32)>> {
        let mut ends = Vec::new();
        for index in 0..self.nodes.len() {
            ends.extend(self.reap(index)?.map(|code| (index, code)));
        }
        Ok(ends)
    }

    /// Everyone pays.
    pub fn pay(&self, pace: Pace) -> Load {
        let everyone = 0..u16::try_from(ACCOUNTS).expect("a few hundred accounts");
        self.pay_from(everyone, pace, Crowd::Many)
    }

    /// Some accounts pay.
    pub fn pay_from(&self, payers: std::ops::Range<u16>, pace: Pace, crowd: Crowd) -> Load {
        Load::start(self.clients.clone(), self.runtime().handle(), pace, payers, crowd)
    }

    /// Waits until so many blocks more were shown.
    pub fn blocks(&self, count: u64) -> Outcome<Duration> {
        let wanted = Height(self.clients.book().height().0 + count);
        let there = || Ok((self.clients.book().height() >= wanted).then_some(()));
        wait_for(&format!("{count} blocks"), PATIENCE, there).map(|(_, time)| time)
    }

    /// Waits until the first block is shown that was proposed after a moment; tells how long after
    /// it that was.
    pub fn first_block_after(&self, moment: Instant) -> Outcome<Duration> {
        // What the wall clock said then, or a millisecond more; never less.
        let since_ms = u64::try_from(moment.elapsed().as_millis()).unwrap_or(u64::MAX);
        let moment_ms = now_ms().saturating_sub(since_ms);
        let first = || Ok(self.clients.book().first_after(moment, moment_ms));
        let (at, _) = wait_for("a block", PATIENCE, first)?;
        Ok(at - moment)
    }

    /// Waits until a validator is where the others are, past where anyone was at that moment;
    /// tells how long after the moment that was.
    pub fn caught_up_after(&self, index: usize, moment: Instant) -> Outcome<Duration> {
        let least = self.clients.book().height();
        let what = format!("validator {index} to catch up");
        let look = || {
            let book = self.clients.book();
            let head = book.head(index);
            let near = head.height.0 + BEHIND_MAX >= book.height().0;
            Ok((near && head.height >= least && head.at > moment).then_some(head))
        };
        let (head, _): (Head, _) = wait_for(&what, PATIENCE, look)?;
        Ok(head.at - moment)
    }

    /// Waits until all these validators say the same of one block.
    pub fn agreed(&self, indices: &[usize]) -> Outcome<NodeStatus> {
        let look = || {
            let all: Result<Vec<_>, _> = indices.iter().map(|index| self.status(*index)).collect();
            let Ok(all) = all else { return Ok(None) };
            let said = |status: &NodeStatus| (status.height, status.hash, status.state_root);
            let first = all.first().ok_or("nobody to agree")?;
            let same = all.iter().all(|status| said(status) == said(first));
            let highest = first.height >= self.clients.book().height();
            Ok((same && highest).then(|| first.clone()))
        };
        wait_for("validators to agree", PATIENCE, look).map(|(status, _)| status)
    }

    /// What a node says of itself.
    pub fn status(&self, index: usize) -> Result<NodeStatus, ClientError> {
        self.ask(self.client(index)?.node_status())
    }

    /// Who a validator is.
    pub fn public_key(&self, index: usize) -> PublicKey {
        key(index).public_key()
    }

    /// A way to a node, also to the one that only follows.
    pub fn client(&self, index: usize) -> Result<Client, ClientError> {
        Client::new(&url(&self.hosts, index))
    }

    /// A number that a validator counts; 0 if it does not.
    pub fn metric(&self, index: usize, name: &str) -> Outcome<f64> {
        let text = self.ask(self.clients.nodes()[index].metrics());
        let text = text.map_err(|error| error.to_string())?;
        let line = text.lines().find(|line| line.split(' ').next() == Some(name));
        let value = line.and_then(|line| line.split(' ').nth(1)).unwrap_or("0");
        value.parse().map_err(|_| format!("{name} is {value}"))
    }

    /// Waits for an answer.
    pub fn ask<T>(&self, question: impl Future<Output = T>) -> T {
        self.runtime().block_on(question)
    }

    /// The clients and what they know.
    pub fn clients(&self) -> &Arc<Clients> {
        &self.clients
    }

    /// How many nodes there are: the validators, and the one that only follows if there is one.
    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    /// All that a node logged, through all its starts; nothing if it was never started.
    pub fn log(&self, index: usize) -> String {
        fs::read_to_string(self.nodes[index].directory.join("log")).unwrap_or_default()
    }

    /// The end of every log.
    pub fn logs(&self) -> String {
        (0..self.nodes.len()).map(|index| self.log_tail(index)).collect()
    }

    fn log_tail(&self, index: usize) -> String {
        let log = self.log(index);
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        format!("--- validator {index}\n{tail}\n")
    }

    fn runtime(&self) -> &Runtime {
        self.runtime.as_ref().expect("it is there until the network is dropped")
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Clients wait for answers that nobody will give.
            runtime.shutdown_background();
        }
    }
}

fn url(hosts: &Hosts, index: usize) -> String {
    format!("http://{}:{API_PORT}", hosts.address(index))
}

/// The key that everyone can compute of a validator, or of the observer behind the last one.
fn key(index: usize) -> KeyPair {
    KeyPair::demo(&format!("validator_{index}"))
}

fn key_text(index: usize) -> String {
    key(index).public_key().to_string()
}
