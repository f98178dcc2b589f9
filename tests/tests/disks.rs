//! Damaged and old disks: a validator whose files changed while it was down never panics, never
//! hangs, never answers wrongly and never contradicts a vote of its own. It ends with exit code 3
//! and says what to do, and doing that helps; or it comes up and agrees with the others, as an
//! observer that says why if votes of its may be gone (consensus.md, What is durable before what).
//!
//! `TONLE_DISK_CASES` random cases are added to those that stand here, from the seed
//! `TONLE_DISK_SEED`: `make disks`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tokio::runtime::Runtime;
use tonle_client::api::{BlockReceipts, BlocksQuery, NodeRole, NodeStatus};
use tonle_client::{BlockId, Client, ClientError};
use tonle_model::number::Height;
use tonle_tests::damage::{Damage, Harm, Part, copy, remove};
use tonle_tests::ledger::{assert_sound, supply_in_hands};
use tonle_tests::load::Payments;
use tonle_tests::localnet::{Localnet, PATIENCE, binary, runtime};
use tonle_tests::random::Random;

/// The validator whose disk is damaged. The three others decide without it.
const VICTIM: usize = 3;
/// Blocks compared in one request.
const PAGE: u32 = 100;
/// Blocks of which all is compared, each time.
const SAMPLE: usize = 6;

/// What happens in every run.
const CASES: &[Damage] = &[
    Damage::File("chain", Part::Log, Harm::Flip),
    Damage::File("chain", Part::Log, Harm::Cut),
    Damage::File("chain", Part::Log, Harm::Blank),
    Damage::File("chain", Part::Table, Harm::Flip),
    Damage::File("chain", Part::Manifest, Harm::Flip),
    Damage::File("chain", Part::Current, Harm::Flip),
    Damage::File("chain", Part::Current, Harm::Remove),
    Damage::Database("chain", Harm::Remove),
    Damage::Database("chain", Harm::Older),
    Damage::ChainAndMark(Harm::Older),
    Damage::ChainAndMark(Harm::Remove),
    Damage::Mark(Harm::Remove),
    Damage::File("state", Part::Log, Harm::Flip),
    Damage::File("state", Part::Table, Harm::Flip),
    Damage::File("state", Part::Manifest, Harm::Flip),
    Damage::File("state", Part::Manifest, Harm::Cut),
    Damage::File("state", Part::Current, Harm::Flip),
    Damage::Database("state", Harm::Older),
    Damage::Directory(Harm::Older),
];

/// How a start went.
enum Start {
    /// It answers as the others do.
    Agrees(Box<NodeStatus>),
    /// It ended by itself.
    Ended(ExitStatus),
}

/// The validator and its disk.
struct Victim<'a> {
    net: &'a Localnet,
    runtime: Runtime,
    client: Client,
    random: Random,
    process: Option<Child>,
    /// What the others say of each block, as far as it was asked for.
    reference: Vec<BlockReceipts>,
    /// For copies of its disk.
    shelf: PathBuf,
}

impl Drop for Victim<'_> {
    fn drop(&mut self) {
        self.stop();
    }
}

impl<'a> Victim<'a> {
    fn new(net: &'a Localnet, seed: u64) -> Self {
        net.kill(VICTIM);
        let shelf = net.path().join("shelf");
        std::fs::create_dir_all(&shelf).expect("a directory");
        Self {
            net,
            runtime: runtime(),
            client: net.client(VICTIM),
            random: Random::new(seed),
            process: None,
            reference: Vec::new(),
            shelf,
        }
    }

