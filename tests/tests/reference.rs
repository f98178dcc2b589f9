//! The ledger does what a second one does that was written for clarity alone, on random sequences
//! of blocks: every outcome, every void and every entry of the state.
//!
//! `TONLE_SEQUENCES` sets how many run (10,000 by default; `make reference` runs a million) and
//! `TONLE_SEQUENCES_FIRST` the first one's seed; a failure names its seed and shows the shortest
//! sequence found that fails.

use std::num::NonZero;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use bytes::Bytes;
use parity_scale_codec::Encode;
use tonle_model::bounded::Bounded;
use tonle_model::hash::{HoldId, ProposalId, TransactionHash};
use tonle_model::id::{AccountId, AssetId, DomainId, Name};
use tonle_model::instruction::{Instruction, Invoice, Signatory};
use tonle_model::preimage::Preimage;
use tonle_model::receipt::{Outcome, RejectionCode};
use tonle_model::transaction::{FormError, Payload, SignedTransaction, Step};
use tonle_tests::reference::network::signed;
use tonle_tests::reference::sequence::{fates, play};
use tonle_tests::reference::tally::Tally;
use tonle_tests::reference::world::{
    CHAIN, GENESIS, MIDNIGHT_MS, START_MS, account, amount, asset, domain, grant, grant_role, key,
    limit, mint, name, note, open, pay, preimage, right, role, validator_key,
};
use tonle_tests::reference::{Fate, Pair};

const SEQUENCES: u64 = 10_000;
/// From so many sequences on, everything that can happen must have happened.
const SEQUENCES_FOR_ALL: u64 = 5_000;

/// Codes that no sequence reaches.
const UNREACHABLE: &[RejectionCode] = &[
    // Only a panic in execution, which would be a defect.
    RejectionCode::Internal,
    // Validators go one in a block, and sequences are short: see `the_last_validator_stays`.
    RejectionCode::LastValidator,
];

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

/// Plays every `stride`th seed of some.
fn play_some(first: u64, end: u64, stride: usize) -> Tally {
    let mut tally = Tally::default();
    for seed in (first..end).step_by(stride) {
        let played = catch_unwind(AssertUnwindSafe(|| play(seed, &mut tally)));
        match played {
            Ok(Ok(())) => {}
            Ok(Err(failure)) => panic!("{failure}"),
            Err(_) => panic!("seed {seed} panics"),
        }
    }
    tally
}

#[test]
fn the_ledger_does_what_its_reference_does() {
    let first = setting("TONLE_SEQUENCES_FIRST", 0);
    let count = setting("TONLE_SEQUENCES", SEQUENCES);
    let threads = thread::available_parallelism().map_or(1, NonZero::get);
    let mut tally = Tally::default();
    thread::scope(|scope| {
        let players: Vec<_> = (0..threads as u64)
            .map(|number| scope.spawn(move || play_some(first + number, first + count, threads)))
            .collect();
        for player in players {
            tally.add(&player.join().expect("both ledgers do the same"));
        }
    });
    println!("{tally:#?}");
    let missing = tally.missing(UNREACHABLE);
    let all = count < SEQUENCES_FOR_ALL || missing.is_empty();
    assert!(all, "never happened in {count} sequences: {missing:?}");
}

/// Both ledgers, a block for each transaction.
struct Small {
    pair: Pair,
    next_nonce: u64,
}

const APPLIED: Outcome = Outcome::Applied;

fn rejected(code: RejectionCode) -> Outcome {
    Outcome::Rejected { code, step: 0 }
}

impl Small {
    fn new() -> Self {
        Self { pair: Pair::new(&GENESIS).expect("both have one genesis"), next_nonce: 0 }
    }

    fn now_ms(&self) -> u64 {
        self.pair.reference.time_ms()
    }

    /// A transaction of these steps for a block at some time, signed with every key of everyone.
    fn transaction(&mut self, time_ms: u64, steps: Vec<(&str, Instruction)>) -> SignedTransaction {
        let steps: Vec<_> = steps
            .into_iter()
            .map(|(authority, instruction)| Step { authority: account(authority), instruction })
            .collect();
        let accounts = &self.pair.reference.state.accounts;
        let authorities = steps.iter().filter_map(|step| accounts.get(&step.authority));
        let signatories = authorities.flat_map(|account| &account.signatories);
        let mut signers: Vec<_> = signatories.map(|signatory| signatory.public_key).collect();
        signers.sort();
        signers.dedup();
        self.next_nonce += 1;
        let payload = Payload {
            chain: *CHAIN,
            created_ms: time_ms,
            expires_ms: time_ms + 1_000,
            nonce: self.next_nonce,
            reference: None,
            steps: Bounded::new(steps).expect("at most 256 steps"),
        };
        signed(payload, &signers)
    }

