//! Who pays on the hosts: accounts with an asset of their own, there from genesis on, so that what
//! each must have can be told from the payments alone.

use std::ops::Range;

use tonle_model::amount::Amount;
use tonle_model::bounded::Bounded;
use tonle_model::genesis::Genesis;
use tonle_model::hash::ChainHash;
use tonle_model::id::{AccountId, AssetId, DomainId};
use tonle_model::instruction::{Instruction, Mintability, Signatory};
use tonle_model::key::KeyPair;
use tonle_model::string::Text;
use tonle_model::transaction::{Payload, Step, Transaction};

use crate::payments::now_ms;

/// How many accounts.
pub const ACCOUNTS: usize = 400;
/// What each starts with: far more than it can spend.
pub const START: u128 = 1_000_000_000;
const OPERATOR: &str = "governor@nbc";
const DOMAIN: &str = "crowd";
const ASSET: &str = "coin#crowd";
/// How long a payment may take: as long as any may.
const LIFE_MS: u64 = 600_000;

/// Everyone who pays and is paid.
pub struct People {
    /// What they pay with.
    pub asset: AssetId,
    members: Vec<(AccountId, KeyPair)>,
}

impl Default for People {
    fn default() -> Self {
        let member = |number| {
            let name = format!("p{number}@{DOMAIN}");
            (name.parse().expect("an account id"), KeyPair::demo(&name))
        };
        let asset = ASSET.parse().expect("an asset id");
        Self { asset, members: (0..ACCOUNTS).map(member).collect() }
    }
}

impl People {
    /// Their accounts.
    pub fn ids(&self) -> impl Iterator<Item = &AccountId> {
        self.members.iter().map(|(id, _)| id)
    }

    /// The demo network with these accounts.
    pub fn genesis(&self) -> Genesis {
        let mut genesis =
            Genesis::from_json(include_str!("../../../genesis.json")).expect("the demo genesis");
        let domain: DomainId = DOMAIN.parse().expect("a domain id");
        let asset = Instruction::RegisterAsset {
            id: self.asset.clone(),
            scale: 0,
            supply_cap: None,
            mintability: Mintability::Always,
        };
        let mut instructions = vec![Instruction::RegisterDomain { id: domain }, asset];
        for (id, key) in &self.members {
            let signatory = Signatory { public_key: key.public_key(), weight: 1 };
            let signatories = Bounded::new(vec![signatory]).expect("one signatory");
            let (id, to) = (id.clone(), id.clone());
            instructions.push(Instruction::RegisterAccount {
                id,
                signatories,
                quorum: 1,
                tier: None,
            });
            let amount = Amount::from_minor(START).to_decimal(0);
            instructions.push(Instruction::Mint { asset: self.asset.clone(), to, amount });
        }
        let authority: AccountId = OPERATOR.parse().expect("an account id");
        let step = |instruction| Step { authority: authority.clone(), instruction };
        let mut steps = genesis.steps.into_vec();
        steps.extend(instructions.into_iter().map(step));
        genesis.steps = Bounded::new(steps).expect("fewer than a million steps");
        genesis
    }

    /// Opens accounts that do not pay, each with some money of the demo network.
    pub fn open(&self, chain: ChainHash, numbers: Range<usize>) -> Transaction {
        let authority: AccountId = OPERATOR.parse().expect("an account id");
        let key = KeyPair::demo(OPERATOR);
        let signatory = Signatory { public_key: key.public_key(), weight: 1 };
        let signatories = Bounded::new(vec![signatory]).expect("one signatory");
        let amount = Amount::from_minor(1).to_decimal(0);
        let asset: AssetId = "khr#nbc".parse().expect("an asset id");
        let nonce = numbers.start as u64;
        let instructions = numbers.flat_map(|number| {
            let id: AccountId = format!("q{number}@{DOMAIN}").parse().expect("an account id");
            let (to, signatories) = (id.clone(), signatories.clone());
            let register = Instruction::RegisterAccount { id, signatories, quorum: 1, tier: None };
            [register, Instruction::Mint { asset: asset.clone(), to, amount }]
        });
        let steps = instructions
            .map(|instruction| Step { authority: authority.clone(), instruction })
            .collect();
        sign(chain, nonce, steps, &key)
    }

    /// Signs the payment of a number, which no other payment of the run has.
    pub fn sign(&self, chain: ChainHash, payment: Payment, number: u64) -> Transaction {
        let (payer, key) = &self.members[usize::from(payment.from)];
        let instruction = Instruction::Transfer {
            asset: self.asset.clone(),
            from: None,
            to: self.members[usize::from(payment.to)].0.clone(),
            amount: Amount::from_minor(payment.amount.into()).to_decimal(0),
            memo: Text::default(),
            invoice: None,
        };
        let step = Step { authority: payer.clone(), instruction };
        sign(chain, number, vec![step], key)
    }
}

fn sign(chain: ChainHash, nonce: u64, steps: Vec<Step>, key: &KeyPair) -> Transaction {
    let created_ms = now_ms();
    let payload = Payload {
        chain,
        created_ms,
        expires_ms: created_ms + LIFE_MS,
        nonce,
        reference: None,
        steps: Bounded::new(steps).expect("no more steps than a transaction has"),
    };
    payload.sign(&[key])
}

/// Who pays whom how much.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// The number of the payer.
    pub from: u16,
    /// The number of the payee.
    pub to: u16,
    /// Of the asset, which has no decimals.
    pub amount: u8,
}

impl Payment {
    /// What a transaction pays that is no payment.
    pub const NONE: Self = Self { from: 0, to: 0, amount: 0 };

    /// The payment of a number: payers take turns, payees are spread.
    pub fn of(number: u64, payers: &std::ops::Range<u16>) -> Self {
        let accounts = ACCOUNTS as u64;
        let count = u64::from(payers.end - payers.start);
        let from = u64::from(payers.start) + number % count;
        // Between 1 and all others away: never the payer itself.
        let to = (from + 1 + (number / count).wrapping_mul(7_919) % (accounts - 1)) % accounts;
        let narrow = |number: u64| u16::try_from(number).expect("a number of an account");
        let amount = u8::try_from(1 + number % 10).expect("ten at most");
        Self { from: narrow(from), to: narrow(to), amount }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn everyone_pays_somebody_else() {
        let everyone = 0..ACCOUNTS as u16;
        let payments: Vec<_> = (0..2_000).map(|number| Payment::of(number, &everyone)).collect();
        assert!(payments.iter().all(|payment| payment.from != payment.to));
        let payers: BTreeSet<_> = payments.iter().map(|payment| payment.from).collect();
        assert_eq!(payers.len(), ACCOUNTS);
        assert!((0..2_000).all(|number| Payment::of(number, &(7..8)).from == 7));
    }

    #[test]
    fn the_network_begins_with_their_money() {
        let people = People::default();
        let genesis = people.genesis();
        assert!(genesis.demo);
        assert!(genesis.steps.len() > 2 * ACCOUNTS);
        let text = serde_json::to_string(&genesis).unwrap();
        assert_eq!(Genesis::from_json(&text).unwrap().chain(), genesis.chain());
    }
}
