//! Paying a transfer back without its payee.

use tonle_model::bounded::Bounded;
use tonle_model::hash::{Digest256, TransactionHash};
use tonle_model::hex::HexBytes;
use tonle_model::instruction::{Instruction, Parameter};
use tonle_model::key::KeyPair;
use tonle_model::proof::{AppliedProof, path};
use tonle_model::receipt::{Receipt, RejectionCode as Code};
use tonle_model::transaction::SignedTransaction;
use tonle_model::validators::{Validator, ValidatorSet};
use tonle_model::vote::VoteKind;

use super::{applied, one, rejected};
use crate::state::{CommittedBlock, Direction, HistoryQuery};
use crate::testing::{Net, account, asset, finalization_by, pay};

/// What shows that a transaction of a block was applied, signed by these validators.
fn proof_by(
    net: &Net,
    block: &CommittedBlock,
    transaction: &SignedTransaction,
    signers: &[&str],
) -> AppliedProof {
    let chain = net.genesis.chain();
    let place = block.receipts.iter().position(|one| one.transaction == transaction.hash());
    let leaves = block.receipts.iter().map(Receipt::leaf).collect();
    let payload = parity_scale_codec::Encode::encode(transaction.payload());
    AppliedProof {
        payload: HexBytes::new(payload).unwrap(),
        path: Bounded::new(path(leaves, place.unwrap())).unwrap(),
        result: block.result,
        finalization: finalization_by(&chain, &net.genesis.validators, block, signers),
    }
}

pub fn proof_of(
    net: &Net,
    block: &CommittedBlock,
    transaction: &SignedTransaction,
) -> AppliedProof {
    proof_by(net, block, transaction, &["v1", "v3", "v4"])
}

/// A recall of step 0, of riel from Dara to Sok.
pub fn recall(proof: &AppliedProof, amount: &str) -> Instruction {
    Instruction::Recall {
        from: account("dara@aclb"),
        to: account("sok@aclb"),
        asset: asset("khr#nbc"),
        amount: amount.parse().unwrap(),
        transaction: proof.transaction(),
        step: 0,
        reason: "order 17 of the court".parse().unwrap(),
        proof: Box::new(proof.clone()),
    }
}

/// A block in which Sok pays Dara 200 riel, beside two other payments; and what proves it.
pub fn paid(net: &mut Net) -> (AppliedProof, std::sync::Arc<CommittedBlock>, SignedTransaction) {
    let others = ["7", "8"].map(|much| net.pay("sok@aclb", "bank@aclb", "khr#nbc", much).signed());
    let payment = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "200").signed();
    let [first, last] = others;
    let block = net.block(vec![first, payment.clone(), last]);
    (proof_of(net, &block, &payment), block, payment)
}

#[test]
fn a_payment_comes_back_up_to_what_was_paid() {
    let mut net = Net::new();
    let (proof, ..) = paid(&mut net);
    one(&mut net, "nbc@nbc", recall(&proof, "201"), Code::RecallExceeded);
    let draft = applied(&mut net, "nbc@nbc", recall(&proof, "150"));
    assert_eq!(
        (net.available("sok@aclb", "khr#nbc"), net.available("dara@aclb", "khr#nbc")),
        (935, 550)
    );
    one(&mut net, "nbc@nbc", recall(&proof, "51"), Code::RecallExceeded);
    applied(&mut net, "nbc@nbc", recall(&proof, "50"));
    one(&mut net, "nbc@nbc", recall(&proof, "1"), Code::RecallExceeded);
    net.reopen();
    one(&mut net, "nbc@nbc", recall(&proof, "1"), Code::RecallExceeded);
    assert_eq!(net.available("dara@aclb", "khr#nbc"), 500, "what it had before");

    let query = HistoryQuery {
        account: account("dara@aclb"),
        asset: None,
        direction: None,
        since_ms: None,
        until_ms: None,
        limit: 10,
        cursor: None,
    };
    let history = net.world.reader().history(&query).unwrap().entries;
    let hash = draft.signed().hash();
    let back = history.iter().find(|entry| entry.transaction == hash).unwrap();
    assert_eq!((back.direction, back.amount.minor()), (Direction::Out, 150));
    assert_eq!(back.counterparty, account("sok@aclb"));
    assert_eq!(back.memo.as_str(), format!("recall of {}/0", proof.transaction()));
}

#[test]
fn it_takes_what_is_still_there() {
    let mut net = Net::new();
    let (proof, ..) = paid(&mut net);
    applied(&mut net, "dara@aclb", pay("dara@aclb", "bank@aclb", "khr#nbc", "640").1);
    applied(&mut net, "nbc@nbc", recall(&proof, "200"));
    assert_eq!(net.available("dara@aclb", "khr#nbc"), 0);
    one(&mut net, "nbc@nbc", recall(&proof, "1"), Code::InsufficientBalance);
    applied(&mut net, "bank@aclb", pay("bank@aclb", "dara@aclb", "khr#nbc", "600").1);
    one(&mut net, "nbc@nbc", recall(&proof, "141"), Code::RecallExceeded);
    applied(&mut net, "nbc@nbc", recall(&proof, "140"));
    assert_eq!(net.available("dara@aclb", "khr#nbc"), 460);
}