    fn at(&mut self, time_ms: u64, steps: Vec<(&str, Instruction)>) -> (TransactionHash, Outcome) {
        let transaction = self.transaction(time_ms, steps);
        let fates = fates(&mut self.pair, time_ms, std::slice::from_ref(&transaction));
        match fates.as_slice() {
            [Fate::Done(outcome)] => (transaction.hash(), *outcome),
            other => panic!("{other:?}"),
        }
    }

    /// What one instruction comes to, in the next millisecond.
    fn one(&mut self, by: &str, instruction: Instruction) -> Outcome {
        self.at(self.now_ms() + 1, vec![(by, instruction)]).1
    }

    /// Makes a hold of 100 riel from Sok to Dara in the next millisecond.
    fn hold(&mut self, lasts_ms: u64, lock: Option<&Preimage>, invoice: Option<&str>) -> HoldId {
        let time_ms = self.now_ms() + 1;
        let expires_ms = time_ms + lasts_ms;
        let invoice = invoice.map(|id| Invoice { id: id.parse().expect("short"), expires_ms });
        let hold = Instruction::Hold {
            asset: asset("khr#nbc"),
            to: account("dara@aclb"),
            amount: amount("100"),
            expires_ms,
            hash_lock: lock.map(Preimage::lock),
            arbiter: None,
            invoice,
        };
        let (hash, outcome) = self.at(time_ms, vec![("sok@aclb", hold)]);
        assert_eq!(outcome, APPLIED);
        HoldId::of(&hash.0, 0)
    }

    fn available(&self, who: &str) -> u128 {
        self.pair.reference.state.balance(&account(who), &asset("khr#nbc")).available
    }
}

fn settle(id: HoldId, preimage: Option<Preimage>) -> Instruction {
    Instruction::Settle { id, amount: None, preimage }
}

fn set_quorum(id: &str, quorum: u16) -> Instruction {
    Instruction::SetQuorum { account: account(id), quorum }
}

fn remove_key(id: &str, name: &str) -> Instruction {
    Instruction::RemoveSignatory { account: account(id), public_key: key(name) }
}

fn add_key(id: &str, name: &str) -> Instruction {
    let signatory = Signatory { public_key: key(name), weight: 1 };
    Instruction::AddSignatory { account: account(id), signatory }
}

#[test]
fn a_transaction_has_at_most_256_steps() {
    let mut small = Small::new();
    let time_ms = small.now_ms() + 1;
    let steps = vec![("sok@aclb", pay("khr#nbc", "dara@aclb", "1")); 256];
    assert_eq!(small.at(time_ms, steps.clone()).1, APPLIED);
    assert_eq!(small.available("sok@aclb"), 744);

    let most = small.transaction(time_ms, steps);
    let Payload { chain, created_ms, expires_ms, nonce, reference, steps } = most.payload().clone();
    let mut steps = steps.into_vec();
    let bytes = |steps: &[Step]| {
        let payload = (chain, created_ms, expires_ms, nonce, reference.clone(), steps);
        Bytes::from((payload, &most.transaction().signatures).encode())
    };
    assert_eq!(bytes(&steps), *most.bytes());
    steps.push(steps[0].clone());
    assert!(Bounded::<_, 256>::new(steps.clone()).is_err());
    let error = SignedTransaction::decode(bytes(&steps)).expect_err("257 steps");
    assert!(matches!(error, FormError::Malformed(_)), "{error}");
}

#[test]
fn only_32_bytes_open_a_lock() {
    for length in [0, 31, 33, 64] {
        let wrong = Preimage::new(&vec![7; length]).expect("at most 64 bytes");
        let mut small = Small::new();
        let id = small.hold(1_000, Some(&wrong), None);
        let outcome = small.one("dara@aclb", settle(id, Some(wrong)));
        assert_eq!(outcome, rejected(RejectionCode::WrongPreimage), "{length} bytes");
    }
    assert!(Preimage::new(&[7; 65]).is_err());
    let mut small = Small::new();
    let id = small.hold(1_000, Some(&preimage(7)), None);
    let wrong = rejected(RejectionCode::WrongPreimage);
    assert_eq!(small.one("dara@aclb", settle(id, None)), wrong);
    assert_eq!(small.one("dara@aclb", settle(id, Some(preimage(8)))), wrong);
    assert_eq!(small.one("nbc@nbc", settle(id, Some(preimage(7)))), APPLIED, "whoever shows it");
    let id = small.hold(1_000, None, None);
    assert_eq!(small.one("dara@aclb", settle(id, Some(preimage(7)))), wrong, "no lock, no key");
}

