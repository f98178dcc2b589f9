//! Reading what the ledger keeps beside money: rights, limits, holds, invoices, proposals.

use serde_json::json;
use tonle_client::ClientError;
use tonle_client::api::{AccountStatus, InvoiceStatus};
use tonle_model::hash::{HoldId, ProposalId};
use tonle_model::id::AccountId;
use tonle_model::instruction::Mintability;
use tonle_model::key::KeyPair;

use super::tests_node::{GENESIS_MS, Net, start};

const OPERATOR: &str = "governor@nbc";

fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(text: &str) -> T {
    text.parse().unwrap()
}

#[track_caller]
fn assert_unknown<T: std::fmt::Debug>(result: Result<T, ClientError>, code: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(404), Some(code)), "{error}");
}

/// The operator does something.
fn govern(net: &Net, instructions: &[serde_json::Value]) {
    net.node.run(OPERATOR, &[OPERATOR], instructions);
}

#[tokio::test]
async fn an_account_shows_what_it_may_and_whether_it_may() {
    let net = start().await;
    let sok: AccountId = id("sok@aclb");
    govern(
        &net,
        &[
            json!({"register_role": {"id": "auditor", "permissions": ["read_all_accounts"]}}),
            json!({"grant_role": {"role": "auditor", "account": "sok@aclb"}}),
            json!({"grant": {"permission": "mint:khr#nbc", "account": "sok@aclb"}}),
            json!({"set_tier": {"account": "sok@aclb", "tier": "gold"}}),
            json!({"set_metadata": {"account": "sok@aclb", "key": "branch", "value": "Kampot"}}),
            json!({"freeze": {"account": "sok@aclb", "incoming": true, "reason": "lost phone"}}),
        ],
    );
    let account = net.client.account(&sok).await.unwrap();
    assert_eq!(account.tier.as_str(), "gold");
    let reason = id("lost phone");
    assert_eq!(account.status, AccountStatus::Frozen { incoming: true, reason });
    assert_eq!(account.roles, [id("auditor")]);
    assert_eq!(account.permissions, [id("mint:khr#nbc")]);
    assert_eq!(account.metadata.get(&id("branch")), Some(&id("Kampot")));
    assert_eq!(net.client.accounts().await.unwrap().last(), Some(&account), "lists show it alike");

    let roles = net.client.roles().await.unwrap();
    assert_eq!(roles.len(), 1);
    assert_eq!(net.client.role(&id("auditor")).await.unwrap(), roles[0]);
    assert_eq!(roles[0].permissions, [id("read_all_accounts")]);
    assert_unknown(net.client.role(&id("nobody")).await, "unknown_role");

    govern(&net, &[json!({"unregister_account": {"id": "bopha@wing"}})]);
    let closed = net.client.account(&id("bopha@wing")).await.unwrap();
    assert_eq!(closed.status, AccountStatus::Closed);
}

#[tokio::test]
async fn limits_and_what_counted_today_stand_with_a_balance() {
    let net = start().await;
    let limit = json!({"tier": "basic", "asset": "khr#nbc", "per_day": "50000"});
    govern(&net, &[json!({"set_limit": limit})]);
    net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "20000", 1)]);

    let balances = net.client.balances(&id("sok@aclb")).await.unwrap();
    let riel = &balances[0];
    assert_eq!((riel.sent_today.to_string(), riel.incoming_holds), ("20000".to_owned(), 0));
    assert_eq!(riel.limit, Some(id("50000")));
    assert_eq!(balances[1].limit, None, "dollars are not limited");
    let url = format!("http://{}/v1/accounts/sok@aclb/balances", net.address);
    let page: serde_json::Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(page["items"][1].get("limit"), Some(&serde_json::Value::Null));

    let asset = net.client.asset(&id("khr#nbc")).await.unwrap();
    assert_eq!(asset.mintability, Mintability::Always);
    assert_eq!((asset.limits[0].tier.as_str(), asset.limits[0].per_day), ("basic", id("50000")));
    let supply = net.client.supply(&id("khr#nbc")).await.unwrap();
    assert_eq!((supply.supply, supply.supply_cap), (asset.supply, None));
    assert_eq!(net.client.parameters().await.unwrap().utc_offset_min, 0);
}

