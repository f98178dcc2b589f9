//! The calls, one method per route.

use std::fmt;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use parity_scale_codec::{Compact, Encode};
use reqwest::header::{ACCEPT, CONTENT_TYPE};
use reqwest::{RequestBuilder, Response, StatusCode, Url};
use serde::Serialize;
use serde::de::DeserializeOwned;

use tonle_model::amount::Decimal;
use tonle_model::decode;
use tonle_model::hash::{BlockHash, HoldId, ProposalId, TransactionHash};
use tonle_model::id::{AccountId, AssetId, Name};
use tonle_model::number::Height;
use tonle_model::proof::Proof;
use tonle_model::transaction::{Payload, Transaction};

use crate::api::{
    Account, Asset, Balance, Block, BlockBrief, BlockReceipts, BlocksQuery, Domain, DomainTotal,
    EVENTS, EncodeReply, EventsQuery, Evidence, HistoryEntry, HistoryQuery, Hold, InvoicePayment,
    JSON, NodeStatus, Page, Parameters, PastBalance, Problem, Proposal, Role, SCALE, SignedQuery,
    StatusQuery, StreamToken, SubmitCode, SubmitItem, SubmitReply, Supply, TransactionStatus,
    Validator, Wait,
};
use crate::error::ClientError;
use crate::events::EventStream;

/// To get a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);
/// To get an answer, beyond what the request itself asks to wait.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Shorter than a node keeps an idle connection, so that a request seldom meets a closing one.
const IDLE_TIMEOUT: Duration = Duration::from_secs(8);

/// One node's API. Cheap to clone; clones share connections, which are kept open.
#[derive(Debug, Clone)]
pub struct Client {
    http: reqwest::Client,
    base: Url,
}

/// How to name a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BlockId {
    /// By its place.
    Height(Height),
    /// By its hash.
    Hash(BlockHash),
}

impl fmt::Display for BlockId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Height(height) => height.fmt(formatter),
            Self::Hash(hash) => hash.fmt(formatter),
        }
    }
}

/// The SCALE array of transactions that are encoded already, each as [`Transaction::encode`] or
/// [`tonle_model::transaction::SignedTransaction::bytes`] has it: a body for
/// [`Client::submit_encoded`].
pub fn encode_array<'a>(transactions: impl ExactSizeIterator<Item = &'a [u8]> + Clone) -> Bytes {
    // A count past u32 does not fit into any body that a node takes.
    let count = Compact(u32::try_from(transactions.len()).unwrap_or(u32::MAX)).encode();
    let length: usize = transactions.clone().map(<[u8]>::len).sum();
    let mut body = BytesMut::with_capacity(count.len() + length);
    body.put_slice(&count);
    transactions.for_each(|bytes| body.put_slice(bytes));
    body.freeze()
}

