//! Two-phase reservations and hash locks.

use tonle_model::hash::HoldId;
use tonle_model::instruction::{Instruction, Invoice};
use tonle_model::preimage::Preimage;
use tonle_model::receipt::{Outcome, RejectionCode as Code};

use super::{applied, one};
use crate::testing::{Draft, Net, account, asset, pay};

pub fn hold(net: &Net, to: &str, amount: &str) -> Instruction {
    Instruction::Hold {
        asset: asset("khr#nbc"),
        to: account(to),
        amount: amount.parse().unwrap(),
        expires_ms: net.next_ms() + 60_000,
        hash_lock: None,
        arbiter: None,
        invoice: None,
    }
}

pub fn secret() -> Preimage {
    Preimage::new(&[9; 32]).unwrap()
}

pub fn locked(net: &Net, to: &str, amount: &str, with: Option<Invoice>) -> Instruction {
    match hold(net, to, amount) {
        Instruction::Hold { asset, to, amount, expires_ms, .. } => Instruction::Hold {
            asset,
            to,
            amount,
            expires_ms,
            hash_lock: Some(secret().lock()),
            arbiter: None,
            invoice: with,
        },
        other => other,
    }
}

pub fn id_of(draft: &Draft) -> HoldId {
    HoldId::of(&draft.signed().hash().0, 0)
}

pub fn settle(id: HoldId, amount: Option<&str>, preimage: Option<Preimage>) -> Instruction {
    Instruction::Settle { id, amount: amount.map(|text| text.parse().unwrap()), preimage }
}

/// Available, held, and how many holds come in, of riel.
fn riel(net: &Net, who: &str) -> (u128, u128, u32) {
    let balance = net.world.reader().balance(&account(who), &asset("khr#nbc")).unwrap();
    let balance = balance.unwrap_or_default();
    (balance.available.minor(), balance.held.minor(), balance.incoming)
}

#[test]
fn what_a_hold_needs() {
    let mut net = Net::new();
    let change = |net: &Net, change: &dyn Fn(&mut Instruction)| {
        let mut instruction = hold(net, "dara@aclb", "10");
        change(&mut instruction);
        instruction
    };
    macro_rules! with {
        ($field:ident = $value:expr) => {
            change(&net, &|instruction| {
                if let Instruction::Hold { $field, .. } = instruction {
                    *$field = $value;
                }
            })
        };
    }
    let now = net.next_ms();
    let gold = asset("gold#nbc");
    let bill = Some(Invoice { id: "i".parse().unwrap(), expires_ms: now + 1_000_000 });
    for (instruction, code) in [
        (with!(asset = gold.clone()), Code::UnknownAsset),
        (with!(to = account("none@aclb")), Code::UnknownAccount),
        (with!(arbiter = Some(account("none@aclb"))), Code::UnknownAccount),
        (with!(to = account("sok@aclb")), Code::SameAccount),
        (with!(amount = "0.1".parse().unwrap()), Code::TooManyDecimals),
        (with!(amount = "0".parse().unwrap()), Code::ZeroAmount),
        (with!(invoice = bill.clone()), Code::InvalidHold),
        (with!(expires_ms = now - 1), Code::InvalidExpiry),
        (with!(expires_ms = now + 400 * 86_400_000), Code::InvalidExpiry),
        (with!(amount = "1001".parse().unwrap()), Code::InsufficientBalance),
    ] {
        one(&mut net, "sok@aclb", instruction, code);
    }
    let both = change(&net, &|instruction| {
        if let Instruction::Hold { hash_lock, arbiter, .. } = instruction {
            *hash_lock = Some(secret().lock());
            *arbiter = Some(account("nbc@nbc"));
        }
    });
    one(&mut net, "sok@aclb", both, Code::InvalidHold);
    // In the very millisecond of its block a hold would have no life.
    let none = change(&net, &|instruction| {
        if let Instruction::Hold { expires_ms, .. } = instruction {
            *expires_ms = net.next_ms();
        }
    });
    one(&mut net, "sok@aclb", none, Code::InvalidExpiry);
    let mut long = locked(&net, "dara@aclb", "10", bill);
    if let Instruction::Hold { expires_ms, .. } = &mut long {
        *expires_ms = net.next_ms() + 600_001;
    }
    one(&mut net, "sok@aclb", long, Code::InvalidExpiry);
}