#[tokio::test]
async fn a_balance_of_the_past_comes_out_of_history() {
    let net = start().await;
    for nonce in [1, 2] {
        net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "500", nonce)]);
    }
    let (dara, riel) = (id("dara@wing"), id("khr#nbc"));
    let cases = [
        (GENESIS_MS, "0", None, true),
        (GENESIS_MS + 1_000, "500", Some(1_000), true),
        (GENESIS_MS + 1_999, "500", Some(1_000), true),
        (GENESIS_MS + 2_000, "1000", Some(2_000), true),
        (GENESIS_MS + 2_001, "1000", Some(2_000), false),
    ];
    for (time_ms, balance, since, is_final) in cases {
        let past = net.client.balance_at(&dara, &riel, time_ms).await.unwrap();
        assert_eq!(past.balance, id(balance), "{time_ms}");
        assert_eq!(past.since_ms, since.map(|since: u64| GENESIS_MS + since), "{time_ms}");
        assert_eq!((past.time_ms, past.is_final), (time_ms, is_final));
    }
    assert_unknown(net.client.balance_at(&id("no@wing"), &riel, 0).await, "unknown_account");
    assert_unknown(net.client.balance_at(&dara, &id("eur#nbc"), 0).await, "unknown_asset");
    let url = format!("http://{}/v1/accounts/dara@wing/balances/khr%23nbc/at/noon", net.address);
    assert_eq!(reqwest::get(&url).await.unwrap().status().as_u16(), 400);
}

#[tokio::test]
async fn a_hold_is_found_by_its_parties_and_the_invoice_it_reserves() {
    let net = start().await;
    let expires_ms = GENESIS_MS + 60_000;
    let invoice = json!({"id": "INV 7", "expires_ms": expires_ms});
    let locked = json!({"hold": {"asset": "usd#nbc", "to": "dara@wing", "amount": "2.50",
        "expires_ms": expires_ms, "hash_lock": "7".repeat(64), "invoice": invoice}});
    let plain = json!({"hold": {"asset": "khr#nbc", "to": "dara@wing", "amount": "300",
        "expires_ms": expires_ms, "arbiter": "bopha@wing"}});
    let hash = net.node.run("sok@aclb", &["sok@aclb"], &[locked, plain]);
    let ids = [0, 1].map(|step| HoldId::of(&hash.0, step));

    let hold = net.client.hold(&ids[0]).await.unwrap();
    assert_eq!((hold.id, hold.amount, hold.expires_ms), (ids[0], id("2.50"), expires_ms));
    assert_eq!((hold.from.as_str(), hold.to.as_str()), ("sok@aclb", "dara@wing"));
    assert!(hold.hash_lock.is_some() && hold.arbiter.is_none());
    assert_eq!(hold.invoice.map(|invoice| invoice.id), Some(id("INV 7")));
    for (party, count) in [("sok@aclb", 2), ("dara@wing", 2), ("bopha@wing", 1)] {
        assert_eq!(net.client.holds_of(&id(party)).await.unwrap().len(), count, "{party}");
    }
    let first = format!("http://{}/v1/accounts/sok@aclb/holds?limit=1", net.address);
    let page: serde_json::Value = reqwest::get(&first).await.unwrap().json().await.unwrap();
    let second = format!("{first}&cursor={}", page["next"].as_str().unwrap());
    let other: serde_json::Value = reqwest::get(&second).await.unwrap().json().await.unwrap();
    assert_ne!(page["items"][0]["id"], other["items"][0]["id"]);
    assert_eq!(other.get("next"), None);
    assert_eq!(net.client.balances(&id("dara@wing")).await.unwrap()[0].incoming_holds, 1);

    let dara = id("dara@wing");
    let payments = net.client.invoices(&dara, "INV 7").await.unwrap();
    assert_eq!(payments.len(), 1);
    assert_eq!((payments[0].amount, payments[0].status), (id("2.50"), InvoiceStatus::Reserved));
    assert_eq!((payments[0].hold, payments[0].transaction), (Some(ids[0]), hash));
    assert_eq!(payments[0].payer.as_str(), "sok@aclb");
    assert_eq!(net.client.invoices(&dara, "INV 8").await.unwrap(), []);
    assert_unknown(net.client.invoices(&id("no@wing"), "INV 7").await, "unknown_account");
    let paid = json!({"transfer": {"asset": "khr#nbc", "to": "dara@wing", "amount": "5",
        "invoice": {"id": "INV 8", "expires_ms": expires_ms}}});
    net.node.run("sok@aclb", &["sok@aclb"], &[paid]);
    let payments = net.client.invoices(&dara, "INV 8").await.unwrap();
    assert_eq!((payments[0].hold, payments[0].status), (None, InvoiceStatus::Paid));

    net.node.run("dara@wing", &["dara@wing"], &[json!({"release": {"id": ids[1]}})]);
    assert_unknown(net.client.hold(&ids[1]).await, "unknown_hold");
    assert_eq!(net.client.holds_of(&id("bopha@wing")).await.unwrap(), []);
}

