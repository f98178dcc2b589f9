//! What an account may send in a local day.

use tonle_model::instruction::{Instruction, Parameter};
use tonle_model::receipt::{Outcome, RejectionCode as Code};

use super::holds::{hold, id_of};
use super::{applied, one};
use crate::state::local_day;
use crate::testing::{Net, account, asset, pay};

const HOUR_MS: u64 = 3_600_000;

fn limit(tier: &str, per_day: Option<&str>) -> Instruction {
    Instruction::SetLimit {
        tier: tier.parse().unwrap(),
        asset: asset("khr#nbc"),
        per_day: per_day.map(|text| text.parse().unwrap()),
    }
}

fn paying(amount: &str) -> Instruction {
    pay("sok@aclb", "dara@aclb", "khr#nbc", amount).1
}

/// Pays at a time of one's own choice.
fn pay_at(net: &mut Net, amount: &str, at: u64) -> Outcome {
    let draft = net.pay("sok@aclb", "dara@aclb", "khr#nbc", amount).window(at, at + 9);
    net.block_at(vec![draft.signed()], at).receipts[0].outcome
}

#[test]
fn the_riel_that_crosses_the_limit_is_stopped() {
    let mut net = Net::new();
    applied(&mut net, "nbc@nbc", limit("basic", Some("100")));
    applied(&mut net, "sok@aclb", paying("60"));
    one(&mut net, "sok@aclb", paying("41"), Code::LimitExceeded);
    applied(&mut net, "sok@aclb", paying("40"));
    one(&mut net, "sok@aclb", paying("1"), Code::LimitExceeded);
    // Another account, another asset, another tier: each counts for itself.
    applied(&mut net, "dara@aclb", pay("dara@aclb", "sok@aclb", "khr#nbc", "100").1);
    applied(&mut net, "sok@aclb", pay("sok@aclb", "dara@aclb", "usd#nbc", "5").1);
    let tier = Instruction::SetTier { account: account("sok@aclb"), tier: "full".parse().unwrap() };
    applied(&mut net, "bank@aclb", tier);
    applied(&mut net, "sok@aclb", paying("200"));
    applied(&mut net, "nbc@nbc", limit("full", Some("300")));
    one(&mut net, "sok@aclb", paying("1"), Code::LimitExceeded);
    applied(&mut net, "nbc@nbc", limit("full", None));
    applied(&mut net, "sok@aclb", paying("1"));
}

#[test]
fn who_sets_limits_and_tiers() {
    let mut net = Net::new();
    one(&mut net, "bank@aclb", limit("basic", Some("1")), Code::PermissionDenied);
    one(&mut net, "nbc@nbc", limit("basic", Some("1.5")), Code::TooManyDecimals);
    let unknown = Instruction::SetLimit {
        tier: "basic".parse().unwrap(),
        asset: asset("gold#nbc"),
        per_day: None,
    };
    one(&mut net, "nbc@nbc", unknown, Code::UnknownAsset);
    for number in 0..16 {
        applied(&mut net, "nbc@nbc", limit(&format!("tier{number}"), Some("1")));
    }
    one(&mut net, "nbc@nbc", limit("one_more", Some("1")), Code::TooMany);
    applied(&mut net, "nbc@nbc", limit("tier3", Some("2")));
    let tier =
        |who: &str| Instruction::SetTier { account: account(who), tier: "full".parse().unwrap() };
    one(&mut net, "sok@aclb", tier("sok@aclb"), Code::PermissionDenied);
    one(&mut net, "nbc@nbc", tier("sok@aclb"), Code::PermissionDenied);
    one(&mut net, "bank@aclb", tier("none@aclb"), Code::UnknownAccount);
}

