//! Proofs that verify without this node (the book, Proofs).
//!
//! A state proof is of the last committed block: of older states only the roots are left. What a
//! proof shows is under `public_reads` as the read of the same thing is; that a transaction was
//! applied may be asked by whoever knows its hash, what it does is in the block.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;
use tonle_client::api::PublicReads;
use tonle_model::amount::Decimal;
use tonle_model::batch::Batch;
use tonle_model::block::{BlockResult, Header};
use tonle_model::bounded::{Bounded, TooLong};
use tonle_model::hash::TransactionHash;
use tonle_model::id::{AccountId, AssetId};
use tonle_model::number::Height;
use tonle_model::proof::{
    CertifiedBlock, Claim, InvoiceName, Proof, Sibling, ValidatorList, Wanted,
};
use tonle_model::query::InvoiceId;
use tonle_model::receipt::Outcome;
use tonle_model::transaction::Payload;
use tonle_model::validators::ValidatorSet;

use super::negotiate::{Path, Path2, Query, json};
use super::problem::{ApiError, stored};
use super::reads::off_thread;
use super::{App, Shared};

type Answer = Result<Response, ApiError>;

/// What to put into the proof of a transaction.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TransactionProofQuery {
    /// Whether to tell what it does.
    #[serde(default)]
    payload: bool,
}

/// What names an invoice beside payee and id.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct InvoiceProofQuery {
    asset: AssetId,
    amount: Decimal,
    expires_ms: u64,
}

/// `GET /v1/proofs/transactions/{hash}?payload=`
pub(super) async fn transaction(
    State(shared): App,
    Path(hash): Path<TransactionHash>,
    Query(query): Query<TransactionProofQuery>,
) -> Answer {
    if query.payload {
        shared.check_public(PublicReads::All)?;
    }
    off_thread(shared, move |shared| shared.transaction_proof(&hash, query.payload)).await
}

/// `GET /v1/proofs/balances/{account}/{asset}`
pub(super) async fn balance(
    State(shared): App,
    Path2(account, asset): Path2<AccountId, AssetId>,
) -> Answer {
    shared.check_public(PublicReads::All)?;
    off_thread(shared, move |shared| shared.state_proof(Wanted::Balance { account, asset })).await
}

/// `GET /v1/proofs/accounts/{id}`
pub(super) async fn account(State(shared): App, Path(id): Path<AccountId>) -> Answer {
    shared.check_public(PublicReads::All)?;
    off_thread(shared, move |shared| shared.state_proof(Wanted::Account { id })).await
}

/// `GET /v1/proofs/invoices/{payee}/{id}?asset=&amount=&expires_ms=`
pub(super) async fn invoice(
    State(shared): App,
    Path2(payee, id): Path2<AccountId, InvoiceId>,
    Query(query): Query<InvoiceProofQuery>,
) -> Answer {
    shared.check_public(PublicReads::All)?;
    off_thread(shared, move |shared| {
        let InvoiceProofQuery { asset, amount, expires_ms } = query;
        let found = stored(shared.node.world().asset(&asset))?;
        let found = found.ok_or_else(|| {
            ApiError::unknown("unknown_asset", format!("there is no asset {asset}"))
        })?;
        let amount_minor = amount.to_amount(found.scale).map_err(|error| {
            ApiError::malformed(format!("`amount` is none of {asset}: {error}"))
        })?;
        let name = InvoiceName { payee, id, asset, amount_minor, expires_ms };
        shared.state_proof(Wanted::Invoice(name))
    })
    .await
}

