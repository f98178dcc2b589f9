//! Reading accounts, assets and blocks, and what `public_reads` lets strangers see.

use tonle_client::api::{BlocksQuery, Direction, HistoryQuery, PublicReads, SubmitReply};
use tonle_client::{BlockId, ClientError};
use tonle_model::hash::BlockHash;
use tonle_model::id::AccountId;
use tonle_model::key::KeyPair;
use tonle_model::number::{Height, ValidatorIndex, View};
use tonle_model::receipt::{Outcome, RejectionCode};
use tonle_model::transaction::Transaction;

use super::Settings;
use super::tests_node::{GENESIS_MS, Net, start, start_with};

fn sok() -> AccountId {
    "sok@aclb".parse().unwrap()
}

fn dara() -> AccountId {
    "dara@wing".parse().unwrap()
}

/// Three payments in two blocks, the last of which fails.
async fn paid() -> (Net, [Transaction; 3]) {
    let net = start().await;
    let payments = [("sok@aclb", "20000"), ("sok@aclb", "5"), ("dara@wing", "999999")];
    let payments = [0, 1, 2].map(|position: usize| {
        let (from, amount) = payments[position];
        let to = if from == "sok@aclb" { "dara@wing" } else { "sok@aclb" };
        net.node.payment(from, to, amount, position as u64)
    });
    net.node.commit(&payments[..1]);
    net.node.commit(&payments[1..]);
    (net, payments)
}

#[track_caller]
fn assert_problem<T: std::fmt::Debug>(result: Result<T, ClientError>, status: u16, code: &str) {
    let error = result.unwrap_err();
    assert_eq!((error.status(), error.code()), (Some(status), Some(code)), "{error}");
}

#[tokio::test]
async fn an_account_its_balances_and_its_movements() {
    let (net, payments) = paid().await;
    let account = net.client.account(&sok()).await.unwrap();
    assert_eq!((account.id, account.quorum), (sok(), 1));
    assert_eq!(account.signatories[0].public_key, KeyPair::demo("sok@aclb").public_key());

    let balances = net.client.balances(&sok()).await.unwrap();
    let shown: Vec<_> = balances
        .iter()
        .map(|balance| (balance.asset.to_string(), balance.available.to_string()))
        .collect();
    let expected = [("khr#nbc", "979995"), ("usd#nbc", "12.50")];
    assert_eq!(shown, expected.map(|(asset, amount)| (asset.to_owned(), amount.to_owned())));

    let page = net.client.history(&dara(), &HistoryQuery::default()).await.unwrap();
    assert_eq!(page.next, None);
    let shown: Vec<_> = page
        .items
        .iter()
        .map(|entry| (entry.height.0, entry.amount.to_string(), entry.balance.to_string()))
        .collect();
    let expected = [(2, "5", "20005"), (1, "20000", "20000")];
    assert_eq!(
        shown,
        expected.map(|(height, amount, after)| (height, amount.to_owned(), after.to_owned()))
    );
    let newest = &page.items[0];
    assert_eq!(newest.direction, Direction::In);
    assert_eq!(newest.counterparty, Some(sok()));
    assert_eq!(newest.transaction, payments[1].payload.hash());
    assert_eq!((newest.memo.as_str(), newest.time_ms), ("for lunch", GENESIS_MS + 2000));
}

#[tokio::test]
async fn movements_come_in_pages_and_filtered() {
    let (net, _) = paid().await;
    let first = HistoryQuery { limit: Some(1), ..HistoryQuery::default() };
    let page = net.client.history(&dara(), &first).await.unwrap();
    assert_eq!(page.items.len(), 1);
    let second = HistoryQuery { cursor: page.next, ..first };
    assert!(second.cursor.is_some());
    let page = net.client.history(&dara(), &second).await.unwrap();
    assert_eq!(page.items[0].height, Height(1));

    let out = HistoryQuery { direction: Some(Direction::Out), ..HistoryQuery::default() };
    assert_eq!(net.client.history(&dara(), &out).await.unwrap().items, []);
    let old = HistoryQuery { until: Some(GENESIS_MS + 1000), ..HistoryQuery::default() };
    assert_eq!(net.client.history(&dara(), &old).await.unwrap().items.len(), 1);
    let dollars =
        HistoryQuery { asset: Some("usd#nbc".parse().unwrap()), ..HistoryQuery::default() };
    assert_eq!(net.client.history(&dara(), &dollars).await.unwrap().items, []);
}

