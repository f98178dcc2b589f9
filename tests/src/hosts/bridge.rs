//! Hosts: network namespaces joined by a bridge, and what their links lose.
//!
//! Each host drops what its own rules (nftables) say, as it arrives, so that a link can be cut one
//! way. The machine itself is on the bridge too: it reaches every host whatever is cut between
//! them, which is how a test sees both sides of a partition.

use std::collections::BTreeSet;
use std::fs::File;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use super::process::is_gone;
use super::system::{command, run, run_with};
use super::{Outcome, disk};

/// Networks 10.231.1.0/24 to 10.231.254.0/24, one for each run.
const NETWORK: [u8; 2] = [10, 231];
/// The last byte of the first host's address; the machine has 1.
const FIRST: u8 = 10;
/// Held while a run takes a network: where every run on the machine finds it.
const LOCK: &str = "/run/lock/tonle-hosts.lock";
/// How names of namespaces begin.
const PREFIX: &str = "tonle-";

/// Hosts that end with the test, whatever came of it.
pub struct Hosts {
    /// Names this run on this machine: the number of the process and a count within it.
    id: String,
    network: u8,
    count: usize,
    cut: BTreeSet<(usize, usize)>,
    loss_percent: u32,
}

impl Hosts {
    /// Makes so many hosts.
    pub fn new(count: usize) -> Outcome<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        super::system::check()?;
        let id = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let lock = File::create(LOCK).map_err(|error| format!("{LOCK}: {error}"))?;
        lock.lock().map_err(|error| error.to_string())?;
        sweep()?;
        disk::sweep()?;
        let network = free_network(&run("ip", &["-o", "-4", "address"])?)?;
        // Made before anything that it has to remove.
        let hosts = Self { id, network, count, cut: BTreeSet::new(), loss_percent: 0 };
        let bridge = hosts.bridge();
        run("ip", &["link", "add", &bridge, "type", "bridge"])?;
        let own = format!("{}/24", hosts.machine());
        run("ip", &["address", "add", &own, "dev", &bridge])?;
        run("ip", &["link", "set", &bridge, "up"])?;
        (0..count).try_for_each(|index| hosts.make(index))?;
        Ok(hosts)
    }

    fn make(&self, index: usize) -> Outcome<()> {
        let (name, outside) = (self.name(index), self.outside(index));
        run("ip", &["netns", "add", &name])?;
        let inside = ["type", "veth", "peer", "name", "eth0", "netns", &name];
        run("ip", &[&["link", "add", outside.as_str()], &inside[..]].concat())?;
        run("ip", &["link", "set", &outside, "master", &self.bridge(), "up"])?;
        let address = format!("{}/24", self.address(index));
        run("ip", &["-n", &name, "address", "add", &address, "dev", "eth0"])?;
        run("ip", &["-n", &name, "link", "set", "lo", "up"])?;
        run("ip", &["-n", &name, "link", "set", "eth0", "up"]).map(drop)
    }

    /// Where a host is.
    pub fn address(&self, index: usize) -> Ipv4Addr {
        let last = FIRST + u8::try_from(index).expect("a handful of hosts");
        Ipv4Addr::new(NETWORK[0], NETWORK[1], self.network, last)
    }

    /// Where the machine is, seen from the hosts.
    pub fn machine(&self) -> Ipv4Addr {
        Ipv4Addr::new(NETWORK[0], NETWORK[1], self.network, 1)
    }

    /// A command that will run on a host, and end with this process.
    pub fn on(&self, index: usize, program: &Path) -> Command {
        let mut command = command("nsenter");
        command.arg(format!("--net=/run/netns/{}", self.name(index)));
        // Neither of the two stays: each becomes the next one under the same number.
        command.args(["setpriv", "--pdeathsig", "KILL", "--"]).arg(program);
        command
    }

    /// Nothing that `from` sends reaches `to` any more.
    pub fn cut(&mut self, from: &[usize], to: &[usize]) -> Outcome<()> {
        let pairs = from.iter().flat_map(|from| to.iter().map(|to| (*from, *to)));
        self.cut.extend(pairs.filter(|(from, to)| from != to));
        self.enforce()
    }

    /// So many of a hundred packets between hosts are lost, each way.
    pub fn lose(&mut self, percent: u32) -> Outcome<()> {
        self.loss_percent = percent;
        self.enforce()
    }

    /// Everything arrives again.
    pub fn heal(&mut self) -> Outcome<()> {
        self.cut.clear();
        self.loss_percent = 0;
        self.enforce()
    }

    /// How many packets were dropped since the rules last changed.
    pub fn dropped(&self) -> Outcome<u64> {
        let counts = (0..self.count).map(|index| {
            let mut nft = self.on(index, Path::new("nft"));
            run_with(nft.args(["list", "table", "inet", "faults"]), "").map(|text| dropped(&text))
        });
        counts.sum()
    }

    fn enforce(&self) -> Outcome<()> {
        (0..self.count).try_for_each(|index| {
            let nft = &mut self.on(index, Path::new("nft"));
            run_with(nft.args(["-f", "-"]), &self.rules(index)).map(drop)
        })
    }

    /// The rules of one host, which take the place of those before them all at once.
    fn rules(&self, host: usize) -> String {
        let mut rules = String::new();
        for (from, _) in self.cut.iter().filter(|(_, to)| *to == host) {
            rules += &format!("    ip saddr {} counter drop\n", self.address(*from));
        }
        if self.loss_percent > 0 {
            let others = (0..self.count).filter(|other| *other != host);
            let others: Vec<_> = others.map(|other| self.address(other).to_string()).collect();
            let (others, percent) = (others.join(", "), self.loss_percent);
            let chance = format!("numgen random mod 100 < {percent}");
            rules += &format!("    ip saddr {{ {others} }} {chance} counter drop\n");
        }
        format!(
            "add table inet faults\ndelete table inet faults\ntable inet faults {{\n  \
             chain arriving {{\n    type filter hook input priority 0;\n{rules}  }}\n}}\n"
        )
    }

    fn name(&self, index: usize) -> String {
        format!("{PREFIX}{}-{index}", self.id)
    }

    /// Names of interfaces have 15 characters at most.
    fn bridge(&self) -> String {
        format!("tb{}", self.id)
    }

    fn outside(&self, index: usize) -> String {
        format!("tv{}-{index}", self.id)
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for index in 0..self.count {
            // What was never made cannot be removed, and a second panic would hide the first.
            let _gone = run("ip", &["link", "delete", &self.outside(index)]);
            let _gone = run("ip", &["netns", "delete", &self.name(index)]);
        }
        let _gone = run("ip", &["link", "delete", &self.bridge()]);
    }
}