#[test]
fn neither_freeze_nor_limit_stops_it_and_it_counts_as_no_payment() {
    let mut net = Net::new();
    let (proof, ..) = paid(&mut net);
    for who in ["dara@aclb", "sok@aclb"] {
        let reason = "theft".parse().unwrap();
        let freeze = Instruction::Freeze { account: account(who), incoming: true, reason };
        applied(&mut net, "bank@aclb", freeze);
    }
    let limit = Instruction::SetLimit {
        tier: "basic".parse().unwrap(),
        asset: asset("khr#nbc"),
        per_day: Some("1".parse().unwrap()),
    };
    applied(&mut net, "nbc@nbc", limit);
    let sent = |net: &Net, who: &str| {
        net.world.reader().balance(&account(who), &asset("khr#nbc")).unwrap().unwrap().sent
    };
    let before = (sent(&net, "sok@aclb"), sent(&net, "dara@aclb"));
    applied(&mut net, "nbc@nbc", recall(&proof, "200"));
    assert_eq!((sent(&net, "sok@aclb"), sent(&net, "dara@aclb")), before);
}

#[test]
fn who_recalls_and_what_it_needs() {
    let mut net = Net::new();
    let (proof, ..) = paid(&mut net);
    for who in ["sok@aclb", "bank@aclb"] {
        one(&mut net, who, recall(&proof, "1"), Code::PermissionDenied);
    }
    one(&mut net, "nbc@nbc", recall(&proof, "0"), Code::ZeroAmount);
    one(&mut net, "nbc@nbc", recall(&proof, "0.5"), Code::TooManyDecimals);
    let permission = "recall:khr#nbc".parse().unwrap();
    let grant = Instruction::Grant { permission, account: account("bank@aclb") };
    applied(&mut net, "nbc@nbc", grant);
    applied(&mut net, "bank@aclb", recall(&proof, "1"));
    // To an account that is gone nothing goes back.
    let all = net.available("sok@aclb", "khr#nbc").to_string();
    applied(&mut net, "sok@aclb", pay("sok@aclb", "bank@aclb", "khr#nbc", &all).1);
    applied(&mut net, "sok@aclb", pay("sok@aclb", "bank@aclb", "usd#nbc", "12.50").1);
    applied(&mut net, "sok@aclb", Instruction::UnregisterAccount { id: account("sok@aclb") });
    one(&mut net, "bank@aclb", recall(&proof, "1"), Code::UnknownAccount);
}

#[test]
fn a_recall_says_what_its_proof_says() {
    let mut net = Net::new();
    let (proof, ..) = paid(&mut net);
    let (usd, gold) = (asset("usd#nbc"), asset("gold#nbc"));
    let (bank, joint) = (account("bank@aclb"), account("joint@aclb"));
    macro_rules! with {
        ($field:ident = $value:expr) => {{
            let mut recall = recall(&proof, "1");
            if let Instruction::Recall { $field, .. } = &mut recall {
                *$field = $value;
            }
            recall
        }};
    }
    for other in [
        with!(from = bank.clone()),
        with!(to = joint.clone()),
        with!(asset = usd.clone()),
        with!(step = 1),
        with!(transaction = TransactionHash(Digest256([7; 32]))),
    ] {
        one(&mut net, "nbc@nbc", other, Code::UnprovenPayment);
    }
    one(&mut net, "nbc@nbc", with!(asset = gold.clone()), Code::UnknownAsset);
    let set = Instruction::SetParameter(Parameter::DeltaMs(400));
    let draft = net.draft(vec![("nbc@nbc".into(), set)]).signed();
    let block = net.block(vec![draft.clone()]);
    let no_transfer = proof_of(&net, &block, &draft);
    one(&mut net, "nbc@nbc", recall(&no_transfer, "1"), Code::UnprovenPayment);
}

#[test]
fn a_proof_that_no_quorum_signed_recalls_nothing() {
    let mut net = Net::new();
    let (proof, block, payment) = paid(&mut net);
    let strangers: Vec<Validator> = ["v1", "v2", "v3", "x"]
        .iter()
        .map(|name| Validator {
            name: name.parse().unwrap(),
            public_key: KeyPair::demo(name).public_key(),
        })
        .collect();
    let mut elsewhere = Net::new();
    elsewhere.genesis.validators = ValidatorSet::new(strangers).unwrap();
    let forged = [
        AppliedProof { path: Bounded::default(), ..proof.clone() },
        proof_by(&elsewhere, &block, &payment, &["v1", "v2", "x"]),
        {
            let mut one_short = proof_by(&net, &block, &payment, &["v1", "v2", "v3"]);
            one_short.finalization.signatures =
                Bounded::new(one_short.finalization.signatures[..2].to_vec()).unwrap();
            one_short
        },
        {
            let mut notarized = proof.clone();
            notarized.finalization.ballot.kind = VoteKind::Notarize { block: block.block };
            notarized
        },
        {
            // Signed, but with another result than the one shown.
            let mut other = proof.clone();
            other.result.receipts_root = Digest256([7; 32]);
            other.path = Bounded::default();
            other
        },
    ];
    for proof in forged {
        let draft = net.draft(vec![("nbc@nbc".into(), recall(&proof, "1"))]);
        rejected(&mut net, draft, Code::UnprovenPayment);
    }
    let later = AppliedProof { result: net.world.reader().committed().result, ..proof.clone() };
    one(&mut net, "nbc@nbc", recall(&later, "1"), Code::UnprovenPayment);
    applied(&mut net, "nbc@nbc", recall(&proof, "1"));
}

/// The receipt says so; a proof cannot.
#[test]
fn a_rejected_payment_is_not_recalled() {
    let mut net = Net::new();
    let payment = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1001").signed();
    let block = net.block(vec![payment.clone()]);
    let proof = proof_of(&net, &block, &payment);
    one(&mut net, "nbc@nbc", recall(&proof, "1"), Code::UnprovenPayment);
}