impl Client {
    /// A client of the node at `url`, such as `http://127.0.0.1:8080`.
    pub fn new(url: &str) -> Result<Self, ClientError> {
        let invalid = || ClientError::Url { url: url.to_owned() };
        let base: Url = url.parse().map_err(|_| invalid())?;
        if base.scheme() != "http" || base.cannot_be_a_base() {
            return Err(invalid());
        }
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE_TIMEOUT)
            // A validator is reached directly; a proxy of the environment is for the web.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .build()
            .map_err(|_| invalid())?;
        Ok(Self { http, base })
    }

    /// The node's address.
    pub fn url(&self) -> &str {
        self.base.as_str().trim_end_matches('/')
    }

    /// Sends one transaction.
    pub async fn submit(&self, transaction: &Transaction) -> Result<SubmitReply, ClientError> {
        self.json(self.post_transactions(SCALE, transaction.encode().into())).await
    }

    /// Sends one transaction as JSON: the same, slower, for whoever wants to see it on the wire.
    pub async fn submit_json(&self, transaction: &Transaction) -> Result<SubmitReply, ClientError> {
        let body = self.to_json(transaction)?;
        self.json(self.post_transactions(JSON, body)).await
    }

    /// Sends an array and tells what became of each. An error means that none was taken.
    pub async fn submit_all(
        &self,
        transactions: &[Transaction],
    ) -> Result<Vec<SubmitItem>, ClientError> {
        let encoded: Vec<_> = transactions.iter().map(Encode::encode).collect();
        let body = encode_array(encoded.iter().map(Vec::as_slice));
        self.json(self.post_transactions(SCALE, body)).await
    }

    /// Sends an array made by [`encode_array`] and gets one byte about each: the fast way. An
    /// error means that none was taken.
    pub async fn submit_encoded(
        &self,
        body: Bytes,
    ) -> Result<Vec<(TransactionHash, SubmitCode)>, ClientError> {
        self.scale(self.post_transactions(SCALE, body)).await
    }

    /// Where a transaction stands; with `wait`, held until that is final or the time is up.
    pub async fn status(
        &self,
        hash: &TransactionHash,
        wait: Option<Duration>,
    ) -> Result<TransactionStatus, ClientError> {
        let query = StatusQuery { wait: wait.map(Wait::at_most) };
        let request = self.get(&["v1", "transactions", &hash.to_string()]).query(&query);
        let reply: SubmitReply = self.json(patient(request, query.wait)).await?;
        Ok(reply.status)
    }

    /// Asks the node for the bytes and the hash to sign.
    pub async fn encode(&self, payload: &Payload) -> Result<EncodeReply, ClientError> {
        let body = self.to_json(payload)?;
        let request = self.http.post(self.address(&["v1", "transactions", "encode"]));
        self.json(request.header(CONTENT_TYPE, JSON).body(body)).await
    }

    /// All accounts.
    pub async fn accounts(&self) -> Result<Vec<Account>, ClientError> {
        self.list(&["v1", "accounts"]).await
    }

    /// One account.
    pub async fn account(&self, id: &AccountId) -> Result<Account, ClientError> {
        self.json(self.get(&["v1", "accounts", id.as_str()])).await
    }

    /// What an account has.
    pub async fn balances(&self, id: &AccountId) -> Result<Vec<Balance>, ClientError> {
        self.list(&["v1", "accounts", id.as_str(), "balances"]).await
    }

    /// What an account owned of an asset at a time of the past, in milliseconds since 1970.
    pub async fn balance_at(
        &self,
        id: &AccountId,
        asset: &AssetId,
        time_ms: u64,
    ) -> Result<PastBalance, ClientError> {
        let (id, asset, time) = (id.as_str(), asset.as_str(), time_ms.to_string());
        self.json(self.get(&["v1", "accounts", id, "balances", asset, "at", &time])).await
    }

    /// The open holds that concern an account.
    pub async fn holds_of(&self, id: &AccountId) -> Result<Vec<Hold>, ClientError> {
        self.list(&["v1", "accounts", id.as_str(), "holds"]).await
    }

    /// One open hold.
    pub async fn hold(&self, id: &HoldId) -> Result<Hold, ClientError> {
        self.json(self.get(&["v1", "holds", &id.to_string()])).await
    }

    /// The payments of an invoice of a payee that the ledger still remembers.
    pub async fn invoices(
        &self,
        payee: &AccountId,
        id: &str,
    ) -> Result<Vec<InvoicePayment>, ClientError> {
        self.list(&["v1", "invoices", payee.as_str(), id]).await
    }

    /// What waits for the approval of an account's signatories.
    pub async fn proposals_of(&self, id: &AccountId) -> Result<Vec<Proposal>, ClientError> {
        self.list(&["v1", "accounts", id.as_str(), "proposals"]).await
    }

    /// One open proposal.
    pub async fn proposal(&self, id: &ProposalId) -> Result<Proposal, ClientError> {
        self.json(self.get(&["v1", "proposals", &id.to_string()])).await
    }

    /// A page of an account's movements, newest first.
    pub async fn history(
        &self,
        id: &AccountId,
        query: &HistoryQuery,
    ) -> Result<Page<HistoryEntry>, ClientError> {
        self.json(self.get(&["v1", "accounts", id.as_str(), "transactions"]).query(query)).await
    }

    /// All assets.
    pub async fn assets(&self) -> Result<Vec<Asset>, ClientError> {
        self.list(&["v1", "assets"]).await
    }

    /// One asset.
    pub async fn asset(&self, id: &AssetId) -> Result<Asset, ClientError> {
        self.json(self.get(&["v1", "assets", id.as_str()])).await
    }

    /// How much there is of an asset.
    pub async fn supply(&self, id: &AssetId) -> Result<Supply, ClientError> {
        self.json(self.get(&["v1", "assets", id.as_str(), "supply"])).await
    }

    /// How much of an asset the accounts of each domain own together.
    pub async fn totals(&self, id: &AssetId) -> Result<Vec<DomainTotal>, ClientError> {
        self.list(&["v1", "assets", id.as_str(), "totals"]).await
    }

    /// All roles.
    pub async fn roles(&self) -> Result<Vec<Role>, ClientError> {
        self.list(&["v1", "roles"]).await
    }

    /// One role.
    pub async fn role(&self, id: &Name) -> Result<Role, ClientError> {
        self.json(self.get(&["v1", "roles", id.as_str()])).await
    }

    /// All domains.
    pub async fn domains(&self) -> Result<Vec<Domain>, ClientError> {
        self.list(&["v1", "domains"]).await
    }

    /// Asks as an account, where unsigned reads are not shown. The answer is the JSON of the GET
    /// that asks the same, which the types of [`crate::api`] read.
    pub async fn query(&self, query: &SignedQuery) -> Result<serde_json::Value, ClientError> {
        self.ask(query).await
    }

    /// Asks for a token with the question [`tonle_model::query::Query::Stream`]; it is good for
    /// [`Self::events`] of this node.
    pub async fn stream_token(&self, query: &SignedQuery) -> Result<StreamToken, ClientError> {
        self.ask(query).await
    }

    /// Follows what is committed. With `last_id`, which [`EventStream::last_id`] was before, it
    /// goes on from there; `token` is for what unsigned reads are not shown.
    pub async fn events(
        &self,
        query: &EventsQuery,
        last_id: Option<&str>,
        token: Option<&StreamToken>,
    ) -> Result<EventStream, ClientError> {
        let mut request = self.http.get(self.address(&["v1", "events"])).query(query);
        request = request.header(ACCEPT, EVENTS);
        if let Some(last_id) = last_id {
            request = request.header("last-event-id", last_id);
        }
        if let Some(token) = token {
            request = request.bearer_auth(&token.token);
        }
        let opened = async {
            let response = request.send().await.map_err(|error| self.failed(&error))?;
            match response.status() {
                status if status.is_success() => Ok(response),
                status => Err(self.problem(status, response).await),
            }
        };
        // The time to open it only: the stream itself has no end.
        match tokio::time::timeout(ANSWER_TIMEOUT, opened).await {
            Ok(opened) => Ok(EventStream::new(self.clone(), opened?)),
            Err(_) => Err(ClientError::Timeout { url: self.url().to_owned() }),
        }
    }

    /// The network's parameters.
    pub async fn parameters(&self) -> Result<Parameters, ClientError> {
        self.json(self.get(&["v1", "parameters"])).await
    }

    /// The validators of the next height in canonical order.
    pub async fn validators(&self) -> Result<Vec<Validator>, ClientError> {
        self.list(&["v1", "validators"]).await
    }

    /// What this node saw validators sign against the rules, that of the highest heights first.
    /// Check it with [`Evidence::is_proven`].
    pub async fn evidence(&self) -> Result<Vec<Evidence>, ClientError> {
        self.list(&["v1", "evidence"]).await
    }

    /// A page of blocks, upward.
    pub async fn blocks(&self, query: &BlocksQuery) -> Result<Page<BlockBrief>, ClientError> {
        let request = self.get(&["v1", "blocks"]).query(query);
        self.json(patient(request, query.wait)).await
    }

    /// Receipts of blocks, upward: follows commits at little cost. With `wait`, held until block
    /// `from` exists; none if the time is up.
    pub async fn receipts(&self, query: &BlocksQuery) -> Result<Vec<BlockReceipts>, ClientError> {
        let request = self.get(&["v1", "blocks"]).query(query);
        self.scale(patient(request, query.wait)).await
    }

    /// One block.
    pub async fn block(&self, id: BlockId) -> Result<Block, ClientError> {
        self.json(self.get(&["v1", "blocks", &id.to_string()])).await
    }

    /// Proves that a transaction was applied; with `payload`, the file tells what it does.
    pub async fn proof_transaction(
        &self,
        hash: &TransactionHash,
        payload: bool,
    ) -> Result<Proof, ClientError> {
        let request = self.get(&["v1", "proofs", "transactions", &hash.to_string()]);
        self.json(request.query(&[("payload", payload)])).await
    }

    /// Proves what an account has of an asset, or that it never had any.
    pub async fn proof_balance(
        &self,
        account: &AccountId,
        asset: &AssetId,
    ) -> Result<Proof, ClientError> {
        self.json(self.get(&["v1", "proofs", "balances", account.as_str(), asset.as_str()])).await
    }

    /// Proves who acts for an account, or that there is none.
    pub async fn proof_account(&self, id: &AccountId) -> Result<Proof, ClientError> {
        self.json(self.get(&["v1", "proofs", "accounts", id.as_str()])).await
    }

    /// Proves that an invoice was paid or is reserved, or that it is neither yet.
    pub async fn proof_invoice(
        &self,
        payee: &AccountId,
        id: &str,
        asset: &AssetId,
        amount: Decimal,
        expires_ms: u64,
    ) -> Result<Proof, ClientError> {
        let request = self.get(&["v1", "proofs", "invoices", payee.as_str(), id]);
        let request = request.query(&[("asset", asset.as_str())]);
        let request = request.query(&[("amount", amount.to_string())]);
        self.json(request.query(&[("expires_ms", expires_ms)])).await
    }

    /// The node about itself.
    pub async fn node_status(&self) -> Result<NodeStatus, ClientError> {
        self.json(self.get(&["status"])).await
    }

    /// The node's metrics in Prometheus' text form.
    pub async fn metrics(&self) -> Result<String, ClientError> {
        let bytes = self.send(self.get(&["metrics"])).await?;
        String::from_utf8(bytes.into()).map_err(|error| self.unexpected(error))
    }

    /// Whether the node is ready for work; the problem's detail says why not.
    pub async fn health(&self) -> Result<(), ClientError> {
        self.send(self.get(&["health", "ready"])).await.map(drop)
    }

    fn address(&self, path: &[&str]) -> Url {
        let mut url = self.base.clone();
        // `new` refused addresses that cannot be a base. The segments are escaped: assets have #.
        if let Ok(mut segments) = url.path_segments_mut() {
            segments.pop_if_empty().extend(path);
        }
        url
    }

    fn get(&self, path: &[&str]) -> RequestBuilder {
        self.http.get(self.address(path)).timeout(ANSWER_TIMEOUT)
    }

    fn post_transactions(&self, media_type: &'static str, body: Bytes) -> RequestBuilder {
        let request = self.http.post(self.address(&["v1", "transactions"]));
        request.header(CONTENT_TYPE, media_type).body(body).timeout(ANSWER_TIMEOUT)
    }

    fn to_json(&self, value: &impl Serialize) -> Result<Bytes, ClientError> {
        serde_json::to_vec(value).map(Bytes::from).map_err(|error| self.unexpected(error))
    }

    async fn ask<T: DeserializeOwned>(&self, query: &SignedQuery) -> Result<T, ClientError> {
        let body = self.to_json(query)?;
        let request = self.http.post(self.address(&["v1", "query"])).timeout(ANSWER_TIMEOUT);
        self.json(request.header(CONTENT_TYPE, JSON).body(body)).await
    }

    async fn json<T: DeserializeOwned>(&self, request: RequestBuilder) -> Result<T, ClientError> {
        let bytes = self.send(request.header(ACCEPT, JSON)).await?;
        serde_json::from_slice(&bytes).map_err(|error| self.unexpected(error))
    }

    async fn scale<T: parity_scale_codec::Decode>(
        &self,
        request: RequestBuilder,
    ) -> Result<T, ClientError> {
        let bytes = self.send(request.header(ACCEPT, SCALE)).await?;
        decode::all(&bytes).map_err(|error| self.unexpected(error))
    }

    /// A list that the node gives in pages, whole.
    async fn list<T: DeserializeOwned>(&self, path: &[&str]) -> Result<Vec<T>, ClientError> {
        let mut all = Vec::new();
        let mut cursor = None;
        loop {
            let request = self.get(path);
            let request = match &cursor {
                Some(cursor) => request.query(&[("cursor", cursor)]),
                None => request,
            };
            let page: Page<T> = self.json(request).await?;
            all.extend(page.items);
            match page.next {
                Some(next) => cursor = Some(next),
                None => return Ok(all),
            }
        }
    }

    async fn send(&self, request: RequestBuilder) -> Result<Bytes, ClientError> {
        let response = request.send().await.map_err(|error| self.failed(&error))?;
        let status = response.status();
        if status.is_success() {
            return response.bytes().await.map_err(|error| self.failed(&error));
        }
        Err(self.problem(status, response).await)
    }

    async fn problem(&self, status: StatusCode, response: Response) -> ClientError {
        let bytes = match response.bytes().await {
            Ok(bytes) => bytes,
            Err(error) => return self.failed(&error),
        };
        match serde_json::from_slice::<Problem>(&bytes) {
            Ok(problem) => ClientError::Problem(Box::new(problem)),
            Err(_) => self.unexpected(format!("HTTP {status} without a problem document")),
        }
    }

    pub(crate) fn failed(&self, error: &reqwest::Error) -> ClientError {
        let url = self.url().to_owned();
        if error.is_timeout() && !error.is_connect() {
            return ClientError::Timeout { url };
        }
        // The innermost error is what the system said; the outer ones repeat the address.
        let mut reason: &dyn std::error::Error = error;
        while let Some(source) = reason.source() {
            reason = source;
        }
        ClientError::Unreachable { url, reason: reason.to_string() }
    }

    pub(crate) fn unexpected(&self, reason: impl fmt::Display) -> ClientError {
        ClientError::Decode { url: self.url().to_owned(), reason: reason.to_string() }
    }
}

/// Gives an answer that the node holds back the time to arrive.
fn patient(request: RequestBuilder, wait: Option<Wait>) -> RequestBuilder {
    let wait = wait.map_or(Duration::ZERO, Wait::duration);
    request.timeout(ANSWER_TIMEOUT + wait)
}