#[test]
fn nobody_pays_oneself() {
    let mut small = Small::new();
    let same = rejected(RejectionCode::SameAccount);
    assert_eq!(small.one("sok@aclb", pay("khr#nbc", "sok@aclb", "1")), same);
    let Instruction::Transfer { asset, to, amount, memo, invoice, .. } =
        pay("khr#nbc", "sok@aclb", "1")
    else {
        panic!("a transfer");
    };
    let from = Some(account("sok@aclb"));
    let transfer = Instruction::Transfer { asset, from, to, amount, memo, invoice };
    assert_eq!(small.one("dara@aclb", transfer), same, "nor lets another do it");
}

#[test]
fn an_account_can_always_be_signed_for() {
    let mut small = Small::new();
    let invalid = rejected(RejectionCode::InvalidQuorum);
    assert_eq!(small.one("bank@aclb", open("new@aclb", &[("a", 1)], 0)), invalid);
    assert_eq!(small.one("bank@aclb", open("new@aclb", &[("a", 1)], 2)), invalid);
    assert_eq!(small.one("bank@aclb", open("new@aclb", &[("a", 1), ("a", 1)], 1)), invalid);
    assert_eq!(small.one("bank@aclb", open("new@aclb", &[("a", 0)], 0)), invalid);
    assert_eq!(small.one("bank@aclb", open("new@aclb", &[], 0)), invalid);
    assert_eq!(small.one("sok@aclb", set_quorum("sok@aclb", 0)), invalid);
    assert_eq!(small.one("sok@aclb", set_quorum("sok@aclb", 2)), invalid);
    assert_eq!(small.one("sok@aclb", remove_key("sok@aclb", "sok")), invalid, "its last key");
    assert_eq!(small.one("joint@aclb", remove_key("joint@aclb", "c")), invalid, "2 of 3 left");
    assert_eq!(small.one("joint@aclb", remove_key("joint@aclb", "a")), APPLIED, "3 of 3 left");
}

#[test]
fn ones_last_right_can_be_laid_down() {
    let mut small = Small::new();
    let revoke = Instruction::Revoke {
        permission: right("transfer_from:sok@aclb"),
        account: account("dara@aclb"),
    };
    let lay_down = Instruction::RevokeRole { role: name("teller"), account: account("dara@aclb") };
    assert_eq!(small.one("dara@aclb", revoke.clone()), APPLIED);
    assert_eq!(small.one("dara@aclb", revoke), rejected(RejectionCode::NotGranted));
    assert_eq!(small.one("dara@aclb", lay_down), APPLIED);
    let back = grant("transfer_from:sok@aclb", "dara@aclb");
    assert_eq!(small.one("dara@aclb", back), rejected(RejectionCode::PermissionDenied));
}

#[test]
fn what_a_removed_key_approved_counts_no_more() {
    let mut small = Small::new();
    let propose = Instruction::Propose {
        account: account("team@aclb"),
        instructions: Bounded::new(vec![pay("khr#nbc", "sok@aclb", "7")]).expect("one"),
        expires_ms: START_MS + 60_000,
    };
    let time_ms = small.now_ms() + 1;
    let transaction = small.transaction(time_ms, vec![("nbc@nbc", propose)]);
    // The team needs three of four keys.
    let transaction = signed(transaction.payload().clone(), &[key("nbc"), key("a"), key("b")]);
    let id = ProposalId::of(&transaction.hash(), 0);
    assert_eq!(fates(&mut small.pair, time_ms, &[transaction]), [Fate::Done(APPLIED)]);
    assert_eq!(small.one("team@aclb", remove_key("team@aclb", "a")), APPLIED);
    let mut approve = |name: &str| {
        let time_ms = small.now_ms() + 1;
        let steps = vec![("nbc@nbc", Instruction::Approve { id })];
        let transaction = small.transaction(time_ms, steps);
        let transaction = signed(transaction.payload().clone(), &[key("nbc"), key(name)]);
        let fates = fates(&mut small.pair, time_ms, &[transaction]);
        (fates, small.available("sok@aclb"))
    };
    let done = |outcome| vec![Fate::Done(outcome)];
    let nothing = rejected(RejectionCode::NothingToApprove);
    assert_eq!(approve("a"), (done(nothing), 1_000), "no signatory");
    assert_eq!(approve("b"), (done(nothing), 1_000), "approved already");
    assert_eq!(approve("c"), (done(APPLIED), 1_000), "two of three");
    assert_eq!(approve("sok"), (done(APPLIED), 1_007));
    assert_eq!(approve("sok"), (done(rejected(RejectionCode::UnknownProposal)), 1_007));
}

