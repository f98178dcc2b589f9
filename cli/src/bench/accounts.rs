//! The accounts of the bench: made once, in big transactions, with money of their own asset, so
//! that the sum of their balances is that asset's supply.

use std::time::Duration;

use futures::stream::{self, StreamExt, TryStreamExt};
use tonle_client::api::{SubmitOutcome, TransactionStatus};
use tonle_client::{Client, ClientError};
use tonle_model::amount::{Amount, Decimal};
use tonle_model::bounded::Bounded;
use tonle_model::id::{AccountId, AssetId, DomainId};
use tonle_model::instruction::{Instruction, Mintability, Signatory};
use tonle_model::key::KeyPair;
use tonle_model::transaction::{Payload, Step, Transaction};

use super::Target;
use crate::context::Context;
use crate::error::CliError;
use crate::submit::nonce;
use crate::time;

const DOMAIN: &str = "bench";
const ASSET: &str = "coin#bench";
/// What each account starts with: far more than it can spend in a run.
const START: u128 = 1_000_000_000;
/// Accounts in one transaction: two steps each, 256 steps at most.
const GROUP: usize = 128;
/// Transactions in one POST: well under its limit in bytes.
const POST: usize = 16;
/// How long the network may take to make some accounts.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a busy network is asked again.
const TRIES_MAX: u32 = 100;
/// Before asking it again.
const PAUSE: Duration = Duration::from_millis(100);
/// Questions at once.
const QUESTIONS: usize = 32;

/// Everyone who pays and is paid.
pub struct People {
    /// The asset they use.
    pub asset: AssetId,
    members: Vec<Member>,
}

/// One of them.
pub struct Member {
    /// The account.
    pub id: AccountId,
    /// Its key.
    pub key: KeyPair,
}

impl People {
    /// Their accounts.
    pub fn ids(&self) -> impl Iterator<Item = &AccountId> {
        self.members.iter().map(|member| &member.id)
    }

    fn new(numbers: std::ops::Range<u32>) -> Result<Self, CliError> {
        let member = |index| {
            let name = format!("b{index}@{DOMAIN}");
            let id = name.parse().map_err(|error| CliError::failed(format!("{name}: {error}")))?;
            Ok(Member { id, key: KeyPair::demo(&name) })
        };
        let members = numbers.map(member).collect::<Result<_, CliError>>()?;
        let asset = ASSET.parse().map_err(|error| CliError::failed(format!("{error}")))?;
        Ok(Self { asset, members })
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.members.len()
    }

    /// The member of a number, counting round and round.
    pub fn member(&self, number: usize) -> Result<&Member, CliError> {
        let index = number.checked_rem(self.members.len()).unwrap_or(0);
        self.members.get(index).ok_or_else(|| CliError::usage("the bench needs accounts"))
    }
}

/// What everyone has.
pub struct Balances {
    /// By number.
    pub each: Vec<Amount>,
    /// Their sum.
    pub sum: Amount,
    /// What the ledger says there is in all.
    pub supply: Amount,
}

/// Makes the accounts that do not exist yet.
pub async fn prepare(target: &Target, count: u32, context: &Context) -> Result<People, CliError> {
    let people = People::new(0..count)?;
    let node = target.node(0)?;
    let operator = target.parameters.operator.clone();
    let maker = Maker { target, key: KeyPair::demo(operator.as_str()), operator };
    let domain: DomainId = people.asset.domain();
    if !node.domains().await?.iter().any(|found| found.id == domain) {
        let asset = people.asset.clone();
        let register = Instruction::RegisterAsset {
            id: asset,
            scale: 0,
            supply_cap: None,
            mintability: Mintability::Always,
        };
        maker.make(vec![vec![Instruction::RegisterDomain { id: domain }, register]]).await?;
    }
    let groups: Vec<_> = people.members.chunks(GROUP).collect();
    let there = stream::iter(groups.iter().map(|group| exists(node, group)));
    let there: Vec<bool> = there.buffered(QUESTIONS).try_collect().await?;
    let missing = groups.into_iter().zip(there).filter(|(_, there)| !there);
    let missing: Vec<_> = missing.map(|(group, _)| opening(group, &people.asset)).collect();
    let number = missing.len() * GROUP;
    if number > 0 {
        context.output.progress(&format!("making about {number} accounts"));
    }
    for post in missing.chunks(POST) {
        maker.make(post.to_vec()).await?;
    }
    Ok(people)
}

/// Whether a group was made; all or none of it was, unless the last run wanted fewer accounts.
async fn exists(node: &Client, group: &[Member]) -> Result<bool, CliError> {
    let (Some(first), Some(last)) = (group.first(), group.last()) else { return Ok(true) };
    match (has_account(node, &first.id).await?, has_account(node, &last.id).await?) {
        (true, false) => Err(CliError::usage("an earlier bench made a part of these accounts")
            .help("use the same --accounts again, or a multiple of 128, or a fresh network")),
        (there, _) => Ok(there),
    }
}

async fn has_account(node: &Client, id: &AccountId) -> Result<bool, ClientError> {
    match node.account(id).await {
        Ok(_) => Ok(true),
        Err(error) if error.status() == Some(404) => Ok(false),
        Err(error) => Err(error),
    }
}