#[tokio::test]
async fn what_the_network_is_made_of() {
    let (net, _) = paid().await;
    let assets = net.client.assets().await.unwrap();
    assert_eq!(
        assets.iter().map(|asset| asset.id.as_str()).collect::<Vec<_>>(),
        ["khr#nbc", "usd#nbc"]
    );
    let dollar = net.client.asset(&"usd#nbc".parse().unwrap()).await.unwrap();
    assert_eq!((dollar.scale, dollar.supply.to_string().as_str()), (2, "12.50"));
    assert_eq!(dollar.owner.as_str(), "governor@nbc");
    let accounts = net.client.accounts().await.unwrap();
    let accounts: Vec<_> = accounts.iter().map(|account| account.id.as_str()).collect();
    assert_eq!(accounts, ["bopha@wing", "dara@wing", "governor@nbc", "sok@aclb"]);
    let domains = net.client.domains().await.unwrap();
    assert_eq!(
        domains.iter().map(|domain| domain.id.as_str()).collect::<Vec<_>>(),
        ["aclb", "nbc", "wing"]
    );
    assert_eq!(net.client.parameters().await.unwrap().public_reads, PublicReads::All);
    let validators = net.client.validators().await.unwrap();
    assert_eq!(validators.len(), 1);
    assert_eq!(validators[0].index, ValidatorIndex(0));

    let url = format!("http://{}/v1/domains?limit=2", net.address);
    let page: serde_json::Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!((page["items"].as_array().unwrap().len(), &page["next"]), (2, &"nbc".into()));
    let url = format!("{url}&cursor=nbc");
    let page: serde_json::Value = reqwest::get(&url).await.unwrap().json().await.unwrap();
    assert_eq!((&page["items"][0]["id"], page.get("next")), (&"wing".into(), None));
}

#[tokio::test]
async fn what_does_not_exist_is_said_to() {
    let (net, _) = paid().await;
    let nobody = "nobody@aclb".parse().unwrap();
    assert_problem(net.client.account(&nobody).await, 404, "unknown_account");
    assert_problem(net.client.balances(&nobody).await, 404, "unknown_account");
    let query = HistoryQuery::default();
    assert_problem(net.client.history(&nobody, &query).await, 404, "unknown_account");
    let nothing = "eur#nbc".parse().unwrap();
    assert_problem(net.client.asset(&nothing).await, 404, "unknown_asset");
    assert_problem(net.client.block(BlockId::Height(Height(3))).await, 404, "unknown_block");
    let hash = BlockId::Hash(BlockHash::default());
    assert_problem(net.client.block(hash).await, 404, "unknown_block");
}

/// A payment that is said to be in a block is found there, whoever else has heard of the block.
#[tokio::test]
async fn a_block_of_the_state_is_there_before_those_who_wait_hear_of_it() {
    let (net, _) = paid().await;
    net.node.forget_last();
    let block = net.client.block(BlockId::Height(Height(2))).await.unwrap();
    assert_eq!(block.height, Height(2));
}

#[tokio::test]
async fn a_block_by_height_and_by_hash() {
    let (net, payments) = paid().await;
    let block = net.client.block(BlockId::Height(Height(2))).await.unwrap();
    assert_eq!(net.client.block(BlockId::Hash(block.hash)).await.unwrap(), block);
    assert_eq!(block.header.hash(), block.hash);
    let status = net.client.node_status().await.unwrap();
    assert_eq!((status.height, status.hash), (Height(2), block.hash));
    assert_eq!(block.result.unwrap().state_root, status.state_root);
    assert_eq!(block.finalization.unwrap().ballot.height, Height(2));

    let transactions = block.transactions.unwrap();
    assert_eq!(transactions.len(), 2);
    assert_eq!(transactions[0].outcome, Outcome::Applied);
    assert_eq!(transactions[0].transaction.as_ref(), Some(&payments[1]));
    let code = RejectionCode::InsufficientBalance;
    assert_eq!(transactions[1].outcome, Outcome::Rejected { code, step: 0 });
    assert!(transactions[1].detail.as_ref().is_some_and(|detail| !detail.is_empty()));
    assert_eq!(transactions[1].transaction.as_ref(), Some(&payments[2]));

    let before = net.client.block(BlockId::Height(Height(1))).await.unwrap();
    assert_eq!(before.result.unwrap().hash(), block.header.parent_result);
    let genesis = net.client.block(BlockId::Height(Height(0))).await.unwrap();
    assert_eq!(genesis.hash, before.header.parent);
    assert_eq!(genesis.finalization, None);
    assert_eq!(net.client.block(BlockId::Hash(genesis.hash)).await.unwrap(), genesis);
}