#[test]
fn a_limit_is_for_a_day() {
    let mut small = Small::new();
    let exceeded = rejected(RejectionCode::LimitExceeded);
    let pay = |much| vec![("sok@aclb", pay("khr#nbc", "bank@aclb", much))];
    assert_eq!(small.at(MIDNIGHT_MS - 2, pay("400")).1, APPLIED);
    assert_eq!(small.at(MIDNIGHT_MS - 1, pay("1")).1, exceeded);
    assert_eq!(small.at(MIDNIGHT_MS, pay("401")).1, exceeded);
    assert_eq!(small.at(MIDNIGHT_MS + 1, pay("399")).1, APPLIED);
    // A hold counts when it is made, and not once it is given back.
    let release = |id| vec![("dara@aclb", Instruction::Release { id })];
    assert_eq!(small.at(MIDNIGHT_MS + 2, pay("2")).1, exceeded);
    let mut small = Small::new();
    let id = small.hold(60_000, None, None);
    assert_eq!(small.at(MIDNIGHT_MS - 3, pay("301")).1, exceeded);
    assert_eq!(small.at(MIDNIGHT_MS - 2, release(id)).1, APPLIED);
    assert_eq!(small.at(MIDNIGHT_MS - 1, pay("400")).1, APPLIED);
    // One of yesterday that is given back changes nothing today.
    let mut small = Small::new();
    let id = small.hold(60_000, None, None);
    assert_eq!(small.at(MIDNIGHT_MS, pay("400")).1, APPLIED);
    assert_eq!(small.at(MIDNIGHT_MS + 1, release(id)).1, APPLIED);
    assert_eq!(small.at(MIDNIGHT_MS + 2, pay("1")).1, exceeded);
}

#[test]
fn a_hold_settles_up_to_its_last_millisecond() {
    let release = |id| Instruction::Release { id };
    for lock in [None, Some(preimage(7))] {
        let mut small = Small::new();
        let id = small.hold(10, lock.as_ref(), None);
        let end_ms = small.now_ms() + 10;
        let early = small.at(end_ms, vec![("sok@aclb", release(id))]).1;
        assert_eq!(early, rejected(RejectionCode::HoldNotExpired));
        let late = small.at(end_ms + 1, vec![("dara@aclb", settle(id, lock.clone()))]).1;
        assert_eq!(late, rejected(RejectionCode::HoldExpired));
        assert_eq!(small.one("sok@aclb", release(id)), APPLIED);
        assert_eq!(small.one("sok@aclb", release(id)), rejected(RejectionCode::UnknownHold));
        assert_eq!(small.available("sok@aclb"), 1_000);

        let id = small.hold(10, lock.as_ref(), None);
        let end_ms = small.now_ms() + 10;
        assert_eq!(small.at(end_ms, vec![("dara@aclb", settle(id, lock))]).1, APPLIED);
        assert_eq!(small.available("dara@aclb"), 600);
    }
}

