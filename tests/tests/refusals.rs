//! Every rejection code, once at least, through HTTP on a real node.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tonle_client::api::TransactionStatus;
use tonle_client::{BlockId, Client, ClientError};
use tonle_model::hash::{ChainHash, HoldId, ProposalId, TransactionHash};
use tonle_model::instruction::Instruction;
use tonle_model::joining::Joining;
use tonle_model::key::KeyPair;
use tonle_model::receipt::RejectionCode;
use tonle_tests::localnet::{Localnet, PATIENCE};
use tonle_tests::payments::{now_ms, payload};

const WAIT: Duration = Duration::from_secs(10);
const RIEL: &str = "khr#nbc";

/// One node and what it answered so far.
struct Desk {
    client: Client,
    chain: ChainHash,
    seen: BTreeSet<String>,
}

impl Desk {
    /// Sends one instruction, in JSON as a client would write it, signed with the demo keys of the
    /// authority and of others. The code of the refusal, or the hash of what took effect.
    async fn send(
        &self,
        who: &str,
        keys: &[&str],
        instruction: &Value,
    ) -> Result<TransactionHash, String> {
        self.send_all(who, keys, std::slice::from_ref(instruction)).await
    }

    /// Sends instructions as the steps of one transaction.
    async fn send_all(
        &self,
        who: &str,
        keys: &[&str],
        instructions: &[Value],
    ) -> Result<TransactionHash, String> {
        let parse = |instruction: &Value| -> Instruction {
            serde_json::from_value(instruction.clone())
                .unwrap_or_else(|error| panic!("{instruction}: {error}"))
        };
        let parsed = instructions.iter().map(parse).collect();
        let keys: Vec<_> = [&[who], keys].concat().into_iter().map(KeyPair::demo).collect();
        let keys: Vec<_> = keys.iter().collect();
        let transaction = payload(self.chain, who, parsed).sign(&keys);
        let reply = match self.client.submit_json(&transaction).await {
            Ok(reply) => reply,
            Err(ClientError::Problem(problem)) => return Err(problem.code),
            Err(error) => panic!("{instructions:?}: {error}"),
        };
        match self.client.status(&reply.hash, Some(WAIT)).await.expect("a status") {
            TransactionStatus::Committed { .. } => Ok(reply.hash),
            TransactionStatus::Rejected { code, .. } => Err(code.to_string()),
            other => panic!("{instructions:?}: {other:?}"),
        }
    }

    async fn done(&self, who: &str, instruction: Value) -> TransactionHash {
        self.done_with(who, &[], instruction).await
    }

    async fn done_with(&self, who: &str, keys: &[&str], instruction: Value) -> TransactionHash {
        let answer = self.send(who, keys, &instruction).await;
        answer.unwrap_or_else(|code| panic!("{who} {instruction}: {code}"))
    }

    async fn refused(&mut self, who: &str, instruction: Value, code: &str) {
        assert_eq!(
            self.send(who, &[], &instruction).await,
            Err(code.into()),
            "{who} {instruction}"
        );
        self.seen.insert(code.into());
    }

    /// Sends it again and again until time has brought this refusal about.
    async fn refused_in_time(&mut self, who: &str, keys: &[&str], instruction: Value, code: &str) {
        let deadline = Instant::now() + PATIENCE;
        while self.send(who, keys, &instruction).await != Err(code.into()) {
            assert!(Instant::now() < deadline, "never {code}: {instruction}");
        }
        self.seen.insert(code.into());
    }
}

fn transfer(asset: &str, to: &str, amount: &str) -> Value {
    json!({"transfer": {"asset": asset, "to": to, "amount": amount}})
}

fn hold(to: &str, amount: &str, expires_ms: u64) -> Value {
    json!({"hold": {"asset": RIEL, "to": to, "amount": amount, "expires_ms": expires_ms}})
}

