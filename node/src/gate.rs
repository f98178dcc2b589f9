//! The gate: what happens to a transaction between a client and the driver, and what the node
//! tells about itself. Torii's [`Node`].

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossbeam_channel::TrySendError;
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::Instant;
use tonle_client::api::{NodeRole, NodeStatus, PoolStatus, TransactionStatus};
use tonle_model::hash::{ChainHash, TransactionHash};
use tonle_model::id::AccountId;
use tonle_model::key::PublicKey;
use tonle_model::number::Height;
use tonle_model::receipt::{Outcome, Void, VoidCode};
use tonle_model::transaction::SignedTransaction;
use tonle_model::verified::Verified;
use tonle_wsv::chain::ChainReader;
use tonle_wsv::state::{AdmitError, StateError, WorldReader};

use crate::board::Board;
use crate::clock::Clock;
use crate::driver::{Event, EventSender};
use crate::metrics::{Metrics, Sources};
use crate::network::NetworkHandle;
use crate::torii::{Known, Node, Refusal, RefusalClass, Submitted};
use crate::tracker::{Take, Tracker};
use crate::verify_pool::{Checked, VerifyPool};

/// Undecided bytes of this node past which it takes nothing in: half of what an author may have,
/// so that what is on its way always fits.
const OWN_UNDECIDED_BYTES_MAX: u64 = tonle_model::limits::AUTHOR_UNDECIDED_BYTES_MAX as u64 / 2;
/// Why a validator does not vote just after it started.
const ASKING: &str = "asking the other validators for this one's latest vote";
/// When to try again after 429 and 503.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The gate.
pub struct Gate {
    /// The network's name.
    pub chain_hash: ChainHash,
    /// For people.
    pub name: String,
    /// Whether keys that everyone can compute are allowed.
    pub demo: bool,
    /// This node's key.
    pub own: PublicKey,
    /// The committed state.
    pub world: WorldReader,
    /// The committed chain.
    pub chain: ChainReader,
    /// What was taken in.
    pub tracker: Arc<Tracker>,
    /// Checks signatures.
    pub verify: VerifyPool,
    /// To the driver.
    pub events: EventSender,
    /// What the driver shows.
    pub board: Arc<Board>,
    /// Numbers.
    pub metrics: Arc<Metrics>,
    /// The network.
    pub network: NetworkHandle,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Heights as they are committed.
    pub committed: watch::Receiver<Height>,
    /// Where the databases are.
    pub data_dir: PathBuf,
    /// When the node started.
    pub started: std::time::Instant,
}

type Answer = Result<Submitted, Refusal>;

impl Gate {
    /// What can be said before any signature is checked.
    fn look(
        &self,
        transaction: &SignedTransaction,
        now_ms: u64,
    ) -> Result<Option<Submitted>, Refusal> {
        let hash = transaction.hash();
        if transaction.payload().chain != self.chain_hash {
            let detail = format!(
                "the transaction is for network {}, this is {}",
                transaction.payload().chain,
                self.chain_hash
            );
            return Err(refuse(RefusalClass::Unprocessable, "wrong_chain", detail));
        }
        // No read of the disk for what is new: only what is used up or expired can be on record.
        if let Some(known) = self.tracker.status(&hash) {
            return Ok(Some(Submitted { hash, known: Some(known) }));
        }
        // Whoever is told to come back is not looked at first: it may come again and again.
        if self.verify.is_behind() {
            return Err(behind());
        }
        match self.world.admit(transaction, now_ms) {
            Ok(()) => Ok(None),
            Err(AdmitError::Refused(refusal)) => {
                let known = match refusal.is_of_the_past() {
                    true => self.status_of(&hash).map_err(|error| unreadable(&error))?,
                    false => None,
                };
                match known {
                    Some(known) => Ok(Some(Submitted { hash, known: Some(known) })),
                    None => Err(refusal_of(&refusal)),
                }
            }
            Err(AdmitError::State(error)) => Err(unreadable(&error)),
        }
    }

    /// Whether anything can be taken in now.
    fn check_open(&self) -> Result<(), Refusal> {
        if let Err(reason) = self.can_take_in() {
            return Err(retry(RefusalClass::NotReady, "not_ready", reason));
        }
        if self.board.own_bytes() > OWN_UNDECIDED_BYTES_MAX
            || self.tracker.room(self.clock.now_ms()) == 0
        {
            return Err(busy("more is waiting than this node takes"));
        }
        Ok(())
    }

