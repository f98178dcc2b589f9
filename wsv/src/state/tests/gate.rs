//! What the gate refuses before a transaction enters the pool.

use tonle_model::hash::ChainHash;
use tonle_model::receipt::{RejectionCode, VoidCode};

use crate::state::{AdmitError, Refusal};
use crate::testing::{Draft, Net, pay};

fn refusal(net: &Net, draft: &Draft) -> Option<Refusal> {
    match net.world.reader().admit(&draft.signed(), net.next_ms()) {
        Ok(()) => None,
        Err(AdmitError::Refused(refusal)) => Some(refusal),
        Err(AdmitError::State(error)) => panic!("{error}"),
    }
}

fn void_code(net: &Net, draft: &Draft) -> Option<VoidCode> {
    refusal(net, draft).map(|refusal| match refusal {
        Refusal::Void(void) => void.code,
        other => panic!("{other:?}"),
    })
}

#[test]
fn what_would_be_void_is_refused() {
    let mut net = Net::new();
    let good = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1").reference("r");
    let now = net.next_ms();
    assert_eq!(refusal(&net, &good), None);
    let window = |created, expires| good.clone().window(created, expires);
    assert_eq!(void_code(&net, &window(now - 9, now - 1)), Some(VoidCode::Expired));
    assert_eq!(void_code(&net, &window(now + 5_001, now + 6_000)), Some(VoidCode::NotYetValid));
    assert_eq!(void_code(&net, &window(now, now + 60_001)), Some(VoidCode::WindowTooLong));
    assert_eq!(void_code(&net, &good.clone().by(&["x"])), Some(VoidCode::QuorumNotMet));
    let unknown = net.pay("none@aclb", "dara@aclb", "khr#nbc", "1");
    assert_eq!(void_code(&net, &unknown), Some(VoidCode::UnknownAuthority));
    let mut foreign = good.clone();
    foreign.payload.chain = ChainHash::default();
    assert_eq!(refusal(&net, &foreign), Some(Refusal::OtherNetwork));

    assert!(!net.world.reader().is_used(&good.signed(), now));
    net.block(vec![good.signed()]);
    assert!(net.world.reader().is_used(&good.signed(), net.next_ms()));
    assert_eq!(void_code(&net, &good), Some(VoidCode::Duplicate));
    let same_reference = good.clone().nonce(1000);
    assert!(net.world.reader().is_used(&same_reference.signed(), net.next_ms()));
    assert_eq!(void_code(&net, &same_reference), Some(VoidCode::Duplicate));
}

#[test]
fn what_the_payer_does_not_have_is_refused() {
    let net = Net::new();
    let code_of = |steps| match refusal(&net, &net.draft(steps)) {
        Some(Refusal::Rejected { code, step, detail }) => {
            assert!(detail.contains("khr#nbc"));
            Some((code, step))
        }
        None => None,
        other => panic!("{other:?}"),
    };
    let khr = |from, to, amount| pay(from, to, "khr#nbc", amount);
    let short = |step| Some((RejectionCode::InsufficientBalance, step));
    assert_eq!(code_of(vec![khr("sok@aclb", "dara@aclb", "1000")]), None);
    assert_eq!(code_of(vec![khr("sok@aclb", "dara@aclb", "1001")]), short(0));
    let twice = vec![khr("sok@aclb", "dara@aclb", "600"), khr("sok@aclb", "dara@aclb", "600")];
    assert_eq!(code_of(twice), short(1));
    let through = vec![khr("sok@aclb", "dara@aclb", "1000"), khr("dara@aclb", "sok@aclb", "1500")];
    assert_eq!(code_of(through), None);
    // Anything else that is wrong is for execution to record.
    assert_eq!(code_of(vec![pay("sok@aclb", "none@aclb", "gold#nbc", "1")]), None);
}

#[test]
fn a_slow_local_clock_does_not_admit_what_has_expired() {
    let mut net = Net::new();
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", "1");
    let later = draft.payload.expires_ms;
    let other = net.pay("dara@aclb", "sok@aclb", "khr#nbc", "1");
    net.block_at(vec![other.signed()], later);
    let stopped_clock = draft.payload.created_ms;
    let refused = net.world.reader().admit(&draft.signed(), stopped_clock);
    let Err(AdmitError::Refused(Refusal::Void(void))) = refused else { panic!() };
    assert_eq!(void.code, VoidCode::Expired);
}

#[test]
fn what_other_steps_bring_is_left_to_execution() {
    let mut net = Net::new();
    let mint = tonle_model::instruction::Instruction::Mint {
        asset: crate::testing::asset("khr#nbc"),
        to: crate::testing::account("sok@aclb"),
        amount: "500".parse().unwrap(),
    };
    let paying = pay("sok@aclb", "dara@aclb", "khr#nbc", "1500");
    let draft = net.draft(vec![("nbc@nbc".into(), mint), paying]);
    assert_eq!(refusal(&net, &draft), None);
    assert_eq!(net.outcome(draft), tonle_model::receipt::Outcome::Applied);
}