/// Everything that stops another payment, and a preimage that is shown all the same.
#[test]
fn nothing_stops_a_preimage_in_time() {
    let mut small = Small::new();
    let id = small.hold(1_000, Some(&preimage(7)), Some("bill"));
    let freeze = |id: &str| Instruction::Freeze {
        account: account(id),
        incoming: true,
        reason: "court".parse().expect("short"),
    };
    let spent = [
        ("bank@aclb", freeze("sok@aclb")),
        ("nbc@nbc", limit("basic", "khr#nbc", "0")),
        ("nbc@nbc", mint("khr#nbc", "bank@aclb", "1")),
    ];
    for (by, instruction) in spent {
        assert_eq!(small.one(by, instruction), APPLIED);
    }
    let end_ms = small.now_ms() + 900;
    let mut pay_bill = pay("khr#nbc", "dara@aclb", "100");
    if let Instruction::Transfer { invoice, .. } = &mut pay_bill {
        let id = "bill".parse().expect("short");
        *invoice = Some(Invoice { id, expires_ms: START_MS + 1_001 });
    }
    let reserved = rejected(RejectionCode::InvoiceReserved);
    assert_eq!(small.one("joint@aclb", pay_bill.clone()), reserved);
    // The payee sends all it has and would be closed, but for what is held for it.
    assert_eq!(small.one("nbc@nbc", limit("basic", "khr#nbc", "500")), APPLIED);
    assert_eq!(small.one("dara@aclb", pay("khr#nbc", "bank@aclb", "500")), APPLIED);
    let close = Instruction::UnregisterAccount { id: account("dara@aclb") };
    assert_eq!(small.one("dara@aclb", close), rejected(RejectionCode::AccountNotEmpty));
    assert_eq!(small.one("dara@aclb", freeze("dara@aclb")), APPLIED, "a teller freezes itself");
    assert_eq!(small.at(end_ms, vec![("full@nbc", settle(id, Some(preimage(7))))]).1, APPLIED);
    assert_eq!(small.available("dara@aclb"), 100);
    let frozen = rejected(RejectionCode::AccountFrozen);
    assert_eq!(small.one("joint@aclb", pay_bill.clone()), frozen);
    let unfreeze = Instruction::Unfreeze { account: account("dara@aclb") };
    assert_eq!(small.one("dara@aclb", unfreeze), APPLIED);
    assert_eq!(small.one("joint@aclb", pay_bill), rejected(RejectionCode::InvoicePaid));
}

#[test]
fn the_last_validator_stays() {
    let mut small = Small::new();
    let unregister = |name: &str| Instruction::UnregisterValidator {
        public_key: validator_key(name).public_key(),
    };
    for name in ["v1", "v2", "v3"] {
        assert_eq!(small.one("nbc@nbc", unregister(name)), APPLIED);
        let again = small.one("nbc@nbc", unregister(name));
        assert_eq!(again, rejected(RejectionCode::UnknownValidator));
    }
    let last = rejected(RejectionCode::LastValidator);
    assert_eq!(small.one("nbc@nbc", unregister("v4")), last);
}

#[test]
fn ids_that_look_alike_are_refused() {
    // Cyrillic, full-width, capital, combining, with a joiner, with a space.
    let names = ["\u{455}ok", "s\u{ff4f}k", "Sok", "so\u{301}k", "so\u{200d}k", "sok "];
    for name in names {
        assert!(name.parse::<Name>().is_err(), "{name:?}");
        assert!(name.parse::<DomainId>().is_err(), "{name:?}");
        for id in [format!("{name}@aclb"), format!("aclb@{name}")] {
            assert!(id.parse::<AccountId>().is_err(), "{id:?}");
            assert!(decoded::<AccountId>(&id).is_err(), "{id:?}");
            assert!(serde_json::from_value::<AccountId>(id.clone().into()).is_err(), "{id:?}");
        }
        let id = format!("{name}#nbc");
        assert!(id.parse::<AssetId>().is_err(), "{id:?}");
        assert!(decoded::<AssetId>(&id).is_err(), "{id:?}");
    }
    // U+FF20 and U+FE5F look like what stands between the parts.
    assert!("sok\u{ff20}aclb".parse::<AccountId>().is_err());
    assert!("khr\u{fe5f}nbc".parse::<AssetId>().is_err());
}

fn decoded<T: parity_scale_codec::Decode>(text: &str) -> Result<T, parity_scale_codec::Error> {
    T::decode(&mut &text.as_bytes().encode()[..])
}