fn opening(group: &[Member], asset: &AssetId) -> Vec<Instruction> {
    let mut steps = Vec::new();
    for Member { id, key } in group {
        let signatory = Signatory { public_key: key.public_key(), weight: 1 };
        // One is never too many.
        let signatories = Bounded::new(vec![signatory]).unwrap_or_default();
        let (id, to) = (id.clone(), id.clone());
        steps.push(Instruction::RegisterAccount { id, signatories, quorum: 1, tier: None });
        let amount = Amount::from_minor(START).to_decimal(0);
        steps.push(Instruction::Mint { asset: asset.clone(), to, amount });
    }
    steps
}

/// Acts as the network's operator.
struct Maker<'a> {
    target: &'a Target,
    operator: AccountId,
    key: KeyPair,
}

impl Maker<'_> {
    /// Sends one transaction for each list of instructions, and waits until all are applied.
    async fn make(&self, lists: Vec<Vec<Instruction>>) -> Result<(), CliError> {
        let mut pending: Vec<_> =
            lists.into_iter().map(|list| self.sign(list)).collect::<Result<_, _>>()?;
        for _ in 0..TRIES_MAX {
            pending = self.send(pending).await?;
            if pending.is_empty() {
                return Ok(());
            }
            tokio::time::sleep(PAUSE).await;
        }
        Err(CliError::timed_out("the network stays too busy to make the bench accounts"))
    }

    /// Sends transactions, waits for those that are taken, and returns the others.
    async fn send(&self, transactions: Vec<Transaction>) -> Result<Vec<Transaction>, CliError> {
        let node = self.target.node(0)?;
        let items = match node.submit_all(&transactions).await {
            Err(error) if error.retry_after().is_some() => return Ok(transactions),
            items => items?,
        };
        let mut again = Vec::new();
        for (transaction, item) in transactions.into_iter().zip(items) {
            let status = match item.outcome {
                SubmitOutcome::Refused(refused) if matches!(refused.http_status, 429 | 503) => {
                    again.push(transaction);
                    continue;
                }
                SubmitOutcome::Refused(refused) => {
                    return Err(CliError::refused(&refused.code, refused.detail));
                }
                SubmitOutcome::Taken(status) if status.is_final() => status,
                SubmitOutcome::Taken(_) => node.status(&item.hash, Some(PATIENCE)).await?,
            };
            match status {
                TransactionStatus::Committed { .. } => {}
                TransactionStatus::Rejected { code, detail, .. } => {
                    return Err(CliError::refused(code.code(), detail));
                }
                _ => return Err(CliError::timed_out("the bench accounts are not made in time")),
            }
        }
        Ok(again)
    }

    fn sign(&self, list: Vec<Instruction>) -> Result<Transaction, CliError> {
        let authority = || self.operator.clone();
        let step = |instruction| Step { authority: authority(), instruction };
        let steps = Bounded::new(list.into_iter().map(step).collect())
            .map_err(|error| CliError::failed(error.to_string()))?;
        let created_ms = time::now_ms();
        let payload = Payload {
            chain: self.target.status.chain,
            created_ms,
            expires_ms: created_ms + u64::from(self.target.parameters.max_ttl_ms),
            nonce: nonce()?,
            reference: None,
            steps,
        };
        Ok(payload.sign(&[&self.key]))
    }
}

/// Adds up what everyone has, asking all nodes in turn.
pub async fn balances(target: &Target, people: &People) -> Result<Balances, CliError> {
    let questions = people.members.iter().enumerate().map(async |(number, member)| {
        let balances = target.node(number)?.balances(&member.id).await?;
        let held = balances.into_iter().find(|balance| balance.asset == people.asset);
        held.map_or(Ok(Amount::ZERO), |balance| whole(balance.available))
    });
    let each: Vec<_> = stream::iter(questions).buffered(QUESTIONS).try_collect().await?;
    let sum = each.iter().try_fold(Amount::ZERO, |sum, amount| sum.checked_add(*amount));
    let sum = sum.ok_or_else(|| CliError::failed("the balances add up to too much"))?;
    let supply = whole(target.node(0)?.asset(&people.asset).await?.supply)?;
    Ok(Balances { each, sum, supply })
}

fn whole(amount: Decimal) -> Result<Amount, CliError> {
    amount.to_amount(0).map_err(|error| CliError::failed(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use parity_scale_codec::Encode;
    use tonle_model::hash::ChainHash;
    use tonle_model::limits;

    #[test]
    fn a_group_of_accounts_fits_into_one_transaction() {
        let longest_names = 1_000_000 - GROUP as u32..1_000_000;
        let people = People::new(longest_names).unwrap();
        let authority: AccountId = "governor@nbc".parse().unwrap();
        let steps = opening(&people.members, &people.asset).into_iter();
        let steps = steps.map(|instruction| Step { authority: authority.clone(), instruction });
        let payload = Payload {
            chain: ChainHash::default(),
            created_ms: 0,
            expires_ms: 1,
            nonce: 0,
            reference: None,
            steps: Bounded::new(steps.collect()).unwrap(),
        };
        let bytes = payload.sign(&[&KeyPair::demo("governor@nbc")]).encode().len();
        assert!(bytes <= limits::TRANSACTION_BYTES_MAX, "{bytes}");
        assert!(bytes * POST <= tonle_client::api::BODY_BYTES_MAX, "{bytes}");
    }
}