#[tokio::test]
async fn a_block_shows_the_copy_that_counted() {
    let net = start().await;
    let payment = net.node.payment("sok@aclb", "dara@wing", "5", 1);
    let void = payment.payload.clone().sign(&[&KeyPair::demo("dara@wing")]);
    assert_eq!(void.payload.hash(), payment.payload.hash());
    net.node.commit(&[void, payment.clone()]);
    let block = net.client.block(BlockId::Height(Height(1))).await.unwrap();
    let transactions = block.transactions.unwrap();
    assert_eq!(transactions.len(), 1, "the void copy left nothing");
    assert_eq!(transactions[0].outcome, Outcome::Applied);
    assert_eq!(transactions[0].transaction, Some(payment));
}

#[tokio::test]
async fn blocks_come_in_pages_and_their_receipts_in_scale() {
    let (net, payments) = paid().await;
    let query = BlocksQuery { from: Some(Height(0)), limit: Some(2), wait: None };
    let page = net.client.blocks(&query).await.unwrap();
    assert_eq!(page.items.iter().map(|brief| brief.height.0).collect::<Vec<_>>(), [0, 1]);
    assert_eq!(page.next.as_deref(), Some("2"));
    assert_eq!((page.items[1].transactions, page.items[1].view), (1, Some(View(0))));
    let latest = BlocksQuery { limit: Some(1), ..BlocksQuery::default() };
    let page = net.client.blocks(&latest).await.unwrap();
    assert_eq!((page.items[0].height, page.next), (Height(2), None));
    let ahead = BlocksQuery { from: Some(Height(9)), ..BlocksQuery::default() };
    assert_eq!(net.client.blocks(&ahead).await.unwrap().items, []);

    let from_one = BlocksQuery { from: Some(Height(1)), ..BlocksQuery::default() };
    let blocks = net.client.receipts(&from_one).await.unwrap();
    assert_eq!(blocks.iter().map(|block| block.height.0).collect::<Vec<_>>(), [1, 2]);
    let followed: Vec<_> = blocks
        .iter()
        .flat_map(|block| block.receipts.iter().map(|receipt| receipt.transaction))
        .collect();
    assert_eq!(followed, payments.each_ref().map(|payment| payment.payload.hash()));
}

#[tokio::test]
async fn strangers_see_what_the_network_shows() {
    let everything = [
        "accounts",
        "accounts/sok@aclb",
        "accounts/sok@aclb/balances",
        "accounts/sok@aclb/balances/khr%23nbc/at/0",
        "accounts/sok@aclb/transactions",
        "accounts/sok@aclb/holds",
        "accounts/sok@aclb/proposals",
        "invoices/sok@aclb/7",
        "domains",
        "roles",
    ];
    let about_the_chain = [
        "blocks",
        "blocks/0",
        "validators",
        "parameters",
        "assets",
        "assets/khr%23nbc",
        "assets/khr%23nbc/supply",
    ];
    for (shown, chain_status, all_status) in
        [("none", 403, 403), ("chain", 200, 403), ("all", 200, 200)]
    {
        let net = start_with(shown, Settings::default()).await;
        let paths = about_the_chain.map(|path| (path, chain_status));
        for (path, status) in paths.into_iter().chain(everything.map(|path| (path, all_status))) {
            let url = format!("http://{}/v1/{path}", net.address);
            let response = reqwest::get(&url).await.unwrap();
            assert_eq!(response.status().as_u16(), status, "{path} under {shown}");
        }
        let receipts = net.client.receipts(&BlocksQuery::default()).await;
        assert_eq!(receipts.is_ok(), all_status == 200, "{shown}");
        net.client.node_status().await.unwrap();

        let payment = net.node.payment("sok@aclb", "dara@wing", "5", 1);
        let SubmitReply { hash, .. } = net.client.submit(&payment).await.unwrap();
        net.client.status(&hash, None).await.unwrap();
    }
}

#[tokio::test]
async fn a_block_without_its_payments_is_still_provable() {
    let net = start_with("chain", Settings::default()).await;
    net.node.commit(&[net.node.payment("sok@aclb", "dara@wing", "5", 1)]);
    let block = net.client.block(BlockId::Height(Height(1))).await.unwrap();
    assert_eq!(block.transactions, None);
    assert!(block.finalization.is_some());
    assert_problem(net.client.account(&sok()).await, 403, "reads_not_public");
}