#[test]
fn every_list_has_its_end() {
    let mut small = Small::new();
    let too_many = rejected(RejectionCode::TooMany);
    let fills = |small: &mut Small, by: &str, count: usize, make: &dyn Fn(usize) -> Instruction| {
        let steps: Vec<_> = (0..count).map(|number| (by, make(number))).collect();
        assert_eq!(small.at(small.now_ms() + 1, steps).1, APPLIED);
        assert_eq!(small.one(by, make(count)), too_many, "{:?}", make(count));
    };
    assert_eq!(small.one("full@nbc", add_key("full@nbc", "sok")), too_many, "32 keys");
    assert_eq!(small.one("full@nbc", note("full@nbc", "one", "")), too_many, "32 notes");
    // Two tiers are limited in the genesis.
    fills(&mut small, "nbc@nbc", 14, &|number| limit(&format!("t{number}"), "khr#nbc", "1"));
    let domains: Vec<_> =
        (0..17).map(|number| ("nbc@nbc", domain(&format!("g{number}")))).collect();
    assert_eq!(small.at(small.now_ms() + 1, domains).1, APPLIED);
    let kinds = ["register_accounts", "manage_accounts", "register_assets", "read_accounts"];
    fills(&mut small, "nbc@nbc", 64, &|number| {
        grant(&format!("{}:g{}", kinds[number % 4], number / 4), "sok@aclb")
    });
    let propose = |_| Instruction::Propose {
        account: account("joint@aclb"),
        instructions: Bounded::new(vec![pay("khr#nbc", "sok@aclb", "1")]).expect("one"),
        expires_ms: START_MS + 60_000,
    };
    fills_proposals(&mut small, &propose);
    let roles: Vec<_> =
        (0..17).map(|number| ("nbc@nbc", role(&format!("r{number}"), &[]))).collect();
    assert_eq!(small.at(small.now_ms() + 1, roles).1, APPLIED);
    fills(&mut small, "nbc@nbc", 16, &|number| grant_role(&format!("r{number}"), "sok@aclb"));
}

/// Proposals of one key each, which is too little to run them.
fn fills_proposals(small: &mut Small, propose: &dyn Fn(usize) -> Instruction) {
    let time_ms = small.now_ms() + 1;
    let keys = [key("a"), key("sok")];
    let mut transaction = |count: usize| {
        let steps = (0..count).map(|number| ("sok@aclb", propose(number))).collect();
        signed(small.transaction(time_ms, steps).payload().clone(), &keys)
    };
    let transactions = [transaction(32), transaction(1)];
    let fates = fates(&mut small.pair, time_ms, &transactions);
    let too_many = rejected(RejectionCode::TooMany);
    assert_eq!(fates, [Fate::Done(APPLIED), Fate::Done(too_many)]);
}

#[test]
fn a_block_forgets_a_bounded_number() {
    let mut small = Small::new();
    let bill = |number: usize| {
        let mut bill = pay("khr#nbc", "sok@aclb", "1");
        if let Instruction::Transfer { invoice, .. } = &mut bill {
            let id = format!("{number}").parse().expect("short");
            // The last ones expire first.
            let expires_ms = START_MS + 10_000 - number as u64 / 600;
            *invoice = Some(Invoice { id, expires_ms });
        }
        ("nbc@nbc", bill)
    };
    assert_eq!(small.one("nbc@nbc", mint("khr#nbc", "nbc@nbc", "1200")), APPLIED);
    assert_eq!(small.one("nbc@nbc", limit("basic", "khr#nbc", "2000")), APPLIED);
    for start in (0..1_200).step_by(240) {
        let steps = (start..start + 240).map(bill).collect();
        assert_eq!(small.at(small.now_ms() + 1, steps).1, APPLIED);
    }
    let idle = || vec![("sok@aclb", pay("khr#nbc", "dara@aclb", "1"))];
    let count = |small: &Small| small.pair.reference.state.invoices.len();
    for (time_ms, left) in [(9_999, 1_200), (10_000, 600), (10_001, 0)] {
        assert_eq!(small.at(START_MS + time_ms, idle()).1, APPLIED);
        assert_eq!(count(&small), left, "at {time_ms}");
    }
    // Everything at once: 1,024, then the rest.
    let mut small = small;
    assert_eq!(small.one("nbc@nbc", mint("khr#nbc", "nbc@nbc", "1200")), APPLIED);
    let later = |number: usize| {
        let (by, mut bill) = bill(number);
        if let Instruction::Transfer { invoice: Some(invoice), .. } = &mut bill {
            invoice.expires_ms += 10_000;
        }
        (by, bill)
    };
    assert_eq!(small.one("nbc@nbc", limit("basic", "khr#nbc", "3000")), APPLIED);
    for start in (0..1_200).step_by(240) {
        let steps = (start..start + 240).map(later).collect();
        assert_eq!(small.at(small.now_ms() + 1, steps).1, APPLIED);
    }
    for left in [176, 0] {
        assert_eq!(small.at((START_MS + 30_000).max(small.now_ms() + 1), idle()).1, APPLIED);
        assert_eq!(count(&small), left);
    }
}