fn with(mut instruction: Value, field: &str, value: Value) -> Value {
    let fields = instruction.as_object_mut().and_then(|outer| outer.values_mut().next());
    fields.expect("an instruction")[field] = value;
    instruction
}

#[tokio::test]
async fn every_code_is_met() {
    let net = Localnet::start(1);
    let client = net.client(0);
    let mut desk = Desk { client, chain: net.chain(), seen: BTreeSet::new() };
    money(&mut desk).await;
    names(&mut desk).await;
    holds(&mut desk).await;
    invoices(&mut desk).await;
    recalls(&mut desk).await;
    accounts(&mut desk).await;
    approvals(&mut desk).await;
    validators(&mut desk).await;
    let met = |code: &&RejectionCode| desk.seen.contains(code.code());
    let missing: Vec<_> = RejectionCode::ALL.iter().filter(|code| !met(code)).collect();
    // Only a defect of execution itself is answered `internal`.
    assert_eq!(missing, [&RejectionCode::Internal]);
}

async fn money(desk: &mut Desk) {
    let sok = "sok@aclb";
    desk.refused(sok, transfer("gold#nbc", "dara@wing", "1"), "unknown_asset").await;
    desk.refused(sok, transfer(RIEL, "none@wing", "1"), "unknown_account").await;
    desk.refused(sok, transfer(RIEL, sok, "1"), "same_account").await;
    desk.refused(sok, transfer(RIEL, "dara@wing", "0"), "zero_amount").await;
    desk.refused(sok, transfer(RIEL, "dara@wing", "0.5"), "too_many_decimals").await;
    desk.refused(sok, transfer(RIEL, "dara@wing", "3000000"), "insufficient_balance").await;
    let mint = |asset: &str, to: &str, amount: &str| json!({"mint": {"asset": asset, "to": to, "amount": amount}});
    desk.refused(sok, mint(RIEL, sok, "1"), "permission_denied").await;
    let most = u128::MAX.to_string();
    desk.refused("governor@nbc", mint(RIEL, sok, &most), "amount_overflow").await;
    // Dara has more than a basic account may send in a day.
    desk.done("governor@nbc", mint(RIEL, "dara@wing", "3000000")).await;
    desk.done("dara@wing", transfer(RIEL, sok, "2000000")).await;
    desk.refused("dara@wing", transfer(RIEL, sok, "1"), "limit_exceeded").await;
    let limit = |number: usize| json!({"set_limit": {"asset": RIEL, "tier": format!("tier{number}"), "per_day": "1"}});
    for number in 0.. {
        if desk.send("governor@nbc", &[], &limit(number)).await.is_err() {
            desk.refused("governor@nbc", limit(number), "too_many").await;
            break;
        }
    }
    let asset = |id: &str| json!({"register_asset": {"id": id, "scale": 0, "supply_cap": "10"}});
    desk.done("bank@aclb", asset("points#aclb")).await;
    desk.refused("bank@aclb", mint("points#aclb", sok, "11"), "supply_cap_exceeded").await;
    let never = with(asset("never#aclb"), "mintability", json!("never"));
    desk.done("bank@aclb", never).await;
    desk.refused("bank@aclb", mint("never#aclb", sok, "1"), "not_mintable").await;
    let fine = with(asset("fine#aclb"), "scale", json!(19));
    desk.refused("bank@aclb", fine, "invalid_scale").await;
    let delta = json!({"set_parameter": {"delta_ms": 1}});
    desk.refused("governor@nbc", delta, "out_of_range").await;
}