    async fn take_in(&self, transactions: Vec<SignedTransaction>) -> Vec<Answer> {
        if let Err(refusal) = self.check_open() {
            return self.all(&transactions, &refusal);
        }
        let now_ms = self.clock.now_ms();
        let mut answers: Vec<Option<Answer>> = Vec::with_capacity(transactions.len());
        let mut unchecked = Vec::with_capacity(transactions.len());
        for transaction in transactions {
            answers.push(match self.look(&transaction, now_ms) {
                Err(refusal) => Some(Err(refusal)),
                Ok(Some(known)) => Some(Ok(known)),
                Ok(None) => {
                    unchecked.push(transaction);
                    None
                }
            });
        }
        let mut checked = self.check_and_pass_on(unchecked).await.into_iter();
        let mut fill = |answer: Option<Answer>| answer.or_else(|| checked.next());
        let lost =
            || Err(retry(RefusalClass::NotReady, "not_ready", "the node is stopping".into()));
        let answers: Vec<Answer> =
            answers.into_iter().map(|answer| fill(answer).unwrap_or_else(lost)).collect();
        let refused = answers.iter().filter(|answer| answer.is_err()).count();
        self.metrics.count_refused(refused as u64);
        answers
    }

    /// Checks signatures and hands what is good to the driver; one answer for each, in order.
    async fn check_and_pass_on(&self, unchecked: Vec<SignedTransaction>) -> Vec<Answer> {
        let count = unchecked.len();
        if count == 0 {
            return Vec::new();
        }
        let refused = || vec![Err(behind()); count];
        let Ok(receiver) = self.verify.transactions(unchecked) else { return refused() };
        let Ok(checked) = receiver.await else { return refused() };
        let mut taken = Vec::with_capacity(count);
        let answers = checked.into_iter().map(|one| self.answer(one, &mut taken)).collect();
        let hashes: Vec<_> = taken.iter().map(|transaction| transaction.hash()).collect();
        match self.events.try_send(Event::Transactions(taken)) {
            Ok(()) => answers,
            Err(TrySendError::Full(_) | TrySendError::Disconnected(_)) => {
                hashes.iter().for_each(|hash| self.tracker.drop_taken(hash));
                vec![Err(busy("the node is behind")); count]
            }
        }
    }

    fn answer(&self, checked: Checked, taken: &mut Vec<Verified<SignedTransaction>>) -> Answer {
        let transaction = match checked {
            Checked::Valid(transaction) => transaction,
            Checked::Invalid(_) => {
                let detail = "a signature does not fit the payload and its key: sign the hash that \
                              POST /v1/transactions/encode returns";
                return Err(refuse(RefusalClass::Signature, "bad_signature", detail.to_owned()));
            }
        };
        let hash = transaction.hash();
        match self.tracker.take(hash, transaction.payload().expires_ms) {
            Take::Taken => {
                taken.push(transaction);
                Ok(Submitted { hash, known: None })
            }
            Take::Known => Ok(Submitted { hash, known: Some(TransactionStatus::Queued) }),
            Take::Full => Err(busy("more is waiting than this node takes")),
        }
    }

    fn all(&self, transactions: &[SignedTransaction], refusal: &Refusal) -> Vec<Answer> {
        self.metrics.count_refused(transactions.len() as u64);
        transactions.iter().map(|_| Err(refusal.clone())).collect()
    }

    async fn wait(&self, hash: TransactionHash, deadline: Instant) -> Known {
        let Some(receiver) = self.tracker.wait(hash) else { return self.status_of(&hash) };
        // It may have been decided between the first look and the wait.
        if let Some(status) = self.status_of(&hash)?.filter(TransactionStatus::is_final) {
            return Ok(Some(status));
        }
        match tokio::time::timeout_at(deadline, receiver).await {
            Ok(Ok(status)) => Ok(Some(status)),
            Ok(Err(_)) | Err(_) => self.status_of(&hash),
        }
    }

    /// Whether what is taken in can reach others and be kept. Fewer links than a quorum needs are
    /// enough: batches and certificates are passed on.
    fn can_take_in(&self) -> Result<(), String> {
        if self.board.is_disk_full() {
            let advice = "free some space, and the node goes on by itself";
            return Err(format!("the disk is nearly full: {advice}"));
        }
        if self.world.validators().index_of(&self.own).is_none() {
            return Err("this node only follows the network: send it to a validator".into());
        }
        let alone = self.world.validators().count() > 1 && self.network.connected().is_empty();
        if alone {
            return Err("connected to no other node".into());
        }
        Ok(())
    }

    /// Why this validator does not vote, if it is one and does not.
    fn not_voting(&self) -> Option<String> {
        let is_recovering = self.role() == NodeRole::Recovering;
        let reason = self.board.why_observer().unwrap_or(ASKING);
        is_recovering.then(|| reason.to_owned())
    }

    fn role(&self) -> NodeRole {
        let is_validator = self.world.validators().index_of(&self.own).is_some();
        match (is_validator, self.board.is_observer(), self.board.is_recovering()) {
            (false, _, _) => NodeRole::Observer,
            (true, true, _) | (true, false, true) => NodeRole::Recovering,
            (true, false, false) => NodeRole::Validator,
        }
    }
}