#[tokio::test]
async fn a_proposal_says_how_far_it_is_approved() {
    let net = start().await;
    let key = |name: &str| json!({"public_key": KeyPair::demo(name).public_key(), "weight": 1});
    let signatories = json!([key("sok@aclb"), key("dara@wing")]);
    let corp = json!({"id": "corp@aclb", "signatories": signatories, "quorum": 2});
    govern(&net, &[json!({"register_account": corp})]);
    let note = json!({"set_metadata": {"account": "corp@aclb", "key": "motto", "value": "on"}});
    let propose = json!({"propose": {"account": "corp@aclb", "instructions": [note],
        "expires_ms": GENESIS_MS + 60_000}});
    let hash = net.node.run("sok@aclb", &["sok@aclb"], &[propose]);
    let proposal_id = ProposalId::of(&hash, 0);

    let corp: AccountId = id("corp@aclb");
    let proposal = net.client.proposal(&proposal_id).await.unwrap();
    let listed = net.client.proposals_of(&corp).await.unwrap();
    assert_eq!(listed, std::slice::from_ref(&proposal));
    assert_eq!((proposal.account.clone(), proposal.proposer.as_str()), (corp.clone(), "sok@aclb"));
    assert_eq!(proposal.approvals, [KeyPair::demo("sok@aclb").public_key()]);
    assert_eq!((proposal.weight, proposal.quorum, proposal.instructions.len()), (1, 2, 1));

    let approve = json!({"approve": {"id": proposal_id}});
    net.node.run("dara@wing", &["dara@wing"], &[approve]);
    assert_unknown(net.client.proposal(&proposal_id).await, "unknown_proposal");
    assert_eq!(net.client.proposals_of(&corp).await.unwrap(), []);
    let account = net.client.account(&corp).await.unwrap();
    assert_eq!(account.metadata.get(&id("motto")), Some(&id("on")));
}

#[tokio::test]
async fn accounts_can_be_listed_by_domain() {
    let net = start().await;
    let url = format!("http://{}/v1/accounts?domain=wing&limit=1", net.address);
    let page: serde_json::Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!(
        (&page["items"][0]["id"], &page["next"]),
        (&"bopha@wing".into(), &"bopha@wing".into())
    );
    let url = format!("{url}&cursor=bopha@wing");
    let page: serde_json::Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!((&page["items"][0]["id"], page.get("next")), (&"dara@wing".into(), None));
}