impl Shared {
    fn transaction_proof(&self, hash: &TransactionHash, with_payload: bool) -> Answer {
        let proof = stored(self.node.world().prove_receipt(hash))?.ok_or_else(|| {
            ApiError::unknown(
                "unknown_transaction",
                "this transaction is in no block; GET /v1/transactions/{hash}?wait=5s tells when \
                 it is",
            )
        })?;
        if let Outcome::Rejected { code, .. } = proof.receipt.outcome {
            return Err(ApiError::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "not_applied",
                format!("the transaction was rejected ({code}): there is no payment to prove"),
            ));
        }
        let block = self.certified(proof.height, proof.result)?;
        let payload = match with_payload {
            true => Some(self.payload_at(&block.header, proof.place)?),
            false => None,
        };
        self.proof(Claim::Transaction { receipt: proof.receipt, payload }, proof.path, block)
    }

    fn state_proof(&self, wanted: Wanted) -> Answer {
        let proof = stored(self.node.world().prove_state(&wanted))?.ok_or_else(|| {
            ApiError::busy("busy", "blocks are committed faster than a proof is made; ask again")
        })?;
        let (committed, leaf) = (proof.committed, proof.leaf);
        let claim = match (leaf.key[..] == wanted.key(), &wanted) {
            (true, _) => Claim::Presence { wanted, leaf },
            // The ledger forgets invoices: what is not there may have been paid.
            (false, Wanted::Invoice(name)) if committed.timestamp_ms > name.expires_ms => {
                return Err(ApiError::new(
                    StatusCode::GONE,
                    "invoice_expired",
                    "the invoice has expired: whether it was paid can no longer be proven from the \
                     state; the payment itself can, by its transaction",
                ));
            }
            (false, _) => Claim::Absence { wanted, leaf },
        };
        let block = self.certified(committed.height, committed.result)?;
        self.proof(claim, proof.path, block)
    }

    fn proof(&self, claim: Claim, path: Vec<Sibling>, block: CertifiedBlock) -> Answer {
        let height = block.header.height;
        let validators = stored(self.node.world().validators_at(height))?;
        let proof = Proof {
            chain: self.genesis.chain,
            claim,
            path: stored(Bounded::new(path))?,
            block,
            validators: stored(listed(&validators))?,
            validator_changes: stored(
                self.node.world().certified_changes(self.node.chain(), height),
            )?,
        };
        Ok(json(StatusCode::OK, proof))
    }

    fn certified(&self, height: Height, result: BlockResult) -> Result<CertifiedBlock, ApiError> {
        if height == Height(0) {
            return Err(ApiError::unknown(
                "no_certificate",
                "nobody decided the genesis, which proves itself; state is provable from the \
                 first block on",
            ));
        }
        self.check_held(height)?;
        let record = stored(self.node.chain().block(height))?;
        let record = stored(record.ok_or("a committed block is not in the chain database"))?;
        Ok(CertifiedBlock { header: record.header, result, finalization: record.finalization })
    }

    /// What the transaction at a place among all of a block does.
    fn payload_at(&self, header: &Header, place: u32) -> Result<Payload, ApiError> {
        let mut place = place;
        for (position, batch) in header.batches.iter().enumerate() {
            match place.checked_sub(batch.tx_count) {
                Some(rest) => place = rest,
                None => {
                    let bytes = stored(self.node.chain().batch_at(header.height, position))?;
                    let bytes = stored(bytes.ok_or("a batch of a decided block is missing"))?;
                    let batch = stored(Batch::decode(&header.chain, bytes))?;
                    let member = batch.transactions().get(place as usize);
                    return stored(member.map(|member| member.payload().clone()).ok_or(MISPLACED));
                }
            }
        }
        stored(Err(MISPLACED))
    }
}

fn listed(validators: &ValidatorSet) -> Result<ValidatorList, TooLong> {
    Bounded::new(validators.iter().cloned().collect())
}