async fn names(desk: &mut Desk) {
    let sok = "sok@aclb";
    let key = KeyPair::demo(sok).public_key().to_string();
    let weak = format!("ed012001{}", "00".repeat(31));
    let open = |id: &str, key: &str, quorum: u16| {
        let signatories = json!([{"public_key": key, "weight": 1}]);
        json!({"register_account": {"id": id, "signatories": signatories, "quorum": quorum}})
    };
    desk.refused("bank@aclb", open("rith@none", &key, 1), "unknown_domain").await;
    desk.refused("bank@aclb", open(sok, &key, 1), "already_exists").await;
    desk.refused("bank@aclb", open("rith@aclb", &key, 2), "invalid_quorum").await;
    desk.refused("bank@aclb", open("rith@aclb", &weak, 1), "weak_key").await;
    let other = KeyPair::demo("other").public_key().to_string();
    let remove = json!({"remove_signatory": {"account": sok, "public_key": other}});
    desk.refused(sok, remove, "unknown_signatory").await;
    let role = json!({"grant_role": {"role": "nobody", "account": sok}});
    desk.refused("governor@nbc", role, "unknown_role").await;
    let revoke = json!({"revoke": {"permission": "manage_roles", "account": sok}});
    desk.refused("governor@nbc", revoke, "not_granted").await;
    let note = json!({"set_metadata":
        {"account": sok, "key": "kyc", "value": "2", "expected": "1"}});
    desk.refused(sok, note, "metadata_changed").await;
    let forget = json!({"remove_metadata": {"account": sok, "key": "kyc"}});
    desk.refused(sok, forget, "unknown_metadata").await;
}

async fn holds(desk: &mut Desk) {
    let (payer, payee) = ("coffee@devb", "dara@wing");
    let lock = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
    let later = now_ms() + 60_000;
    let locked = |hold| with(hold, "hash_lock", json!(lock));
    let settle = |id: HoldId| json!({"settle": {"id": id}});
    desk.refused(payee, settle(HoldId::default()), "unknown_hold").await;
    desk.refused(payer, hold(payee, "10", now_ms() - 60_000), "invalid_expiry").await;
    let arbitrated = with(locked(hold(payee, "10", later)), "arbiter", json!("sok@aclb"));
    desk.refused(payer, arbitrated, "invalid_hold").await;
    let made = desk.done(payer, hold(payee, "10", later)).await;
    let open = HoldId::of(&made.0, 0);
    let release = json!({"release": {"id": open}});
    desk.refused(payer, release, "hold_not_expired").await;
    let more = with(settle(open), "amount", json!("11"));
    desk.refused(payee, more, "hold_exceeded").await;
    let made = desk.done(payer, locked(hold(payee, "10", later))).await;
    let id = HoldId::of(&made.0, 0);
    desk.refused(payee, settle(id), "wrong_preimage").await;
    let part = with(settle(id), "amount", json!("9"));
    let part = with(part, "preimage", json!("00".repeat(32)));
    desk.refused(payee, part, "partial_settle").await;
    let made = desk.done(payer, locked(hold(payee, "10", now_ms() + 2_000))).await;
    let id = HoldId::of(&made.0, 0);
    // Without the preimage it is refused in any case, from its expiry on for that.
    desk.refused_in_time(payee, &[], settle(id), "hold_expired").await;
}

async fn invoices(desk: &mut Desk) {
    let (payer, payee) = ("coffee@devb", "dara@wing");
    let bill = |id: &str, expires_ms: u64| json!({"id": id, "expires_ms": expires_ms});
    let paying =
        |amount: &str, bill: &Value| with(transfer(RIEL, payee, amount), "invoice", bill.clone());
    let one = bill("one", now_ms() + 60_000);
    desk.done(payer, paying("5", &one)).await;
    desk.refused(payer, paying("5", &one), "invoice_paid").await;
    let two = bill("two", now_ms() + 60_000);
    let lock = "66687aadf862bd776c8fc18b8e9f8e20089714856ee233b3902a591d0d5f2925";
    let reserving = with(hold(payee, "5", now_ms() + 60_000), "hash_lock", json!(lock));
    desk.done(payer, with(reserving, "invoice", two.clone())).await;
    desk.refused(payer, paying("5", &two), "invoice_reserved").await;
    let three = bill("three", now_ms() + 1_000);
    desk.refused_in_time(payer, &[], paying("5", &three), "invoice_expired").await;
}