#[test]
fn an_unlocked_hold_settles_in_part_and_gives_the_rest_back() {
    let mut net = Net::new();
    let making = hold(&net, "dara@aclb", "400");
    let made = applied(&mut net, "sok@aclb", making);
    let id = id_of(&made);
    assert_eq!(riel(&net, "sok@aclb"), (600, 400, 0));
    assert_eq!(riel(&net, "dara@aclb"), (500, 0, 1));
    for (who, instruction, code) in [
        ("dara@aclb", settle(HoldId::default(), None, None), Code::UnknownHold),
        ("sok@aclb", settle(id, None, None), Code::PermissionDenied),
        ("nbc@nbc", settle(id, None, None), Code::PermissionDenied),
        ("dara@aclb", settle(id, None, Some(secret())), Code::WrongPreimage),
        ("dara@aclb", settle(id, Some("401"), None), Code::HoldExceeded),
        ("dara@aclb", settle(id, Some("0"), None), Code::ZeroAmount),
        ("dara@aclb", settle(id, Some("0.5"), None), Code::TooManyDecimals),
        ("sok@aclb", Instruction::Release { id }, Code::HoldNotExpired),
        ("nbc@nbc", Instruction::Release { id }, Code::PermissionDenied),
    ] {
        one(&mut net, who, instruction, code);
    }
    applied(&mut net, "dara@aclb", settle(id, Some("150"), None));
    assert_eq!(riel(&net, "sok@aclb"), (850, 0, 0));
    assert_eq!(riel(&net, "dara@aclb"), (650, 0, 0));
    one(&mut net, "dara@aclb", settle(id, None, None), Code::UnknownHold);
    let balance = net.world.reader().balance(&account("sok@aclb"), &asset("khr#nbc")).unwrap();
    assert_eq!(balance.unwrap().sent.minor(), 150, "what went back no longer counts as sent");
}

#[test]
fn the_arbiter_settles_and_releases() {
    let mut net = Net::new();
    for instruction in [settle as fn(_, _, _) -> _, |id, _, _| Instruction::Release { id }] {
        let mut making = hold(&net, "dara@aclb", "10");
        if let Instruction::Hold { arbiter, .. } = &mut making {
            *arbiter = Some(account("bank@aclb"));
        }
        let made = applied(&mut net, "sok@aclb", making);
        applied(&mut net, "bank@aclb", instruction(id_of(&made), None, None));
    }
    assert_eq!(riel(&net, "sok@aclb"), (990, 0, 0));
    assert_eq!(riel(&net, "dara@aclb"), (510, 0, 0));
}

#[test]
fn a_hold_settles_up_to_its_expiry_and_is_released_after() {
    for (late_ms, settles) in [(0, true), (1, false)] {
        let mut net = Net::new();
        let making = hold(&net, "dara@aclb", "10");
        let Instruction::Hold { expires_ms, .. } = making else { panic!("a hold") };
        let made = applied(&mut net, "sok@aclb", making);
        let id = id_of(&made);
        let at = expires_ms + late_ms;
        let releasing = net.draft(vec![("sok@aclb".into(), Instruction::Release { id })]);
        let settling = net.draft(vec![("dara@aclb".into(), settle(id, None, None))]);
        let [releasing, settling] =
            [releasing, settling].map(|draft| draft.window(at, at + 10_000).signed());
        let block = net.block_at(vec![releasing, settling], at);
        let outcomes: Vec<_> = block.receipts.iter().map(|receipt| receipt.outcome).collect();
        let no = |code| Outcome::Rejected { code, step: 0 };
        match settles {
            true => assert_eq!(outcomes, [no(Code::HoldNotExpired), Outcome::Applied]),
            false => assert_eq!(outcomes, [Outcome::Applied, no(Code::UnknownHold)]),
        }
    }
    // What has expired and was not released yet does not settle either.
    let mut net = Net::new();
    let making = hold(&net, "dara@aclb", "10");
    let made = applied(&mut net, "sok@aclb", making);
    let id = id_of(&made);
    let at = net.next_ms() + 120_000;
    let settling = net.draft(vec![("dara@aclb".into(), settle(id, None, None))]);
    let block = net.block_at(vec![settling.window(at, at + 9).signed()], at);
    assert_eq!(block.receipts[0].outcome, Outcome::Rejected { code: Code::HoldExpired, step: 0 });
}