#[test]
fn a_day_begins_at_local_midnight() {
    let mut net = Net::new();
    applied(&mut net, "nbc@nbc", limit("basic", Some("100")));
    applied(&mut net, "nbc@nbc", Instruction::SetParameter(Parameter::UtcOffsetMin(420)));
    // Midnight at UTC+7 is 17:00 UTC.
    let day_ms = 24 * HOUR_MS;
    let midnight = net.next_ms() / day_ms * day_ms + 2 * day_ms - 7 * HOUR_MS;
    let no = Outcome::Rejected { code: Code::LimitExceeded, step: 0 };
    assert_eq!(pay_at(&mut net, "100", midnight - 2), Outcome::Applied);
    assert_eq!(pay_at(&mut net, "1", midnight - 1), no);
    assert_eq!(pay_at(&mut net, "100", midnight), Outcome::Applied);
    assert_eq!(pay_at(&mut net, "1", midnight + 17 * HOUR_MS), no, "midnight of UTC is no border");
}

#[test]
fn holds_count_when_made_and_not_once_released_that_day() {
    let mut net = Net::new();
    applied(&mut net, "nbc@nbc", limit("basic", Some("100")));
    let making = hold(&net, "dara@aclb", "80");
    let made = applied(&mut net, "sok@aclb", making);
    one(&mut net, "sok@aclb", paying("21"), Code::LimitExceeded);
    applied(&mut net, "dara@aclb", Instruction::Release { id: id_of(&made) });
    applied(&mut net, "sok@aclb", paying("100"));
    let making = hold(&net, "dara@aclb", "1");
    one(&mut net, "sok@aclb", making, Code::LimitExceeded);
}

#[test]
fn a_hold_released_another_day_gives_nothing_back() {
    let mut net = Net::new();
    applied(&mut net, "nbc@nbc", limit("basic", Some("100")));
    let mut making = hold(&net, "dara@aclb", "80");
    if let Instruction::Hold { expires_ms, .. } = &mut making {
        *expires_ms += 60 * HOUR_MS;
    }
    let made = applied(&mut net, "sok@aclb", making);
    let tomorrow = net.next_ms() + 24 * HOUR_MS;
    assert_eq!(pay_at(&mut net, "90", tomorrow), Outcome::Applied);
    applied(&mut net, "dara@aclb", Instruction::Release { id: id_of(&made) });
    one(&mut net, "sok@aclb", paying("11"), Code::LimitExceeded);
    applied(&mut net, "sok@aclb", paying("10"));
}

#[test]
fn what_is_counted_never_overflows() {
    let mut net = Net::new();
    let most = u128::MAX - 1_800;
    let mint = Instruction::Mint {
        asset: asset("khr#nbc"),
        to: account("sok@aclb"),
        amount: most.to_string().parse().unwrap(),
    };
    applied(&mut net, "nbc@nbc", mint);
    for _ in 0..2 {
        applied(&mut net, "sok@aclb", paying(&most.to_string()));
        let back = pay("dara@aclb", "sok@aclb", "khr#nbc", &most.to_string()).1;
        applied(&mut net, "dara@aclb", back);
    }
    applied(&mut net, "nbc@nbc", limit("basic", Some(&u128::MAX.to_string())));
    applied(&mut net, "sok@aclb", paying("1"));
    applied(&mut net, "nbc@nbc", limit("basic", Some(&(u128::MAX - 1).to_string())));
    one(&mut net, "sok@aclb", paying("1"), Code::LimitExceeded);
}

#[test]
fn a_local_day_begins_at_local_midnight() {
    let day_ms = 24 * 60 * 60 * 1_000;
    assert_eq!(local_day(day_ms - 1, 0), 0);
    assert_eq!(local_day(day_ms, 0), 1);
    let seven_hours = 7 * 60;
    assert_eq!(local_day(day_ms - 7 * 60 * 60 * 1_000, seven_hours), 1);
    assert_eq!(local_day(day_ms - 7 * 60 * 60 * 1_000 - 1, seven_hours), 0);
    assert_eq!(local_day(0, -1), 0, "there is no day before the first");
}
