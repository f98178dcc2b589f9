//! Payments among the demo accounts.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tonle_model::bounded::Bounded;
use tonle_model::hash::ChainHash;
use tonle_model::id::AccountId;
use tonle_model::instruction::Instruction;
use tonle_model::key::KeyPair;
use tonle_model::transaction::{Payload, Step, Transaction};

/// Demo accounts with balances in both currencies.
pub const ACCOUNTS: [&str; 6] =
    ["sok@aclb", "bopha@aclb", "dara@wing", "vanna@wing", "sophea@devb", "coffee@devb"];

/// Milliseconds since 1970.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    u64::try_from(since.as_millis()).expect("a clock before the year 584 million")
}

/// A payload that is valid for two minutes from now.
pub fn payload(chain: ChainHash, authority: &str, instructions: Vec<Instruction>) -> Payload {
    static NONCE: AtomicU64 = AtomicU64::new(0);
    let authority: AccountId = authority.parse().expect("an account id");
    let step = |instruction| Step { authority: authority.clone(), instruction };
    let steps = instructions.into_iter().map(step).collect();
    let now_ms = now_ms();
    Payload {
        chain,
        created_ms: now_ms,
        expires_ms: now_ms + 120_000,
        nonce: NONCE.fetch_add(1, Ordering::Relaxed),
        reference: None,
        steps: Bounded::new(steps).expect("few steps"),
    }
}

/// A transfer instruction of riel.
pub fn transfer(to: &str, amount: &str) -> Instruction {
    Instruction::Transfer {
        asset: "khr#nbc".parse().expect("an asset id"),
        from: None,
        to: to.parse().expect("an account id"),
        amount: amount.parse().expect("an amount"),
        memo: "".parse().expect("a memo"),
        invoice: None,
    }
}

/// A signed payment of riel.
pub fn payment(chain: ChainHash, from: &str, to: &str, amount: &str) -> Transaction {
    payload(chain, from, vec![transfer(to, amount)]).sign(&[&KeyPair::demo(from)])
}