    fn data(&self) -> PathBuf {
        self.net.validator(VICTIM).join("data")
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.net.validator(VICTIM).join("log")).unwrap_or_default()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(binary("tonled"));
        command.arg("--config").arg(self.net.validator(VICTIM).join("config.toml"));
        command.args(arguments).env("NO_COLOR", "1").env("RUST_BACKTRACE", "0");
        command
    }

    fn start(&mut self, arguments: &[&str]) {
        let log = File::create(self.net.validator(VICTIM).join("log")).expect("a log");
        let mut command = self.command(arguments);
        let process = command.stdout(Stdio::null()).stderr(log).spawn().expect("tonled runs");
        self.process = Some(process);
    }

    /// Kills it, if it runs.
    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // It may have ended by itself, which was noticed then.
            let _ended = process.kill();
            let _reaped = process.wait();
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        let process = self.process.as_mut()?;
        let ended = process.try_wait().expect("a child")?;
        self.process = None;
        Some(ended)
    }

    /// Keeps a copy of the disk under a name.
    fn save(&self, name: &str) -> PathBuf {
        let copied = self.shelf.join(name);
        remove(&copied);
        copy(&self.data(), &copied);
        copied
    }

    fn restore(&self, saved: &Path) {
        remove(&self.data());
        copy(saved, &self.data());
    }

    /// Waits until it ended, or knows what it is, is where the others are, and says of every block
    /// what they say.
    fn await_start(&mut self, what: &str) -> Start {
        let goal = self.reference_until_now();
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return Start::Ended(status);
            }
            if let Ok(status) = self.runtime.block_on(self.client.node_status()) {
                let knows = status.not_voting.as_ref().is_none_or(|why| !why.starts_with("asking"));
                if knows && status.height >= goal {
                    match self.compare() {
                        Ok(()) => return Start::Agrees(Box::new(status)),
                        Err(error) => return Start::Ended(self.must_end(&error)),
                    }
                }
            }
            let log = self.log();
            assert!(begun.elapsed() < PATIENCE, "{what}: neither up nor ended\n{log}");
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// An answer that cannot be given is the end of the process.
    fn must_end(&mut self, error: &ClientError) -> ExitStatus {
        let begun = Instant::now();
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            assert!(begun.elapsed() < PATIENCE, "{error}, and it goes on\n{}", self.log());
            std::thread::park_timeout(Duration::from_millis(10));
        }
    }

    /// Asks the others for all there is, and returns up to where.
    fn reference_until_now(&mut self) -> Height {
        let healthy = self.net.client(0);
        let last = self.runtime.block_on(healthy.node_status()).expect("a status").height;
        let pages = read(&self.runtime, &healthy, self.reference.len() as u64, last);
        self.reference.extend(pages.expect("receipts"));
        last
    }

    /// Whether it says what the others say; an error if it does not say anything.
    fn compare(&mut self) -> Result<(), ClientError> {
        let last = Height(self.reference.len() as u64 - 1);
        let found = read(&self.runtime, &self.client, 0, last)?;
        for (own, others) in found.iter().zip(&self.reference) {
            assert_eq!(own, others, "a wrong answer about height {}", own.height);
        }
        let healthy = self.net.client(0);
        for height in (0..SAMPLE).map(|_| self.random.below(self.reference.len()) as u64) {
            let id = || BlockId::Height(Height(height));
            let own = self.runtime.block_on(self.client.block(id()))?;
            let others = self.runtime.block_on(healthy.block(id())).expect("a block");
            assert_eq!((own.hash, own.result), (others.hash, others.result), "height {height}");
            assert_eq!(own.transactions, others.transactions, "height {height}");
            for transaction in own.transactions.iter().flatten().filter(|_| height > 0) {
                let status = self.runtime.block_on(self.client.status(&transaction.hash, None));
                let known = matches!(status.as_ref(), Ok(status) if status.is_final());
                assert!(
                    known || matches!(status.as_ref(), Err(error) if error.status() != Some(404))
                );
                status?;
            }
        }
        Ok(())
    }

    /// One case, from a sound disk to a sound disk; false if there was nothing to do it to.
    fn suffer(&mut self, damage: Damage, older: &Path) -> bool {
        let saved = self.save("sound");
        let data = self.data();
        let Some(done) = damage.strike(&data, older, &mut self.random) else { return false };
        let what = format!("{damage:?}: {done}");
        let begun = Instant::now();
        self.start(&[]);
        let mut outcome = self.await_start(&what);
        let mut way = "came up";
        if let Start::Ended(status) = outcome {
            assert!(!damage.leaves_whole(), "{what}: ended: {status}\n{}", self.log());
            way = "was set aside";
            self.set_aside(&what, status);
            self.start(&[]);
            outcome = self.await_start(&what);
        }
        let Start::Agrees(status) = outcome else {
            panic!("{what}: ended although the database was set aside\n{}", self.log());
        };
        self.check_role(damage, &what, &status);
        let lost_its_log = data.join("chain.aside-1").exists();
        assert!(!lost_its_log || status.role == NodeRole::Recovering, "{what}: {status:?}");
        self.stop();
        assert!(!self.log().contains("panicked"), "{what}\n{}", self.log());
        eprintln!("{what}: {way}, {:?}, {} ms", status.role, begun.elapsed().as_millis());
        match status.role {
            // It voted: only what it has now is all of its votes.
            NodeRole::Validator => tidy(&data),
            NodeRole::Observer | NodeRole::Recovering => self.restore(&saved),
        }
        true
    }

    /// It ended as it must, and does what it says helps.
    fn set_aside(&mut self, what: &str, status: ExitStatus) {
        let log = self.log();
        assert_eq!(status.code(), Some(3), "{what}\n{log}");
        assert!(!log.contains("panicked"), "{what}\n{log}");
        let last = log.lines().last().unwrap_or_default();
        let database = last.split("--set-aside ").nth(1).and_then(|rest| rest.split(',').next());
        let database = database.unwrap_or_else(|| panic!("{what}: says no way out\n{log}"));
        let named = format!("the {database} database in ");
        let lacks = format!("the {database} database lacks a row");
        assert!(log.contains(&named) || log.contains(&lacks), "{what}\n{log}");
        let output = self.command(&["--set-aside", database]).output().expect("tonled runs");
        let printed = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{what}: {output:?}");
        assert!(printed.contains(&format!("data/{database}.aside-1 now")), "{what}: {printed}");
    }

    fn check_role(&self, damage: Damage, what: &str, status: &NodeStatus) {
        let observes = status.role == NodeRole::Recovering;
        let why = status.not_voting.as_deref();
        assert_eq!(observes, why.is_some(), "{what}: {status:?}");
        assert!(
            why.is_none_or(|why| self.log().contains(why)),
            "{what}: {why:?} is not in its log"
        );
        if let Some(loses) = damage.loses_votes() {
            assert_eq!(observes, loses, "{what}: {status:?}\n{}", self.log());
        }
    }
}