/// Adds up the counters in a listing of rules.
fn dropped(listing: &str) -> u64 {
    let counts = listing.split("counter packets ").skip(1);
    counts.filter_map(|rest| rest.split(' ').next()?.parse::<u64>().ok()).sum()
}

/// Removes what runs that were killed left behind.
fn sweep() -> Outcome<()> {
    let links = run("ip", &["-o", "link"])?;
    let bridges = links.lines().filter_map(|line| line.split(": ").nth(1)).filter_map(|name| {
        let id = name.strip_prefix("tb")?;
        is_over(id).then_some(name)
    });
    for name in bridges {
        run("ip", &["link", "delete", name])?;
    }
    for line in run("ip", &["netns", "list"])?.lines() {
        let Some(name) = line.split(' ').next() else { continue };
        if name.strip_prefix(PREFIX).is_some_and(is_over) {
            run("ip", &["netns", "delete", name])?;
        }
    }
    Ok(())
}

/// Whether a name is one of ours, of a process that is no more.
fn is_over(id: &str) -> bool {
    id.split_once('-').is_some_and(|(process, _)| is_gone(process))
}

/// A network that no interface of the machine is in.
fn free_network(addresses: &str) -> Outcome<u8> {
    let taken =
        |number: &u8| addresses.contains(&format!(" {}.{}.{number}.", NETWORK[0], NETWORK[1]));
    (1..255).find(|number| !taken(number)).ok_or_else(|| "no network is free".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(count: usize) -> Hosts {
        // Not made: only what it would say. There is nothing of that name to remove.
        Hosts { id: "0-0".into(), network: 7, count, cut: BTreeSet::new(), loss_percent: 0 }
    }

    #[test]
    fn a_cut_is_one_way() {
        let mut hosts = hosts(3);
        hosts.cut.insert((0, 2));
        assert!(hosts.rules(2).contains("ip saddr 10.231.7.10 counter drop"));
        assert!(!hosts.rules(0).contains("saddr") && !hosts.rules(1).contains("saddr"));
        hosts.loss_percent = 30;
        let rules = hosts.rules(1);
        assert!(
            rules.contains("{ 10.231.7.10, 10.231.7.12 } numgen random mod 100 < 30 counter drop")
        );
    }

    #[test]
    fn dropped_packets_are_counted() {
        let listing = "ip saddr 10.231.7.10 counter packets 12 bytes 700 drop\n\
                       ip saddr 10.231.7.11 counter packets 30 bytes 9 drop\n";
        assert_eq!(dropped(listing), 42);
        assert_eq!(dropped("table inet faults {}"), 0);
    }

    #[test]
    fn each_run_has_a_network_of_its_own() {
        assert_eq!(free_network("1: lo inet 127.0.0.1/8").unwrap(), 1);
        let taken = "2: tb inet 10.231.1.1/24\n3: tc inet 10.231.2.1/24\n";
        assert_eq!(free_network(taken).unwrap(), 3);
    }

    #[test]
    fn only_what_is_left_of_ended_runs_is_swept() {
        assert!(is_over("4194305-0-2"), "no process has that number");
        assert!(!is_over(&format!("{}-0-2", std::process::id())));
        assert!(!is_over("docker") && !is_over("0") && !is_over("x-1"));
    }
}
