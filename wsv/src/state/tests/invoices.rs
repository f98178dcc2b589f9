//! Single-use payments.

use tonle_model::instruction::{Instruction, Invoice};
use tonle_model::receipt::{Outcome, RejectionCode as Code};

use super::holds::{id_of, locked, secret, settle};
use super::{applied, one};
use crate::testing::{Net, account, asset};

fn paying(to: &str, amount: &str, invoice: &Invoice) -> Instruction {
    Instruction::Transfer {
        asset: asset("khr#nbc"),
        from: None,
        to: account(to),
        amount: amount.parse().unwrap(),
        memo: Default::default(),
        invoice: Some(invoice.clone()),
    }
}

fn invoice(id: &str, expires_ms: u64) -> Invoice {
    Invoice { id: id.parse().unwrap(), expires_ms }
}

fn listed(net: &Net, id: &str) -> Vec<(u128, Option<tonle_model::hash::HoldId>)> {
    let found = net.world.reader().invoices(&account("dara@aclb"), id).unwrap();
    found.into_iter().map(|(key, paid)| (key.amount.minor(), paid.hold)).collect()
}

#[test]
fn an_invoice_is_paid_once() {
    let mut net = Net::new();
    let expires_ms = net.next_ms() + 60_000;
    let bill = invoice("bill 7", expires_ms);
    applied(&mut net, "sok@aclb", paying("dara@aclb", "10", &bill));
    one(&mut net, "sok@aclb", paying("dara@aclb", "10", &bill), Code::InvoicePaid);
    // One riel on the same id is another payment: it blocks nobody.
    applied(&mut net, "sok@aclb", paying("dara@aclb", "1", &bill));
    applied(&mut net, "dara@aclb", paying("sok@aclb", "10", &bill));
    applied(&mut net, "sok@aclb", paying("dara@aclb", "10", &invoice("bill 7", expires_ms + 1)));
    assert_eq!(listed(&net, "bill 7"), [(1, None), (10, None), (10, None)]);
    assert_eq!(listed(&net, "bill"), []);
}

#[test]
fn an_invoice_expires_and_is_forgotten() {
    let mut net = Net::new();
    let at = net.next_ms() + 10_000;
    let bill = invoice("b", at);
    let draft = |net: &Net, amount: &str| {
        let draft = net.draft(vec![("sok@aclb".into(), paying("dara@aclb", amount, &bill))]);
        draft.window(at, at + 30_000).signed()
    };
    let [first, second, third] = ["1", "2", "3"].map(|amount| draft(&net, amount));
    let outcome = |block: &crate::state::CommittedBlock| block.receipts[0].outcome;
    assert_eq!(outcome(&net.block_at(vec![first], at)), Outcome::Applied);
    let no = Outcome::Rejected { code: Code::InvoiceExpired, step: 0 };
    assert_eq!(outcome(&net.block_at(vec![second], at + 1)), no);
    assert_eq!(listed(&net, "b"), [], "forgotten by the first block after it");
    assert_eq!(outcome(&net.block_at(vec![third], at + 2)), no, "and not payable for that");
    let far = invoice("far", net.next_ms() + 86_400_001);
    one(&mut net, "sok@aclb", paying("dara@aclb", "1", &far), Code::InvalidExpiry);
    let day = invoice("day", net.next_ms() + 86_400_000);
    applied(&mut net, "sok@aclb", paying("dara@aclb", "1", &day));
}

#[test]
fn a_hold_reserves_an_invoice() {
    let mut net = Net::new();
    let bill = invoice("b", net.next_ms() + 50_000);
    let making = locked(&net, "dara@aclb", "10", Some(bill.clone()));
    let made = applied(&mut net, "sok@aclb", making.clone());
    assert_eq!(listed(&net, "b"), [(10, Some(id_of(&made)))]);
    one(&mut net, "sok@aclb", paying("dara@aclb", "10", &bill), Code::InvoiceReserved);
    one(&mut net, "sok@aclb", making, Code::InvoiceReserved);
    applied(&mut net, "dara@aclb", Instruction::Release { id: id_of(&made) });
    assert_eq!(listed(&net, "b"), []);
    let making = locked(&net, "dara@aclb", "10", Some(bill.clone()));
    let made = applied(&mut net, "sok@aclb", making);
    applied(&mut net, "sok@aclb", settle(id_of(&made), None, Some(secret())));
    assert_eq!(listed(&net, "b"), [(10, None)]);
    one(&mut net, "sok@aclb", paying("dara@aclb", "10", &bill), Code::InvoicePaid);
}

#[test]
fn a_hold_that_expired_reserves_nothing() {
    let mut net = Net::new();
    let bill = invoice("b", net.next_ms() + 300_000);
    let making = locked(&net, "dara@aclb", "10", Some(bill.clone()));
    let made = applied(&mut net, "sok@aclb", making);
    // Its payer does not take it back, but it can settle no more.
    let later = net.next_ms() + 100_000;
    net.block_at(Vec::new(), later);
    applied(&mut net, "sok@aclb", paying("dara@aclb", "10", &bill));
    applied(&mut net, "sok@aclb", Instruction::Release { id: id_of(&made) });
    one(&mut net, "sok@aclb", paying("dara@aclb", "10", &bill), Code::InvoicePaid);
}