/// Receipts from a height on.
fn read(
    runtime: &Runtime,
    client: &Client,
    from: u64,
    last: Height,
) -> Result<Vec<BlockReceipts>, ClientError> {
    let mut all = Vec::new();
    let mut from = Height(from);
    while from <= last {
        let left = u32::try_from(last.0 - from.0 + 1).unwrap_or(PAGE);
        let query = BlocksQuery { from: Some(from), limit: Some(left.min(PAGE)), wait: None };
        runtime.block_on(client.blocks(&query))?;
        let page = runtime.block_on(client.receipts(&query))?;
        from = page.last().expect("blocks up to the last one").height.next();
        all.extend(page);
    }
    Ok(all)
}

/// What was set aside has done its work.
fn tidy(data: &Path) {
    for entry in std::fs::read_dir(data).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|end| end.to_string_lossy().starts_with("aside-")) {
            remove(&path);
        }
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().expect("a number"))
}

#[test]
fn whatever_happens_to_its_files_a_validator_does_no_harm() {
    let net = Localnet::start(4);
    let supply = runtime().block_on(supply_in_hands(&net.client(0)));
    let payments = Payments::start(&net, 0);
    net.wait_for("some blocks", || (net.height() > 20).then_some(()));
    let mut victim = Victim::new(&net, number("TONLE_DISK_SEED").unwrap_or(0));
    let older = victim.save("older");
    // Once started again its tables are on the disk, and not in logs alone; and it votes.
    for _ in 0..2 {
        victim.start(&[]);
        assert!(matches!(victim.await_start("a sound disk"), Start::Agrees(_)));
        let height = net.height();
        net.wait_for("some of its votes", || (net.height() > height + 10).then_some(()));
        victim.stop();
    }
    let all = Damage::all();
    let more = number("TONLE_DISK_CASES").unwrap_or(0);
    let more: Vec<_> = (0..more).map(|_| victim.random.pick(&all)).collect();
    for damage in CASES {
        assert!(victim.suffer(*damage, &older), "{damage:?} found nothing to strike");
    }
    for damage in more {
        // Not every kind of file is there at every moment, with something in it.
        if !victim.suffer(damage, &older) {
            eprintln!("{damage:?}: nothing to strike");
        }
    }
    comes_back(&mut victim);
    drop(victim);
    net.restart(VICTIM);
    let settled = payments.stop();
    net.agreed(net.height());
    runtime().block_on(assert_sound(&net, &settled, supply));
    for index in 0..4 {
        let evidence = runtime().block_on(net.client(index).evidence()).expect("evidence");
        assert!(evidence.is_empty(), "validator {index} was made to see {evidence:?}");
    }
}

/// Without its disk it follows; when its operator says so it votes, and its vote counts.
fn comes_back(victim: &mut Victim<'_>) {
    remove(&victim.data());
    victim.start(&[]);
    let Start::Agrees(status) = victim.await_start("an empty disk") else {
        panic!("ended on an empty disk\n{}", victim.log());
    };
    assert_eq!(status.role, NodeRole::Recovering);
    victim.stop();
    victim.start(&["--resume-voting"]);
    let Start::Agrees(status) = victim.await_start("an operator's word") else {
        panic!("ended\n{}", victim.log());
    };
    assert_eq!((status.role, status.not_voting), (NodeRole::Validator, None));
    let output = victim.command(&["--set-aside", "state"]).output().expect("tonled runs");
    assert_eq!(output.status.code(), Some(3), "while it runs: {output:?}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("another process uses"));
    let net = victim.net;
    net.kill(1);
    let before = net.height();
    net.wait_for("a block by its vote", || (net.height() > before + 3).then_some(()));
    net.restart(1);
    victim.stop();
}