async fn recalls(desk: &mut Desk) {
    let paid = desk.done("bopha@aclb", transfer(RIEL, "dara@wing", "70")).await;
    let proof = desk.client.proof_transaction(&paid, true).await.expect("a proof");
    let proof = proof.to_applied().expect("it has the payload");
    let recall = json!({"recall": {"from": "dara@wing", "to": "bopha@aclb", "asset": RIEL,
        "amount": "70", "transaction": paid, "step": 0, "reason": "a mistake", "proof": proof}});
    let to_another = with(recall.clone(), "to", json!("sok@aclb"));
    desk.refused("governor@nbc", to_another, "unproven_payment").await;
    desk.done("governor@nbc", recall.clone()).await;
    desk.refused("governor@nbc", recall, "recall_exceeded").await;
}

async fn validators(desk: &mut Desk) {
    let operator = "governor@nbc";
    let newest = desk.client.node_status().await.expect("a status").height;
    let block = desk.client.block(BlockId::Height(newest)).await.expect("a block");
    let decided = block.finalization.expect("it was decided");
    let register = |name: &str, signer: &str| {
        let joining = Joining::sign(&KeyPair::demo(signer), &desk.chain, decided.clone());
        json!({"register_validator": {"name": name, "joining": joining.expect("a block"),
            "public_key": KeyPair::demo(name).public_key()}})
    };
    let absent = register("newcomer", "another");
    let both = [register("newcomer", "newcomer"), register("another", "another")];
    assert_eq!(desk.send_all(operator, &[], &both).await, Err("validators_changing".into()));
    desk.seen.insert("validators_changing".into());
    desk.refused(operator, absent, "absent_key").await;
    let unregister = |name: &str| json!({"unregister_validator": {"public_key": KeyPair::demo(name).public_key()}});
    desk.refused(operator, unregister("newcomer"), "unknown_validator").await;
    desk.refused(operator, unregister("validator_0"), "last_validator").await;
}

async fn accounts(desk: &mut Desk) {
    let close = json!({"unregister_account": {"id": "sok@aclb"}});
    desk.refused("bank@aclb", close, "account_not_empty").await;
    let freeze = json!({"freeze":
        {"account": "chan@aclb", "incoming": true, "reason": "order 7"}});
    desk.done("bank@aclb", freeze).await;
    desk.refused("chan@aclb", transfer(RIEL, "dara@wing", "1"), "account_frozen").await;
}

async fn approvals(desk: &mut Desk) {
    let propose = |instructions: Value, expires_ms: u64| {
        json!({"propose": {"account": "sok@aclb", "instructions": instructions,
            "expires_ms": expires_ms}})
    };
    let pay = json!([transfer(RIEL, "dara@wing", "1")]);
    let later = now_ms() + 60_000;
    desk.refused("sok@aclb", propose(json!([]), later), "invalid_proposal").await;
    desk.refused("dara@wing", propose(pay.clone(), later), "nothing_to_approve").await;
    let unknown = json!({"approve": {"id": ProposalId::default()}});
    desk.refused("sok@aclb", unknown, "unknown_proposal").await;
    // Two keys must approve: one of them alone keeps the proposal open until it expires.
    let key = KeyPair::demo("second").public_key().to_string();
    let signatory = json!({"public_key": key, "weight": 1});
    let add = json!({"add_signatory": {"account": "sok@aclb", "signatory": signatory}});
    desk.done("sok@aclb", add).await;
    desk.done("sok@aclb", json!({"set_quorum": {"account": "sok@aclb", "quorum": 2}})).await;
    let propose = with(propose(pay, 0), "expires_ms", json!(now_ms() + 1_500));
    let made = desk.done_with("dara@wing", &["second"], propose).await;
    let approve = json!({"approve": {"id": ProposalId::of(&made, 0)}});
    desk.refused_in_time("dara@wing", &["second"], approve, "proposal_expired").await;
}