/// What the ledger would say, in the words of HTTP.
fn refusal_of(refusal: &tonle_wsv::state::Refusal) -> Refusal {
    use tonle_wsv::state::Refusal as Ledger;
    let (code, detail) = match refusal {
        Ledger::OtherNetwork => {
            ("wrong_chain", "the transaction is for another network".to_owned())
        }
        Ledger::Void(void) => (void.code.code(), void_detail(void)),
        Ledger::Rejected { code, step, detail } => {
            (code.code(), format!("step {step}, from 0: {detail}"))
        }
    };
    refuse(RefusalClass::Unprocessable, code, detail)
}

fn void_detail(void: &Void) -> String {
    let authority = void.authority.as_ref().map_or("an authority", AccountId::as_str);
    match void.code {
        VoidCode::Duplicate => "this transaction, or its reference, was used before".to_owned(),
        VoidCode::Expired => "the transaction has expired; sign it anew".to_owned(),
        VoidCode::NotYetValid => {
            "created_ms is ahead of this node's time; check the clock that made it".to_owned()
        }
        VoidCode::WindowTooLong => {
            "expires_ms is too far after created_ms; see max_ttl_ms in /v1/parameters".to_owned()
        }
        VoidCode::UnknownAuthority => format!("there is no account {authority}"),
        VoidCode::QuorumNotMet => {
            format!("the signatures do not meet the quorum of {authority}; see its signatories")
        }
    }
}

fn unreadable(error: &StateError) -> Refusal {
    tracing::error!(%error, "cannot read the state");
    let detail = "this node cannot read its state; try another node".to_owned();
    retry(RefusalClass::NotReady, "not_ready", detail)
}

fn refuse(class: RefusalClass, code: &'static str, detail: String) -> Refusal {
    Refusal { code, class, detail, retry_after: None }
}

fn busy(reason: &str) -> Refusal {
    retry(RefusalClass::Busy, "busy", format!("{reason}; try again in a second"))
}

fn behind() -> Refusal {
    busy("signature checks are behind")
}

fn retry(class: RefusalClass, code: &'static str, detail: String) -> Refusal {
    Refusal { code, class, detail, retry_after: Some(RETRY_AFTER) }
}

impl Node for Gate {
    fn submit(&self, transactions: Vec<SignedTransaction>) -> BoxFuture<'_, Vec<Answer>> {
        Box::pin(self.take_in(transactions))
    }

    fn status_of(&self, hash: &TransactionHash) -> Known {
        let recorded = self.world.transaction(hash)?;
        let Some(found) = recorded else { return Ok(self.tracker.status(hash)) };
        let (height, index) = (found.height, found.index);
        Ok(Some(match found.receipt.outcome {
            Outcome::Applied => TransactionStatus::Committed { height, index },
            Outcome::Rejected { code, step } => {
                let detail = found.detail.clone();
                TransactionStatus::Rejected { code, detail, height, index, step }
            }
        }))
    }

    fn wait_for(&self, hash: TransactionHash, deadline: Instant) -> BoxFuture<'_, Known> {
        Box::pin(self.wait(hash, deadline))
    }

    fn node_status(&self) -> NodeStatus {
        let committed = self.world.committed();
        let (_, bytes) = self.board.pool();
        NodeStatus {
            chain: self.chain_hash,
            name: self.name.clone(),
            role: self.role(),
            not_voting: self.not_voting(),
            height: committed.height,
            hash: committed.block,
            state_root: committed.result.state_root,
            timestamp_ms: committed.timestamp_ms,
            view: self.board.view(),
            peers: u32::try_from(self.network.connected().len()).unwrap_or(u32::MAX),
            pool: PoolStatus { transactions: self.tracker.queued() as u64, bytes },
            version: env!("CARGO_PKG_VERSION").to_owned(),
            syncing: self.board.blocks_ahead() > 0 || self.board.sync().is_some(),
            sync: self.board.sync(),
            uptime_ms: u64::try_from(self.started.elapsed().as_millis()).unwrap_or(u64::MAX),
            synced_writes: true,
            demo: self.demo,
        }
    }

    fn health(&self) -> Result<(), String> {
        self.can_take_in()?;
        let needed = self.world.validators().quorum().saturating_sub(1);
        let connected = self.network.connected().len();
        if connected < needed {
            return Err(format!(
                "connected to {connected} nodes; {needed} are needed to decide anything"
            ));
        }
        if self.role() == NodeRole::Recovering && !self.board.is_observer() {
            return Err(ASKING.into());
        }
        // What more than f say, or all: one peer alone must not have this node taken for behind.
        if self.board.sync().is_some() {
            return Err("catching up with the other nodes".into());
        }
        Ok(())
    }

    fn committed(&self) -> watch::Receiver<Height> {
        self.committed.clone()
    }

    fn world(&self) -> &WorldReader {
        &self.world
    }

    fn chain(&self) -> &ChainReader {
        &self.chain
    }

    fn now_ms(&self) -> u64 {
        self.clock.now_ms()
    }

    fn metrics(&self) -> String {
        self.metrics.render(&Sources {
            board: &self.board,
            tracker: &self.tracker,
            network: &self.network,
            data_dir: &self.data_dir,
            height: self.world.committed().height.0,
        })
    }
}