/// For the log.
const MISPLACED: &str = "a committed transaction is not at its place in the block";

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use tonle_client::ClientError;
    use tonle_model::proof::climb;

    use super::super::Settings;
    use super::super::tests_node::{GENESIS_MS, start, start_with};
    use super::*;

    fn assert_problem<T: Debug>(result: Result<T, ClientError>, status: u16, code: &str) {
        let Err(ClientError::Problem(problem)) = result else { panic!("{code}: {result:?}") };
        assert_eq!((problem.status, problem.code.as_str()), (status, code));
    }

    fn ids() -> (AccountId, AccountId, AssetId) {
        let parse = |id: &str| id.parse().unwrap();
        (parse("sok@aclb"), parse("dara@wing"), "khr#nbc".parse().unwrap())
    }

    fn is_about_the_block(proof: &Proof) -> bool {
        let result = &proof.block.result;
        match &proof.claim {
            Claim::Transaction { receipt, .. } => {
                climb(receipt.leaf(), &proof.path) == result.receipts_root
            }
            Claim::Presence { leaf, .. } | Claim::Absence { leaf, .. } => {
                climb(leaf.hash(), &proof.path) == result.state_root
            }
        }
    }

    #[tokio::test]
    async fn what_is_committed_is_provable_and_nothing_else() {
        let net = start().await;
        let (sok, dara, khr) = ids();
        assert_problem(net.client.proof_balance(&sok, &khr).await, 404, "no_certificate");
        let paid = net.node.payment("sok@aclb", "dara@wing", "5", 1);
        let failed = net.node.payment("sok@aclb", "dara@wing", "5000000", 2);
        let height = net.node.commit(&[paid.clone(), failed.clone()]);

        let hash = paid.payload.hash();
        let proof = net.client.proof_transaction(&hash, true).await.unwrap();
        assert!(is_about_the_block(&proof));
        assert_eq!(proof.block.header.height, height);
        let Claim::Transaction { payload, .. } = proof.claim else { panic!("a transaction") };
        assert_eq!(payload, Some(paid.payload));
        let rejected = net.client.proof_transaction(&failed.payload.hash(), false).await;
        assert_problem(rejected, 422, "not_applied");
        let unknown = net.client.proof_transaction(&TransactionHash::default(), false).await;
        assert_problem(unknown, 404, "unknown_transaction");

        let there = net.client.proof_balance(&dara, &khr).await.unwrap();
        assert!(is_about_the_block(&there) && matches!(there.claim, Claim::Presence { .. }));
        let nobody = "nobody@wing".parse().unwrap();
        let not_there = net.client.proof_account(&nobody).await.unwrap();
        assert!(is_about_the_block(&not_there));
        assert!(matches!(not_there.claim, Claim::Absence { .. }));
    }

    #[tokio::test]
    async fn an_invoice_is_unpaid_only_until_its_expiry() {
        let net = start().await;
        let (_, dara, khr) = ids();
        net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "5", 1)]);
        let invoice = async |amount: &str, expires_ms| {
            let amount = amount.parse().unwrap();
            net.client.proof_invoice(&dara, "a/b c", &khr, amount, expires_ms).await
        };
        let unpaid = invoice("5", GENESIS_MS + 1000).await.unwrap();
        assert!(matches!(unpaid.claim, Claim::Absence { .. }));
        assert_problem(invoice("5", GENESIS_MS + 999).await, 410, "invoice_expired");
        assert_problem(invoice("0.5", GENESIS_MS + 1000).await, 400, "malformed");
        let gold = "gold#nbc".parse().unwrap();
        let amount = "5".parse().unwrap();
        let unknown = net.client.proof_invoice(&dara, "x", &gold, amount, GENESIS_MS).await;
        assert_problem(unknown, 404, "unknown_asset");
    }

    #[tokio::test]
    async fn proofs_show_no_more_than_reads_do() {
        let net = start_with("chain", Settings::default()).await;
        let (sok, _, khr) = ids();
        let paid = net.node.payment("sok@aclb", "dara@wing", "5", 1);
        net.node.commit(std::slice::from_ref(&paid));
        let hash = paid.payload.hash();
        assert!(net.client.proof_transaction(&hash, false).await.is_ok());
        let told = net.client.proof_transaction(&hash, true).await;
        assert_problem(told, 403, "reads_not_public");
        assert_problem(net.client.proof_balance(&sok, &khr).await, 403, "reads_not_public");
        assert_problem(net.client.proof_account(&sok).await, 403, "reads_not_public");
    }
}