#[test]
fn a_preimage_settles_whoever_shows_it() {
    let mut net = Net::new();
    let making = locked(&net, "dara@aclb", "400", None);
    let made = applied(&mut net, "sok@aclb", making);
    let id = id_of(&made);
    for (instruction, code) in [
        (settle(id, None, None), Code::WrongPreimage),
        (settle(id, None, Some(Preimage::new(&[8; 32]).unwrap())), Code::WrongPreimage),
        (settle(id, None, Some(Preimage::new(&[9; 31]).unwrap())), Code::WrongPreimage),
        (settle(id, None, Some(Preimage::new(&[9; 33]).unwrap())), Code::WrongPreimage),
        (settle(id, Some("399"), Some(secret())), Code::PartialSettle),
        (settle(id, Some("401"), Some(secret())), Code::PartialSettle),
    ] {
        one(&mut net, "dara@aclb", instruction, code);
    }
    applied(&mut net, "nbc@nbc", settle(id, Some("400"), Some(secret())));
    assert_eq!(riel(&net, "sok@aclb"), (600, 0, 0));
    assert_eq!(riel(&net, "dara@aclb"), (900, 0, 0));
}

#[test]
fn nothing_in_between_stops_a_preimage() {
    let mut net = Net::new();
    let invoice = Invoice { id: "qr".parse().unwrap(), expires_ms: net.next_ms() + 30_000 };
    let making = locked(&net, "dara@aclb", "400", Some(invoice.clone()));
    let made = applied(&mut net, "sok@aclb", making);
    let id = id_of(&made);
    let freeze = |who: &str| Instruction::Freeze {
        account: account(who),
        incoming: true,
        reason: "order 7".parse().unwrap(),
    };
    applied(&mut net, "bank@aclb", freeze("dara@aclb"));
    applied(&mut net, "bank@aclb", freeze("sok@aclb"));
    let limit = Instruction::SetLimit {
        tier: "basic".parse().unwrap(),
        asset: asset("khr#nbc"),
        per_day: Some("1".parse().unwrap()),
    };
    applied(&mut net, "nbc@nbc", limit);
    let paying = match pay("joint@aclb", "dara@aclb", "khr#nbc", "400").1 {
        Instruction::Transfer { asset, from, to, amount, memo, .. } => {
            Instruction::Transfer { asset, from, to, amount, memo, invoice: Some(invoice) }
        }
        other => other,
    };
    let draft = net.draft(vec![("joint@aclb".into(), paying)]).by(&["a", "c"]);
    super::rejected(&mut net, draft, Code::AccountFrozen);
    for who in ["dara@aclb", "sok@aclb"] {
        let close = Instruction::UnregisterAccount { id: account(who) };
        one(&mut net, "bank@aclb", close, Code::AccountNotEmpty);
    }
    // Also once the invoice has expired and was forgotten.
    let at = net.next_ms() + 40_000;
    net.block_at(Vec::new(), at);
    net.block(Vec::new());
    assert_eq!(net.world.reader().invoices(&account("dara@aclb"), "qr").unwrap(), []);
    applied(&mut net, "nbc@nbc", settle(id, None, Some(secret())));
    assert_eq!(riel(&net, "dara@aclb"), (900, 0, 0));
}

#[test]
fn holds_are_found_by_their_parties() {
    let mut net = Net::new();
    let mut ids = Vec::new();
    for amount in ["1", "2", "3"] {
        let making = hold(&net, "dara@aclb", amount);
        ids.push(id_of(&applied(&mut net, "sok@aclb", making)));
    }
    ids.sort();
    let found = |who: &str, after: Option<&HoldId>, limit| {
        let holds = net.world.reader().holds_of(&account(who), after, limit).unwrap();
        holds.into_iter().map(|(id, _)| id).collect::<Vec<_>>()
    };
    assert_eq!(found("sok@aclb", None, 10), ids);
    assert_eq!(found("dara@aclb", None, 2), ids[..2]);
    assert_eq!(found("dara@aclb", Some(&ids[1]), 2), ids[2..]);
    assert_eq!(found("nbc@nbc", None, 10), []);
    applied(&mut net, "dara@aclb", settle(ids[0], None, None));
    let left = net.world.reader().holds_of(&account("sok@aclb"), None, 10).unwrap();
    assert_eq!(left.len(), 2);
}
